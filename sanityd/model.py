"""The nouns of sanityd: frozen, without behaviour of their own beyond what follows from their fields.

Imports nothing of ours. Rooms hand these to each other; `pipeline.py` is where they meet.
"""

import enum
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from types import MappingProxyType
from uuid import UUID

Value = None | bool | int | float | str | bytes | Decimal | datetime | date | time | UUID
Key = Mapping[str, Value]
#: What a rule measured in earlier runs that had an answer, oldest first.
Past = Sequence[tuple[datetime, float]]


class Severity(enum.IntEnum):
    """How much a violation matters; a higher one is worse."""

    #: Worth keeping; never mailed.
    INFO = 1
    #: Listed in `status`; never mailed at once.
    WARNING = 2
    #: Mailed at once; `check` exits 1.
    ERROR = 3
    #: Mailed at once, first.
    CRITICAL = 4

    @property
    def label(self) -> str:
        """The word of the rules file: `error`."""
        return self.name.lower()


class Outcome(enum.StrEnum):
    """How a run went, which decides what it may change."""

    #: All violating rows were read: the only outcome that may resolve by absence.
    COMPLETE = "complete"
    #: The row cap was hit: exact count, but only rows looked at again by key may resolve.
    TRUNCATED = "truncated"
    #: The rule could not be evaluated: says nothing about the data.
    ERRORED = "errored"
    #: Not looked at, as the source was down.
    SKIPPED = "skipped"


class Fate(enum.StrEnum):
    """What became of a row that was a violation and is none any more."""

    #: The row is there, in scope and good.
    FIXED = "fixed"
    #: The row was deleted.
    ROW_GONE = "row_gone"
    #: The row is there, but the rule is no longer about it.
    LEFT_SCOPE = "left_scope"
    #: The query of the rule no longer returns it; what became of the row can't be known.
    NOT_RETURNED = "not_returned"
    #: The rule left the file.
    RULE_REMOVED = "rule_removed"
    #: The rule means something else now.
    RULE_CHANGED = "rule_changed"


class Change(enum.StrEnum):
    """What a run changed about one row."""

    NEW = "new"
    ONGOING = "ongoing"
    #: Seen again within seven days of being resolved.
    REGRESSED = "regressed"
    RESOLVED = "resolved"


class Cause(enum.StrEnum):
    """What an incident is about."""

    #: A rule's data breaks it.
    VIOLATED = "violated"
    #: A rule can't be evaluated; says nothing about the data.
    ERRORED = "errored"
    #: A source does not answer; such an incident belongs to no rule.
    SOURCE_DOWN = "source_down"


class Reason(enum.StrEnum):
    """Why the team is told, or why it is not. Every decision has one."""

    OPENED = "opened"
    ESCALATED = "escalated"
    #: Other rows than those that the recipient was told of.
    UPDATED = "updated"
    REMINDER = "reminder"
    RESOLVED = "resolved"
    SOURCE_DOWN = "source_down"
    ERRORED = "errored"
    #: A rule that nobody acts on will become a warning.
    NOTICE = "notice"
    DOWNGRADED = "downgraded"
    RESTORED = "restored"
    #: A rule that comes and goes is quiet from now on, and is calm again.
    FLAPPING = "flapping"
    CALM = "calm"
    #: Many things in one mail: after an outage of the mail server, or beyond the number of mails an hour.
    SUMMARY = "summary"
    DIGEST = "digest"

    #: Nothing changed that the team was not told already.
    KNOWN = "known"
    #: Warnings and infos are listed, not mailed.
    MILD = "mild"
    #: It was over before anybody was told, so nobody needs to hear that it is over.
    NEVER_TOLD = "never_told"
    #: It was not verified of late, so there is nothing new to say about the data.
    UNKNOWN = "unknown"
    #: A message about it waits in the outbox.
    WAITING = "waiting"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    ACCEPTED = "accepted"
    #: A human called it closed, and it has not grown since.
    CLOSED = "closed"
    SILENCED = "silenced"
    #: Another incident explains it: of a source, or of what the rule depends on.
    INHIBITED = "inhibited"
    QUIET_HOURS = "quiet_hours"
    #: The recipient got enough mails this hour; the rest comes as one.
    STORM = "storm"
    #: The rule comes and goes; nothing is worse than it was when that was told.
    UNSTEADY = "unsteady"
    #: Open for weeks, and reminded of: in the digest only, until it grows.
    OLD = "old"

    @property
    def mails(self) -> bool:
        """Whether this reason tells the team."""
        return self in _TOLD

    @property
    def interrupts(self) -> bool:
        """Whether a mail for this reason asks for attention; that something is over or is due by the clock does not."""
        return self.mails and self not in (Reason.RESOLVED, Reason.RESTORED, Reason.DOWNGRADED, Reason.DIGEST)


