"""Values of a rule, compared with a column: what they mean is the same on every database.

The type of the column says what a value of the rule must be. A value that can't be of that type
is an error of the rule: databases disagree about it, as in `0 = 'open'`, which is true in MariaDB.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from json import dumps, loads
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement

from sanityd.checks.ranges import Bound, from_now
from sanityd.checks.scope import Scope, bind
from sanityd.sources.catalog import Family

Literal = bool | int | float | str

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TIME_OF_DAY = re.compile(
    r"-?[0-9]{1,3}:[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?([+-][0-9]{2}(:?[0-9]{2})?)?"
)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
TIMES = frozenset({Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ})
_NUMBERS = frozenset({Family.INTEGER, Family.NUMBER})


class WrongType(ValueError):
    """A value of a rule can't be of the column's type. The text says what is expected."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column as an expression, and how values of a rule become expressions to compare with it."""

    element: ColumnElement[Any]
    #: Raises WrongType.
    bind: Callable[[Any], ColumnElement[Any]]


def comparison(scope: Scope, name: str, values: Sequence[Literal]) -> Comparison:
    """How to compare a column with values of a rule.

    Raises CheckError, or collects it, when a value can't be of the column's type.
    """
    family = family_of(scope, name, values)
    compared = _COMPARISONS[family](scope, name)
    for value in values:
        try:
            compared.bind(value)
        except WrongType as error:
            _refuse(scope, name, value, str(error))
            return Comparison(compared.element, bind)
    return compared


def ordered(scope: Scope, name: str, bounds: Sequence[Bound]) -> Comparison:
    """How to compare a column with the bounds of a range. Raises like `comparison`."""
    family = scope.column_info(name).family
    dialect = scope.snapshot.source.dialect
    if any(from_now(bound) is not None for bound in bounds):
        if family not in TIMES | _NUMBERS and not dialect.stores_times_as_text:
            _refuse_clock(scope, name)
        return _instant(scope, name)
    if family in (Family.TEXT, Family.ENUM) and not all(isinstance(bound, str) for bound in bounds):
        scope.refuse(
            f"`{name}` is text, and its bounds are numbers",
            "Quote the bounds to compare as text, or cast in SQL: "
            f"`always: cast({name} as integer) >= 0`.",
            name,
        )
    if family is Family.JSON:
        scope.refuse(
            f"`{name}` is {scope.column_info(name).type}, which has no order",
            "Compare a part of it in SQL (`always`).",
            name,
        )
    return comparison(scope, name, bounds)


def _refuse_clock(scope: Scope, name: str) -> None:
    info = scope.column_info(name)
    type_name = "text" if info.family is Family.TEXT else info.type
    scope.refuse(
        f"`{name}` is {type_name}, and `now` is a time",
        f"Compare in SQL: `never: cast({name} as timestamp) > current_timestamp`.",
        name,
    )


def family_of(scope: Scope, name: str, values: Sequence[Literal]) -> Family:
    """The family of a column, as far as its values are compared with these.

    A boolean of a database without booleans is a number. A column whose type says nothing (of a
    view in SQLite) is what it is compared with.
    """
    family, dialect = scope.column_info(name).family, scope.snapshot.source.dialect
    if family is Family.BOOLEAN and not dialect.has_booleans:
        family = Family.INTEGER
    if family in _NUMBERS and values and all(map(_is_date, values)):
        return Family.TIMESTAMP
    if family is Family.OTHER and dialect.has_typed_values:
        return _family_of_values(values)
    return family


def _family_of_values(values: Sequence[Literal]) -> Family:
    if values and all(map(_is_date, values)):
        return Family.TIMESTAMP
    return Family.TEXT if any(isinstance(value, str) for value in values) else Family.NUMBER


def _is_date(value: Literal) -> bool:
    """Whether a value is a date or a time with a date, and no number."""
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _refuse(scope: Scope, name: str, value: Literal, expected: str) -> None:
    info = scope.column_info(name)
    type_name = info.type or "a column without a type"
    written = dumps(value) if isinstance(value, bool) else value
    message = f"`{name}` is {type_name}, and `{written}` is not {expected}"
    word = value if isinstance(value, str) else name
    scope.refuse(message, _ADVICE.get(info.family, _CAST).format(name=name), word)


def _text(scope: Scope, name: str) -> Comparison:
    return Comparison(scope.text(name), lambda value: bind(_as_text(value)))


def _as_text(value: Literal) -> str:
    if isinstance(value, bool):
        raise WrongType("text")
    return str(value)


