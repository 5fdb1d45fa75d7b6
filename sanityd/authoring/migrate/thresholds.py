"""Thresholds of other tools as ranges of allowed values, and the checks that compare with them."""

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from sanityd.authoring.migrate.import_result import UnsupportedCheck
from sanityd.authoring.migrate.plain_data import Number, read_number
from sanityd.authoring.migrate.sql_text import strip_semicolon

_COMPARISON = re.compile(r"(<=|>=|!=|<>|==|=|<|>)\s*([-+]?[0-9.]+)\s*%?")
_BETWEEN = re.compile(
    r"(not\s+)?between\s*([(\[]?)\s*([-+]?[0-9.]+)\s*%?\s*and\s*([-+]?[0-9.]+)\s*%?\s*([)\]]?)"
)


@dataclass(frozen=True, slots=True)
class ValueRange:
    """The values from `low` to `high`; None is no bound.

    The bounds belong to the range unless they are open. With `outside`, the range is all values
    but those.
    """

    low: Number | None = None
    high: Number | None = None
    low_open: bool = False
    high_open: bool = False
    outside: bool = False

    @property
    def single_value(self) -> Number | None:
        """The only value between the bounds; None where there are several."""
        if self.low == self.high:
            return self.low
        return None

    def complement(self) -> "ValueRange":
        """Return the range of all other values."""
        if self.low is not None and self.high is not None:
            return replace(self, outside=not self.outside)
        return ValueRange(self.high, self.low, not self.high_open, not self.low_open)

    def sql_condition(self, expression: str) -> str:
        """Return the SQL condition that an expression lies in the range."""
        if self.single_value is not None:
            inside = f"{expression} = {self.single_value}"
        else:
            parts = []
            if self.low is not None:
                operator = ">" if self.low_open else ">="
                parts.append(f"{expression} {operator} {self.low}")
            if self.high is not None:
                operator = "<" if self.high_open else "<="
                parts.append(f"{expression} {operator} {self.high}")
            inside = " and ".join(parts)
        if self.outside:
            return f"not ({inside})"
        return inside

    def first_count_above(self) -> int | None:
        """Return the first count above the range, at least 1.

        Returns None for a range that has no upper bound, or does not begin at zero.
        """
        if self.outside or self.high is None:
            return None
        if self.low not in (None, 0) or (self.low == 0 and self.low_open):
            return None
        first = math.ceil(self.high) if self.high_open else math.floor(self.high) + 1
        if first < 1:
            return None
        return first


NO_VIOLATIONS = ValueRange(0, 0)


def range_of_comparison(operator: str, value: Number) -> ValueRange:
    """Return the values for which the comparison `… operator value` holds."""
    match operator:
        case "=" | "==":
            return ValueRange(value, value)
        case "!=" | "<>":
            return ValueRange(value, value, outside=True)
        case "<":
            return ValueRange(high=value, high_open=True)
        case "<=":
            return ValueRange(high=value)
        case ">":
            return ValueRange(low=value, low_open=True)
        case ">=":
            return ValueRange(low=value)
    raise ValueError(operator)


def parse_threshold(text: str) -> ValueRange:
    """Read `> 5`, `!= 0`, `between 1 and 10`, `not between (1 and 10]`.

    Raises UnsupportedCheck for anything else.
    """
    words = text.strip().lower()
    if match := _COMPARISON.fullmatch(words):
        return range_of_comparison(match[1], read_number(match[2]))
    if match := _BETWEEN.fullmatch(words):
        negation, open_bracket, low, high, close_bracket = match.groups()
        return ValueRange(
            read_number(low),
            read_number(high),
            low_open=open_bracket == "(",
            high_open=close_bracket == ")",
            outside=bool(negation),
        )
    raise UnsupportedCheck(f"the threshold `{text.strip()}` has no counterpart")


def aggregate_options(expression: str, allowed: ValueRange) -> dict[str, Any]:
    """Return the options of an `aggregate` with a value in the range. A NULL passes."""
    if allowed.outside:
        condition = replace(allowed, outside=False).sql_condition(expression)
        return {"expr": f"case when {condition} then 1 else 0 end", "equals": 0}
    if allowed.single_value is not None:
        return {"expr": expression, "equals": allowed.single_value}
    options: dict[str, Any] = {"expr": expression}
    if allowed.low is not None:
        options["above" if allowed.low_open else "min"] = allowed.low
    if allowed.high is not None:
        options["below" if allowed.high_open else "max"] = allowed.high
    return options


def row_count_check(allowed: ValueRange) -> tuple[str, Any]:
    """Return the check kind, and its options, for a number of rows in the range."""
    if allowed.outside:
        return "aggregate", aggregate_options("count(*)", allowed)
    if allowed.single_value is not None:
        return "row_count", {"equals": _row_number(allowed.single_value)}
    # The minimum is always written: without one, a table without rows would violate the rule.
    options = {"min": _lowest_row_count(allowed)}
    if allowed.high is not None:
        highest = math.ceil(allowed.high) - 1 if allowed.high_open else math.floor(allowed.high)
        options["max"] = _row_number(highest)
    return "row_count", options


def _lowest_row_count(allowed: ValueRange) -> int:
    if allowed.low is None:
        return 0
    lowest = math.floor(allowed.low) + 1 if allowed.low_open else math.ceil(allowed.low)
    return max(_row_number(lowest), 0)


def _row_number(value: Number) -> int:
    if value != int(value):
        raise UnsupportedCheck(f"{value} is no number of rows")
    return int(value)


def scalar_query(query: str, allowed: ValueRange) -> str:
    """Return a SELECT with one row when the only value of `query` lies outside the range.

    The row's column `what` identifies it.
    """
    condition = allowed.complement().sql_condition("measured")
    return (
        "select 'value' as what, measured\n"
        f"from (select ({strip_semicolon(query)}) as measured) as taken\n"
        f"where {condition}"
    )