_TOLD = frozenset(
    {
        Reason.OPENED,
        Reason.ESCALATED,
        Reason.UPDATED,
        Reason.REMINDER,
        Reason.RESOLVED,
        Reason.SOURCE_DOWN,
        Reason.ERRORED,
        Reason.NOTICE,
        Reason.DOWNGRADED,
        Reason.RESTORED,
        Reason.FLAPPING,
        Reason.CALM,
        Reason.SUMMARY,
        Reason.DIGEST,
    }
)


class Stance(enum.StrEnum):
    """What a human decided about an incident or a row. It ends, and breaks when things get worse."""

    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    ACCEPTED = "accepted"
    CLOSED = "closed"


def _nothing() -> Mapping[str, Value]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Violation:
    """One row (or key, or group) that breaks a rule.

    `shown` holds the columns that the rule allows to leave the database; `detail` says in words, never in values,
    what is wrong with the row (`email is null`); `rows` is how many rows stand behind it.
    """

    key: Key
    shown: Mapping[str, Value] = field(default_factory=_nothing)
    detail: str = ""
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """What one evaluation of one rule saw.

    `violations` and `rows` are exact, also beyond the cap; `tracked` holds at most the cap. `fates` maps the
    fingerprints of formerly open rows that were looked at again to what became of them. `severity` is the step of
    the ladder that was reached, None when the rule holds. `at` is the moment of the look, by our clock.
    """

    rule: str
    kind: str
    source: str
    at: datetime
    outcome: Outcome
    violations: int = 0
    rows: int = 0
    checked: int | None = None
    measured: float | None = None
    tracked: tuple[Violation, ...] = ()
    fates: Mapping[str, Fate] = field(default_factory=dict)
    severity: Severity | None = None
    #: How many rows were found that do not count before a later run confirms them.
    suspects: int = 0
    key: tuple[str, ...] = ()
    seconds: float = 0.0
    statements: int = 0
    error: str | None = None
    hint: str | None = None
    proved_by: str | None = None
    #: Of a skipped run: the source that did not answer, which may not be its own.
    down: str = ""

    @property
    def answered(self) -> bool:
        """Whether it says something about the data."""
        return self.outcome in (Outcome.COMPLETE, Outcome.TRUNCATED)

    @property
    def verdict(self) -> str:
        """The word of `check --format json`: passed, failed, errored or skipped."""
        if self.outcome in (Outcome.ERRORED, Outcome.SKIPPED):
            return self.outcome.value
        return "passed" if self.severity is None else "failed"

    @property
    def truncated(self) -> bool:
        """Whether more rows violate than are tracked one by one."""
        return self.outcome is Outcome.TRUNCATED


