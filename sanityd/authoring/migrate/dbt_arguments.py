"""Arguments of dbt's generic tests: bounds, lists of values, lengths of time.

dbt pastes most of them into SQL: what is a value in YAML may be an expression there.
"""

import re
from dataclasses import dataclass
from typing import Any

from sanityd.authoring.migrate.dbt_generic_test import GenericTest
from sanityd.authoring.migrate.import_result import UnsupportedCheck
from sanityd.authoring.migrate.plain_data import Number, is_value_list, read_number
from sanityd.authoring.migrate.sql_text import quote_name
from sanityd.authoring.migrate.thresholds import ValueRange

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T].*)?")
_QUOTED_TEXT = re.compile(r"'((?:[^']|'')*)'")
_LIMIT_WORDS = {">": "above", ">=": "min", "<": "below", "<=": "max"}
_UNITS = {"second": "s", "minute": "m", "hour": "h", "day": "d", "week": "w"}
#: The longest length of each part, in days.
_DAYS = {"month": 31, "quarter": 92, "year": 366}


@dataclass(frozen=True, slots=True)
class SqlExpression:
    """SQL that is more than a value."""

    sql: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of a column.

    Parameters: `limits` are options of `between`. When a bound is an SQL expression, there are
    `conditions` in SQL instead.
    """

    limits: dict[str, Any]
    conditions: list[str]


def read_bounds(test: GenericTest, *, strictly: bool) -> Bounds:
    """Return the arguments `min_value` and `max_value`. Raises UnsupportedCheck without any.

    Parameters: with `strictly`, the bounds themselves are not allowed.
    """
    bounds = {
        (">" if strictly else ">="): test.argument("min_value"),
        ("<" if strictly else "<="): test.argument("max_value"),
    }
    bounds = {operator: value for operator, value in bounds.items() if value is not None}
    if not bounds:
        raise UnsupportedCheck("it has no bound")
    limits = {_LIMIT_WORDS[operator]: read_bound(value) for operator, value in bounds.items()}
    if not any(isinstance(limit, SqlExpression) for limit in limits.values()):
        return Bounds(limits, [])
    column = quote_name(test.tested_column())
    return Bounds({}, [f"{column} {operator} {value}" for operator, value in bounds.items()])


def read_bound(value: Any) -> Number | str | SqlExpression:
    """Return a bound: a number, a text that is in quotes, or an expression.

    Raises UnsupportedCheck for a date without quotes.
    """
    if isinstance(value, int | float):
        return value
    text = str(value).strip()
    if match := _QUOTED_TEXT.fullmatch(text):
        return match[1].replace("''", "'")
    if _DATE.fullmatch(text):
        raise UnsupportedCheck(
            f"`{value}` stands in SQL without quotes, where it is a subtraction: "
            f"write \"'{value}'\""
        )
    try:
        return read_number(value)
    except UnsupportedCheck:
        return SqlExpression(str(value))


def read_number_range(test: GenericTest, *, strictly: bool = False) -> ValueRange:
    """Return the range of the numbers `min_value` and `max_value`.

    Raises UnsupportedCheck when both are missing.
    """
    low, high = test.number_argument("min_value"), test.number_argument("max_value")
    if low is None and high is None:
        raise UnsupportedCheck("it has no bound")
    return ValueRange(low, high, low_open=strictly, high_open=strictly)


def read_values(test: GenericTest, name: str, quote_argument: str) -> list[Any]:
    """Return the list of values in an argument.

    Parameters: `quote_argument` is the argument that says whether dbt quotes the values. Without
    quotes they are SQL: numbers and booleans are values, expressions are not.
    """
    values = test.required_argument(name)
    is_quoted = test.argument(quote_argument, default=True)
    if not is_value_list(values):
        raise UnsupportedCheck(f"`{name}` is no list of values")
    if is_quoted:
        return list(values)
    return [_read_unquoted(value) for value in values]


def _read_unquoted(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    bound = read_bound(value)
    if isinstance(bound, SqlExpression):
        raise UnsupportedCheck(f"`{value}` is an expression, not a value")
    return bound


def read_age(test: GenericTest) -> tuple[str, str]:
    """Return the arguments `interval` and `datepart` as a duration, and a note."""
    number = test.required_argument("interval")
    part = str(test.required_argument("datepart")).lower().rstrip("s")
    return to_duration(number, part)


def to_duration(number: Any, part: str) -> tuple[str, str]:
    """Return a number of days, hours, … as a duration such as `3d`.

    The second text is a note where it is not exactly the same. Raises UnsupportedCheck.
    """
    count = read_number(number)
    if not isinstance(count, int) or count < 1:
        raise UnsupportedCheck(f"`{number}` is no length of time")
    if part in _UNITS:
        return f"{count}{_UNITS[part]}", ""
    if part not in _DAYS:
        raise UnsupportedCheck(f"`{part}` is no part of a date")
    days = count * _DAYS[part]
    plural = "" if count == 1 else "s"
    return f"{days}d", f"{count} {part}{plural} counted as {days} days."
