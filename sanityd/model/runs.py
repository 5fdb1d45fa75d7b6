"""What a look at the data saw: severities, outcomes, rows and their keys. Frozen."""

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


class Resolution(enum.StrEnum):
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
    #: Followed from now on; it was among those beyond the cap, which are counted only.
    FOLLOWED = "followed from now on"
    #: Seen again within seven days of being resolved.
    REGRESSED = "regressed"
    RESOLVED = "resolved"


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
    resolutions: Mapping[str, Resolution] = field(default_factory=dict)
    severity: Severity | None = None
    #: How many rows were found that do not count before a later run confirms them.
    suspects: int = 0
    key: tuple[str, ...] = ()
    seconds: float = 0.0
    statements: int = 0
    error: str | None = None
    hint: str | None = None
    proved_by: str | None = None
    #: Whether it looked only at new rows, and at those that violated before.
    incremental: bool = False
    #: Of a rule that looks at new rows: up to where there are any. See `watermark`.
    newest: Value = None
    #: A word for all that it depends on; the same word means the same answer.
    state: str | None = None
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
class UnchangedState:
    """What a run saw that found nothing wrong, and the state of all that it depends on."""

    state: str
    at: datetime
    checked: int | None


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
    resolution: Resolution | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """One row's change of state in one run. `violation` is None for rows that are resolved."""

    fingerprint: str
    change: Change
    key: Key
    violation: Violation | None = None
    resolution: Resolution | None = None
    #: When this stretch of violation began; for resolved rows too.
    since: datetime | None = None


def beyond_key(one: Violation | Tracked) -> str:
    """The words on what is wrong with a row. A check of a whole table has no rows: its key is these words, which
    needn't be said twice."""
    return "" if one.detail in one.key.values() else one.detail


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