@dataclass(frozen=True, slots=True)
class Tracked:
    """One violation as the store remembers it: since when, and whether it is still open."""

    fingerprint: str
    key: Key
    open: bool
    first_seen: datetime
    last_seen: datetime
    resolved_at: datetime | None = None
    shown: Mapping[str, Value] = field(default_factory=_nothing)
    detail: str = ""
    fate: Fate | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """One row's change of state in one run. `violation` is None for rows that are resolved."""

    fingerprint: str
    change: Change
    key: Key
    violation: Violation | None = None
    fate: Fate | None = None
    #: When this stretch of violation began; for resolved rows too.
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """A stretch of time in which a rule was violated or could not be evaluated, or a source was down.

    At most one of each cause is open per rule (or source). `violations` is the exact number at the last run that could
    tell. `fates` counts what became of its rows.
    """

    id: str
    #: `source:NAME` for an incident of a source.
    rule: str
    source: str
    opened_at: datetime
    #: As it counts today: `declared`, less the steps that the rule was downgraded by.
    severity: Severity
    violations: int
    checked: int | None = None
    resolved_at: datetime | None = None
    fates: Mapping[Fate, int] = field(default_factory=dict)
    #: Hash of what the rule meant when the incident opened.
    meaning: str = ""
    cause: Cause = Cause.VIOLATED
    #: The highest step of the rule's ladder that is reached.
    declared: Severity = Severity.ERROR
    #: One fault that broke very many rows at once, rather than many cases.
    systemic: bool = False
    #: Why it can't be evaluated, or why the source does not answer.
    error: str = ""
    hint: str = ""

    @property
    def open(self) -> bool:
        """Whether it still goes on."""
        return self.resolved_at is None


@dataclass(frozen=True, slots=True)
class Told:
    """What one recipient was last told of an incident, by a message that was delivered (or may have been)."""

    reason: Reason
    violations: int
    severity: Severity
    #: How many messages of the incident reached this recipient: tells apart two times at which the rest was the same.
    sequence: int = 0
    at: datetime | None = None
    #: How many reminders were among them since it was last told as news.
    reminders: int = 0
    #: The Message-ID of the first of them, which begins the thread.
    root: str = ""


@dataclass(frozen=True, slots=True)
class Disposition:
    """What a human decided about an incident (or, with a fingerprint, about one of its rows), and until when."""

    id: int
    stance: Stance
    rule: str
    incident: str
    author: str
    reason: str
    at: datetime
    until: datetime
    #: The number and the severity at that time: twice as many, or a higher one, break it.
    violations: int
    severity: Severity
    fingerprint: str | None = None
    #: How a human closed it: `fixed`, `false_positive`, `wont_fix`, `duplicate`.
    resolution: str = ""
    ended_at: datetime | None = None
    #: `expired`, `broken`, `withdrawn`, `resolved`; empty while it holds.
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the policy of noise decided about a rule before, and on what grounds."""

    #: By how many steps its severity is lowered.
    steps: int = 0
    #: When it was last lowered.
    since: datetime | None = None
    #: When the notice went out that it will be, and when that takes effect.
    noticed_at: datetime | None = None
    due: datetime | None = None
    #: How many violations there were when it was lowered; far more bring it back.
    baseline: int = 0
    #: Until when a human's undo forbids the next step.
    locked_until: datetime | None = None
    flapping_since: datetime | None = None
    #: The most violations there were while it came and went.
    peak: int = 0
    #: When it was last restored: what was mailed before counts no longer.
    restored_at: datetime | None = None
    #: The decision in one sentence with its numbers.
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody hears of what it matches, for a while. What is still wrong when it ends is told then.

    `rule` is a name with `*` for any letters; `tag` and `source` narrow it further. Empty ones match everything.
    """

    id: int
    author: str
    reason: str
    at: datetime
    starts: datetime
    until: datetime
    rule: str = ""
    tag: str = ""
    source: str = ""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """What a mail may say about a rule: words from the rules file only."""

    id: str
    kind: str
    source: str
    table: str
    title: str
    why: str = ""
    fix: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    #: Where it stands, as `rules.yaml:21`.
    location: str = ""
    #: Short hash of the rules file.
    revision: str = ""
    #: The columns that identify a row, in order.
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PastRun:
    """One earlier run, as the bar picture of a mail shows it."""

    at: datetime
    outcome: Outcome
    violations: int


