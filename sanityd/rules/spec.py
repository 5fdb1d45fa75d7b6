"""What a rules file may say outside of check kinds, as models: field names are the keys, types are what they take."""

import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sanityd.alerts.settings import NoiseMode
from sanityd.checks.invariant import Age, Confirm, Ladder, Scan, Step
from sanityd.durations import duration
from sanityd.fields import Duration, Names, Zone, fault
from sanityd.model import OVERLAP, Severity
from sanityd.schedule import Schedule, parse_schedule

#: Keys of the language that this version knows of and can't do yet. Ignoring them would be a lie.
NOT_YET = {
    "evidence": "rows' own history in the page and the mail",
    "remedy": "repairs",
    "executor": "workers on other machines",
}


def _age(value: Any) -> Any:
    if isinstance(value, Age):
        return value
    if not isinstance(value, str):
        raise fault("this is no age", "write `10m of created_at`")
    length, of, column = value.partition(" of ")
    try:
        read = duration(length.strip())
    except ValueError as error:
        raise fault(f"`{length.strip()}` is not a duration", str(error), word=length.strip()) from None
    if not of or not column.strip():
        raise fault(f"`{value}` does not say which column tells the age", f"write `{length} of COLUMN`")
    return Age(read, column.strip())


def _schedule(value: Any) -> Any:
    if isinstance(value, Schedule):
        return value
    if not isinstance(value, str):
        raise fault("this is no schedule", "write `every 5m`, `daily at 07:30 Europe/Berlin` or a cron line")
    try:
        return parse_schedule(value)
    except ValueError as error:
        raise fault(f"`{value}` is not a schedule", str(error)) from None


def _confirm(value: Any) -> Any:
    if isinstance(value, Confirm) or value is None:
        return value
    if value == "no":
        return Confirm(again=False)
    if found := re.fullmatch(r"([2-9]) runs", str(value)):
        return Confirm(again=False, runs=int(found[1]))
    words = str(value).removeprefix("again after ")
    try:
        return Confirm(after=duration(words))
    except ValueError:
        raise fault(f"`{value}` is no way to confirm", "write `no`, `again after 30s` or `2 runs`") from None


_SCAN = re.compile(r"new rows by (\S+?)(?:, full (daily|every [^,]+))?(?:, overlap ([^,]+))?")


def _scan(value: Any) -> Any:
    if isinstance(value, Scan) or value is None:
        return value
    if value == "full":
        return Scan()
    if not (found := _SCAN.fullmatch(str(value))):
        advice = "write `full`, or `new rows by created_at, full daily`"
        raise fault(f"`{value}` is no way to scan", advice)
    column, full, overlap = found.groups()
    try:
        every = timedelta(days=1) if full in (None, "daily") else duration(full.removeprefix("every ").strip())
        return Scan(column, every, duration(overlap.strip()) if overlap else OVERLAP)
    except ValueError as error:
        raise fault(f"`{value}` has something that is not a duration", str(error)) from None


def _ladder(value: Any) -> Any:
    if isinstance(value, str):
        return Ladder((Step(_severity(value), count=1),))
    if not isinstance(value, dict) or not value:
        return value
    steps = [_step(_severity(word), start) for word, start in value.items()]
    _climbs([(step.severity, step.count) for step in steps if step.count is not None])
    _climbs([(step.severity, step.percent) for step in steps if step.percent is not None])
    return Ladder(tuple(sorted(steps, key=lambda step: step.severity)))


def _severity(word: Any) -> Severity:
    try:
        return Severity[str(word).upper()]
    except KeyError:
        raise fault(f"`{word}` is not a severity", "write `critical`, `error`, `warning` or `info`") from None


def _step(severity: Severity, start: Any) -> Step:
    if isinstance(start, int) and not isinstance(start, bool) and start >= 1:
        return Step(severity, count=start)
    if isinstance(start, str) and start.endswith("%"):
        try:
            percent = Decimal(start[:-1].strip())
        except InvalidOperation:
            percent = Decimal(0)
        if 0 < percent <= 100:
            return Step(severity, percent=percent)
    raise fault(f"`{start}` is not a step", "write from how many rows on, as in `50`, or from which share, as in `1%`")


def _climbs(starts: list[tuple[Severity, Any]]) -> None:
    ordered = sorted(starts)
    for (low, low_start), (high, high_start) in pairwise(ordered):
        if low_start >= high_start:
            raise fault(
                f"`{high.label}` begins at {high_start}, which is not above `{low.label}` at {low_start}",
                "let worse severities begin at higher counts",
            )


AgeOf = Annotated[Age, BeforeValidator(_age)]
When = Annotated[Schedule, BeforeValidator(_schedule)]
Severities = Annotated[Ladder, BeforeValidator(_ladder)]
WhichRows = Annotated[Scan, BeforeValidator(_scan)]
HowSure = Annotated[Confirm, BeforeValidator(_confirm)]


class Spec(BaseModel):
    """A mapping of the rules file; an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


class SourceSpec(Spec):
    """A source: `url` or `files`, and how gently to treat it."""

    url: str | None = Field(None, description="Any SQLAlchemy URL; write passwords as `${NAME}`.")
    files: Names | None = Field(
        None, min_length=1, description="CSV and Parquet files instead; each is a table. `*` stands for any letters."
    )
    statement_timeout: Duration = Field(timedelta(seconds=60), description="How long one statement may take.")
    lock_timeout: Duration = Field(timedelta(seconds=5), description="How long to wait for a lock.")
    connections: int = Field(2, ge=1, le=100, description="At most so many connections at once.")
    zone: Zone = Field(ZoneInfo("UTC"), description="The zone in which times without a zone are meant.")

    @model_validator(mode="after")
    def _url_or_files(self) -> Self:
        if (self.url is None) == (self.files is None):
            raise fault("a source has either `url` or `files`", "write one of them")
        return self


class Defaults(Spec):
    """What rules say when they don't say it themselves."""

    schedule: When | None = None
    severity: Severities | None = None
    notify: Names | None = None
    owner: str | None = None
    tags: Names | None = None
    nulls: Literal["pass", "fail"] | None = None
    when_empty: Literal["pass", "fail"] | None = None
    redact: Literal["hash", "no"] | None = None


class RuleSpec(Defaults):
    """A rule, without its check."""

    table: str | None = None
    source: str | None = None
    where: str | None = Field(None, min_length=1)
    within: AgeOf | None = None
    window: AgeOf | None = None
    key: Names | None = None
    show: Names | None = None
    confirm: HowSure | None = None
    scan: WhichRows | None = None
    depends_on: Names | None = None
    noise: NoiseMode | None = None
    why: str = ""
    fix: str = ""
    enabled: bool = True
    for_each: dict[str, Annotated[list[str | int], Field(min_length=1)]] | None = Field(
        None, min_length=1, max_length=1
    )


class AllowSpec(Spec):
    """What may run with sanityd's own rights."""

    python: bool = Field(False, description="Python functions and check kinds beside the rules file.")
