"""`steady`: a value that stays near what it was, learned from sanityd's own record."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from math import inf, isfinite
from statistics import median
from typing import Any, ClassVar

from pydantic import Field, field_validator
from sqlalchemy import ColumnElement

from sanityd.checks.base import AggregateCheck, Judgement, Scope
from sanityd.errors import CheckError
from sanityd.model import Measurements
from sanityd.model.option_types import option_error

#: With fewer earlier values than that nothing is said, unless the rule asks for fewer.
ENOUGH = 3
_OF = re.compile(r"last ([1-9][0-9]{0,2}) (runs|days|same weekdays)")
_WITHIN = re.compile(r"([0-9.]+)\s*(%?)")


class Steady(AggregateCheck):
    """A value of the whole table stays near its earlier values, by sanityd's own record.

    ```yaml
    steady: {expr: count(*), within: 30%, of: last 4 same weekdays}
    steady: {expr: avg(price), within: 5%, of: last 14 days}
    steady: {expr: max(id), within: 1000, of: last 20 runs}
    ```

    It is compared with the median of the earlier values: those of the last N `runs`, of the runs of
    the last N `days`, or of the run nearest to the same hour on the last N `same weekdays`. Until
    there are three of them (or as many as the rule asks for, if fewer), the rule passes and learns.
    The record is made by the rule's own runs; `try` reads it, `--dry-run` has none.
    """

    kind: ClassVar[str] = "steady"
    learns: ClassVar[bool] = True

    expr: str = Field("count(*)", min_length=1, description="An aggregate in SQL.")
    within: str | int | float = Field(
        description="How far it may be from the median: a share, as in `30%`, or a number."
    )
    of: str = Field(
        "last 20 runs", description="`last N runs`, `last N days` or `last N same weekdays`."
    )

    @field_validator("within")
    @classmethod
    def _is_a_share_or_a_number(cls, value: str | int | float) -> str | int | float:
        try:
            _limit(value, 1.0)
        except ValueError:
            raise option_error(
                f"`{value}` is neither a share nor a number",
                "write `30%`, or a number such as `1000`",
            ) from None
        return value

    @field_validator("of")
    @classmethod
    def _is_a_record(cls, value: str) -> str:
        if not _OF.fullmatch(value):
            advice = "write `last 20 runs`, `last 14 days` or `last 4 same weekdays`"
            raise option_error(f"`{value}` does not say which earlier values", advice)
        return value

    @property
    def measure_name(self) -> str:
        """The expression."""
        return self.expr

    def sql(self) -> tuple[str, ...]:
        """The expression."""
        return (self.expr,)

    def measures(self, scope: Scope) -> Mapping[str, ColumnElement[Any]]:
        """The value."""
        return {"value": scope.predicate(self.expr)}

    def judge(
        self, measured: Mapping[str, Any], checked: int, now: datetime, past: Measurements = ()
    ) -> Judgement:
        """Compare with the median of the earlier values."""
        if measured["value"] is None:
            return Judgement(None)
        value = _number(self.expr, measured["value"])
        number, unit = _OF.fullmatch(self.of).groups()  # type: ignore[union-attr]  # validated
        earlier = _EARLIER[unit](past, now, int(number))
        # Infinity and NaN are never steady, and nothing to learn from.
        learned = value if isfinite(value) else None
        if len(earlier) < min(ENOUGH, int(number)):
            return Judgement(learned)
        usual = median(earlier)
        steady = abs(value - usual) <= _limit(self.within, usual)
        return Judgement(learned, () if steady else [("not steady", checked)])

    def says(self, count: int) -> str:
        """The end of the sentence."""
        return f"has {self.expr} more than {self.within} off the median of the {self.of}"


def _number(expr: str, value: object) -> float:
    """The measured value as a number. Raises CheckError when it is none."""
    if isinstance(value, int | float | Decimal):
        with suppress(OverflowError):
            return float(value)
        return inf
    kind = _KINDS.get(type(value), "no number")
    raise CheckError(
        f"`{expr}` is {kind}, and only a number can be steady",
        "Measure a number: `count(distinct …)`, or cast it in SQL. For times there is `fresh`.",
        word=expr,
    )


_KINDS: dict[type, str] = {
    str: "text",
    bytes: "bytes",
    date: "a date",
    datetime: "a time",
    time: "a time of day",
    timedelta: "an interval",
}


def _limit(within: str | int | float, usual: float) -> float:
    match = _WITHIN.fullmatch(str(within).strip())
    if not match:
        raise ValueError(within)
    try:
        number = Decimal(match[1])
    except InvalidOperation:
        raise ValueError(within) from None
    return abs(usual) * float(number) / 100 if match[2] else float(number)


def _of_runs(past: Measurements, now: datetime, number: int) -> list[float]:
    return [value for _, value in past[-number:]]


def _of_days(past: Measurements, now: datetime, number: int) -> list[float]:
    return [value for at, value in past if at >= now - timedelta(days=number)]


def _of_weekdays(past: Measurements, now: datetime, number: int) -> list[float]:
    """For each earlier week, the value nearest to the same hour of the same weekday.

    A run counts if it is at most half a day away from that.
    """
    earlier: list[float] = []
    for weeks in range(1, number + 1):
        then = now - timedelta(weeks=weeks)
        near = [
            (abs(at - then), value) for at, value in past if abs(at - then) <= timedelta(hours=12)
        ]
        if near:
            earlier.append(min(near)[1])
    return earlier


_EARLIER = {"runs": _of_runs, "days": _of_days, "same weekdays": _of_weekdays}
