"""`between`: columns whose values lie in a range."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field
from sqlalchemy import ColumnElement, or_

from sanityd.checks.base import ColumnCheck, Scope, plural
from sanityd.checks.ranges import Bound, Range, from_now
from sanityd.checks.scope import bind
from sanityd.errors import CheckError
from sanityd.sources.catalog import Family

_TIMES = (Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ)


class Between(ColumnCheck):
    """Every value lies in a range, bounds included: numbers, dates and text.

    ```yaml
    between: {age: [0, 120]}
    between: {price: {above: 0, max: 9999.99}, sold_on: {min: 2020-01-01, max: now}}
    ```

    `above` and `below` exclude the bound. A date without a time zone is read in the source's
    `zone`. `now` is the time of the run, by the database's clock, and `now + 1d` is one day later:
    a value that is at most `now` is not in the future. `now` can also be compared with times that
    are stored as numbers, and on SQLite with times that are stored as text; a text that is not a
    time counts as NULL.
    """

    kind: ClassVar[str] = "between"
    is_timeless: ClassVar[bool] = True

    columns: Mapping[str, Range] = Field(description="Each column with its range.")

    def is_bad_value(self, scope: Scope, name: str, expected: Range) -> ColumnElement[bool]:
        """True for a value outside the range."""
        if (
            expected.reads_clock
            and scope.is_text(name)
            and not scope.snapshot.source.dialect.stores_times_as_text
        ):
            raise CheckError(
                f"`{name}` is text, and `now` is a time",
                f"Compare in SQL: `never: cast({name} as timestamp) > current_timestamp`.",
                word=name,
            )
        if expected.reads_clock or scope.column_info(name).family in _TIMES:
            outside = expected.excludes(
                scope.instant(name), lambda bound: scope.time_literal(name, _time(bound, scope.now))
            )
        elif scope.is_text(name):
            if any(isinstance(bound, int | float) for bound in expected.bounds):
                scope.refuse(
                    f"`{name}` is text, and its bounds are numbers",
                    "Quote the bounds to compare as text, or cast in SQL: "
                    f"`always: cast({name} as integer) >= 0`.",
                    name,
                )
            outside = expected.excludes(scope.text(name), lambda bound: bind(str(bound)))
        else:
            outside = expected.excludes(scope.column(name), lambda bound: scope.number(name, bound))
        return or_(*outside)

    def is_unknown(self, scope: Scope) -> ColumnElement[bool]:
        """True when any of the columns is NULL, or should be a time and can't be read as one."""
        times = (
            scope.instant(name).is_(None)
            for name, expected in self.columns.items()
            if expected.reads_clock
        )
        return or_(super().is_unknown(scope), *times)

    @property
    def reads_clock(self) -> bool:
        """Where a bound is `now`."""
        return any(expected.reads_clock for expected in self.columns.values())

    def says(self, count: int) -> str:
        """The end of the sentence."""
        outside = " or ".join(
            f"{name} {expected.outside}" for name, expected in self.columns.items()
        )
        return f"{plural(count, 'has', 'have')} {outside}"


def _time(bound: Bound, now: datetime) -> datetime:
    distance = from_now(bound)
    if distance is not None:
        return now + distance
    text: Any = bound
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise CheckError(
            f"`{bound}` is not a date or time",
            "Write it as `2026-01-31`, `2026-01-31 12:00`, `now` or `now + 1d`.",
        ) from None