def _number(scope: Scope, name: str) -> Comparison:
    return Comparison(scope.native(name), lambda value: scope.number(name, _as_number(value)))


def _as_number(value: Literal) -> int | float:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            raise WrongType("a number")
        return int(value) if _INTEGER.fullmatch(value) else float(value)
    return value


def _boolean(scope: Scope, name: str) -> Comparison:
    def as_boolean(value: Literal) -> ColumnElement[Any]:
        try:
            return bind(_BOOLEANS[str(value).lower()])
        except KeyError:
            raise WrongType("`true` or `false`") from None

    return Comparison(scope.column(name), as_boolean)


def _instant(scope: Scope, name: str) -> Comparison:
    def as_instant(value: Literal) -> ColumnElement[Any]:
        return scope.time_literal(name, as_time(value, scope.now))

    return Comparison(scope.instant(name), as_instant)


def as_time(value: Literal, now: datetime) -> datetime:
    """The time that a value of a rule is. Raises WrongType."""
    distance = from_now(value)
    try:
        if distance is not None:
            return now + distance
        return datetime.fromisoformat(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise WrongType("a date or time") from None


def _time_of_day(scope: Scope, name: str) -> Comparison:
    def as_time_of_day(value: Literal) -> ColumnElement[Any]:
        if isinstance(value, str) and _TIME_OF_DAY.fullmatch(value):
            return bind(value)
        raise WrongType("a time of day")

    return Comparison(scope.exact(name), as_time_of_day)


def _interval(scope: Scope, name: str) -> Comparison:
    def as_interval(value: Literal) -> ColumnElement[Any]:
        if isinstance(value, str) and re.search(r"[0-9]", value):
            return bind(value)
        raise WrongType("an interval")

    return Comparison(scope.exact(name), as_interval)


def _uuid(scope: Scope, name: str) -> Comparison:
    has_type = not scope.snapshot.source.dialect.has_typed_values
    element = scope.column(name) if has_type else scope.folded(name)

    def as_uuid(value: Literal) -> ColumnElement[Any]:
        try:
            return bind(str(UUID(str(value))))
        except ValueError:
            raise WrongType("a UUID") from None

    return Comparison(element, as_uuid)


def _bytes(scope: Scope, name: str) -> Comparison:
    dialect = scope.snapshot.source.dialect
    if dialect.has_typed_values:
        return _text(scope, name)
    return Comparison(scope.column(name), lambda value: dialect.bytes_of(_as_text(value)))


def _json(scope: Scope, name: str) -> Comparison:
    def as_json(value: Literal) -> ColumnElement[Any]:
        text = value if isinstance(value, str) else dumps(value)
        try:
            loads(text)
        except ValueError:
            raise WrongType("JSON") from None
        return bind(text)

    return Comparison(scope.exact(name), as_json)


def _other(scope: Scope, name: str) -> Comparison:
    return Comparison(scope.opaque(name), lambda value: bind(_as_text(value)))


_COMPARISONS: dict[Family, Callable[[Scope, str], Comparison]] = {
    Family.TEXT: _text,
    Family.ENUM: _text,
    Family.INTEGER: _number,
    Family.NUMBER: _number,
    Family.BOOLEAN: _boolean,
    Family.DATE: _instant,
    Family.TIMESTAMP: _instant,
    Family.TIMESTAMPTZ: _instant,
    Family.TIME: _time_of_day,
    Family.INTERVAL: _interval,
    Family.UUID: _uuid,
    Family.BYTES: _bytes,
    Family.JSON: _json,
    Family.OTHER: _other,
}

_CAST = "Write a value of that type, or compare in SQL: `always: cast({name} as …) = …`."
_ADVICE = {
    Family.TEXT: "Quote the value to compare it as text: `'true'`.",
    Family.INTEGER: "Write a number, or name a column of text.",
    Family.NUMBER: "Write a number, or name a column of text.",
    Family.BOOLEAN: "Write `true` or `false`.",
    Family.DATE: "Write it as `2026-01-31`, `2026-01-31 12:00`, `now` or `now + 1d`.",
    Family.TIMESTAMP: "Write it as `2026-01-31`, `2026-01-31 12:00`, `now` or `now + 1d`.",
    Family.TIMESTAMPTZ: "Write it as `2026-01-31`, `2026-01-31 12:00`, `now` or `now + 1d`.",
    Family.TIME: "Write it as `'09:30'` or `'09:30:15'`.",
}
