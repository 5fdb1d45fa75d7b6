"""Thresholds of other tools: which values are right, as bounds of ours or as the count from which rows are too many."""

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from sanityd.authoring.migrate.draft import Unmappable

Number = int | float


@dataclass(frozen=True, slots=True)
class Span:
    """Values from `low` to `high`; the ends belong to it unless they are open. With `outside` all values but those."""

    low: Number | None = None
    high: Number | None = None
    low_open: bool = False
    high_open: bool = False
    outside: bool = False

    def inverse(self) -> "Span":
        """All other values."""
        if self.low is not None and self.high is not None:
            return replace(self, outside=not self.outside)
        return Span(self.high, self.low, not self.high_open, not self.low_open)

    def holds(self, expression: str) -> str:
        """The condition in SQL that an expression lies in it."""
        parts = []
        if self.low is not None and self.low == self.high:
            parts = [f"{expression} = {self.low}"]
        else:
            if self.low is not None:
                parts.append(f"{expression} {'>' if self.low_open else '>='} {self.low}")
            if self.high is not None:
                parts.append(f"{expression} {'<' if self.high_open else '<='} {self.high}")
        inside = " and ".join(parts)
        return f"not ({inside})" if self.outside else inside

    def first_too_many(self) -> int | None:
        """Where it allows counts up to some number: the first that is too many. None where it asks for more."""
        if (
            self.outside
            or self.high is None
            or not (self.low in (None, 0) and not (self.low == 0 and self.low_open))
        ):
            return None
        first = math.ceil(self.high) if self.high_open else math.floor(self.high) + 1
        return first if first >= 1 else None


_OPERATORS = {
    "=": lambda n: Span(n, n),
    "==": lambda n: Span(n, n),
    "!=": lambda n: Span(n, n, outside=True),
    "<>": lambda n: Span(n, n, outside=True),
    "<": lambda n: Span(high=n, high_open=True),
    "<=": lambda n: Span(high=n),
    ">": lambda n: Span(low=n, low_open=True),
    ">=": lambda n: Span(low=n),
}
_COMPARED = re.compile(r"(<=|>=|!=|<>|==|=|<|>)\s*([-+]?[0-9.]+)\s*%?")
_BETWEEN = re.compile(
    r"(not\s+)?between\s*([(\[]?)\s*([-+]?[0-9.]+)\s*%?\s*and\s*([-+]?[0-9.]+)\s*%?\s*([)\]]?)"
)


def number(text: str | Number) -> Number:
    """A number as it is written. Raises Unmappable when it isn't one."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return text
    try:
        value = float(str(text))
    except ValueError:
        raise Unmappable(f"`{text}` is no number") from None
    return int(value) if value.is_integer() and math.isfinite(value) else value


def compared(operator: str, value: Number) -> Span:
    """The values for which the comparison holds."""
    return _OPERATORS[operator](value)


def parse(text: str) -> Span:
    """Read `> 5`, `!= 0`, `between 1 and 10`, `not between (1 and 10]`. Raises Unmappable for anything else."""
    words = text.strip().lower()
    if found := _COMPARED.fullmatch(words):
        return compared(found[1], number(found[2]))
    if found := _BETWEEN.fullmatch(words):
        low, high = number(found[3]), number(found[4])
        return Span(low, high, found[2] == "(", found[5] == ")", outside=bool(found[1]))
    raise Unmappable(f"the threshold `{text.strip()}` has no counterpart")


def aggregate(expression: str, span: Span) -> dict[str, Any]:
    """The options of an `aggregate` whose value lies in the span. Where the value is NULL it passes."""
    if span.outside:
        return {
            "expr": f"case when {replace(span, outside=False).holds(expression)} then 1 else 0 end",
            "equals": 0,
        }
    if span.low is not None and span.low == span.high:
        return {"expr": expression, "equals": span.low}
    low = {} if span.low is None else {"above" if span.low_open else "min": span.low}
    high = {} if span.high is None else {"below" if span.high_open else "max": span.high}
    return {"expr": expression, **low, **high}


def row_count(span: Span) -> tuple[str, Any]:
    """A check, and its options, for a number of rows in the span."""
    if span.outside:
        return "aggregate", aggregate("count(*)", span)
    if span.low is not None and span.low == span.high:
        return "row_count", {"equals": _whole(span.low)}
    low = (
        None
        if span.low is None
        else _whole(math.floor(span.low) + 1 if span.low_open else math.ceil(span.low))
    )
    high = (
        None
        if span.high is None
        else _whole(math.ceil(span.high) - 1 if span.high_open else math.floor(span.high))
    )
    # Named, zero is allowed; else no rows at all would violate.
    low = 0 if low is None or low < 0 else low
    return "row_count", {"min": low} if high is None else {"min": low, "max": high}


def _whole(value: Number) -> int:
    if value != int(value):
        raise Unmappable(f"{value} is no number of rows")
    return int(value)


def scalar_query(query: str, wanted: Span) -> tuple[str, dict[str, Any]]:
    """A SELECT that returns a row when the only value of `query` lies outside the span, and the keys of its rule."""
    bare = query.strip().rstrip(";").strip()
    inner = f"select ({bare}) as measured"
    return (
        f"select 'value' as what, measured\nfrom ({inner}) as taken\nwhere {wanted.inverse().holds('measured')}",
        {"key": "what"},
    )
