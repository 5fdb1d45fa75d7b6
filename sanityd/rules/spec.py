"""The keys of a rules file outside of check kinds, as models: one field for each key."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sanityd.alerts.settings import NoiseMode
from sanityd.checks.age_option import AgeOf, duration_part
from sanityd.checks.invariant import Confirm, Ladder, Scan
from sanityd.model import DEFAULT_OVERLAP
from sanityd.model.durations import parse_duration
from sanityd.model.option_types import Duration, Names, Zone, option_error
from sanityd.model.schedule import Schedule, ScheduleError, parse_schedule
from sanityd.rules import option_schemas
from sanityd.rules.ladder_parser import parse_ladder
from sanityd.rules.remedy_spec import RemedySpec

#: Stands for the number of violations in `summary`.
COUNT = "{count}"

#: The longest `timeout` of a query of `evidence`.
MOST_TIME = timedelta(seconds=30)

#: Keys that are reserved for later versions. They are refused, not ignored.
NOT_YET = {
    "executor": "workers on other machines",
}


def _summary(text: str) -> str:
    if re.search(r"[{}]", text.replace(COUNT, "")):
        raise option_error(
            "`summary` has braces that are not `{count}`",
            "write `{count}` where the number of violations belongs",
        )
    return text


def _schedule(value: Any) -> Any:
    if isinstance(value, Schedule):
        return value
    if not isinstance(value, str):
        raise option_error("this is no schedule", option_schemas.SCHEDULE)
    try:
        return parse_schedule(value)
    except ScheduleError as error:
        raise option_error(error.message, error.advice, word=error.word) from None


def _confirm(value: Any) -> Any:
    if isinstance(value, Confirm) or value is None:
        return value
    if value == "no":
        return Confirm(again=False)
    runs = re.fullmatch(r"([2-9]) runs", str(value))
    if runs:
        return Confirm(again=False, runs=int(runs[1]))
    lasting = re.fullmatch(r"for (.+)", str(value))
    if lasting:
        return Confirm(again=False, lasting=duration_part(lasting[1]))
    words = str(value).removeprefix("again after ")
    try:
        return Confirm(after=parse_duration(words))
    except ValueError as error:
        if words != value:
            raise option_error(f"`{words}` is not a duration", str(error), word=words) from None
        raise option_error(f"`{value}` is no way to confirm", option_schemas.CONFIRM) from None


_SCAN = re.compile(r"new rows by (\S+?)(?:, full (daily|every [^,]+))?(?:, overlap ([^,]+))?")


def _scan(value: Any) -> Any:
    if isinstance(value, Scan) or value is None:
        return value
    if value == "full":
        return Scan()
    scan = _SCAN.fullmatch(str(value))
    if scan is None:
        raise option_error(f"`{value}` is not a valid value of `scan`", option_schemas.SCAN)
    column, full, overlap = scan.groups()
    full_every = timedelta(days=1)
    if full not in (None, "daily"):
        full_every = duration_part(full.removeprefix("every ").strip())
    return Scan(column, full_every, duration_part(overlap.strip()) if overlap else DEFAULT_OVERLAP)


When = Annotated[
    Schedule, BeforeValidator(_schedule, json_schema_input_type=option_schemas.Schedule)
]
Severities = Annotated[
    Ladder, BeforeValidator(parse_ladder, json_schema_input_type=option_schemas.Severities)
]
WhichRows = Annotated[Scan, BeforeValidator(_scan, json_schema_input_type=option_schemas.Scan)]
HowSure = Annotated[
    Confirm, BeforeValidator(_confirm, json_schema_input_type=option_schemas.Confirm)
]


class Spec(BaseModel):
    """A mapping of the rules file. Unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True
    )