@dataclass(frozen=True, slots=True)
class News:
    """What a message says about one incident, or about one rule's noise.

    `sentence` says what is wrong (`3 of 1,000 people have no row in mails`). `rows` are the open violations that are
    tracked, oldest first; `changes` counts the last run's transitions. `told` is what this recipient knew before.
    """

    reason: Reason
    rule: RuleFacts
    #: None when the news is about the rule itself, as when it is downgraded.
    incident: Incident | None = None
    sentence: str = ""
    #: When it was last looked at with an answer, and whether all rows were read.
    looked_at: datetime | None = None
    complete: bool = True
    #: Since when it can't be verified; None when the last run had an answer.
    stale_since: datetime | None = None
    rows: tuple[Tracked, ...] = ()
    changes: Mapping[Change, int] = field(default_factory=dict)
    told: Told | None = None
    #: The last runs, oldest first.
    history: tuple[PastRun, ...] = ()
    #: A decision about noise in one sentence with its numbers, as in `declared error, now warning since 2 Nov: …`.
    noise: str = ""
    #: What a human had decided, when this news breaks or ends that.
    disposition: Disposition | None = None
    #: When a downgrade that is announced takes place.
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """All that a message to one recipient says; rendering adds nothing but form.

    Several incidents that are told for the same reason at the same time share a message.
    """

    reason: Reason
    at: datetime
    news: tuple[News, ...]
    #: The name of the channel, so that a mail can say why it came.
    channel: str = ""
    #: The identity of the message: the same news for the same recipient has the same one.
    key: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One rendered message for one recipient, frozen before the first attempt to deliver it.

    `data` says the same in plain JSON, for programs; `key` is the same at each attempt, and differs for other news.
    """

    message_id: str
    channel: str
    recipient: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, object] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message of the outbox that is ours to deliver until its lease ends.

    `fence` grows with every claim: who comes back with an old one has lost the lease. `attempts` counts this one too.
    """

    id: str
    fence: int
    message: Message
    reason: Reason
    attempts: int


def about_source(name: str) -> str:
    """What stands in place of a rule's id where something is said of a source; no rule can be called so."""
    return f"source:{name}"


def fingerprint(rule: str, source: str, key: Key) -> str:
    """The identity of a violation: the same row of the same rule has the same one for ever.

    sha256 over rule, source and the typed canonical key; the rule's text is not in it, so that editing a
    description reopens nothing.
    """
    canonical = json.dumps([rule, source, encode_values(key)], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def encode_values(values: Mapping[str, Value]) -> dict[str, object]:
    """Values as JSON can hold them, with their types, so that `decode_values` gives back what went in."""
    return {name: _encode(value) for name, value in values.items()}


def decode_values(values: Mapping[str, object]) -> dict[str, Value]:
    """The inverse of `encode_values`. Raises ValueError for a type it doesn't know."""
    return {name: _decode(value) for name, value in values.items()}


def _encode(value: Value) -> object:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return {"float": repr(value)}
        case bytes():
            return {"bytes": value.hex()}
        case datetime():
            return {"datetime": value.isoformat()}
        case date():
            return {"date": value.isoformat()}
        case time():
            return {"time": value.isoformat()}
        case Decimal():
            return {"decimal": _plain_digits(value)}
        case UUID():
            return {"uuid": str(value)}


def _plain_digits(value: Decimal) -> str:
    """The same text for the same number, however many digits it has; `normalize()` would round to 28."""
    text = format(value, "f") if value.is_finite() else str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decode(value: object) -> Value:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, dict) and len(value) == 1:
        [(kind, text)] = value.items()
        if kind in _READERS:
            return _READERS[kind](str(text))
    raise ValueError("not a value that sanityd wrote")


_READERS: dict[str, Callable[[str], Value]] = {
    "float": float,
    "bytes": bytes.fromhex,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "decimal": Decimal,
    "uuid": UUID,
}
