"""Runs: the result of evaluating a rule once, with its violations, their keys and severities."""

import enum
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import MappingProxyType
from uuid import UUID

#: A value of a row as a database driver returns it.
Value = None | bool | int | float | str | bytes | Decimal | datetime | date | time | UUID
#: The values that identify a row, by the names of its key columns.
Key = Mapping[str, Value]
#: Time and measured value of earlier runs of a rule that had an answer, oldest first.
Measurements = Sequence[tuple[datetime, float]]


class Severity(enum.IntEnum):
    """Severity of a violation; a higher number is worse."""

    #: Recorded; never mailed.
    INFO = 1
    #: Listed in `status` and the digest; never mailed at once.
    WARNING = 2
    #: Mailed at once; `check` exits 1.
    ERROR = 3
    #: Mailed at once, before errors.
    CRITICAL = 4

    @property
    def label(self) -> str:
        """The word that the rules file uses: `error`."""
        return self.name.lower()


class Outcome(enum.StrEnum):
    """Outcome of a run. It decides what the run may change."""

    #: All violating rows were read: the only outcome that resolves rows because they are missing.
    COMPLETE = "complete"
    #: More rows violate than the cap: the count is exact, but only rows that were read again by
    #: their key may resolve.
    TRUNCATED = "truncated"
    #: The rule could not be evaluated; this says nothing about the data.
    ERRORED = "errored"
    #: Not evaluated, because the source was down.
    SKIPPED = "skipped"


class Resolution(enum.StrEnum):
    """Reason why a row is no longer a violation."""

    #: The row exists, the rule is about it, and it is correct.
    FIXED = "fixed"
    #: The row was deleted.
    ROW_GONE = "row_gone"
    #: The row exists, but the rule is no longer about it (`where`, `window`).
    LEFT_SCOPE = "left_scope"
    #: The query of the rule no longer returns it; why is not known.
    NOT_RETURNED = "not_returned"
    #: The rule was removed from the rules file.
    RULE_REMOVED = "rule_removed"
    #: The rule was changed so that it means something else.
    RULE_CHANGED = "rule_changed"


class Change(enum.StrEnum):
    """Change of one row by a run."""

    #: A violation for the first time.
    NEW = "new"
    #: Violated before and still does.
    ONGOING = "ongoing"
    #: Tracked from now on; before, it was beyond the cap and only counted.
    FOLLOWED = "followed from now on"
    #: A violation again within seven days after it was resolved.
    REGRESSED = "regressed"
    #: No longer a violation.
    RESOLVED = "resolved"