class SourceSpec(Spec):
    """A source: `url` or `files`, and how gently to treat it."""

    url: str | None = Field(
        None,
        description="Any SQLAlchemy URL; write passwords as `${NAME}`.",
        examples=[
            "${APP_DATABASE_URL}",
            "postgresql://sanityd:${PASSWORD}@db.example.com/shop",
            "sqlite:///shop.db",
        ],
    )
    files: Names | None = Field(
        None,
        min_length=1,
        description="CSV and Parquet files instead; each is a table. `*` stands for any letters.",
        examples=["exports/*.csv", ["lists/*.csv", "/srv/more/countries.tsv"]],
    )
    statement_timeout: Duration = Field(
        timedelta(seconds=60), description="How long one statement may take."
    )
    lock_timeout: Duration = Field(timedelta(seconds=5), description="How long to wait for a lock.")
    connections: int = Field(
        2, ge=1, le=100, description="At most so many connections at once.", examples=[2]
    )
    zone: Zone = Field(
        ZoneInfo("UTC"), description="The zone in which times without a zone are meant."
    )

    @model_validator(mode="after")
    def _url_or_files(self) -> Self:
        if (self.url is None) == (self.files is None):
            raise option_error("a source has either `url` or `files`", "write one of them")
        return self


class Defaults(Spec):
    """The section `defaults`: values for rules that don't have these keys."""

    schedule: When | None = Field(
        None,
        description="When it is checked: `every 5m` (the default), "
        "`hourly`, `daily at 07:30`, a cron line, `manual`.",
        examples=["every 5m", "hourly", "daily at 07:30 Europe/Berlin", "0 7 * * 1-5", "manual"],
    )
    severity: Severities | None = Field(
        None,
        description="How bad a violation is: `error` (the usual), "
        "or a ladder by number or share of rows.",
        examples=["error", "warning", {"error": 1, "critical": 50}, {"warning": 1, "error": "5%"}],
    )
    notify: Names | None = Field(
        None,
        description="The channels that are notified, by name.",
        examples=["team-mail", ["team-mail", "ops-hook"]],
    )
    owner: str | None = Field(
        None,
        description="Who is responsible; `alerts: owners` names an owner's channels.",
        examples=["payments"],
    )
    tags: Names | None = Field(
        None,
        description="Words to choose rules by; `alerts: tags` names channels that hear of them.",
        examples=["gdpr", ["mail", "nightly"]],
    )
    nulls: Literal["pass", "fail"] | None = Field(
        None,
        description="Whether a NULL violates a rule about values: `pass`, as in SQL, or `fail`.",
    )
    when_empty: Literal["pass", "fail"] | None = Field(
        None,
        description="What it means when no row is in scope. "
        "If left out, an error where there were rows before.",
    )
    redact: Literal["hash", "no"] | None = Field(
        None,
        description="`hash`: keys of its rows leave the database only as hashes, "
        "keyed by `SANITYD_REDACT_KEY`.",
    )


def _evidence(value: Any) -> Any:
    return {"query": value} if isinstance(value, str) else value


def _evidence_timeout(value: timedelta) -> timedelta:
    if value > MOST_TIME:
        raise option_error("`timeout` is longer than 30s", "write at most `30s`")
    return value


class EvidenceSpec(Spec):
    """One query of `evidence`: a SELECT, or a mapping with these keys."""

    query: str = Field(
        min_length=1,
        description="A SELECT that is run for each new violation; `:key` is the value of its key.",
        examples=["select * from changes where row_id = :key order by changed_at desc"],
    )
    source: str | None = Field(
        None, description="The source that it reads; by default the rule's.", examples=["audit"]
    )
    show: Names | None = Field(
        None,
        description="Its columns whose values may be stored, besides those of the rule's `show`.",
        examples=[["changed_at", "changed_by"]],
    )
    rows: int = Field(20, ge=1, le=200, description="At most so many rows.", examples=[20])
    timeout: Annotated[Duration, AfterValidator(_evidence_timeout)] = Field(
        timedelta(seconds=5), description="How long it may take; at most `30s`."
    )


_EvidenceQuery = Annotated[
    EvidenceSpec, BeforeValidator(_evidence, json_schema_input_type=str | EvidenceSpec)
]


