"""Keys of rows as they come from a driver → keys as they are remembered."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sanityd.checks.base import ROWS
from sanityd.checks.planner import PlannedCheck
from sanityd.errors import CheckError
from sanityd.model import Key, Value, Violation, fingerprint


def fingerprint_of(look: PlannedCheck, key: Key) -> str:
    """The identity of a violation of this rule."""
    return fingerprint(look.invariant.id, look.invariant.subject.source, key)


def values_of(names: Iterable[str], row: Sequence[Any]) -> dict[str, Value]:
    """The first values of a row, by their names."""
    return {name: value_of(value) for name, value in zip(names, row, strict=False)}


def value_of(value: Any) -> Value:
    """A driver's value as one of ours; types that only one database has become text."""
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if value is None or isinstance(
        value, bool | int | float | str | bytes | Decimal | datetime | date | time | UUID
    ):
        return value
    return str(value)


def from_query(look: PlannedCheck, names: Sequence[str], row: Sequence[Any]) -> Violation:
    """A row of a query as a violation: its key, what is shown, and for how many rows it stands."""
    values = values_of(names, row)
    rows = values.pop(ROWS, 1)
    key = {name: values.pop(name) for name in look.key}
    return Violation(key, shown=values, rows=int(str(rows)))


def distinct(look: PlannedCheck, violations: Sequence[Violation]) -> Sequence[Violation]:
    """The violations, sure that their keys identify them. Raises CheckError when two share one."""
    if len({fingerprint_of(look, violation.key) for violation in violations}) < len(violations):
        raise CheckError(
            f"the key ({', '.join(look.key)}) is ambiguous: two violating rows share it",
            "Name columns in `key:` that are different for every row.",
        )
    return violations