def _no_values() -> Mapping[str, Value]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Violation:
    """One row (or key, or group of rows) that violates a rule."""

    key: Key
    #: The other columns that the rule allows to show outside of the database (`show`).
    shown: Mapping[str, Value] = field(default_factory=_no_values)
    #: What is wrong with the row, in words and without values: `email is null`.
    detail: str = ""
    #: How many rows it stands for; more than one for a group.
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one query of `evidence` found about one violation, or why it found nothing."""

    #: The name of the query, and the source that it read.
    name: str
    source: str
    #: When the rule was evaluated, by this machine's clock.
    at: datetime
    #: The rows, with the columns only whose values may be stored.
    rows: tuple[Mapping[str, Value], ...] = ()
    #: The names of the columns whose values may not be stored.
    hidden: tuple[str, ...] = ()
    #: How many rows there were; more than `rows` when no column is shown, or values are long.
    count: int = 0
    #: Whether there were more rows than `count`.
    more: bool = False
    #: Why it could not be read; empty when it was.
    error: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """Result of one evaluation of one rule."""

    #: The rule's id, its kind and its source.
    rule: str
    kind: str
    source: str
    #: When the rule was evaluated, by this machine's clock.
    at: datetime
    outcome: Outcome
    #: The exact number of violations, also when there are more than the cap.
    violations: int = 0
    #: The exact number of rows that the violations stand for.
    rows: int = 0
    #: How many rows were checked; None when that isn't known.
    checked: int | None = None
    #: The number that the rule measured; None for rules that measure nothing.
    measured: float | None = None
    #: The violations that are tracked one by one, at most the cap.
    tracked: tuple[Violation, ...] = ()
    #: Rows that were open and were read again by key: fingerprint → why they are resolved.
    resolutions: Mapping[str, Resolution] = field(default_factory=dict)
    #: The step of the rule's severity ladder that is reached; None when the rule holds.
    severity: Severity | None = None
    #: How many rows look wrong but count only when a later run confirms them.
    suspects: int = 0
    #: Whether its violations count only when a recheck finds them, too. It is never recorded.
    unconfirmed: bool = False
    #: The names of the key columns, in order.
    key: tuple[str, ...] = ()
    #: How long the evaluation took.
    seconds: float = 0.0
    #: How many SELECTs it took.
    statements: int = 0
    #: Why it is errored or skipped, and what to do about it.
    error: str | None = None
    hint: str | None = None
    #: The constraint of the database that guarantees the rule, if no row had to be read.
    proved_by: str | None = None
    #: What was measured, in words, as the end of a sentence; empty where there is nothing to say.
    detail: str = ""
    #: Whether only new rows, and rows that violated before, were read.
    incremental: bool = False
    #: The highest value of the column by which new rows are known. See `watermark`.
    newest: Value = None
    #: Version of all data that the rule depends on; the same version gives the same result.
    state: str | None = None
    #: What was read about new violations (`evidence`), by their fingerprints.
    evidence: Mapping[str, tuple[Evidence, ...]] = field(default_factory=dict)
    #: For a skipped run: the source that did not answer, which may be another than `source`.
    down: str = ""

    @property
    def answered(self) -> bool:
        """Whether the run says something about the data (not errored, not skipped)."""
        return self.outcome in (Outcome.COMPLETE, Outcome.TRUNCATED)

    @property
    def verdict(self) -> str:
        """The word that `check --format json` prints: passed, failed, errored or skipped."""
        if self.outcome in (Outcome.ERRORED, Outcome.SKIPPED):
            return self.outcome.value
        return "passed" if self.severity is None else "failed"

    @property
    def truncated(self) -> bool:
        """Whether more rows violate than the cap, so that only some are tracked one by one."""
        return self.outcome is Outcome.TRUNCATED


@dataclass(frozen=True, slots=True)
class UnchangedState:
    """A run without violations that need not be repeated while `state` stays the same."""

    #: Version of all data that the rule depends on (`Run.state`).
    state: str
    at: datetime
    checked: int | None


#: A row that violates again within this time is a regression, not a new violation.
REGRESSION_WINDOW = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class TrackedViolation:
    """One violation as the store records it, open or resolved."""

    fingerprint: str
    key: Key
    #: Whether it was still a violation at the last run that could tell.
    open: bool
    first_seen: datetime
    last_seen: datetime
    resolved_at: datetime | None = None
    shown: Mapping[str, Value] = field(default_factory=_no_values)
    detail: str = ""
    resolution: Resolution | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """Change of state of one row in one run."""

    fingerprint: str
    change: Change
    key: Key
    #: The violation as the run found it; None when the row is resolved.
    violation: Violation | None = None
    #: Why it is resolved; None when it is open.
    resolution: Resolution | None = None
    #: When the violation began; set for resolved rows, too.
    since: datetime | None = None
    #: Whether a row that goes on has other values (`show`) or another detail than recorded.
    has_new_values: bool = False


def extra_detail(violation: Violation | TrackedViolation) -> str:
    """Return the detail of a violation, unless its key already shows the same words.

    A check of a whole table has no rows: there the words are the key, and need no repetition.
    """
    if violation.detail in violation.key.values():
        return ""
    return violation.detail


def fingerprint(rule: str, source: str, key: Key) -> str:
    """Return the identity of a violation, which never changes for the same row of the same rule.

    It is a sha256 of rule id, source and the typed key. The rule's text is not part of it, so that
    editing a description opens nothing again.
    """
    canonical = json.dumps([rule, source, encode_values(key)], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def encode_values(values: Mapping[str, Value]) -> dict[str, object]:
    """Return values as JSON can hold them, with their types, for `decode_values` to read."""
    return {name: _encode(value) for name, value in values.items()}


def decode_values(values: Mapping[str, object]) -> dict[str, Value]:
    """Return the values that `encode_values` wrote. Raises ValueError for an unknown type."""
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
    """Return the same text for the same number, with any number of digits.

    `Decimal.normalize()` would round to 28 digits.
    """
    if not value.is_finite():
        return str(value)
    text = format(value, "f")
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
