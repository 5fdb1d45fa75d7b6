"""`between`: columns whose values lie in a range."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field
from sqlalchemy import ColumnElement, or_

from sanityd.checks import literals
from sanityd.checks.base import ColumnCheck, Scope, plural
from sanityd.checks.ranges import Range


class Between(ColumnCheck):
    """Every value lies in a range, bounds included: numbers, dates and text.

    ```yaml
    between: {age: [0, 120]}
    between: {price: {above: 0, max: 9999.99}, sold_on: {min: 2020-01-01, max: now}}
    ```

    `above` and `below` exclude the bound. A date without a time zone is read in the source's
    `zone`. `now` is the time of the run, by the database's clock, and `now + 1d` is one day later:
    a value that is at most `now` is not in the future. Dates and `now` can also be compared with
    times that are stored as numbers (seconds, milliseconds or microseconds since 1970), and on
    SQLite `now` with times that are stored as text; a text that is not a time counts as NULL. A
    bound that can't be of the column's type is an error.
    """

    kind: ClassVar[str] = "between"
    is_timeless: ClassVar[bool] = True

    columns: Mapping[str, Range] = Field(description="Each column with its range.")

    def is_bad_value(self, scope: Scope, name: str, expected: Range) -> ColumnElement[bool]:
        """True for a value outside the range."""
        compared = literals.ordered(scope, name, expected.bounds)
        return or_(*expected.excludes(compared.element, compared.bind))

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

    @property
    def value_column(self) -> str | None:
        """The column, if it is the only one."""
        return next(iter(self.columns)) if len(self.columns) == 1 else None

    def deviation(self, value: float) -> float:
        """How far it is outside of the range of the only column."""
        [expected] = self.columns.values()
        return expected.deviation(value)

    def says(self, count: int) -> str:
        """The end of the sentence."""
        outside = " or ".join(
            f"{name} {expected.outside}" for name, expected in self.columns.items()
        )
        return f"{plural(count, 'has', 'have')} {outside}"