class RuleSpec(Defaults):
    """A rule, without its check."""

    table: str | None = Field(
        None,
        description="What it is about: `source.table` or `source.schema.table`.",
        examples=["app.people", "app.public.people"],
    )
    source: str | None = Field(
        None,
        description="Instead of a table, for `query` and `python`: the source that it reads.",
        examples=["app"],
    )
    where: str | None = Field(
        None,
        min_length=1,
        description="A SQL condition that narrows what the rule is about.",
        examples=["deleted_at is null"],
    )
    within: AgeOf | None = Field(
        None,
        description="Rows younger than that are not judged yet: "
        "the time that data takes to become whole.",
        examples=["10m of created_at"],
    )
    window: AgeOf | None = Field(
        None,
        description="Only rows of that age or younger are checked.",
        examples=["7d of created_at"],
    )
    key: Names | None = Field(
        None,
        description="The columns that identify a row. If left out: "
        "the primary key, else the first unique index.",
        examples=["id", ["tenant_id", "number"]],
    )
    show: Names | None = Field(
        None,
        description="Columns whose values may leave the database besides the key.",
        examples=["status", ["status", "placed_at"]],
    )
    evidence: dict[str, _EvidenceQuery] | None = Field(
        None,
        min_length=1,
        max_length=10,
        description="Named SELECTs that are run for each new violation: "
        "what happened to the row, as an audit table or a job log knows it.",
        examples=[{"changes": "select * from audit_log where row_id = :key order by at desc"}],
    )
    confirm: HowSure | None = Field(
        None,
        description="How a suspect becomes a violation: "
        "`again after 30s` (across sources), `2 runs`, `for 5m`, or `no`.",
        examples=["again after 30s", "2 runs", "for 5m", "no"],
    )
    keep_open: Duration = Field(
        timedelta(0),
        description="How long the rule must hold again before its incident is over.",
        examples=["10m"],
    )
    scan: WhichRows | None = Field(
        None,
        description="Whether all rows are read (`full`), "
        "or those that are new by a column and all now and then.",
        examples=["full", "new rows by created_at, full daily"],
    )
    depends_on: Names | None = Field(
        None,
        description="Rules or sources whose incident explains this one: "
        "while they are open it is not mailed.",
        examples=["every-person-has-an-address", ["app", "mail"]],
    )
    formerly: Names | None = Field(
        None,
        description="The ids that the rule had before: "
        "its incidents, decisions and history are carried over.",
        examples=["every-person-has-a-mail"],
    )
    noise: NoiseMode | None = Field(
        None, description="Its own word on the policy of noise: `on`, only `suggest`, or `off`."
    )
    summary: Annotated[str, AfterValidator(_summary)] = Field(
        "",
        description="What is wrong, in your own words: the subject and the first sentence of the "
        "mail. `{count}` is the number of violations.",
        examples=["{count} accounts don't balance"],
    )
    why: str = Field(
        "",
        description="Why it matters, in a sentence. It stands in the mail.",
        examples=["Without it people never confirm their address and can't sign in."],
    )
    fix: str = Field(
        "",
        description="What to do about it, or a link to a page that says so. It stands in the mail.",
        examples=["https://wiki.example.com/runbooks/welcome-mail"],
    )
    remedy: RemedySpec | None = Field(
        None,
        description="What may repair its rows: an HTTP request or a command, "
        "sent under one id for each row and episode.",
        examples=[{"http": {"url": "${MAILER_URL}/resend", "json": {"person_id": "{key.id}"}}}],
    )
    enabled: bool = Field(
        True,
        description="`false` switches it off; naming it in `sanityd check RULE` still runs it.",
    )
    for_each: dict[str, Annotated[list[str | int], Field(min_length=1)]] | None = Field(
        None,
        min_length=1,
        max_length=1,
        description="One rule for each value: the word in "
        "braces is replaced in all texts of the rule.",
        examples=[{"schema": ["north", "south"]}],
    )


class AllowSpec(Spec):
    """What may run with sanityd's own rights."""

    python: bool = Field(
        False,
        description="Python functions, and check kinds in `checks/` beside the rules file.",
        examples=[True],
    )
    commands: bool = Field(
        False, description="Commands of `remedy`, with the rights of sanityd.", examples=[True]
    )
