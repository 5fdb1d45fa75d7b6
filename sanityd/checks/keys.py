"""Keys of rows: from the values of a driver to the keys that are stored, and back into SQL."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_

from sanityd.checks.base import ROWS, QueryCheck
from sanityd.checks.plan import PlannedCheck
from sanityd.checks.scope import bind
from sanityd.model import Key, Value, Violation, fingerprint
from sanityd.sources.values import interval_text

_OWN_TYPES = bool | int | float | str | bytes | Decimal | datetime | date | time | UUID | None


def fingerprint_of(planned: PlannedCheck, key: Key) -> str:
    """The identity of a violation of this rule."""
    return fingerprint(planned.rule, planned.invariant.subject.source, key)


def values_of(names: Iterable[str], row: Sequence[Any]) -> dict[str, Value]:
    """The first values of a row, by their names."""
    return {name: value_of(value) for name, value in zip(names, row, strict=False)}


def value_of(value: Any) -> Value:
    """A driver's value as one of ours; types that only one database has become text."""
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if isinstance(value, _OWN_TYPES):
        return value
    if isinstance(value, timedelta):
        return interval_text(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=_part_of_json)
    return str(value)


def _part_of_json(value: Any) -> object:
    own = value_of(value)
    return own.hex() if isinstance(own, bytes) else str(own)


def normalized(violation: Violation) -> Violation:
    """The violation with a driver's values as ours."""
    key, shown = violation.key, violation.shown
    return replace(
        violation,
        key=values_of(key, tuple(key.values())),
        shown=values_of(shown, tuple(shown.values())),
    )


def from_query(planned: PlannedCheck, names: Sequence[str], row: Sequence[Any]) -> Violation:
    """A row of a query as a violation: its key, the values to show, and the number of rows."""
    values = values_of(names, row)
    rows = values.pop(ROWS, 1)
    key = {name: values.pop(name) for name in planned.key}
    check = cast("QueryCheck", planned.invariant.check)
    described = {name: values.pop(name) for name in check.describing if name in values}
    return Violation(key, shown=values, detail=check.describe(described), rows=_whole(rows))


def _whole(rows: Any) -> int:
    """A number of rows, which a database computed from values that may be fractions."""
    try:
        return int(rows)
    except (OverflowError, ValueError):
        # Infinitely many, or NaN.
        return 1


def is_any_of(
    columns: Sequence[ColumnElement[Any]], names: Sequence[str], keys: Iterable[Key]
) -> ColumnElement[bool]:
    """Whether the columns have the values of one of the keys.

    A collation may let too many pass: callers compare fingerprints afterwards.
    """
    return or_(*(_is_key(columns, names, key) for key in keys))


def _is_key(
    columns: Sequence[ColumnElement[Any]], names: Sequence[str], key: Key
) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = []
    for column, name in zip(columns, names, strict=True):
        value = key[name]
        conditions.append(column.is_(None) if value is None else column == bind(value))
    return and_(*conditions)
