"""`row_count`: how many rows there are."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator
from sqlalchemy import ColumnElement, func, select

from sanityd.checks.base import AggregateCheck, Judgement, Scope
from sanityd.checks.ranges import Range
from sanityd.model import Measurements
from sanityd.model.option_types import option_error


class RowCount(AggregateCheck):
    """The number of rows in scope lies in a range, or equals that of another table.

    ```yaml
    row_count: {min: 1}
    row_count: {min: 900, max: 1100}
    row_count: {equals: app.people_archive}
    ```

    Tables of two sources are never counted at the same instant: where both are written to all the
    time, compare rows instead (`has`, `same_as`).

    No rows at all is a violation, unless the rule itself allows zero (`min: 0`, `max: 0`, `equals:
    0`) or says `when_empty: pass`.
    """

    kind: ClassVar[str] = "row_count"
    empty_fails: ClassVar[bool] = True

    min: int | None = Field(None, ge=0, description="At least so many rows.")
    max: int | None = Field(None, ge=0, description="At most so many rows.")
    equals: int | str | None = Field(
        None, description="Exactly so many rows, or as many as another table has."
    )

    @model_validator(mode="after")
    def _says_how_many(self) -> Self:
        if (self.equals is None) == (self.min is None and self.max is None):
            raise option_error(
                "needs either `equals` or one of `min` and `max`",
                "write for example `row_count: {min: 1}`",
            )
        if self.equals is None:
            Range(min=self.min, max=self.max)
        return self

    @property
    def measure_name(self) -> str:
        """Rows."""
        return "rows"

    @property
    def allows_zero(self) -> bool:
        """Whether the rule itself names zero as right."""
        return 0 in (self.min, self.max, self.equals) or isinstance(self.equals, str)

    def tables(self) -> Iterable[str]:
        """The table to compare with."""
        return (self.equals,) if isinstance(self.equals, str) else ()

    def measures(self, scope: Scope) -> Mapping[str, ColumnElement[Any]]:
        """The number of rows of the other table, where there is one."""
        if not isinstance(self.equals, str):
            return {}
        other = scope.other(self.equals)
        return {"other": select(func.count()).select_from(other.table).scalar_subquery()}

    def judge(
        self, measured: Mapping[str, Any], checked: int, now: datetime, past: Measurements = ()
    ) -> Judgement:
        """Compare the number of rows in scope with what is expected."""
        wanted = measured.get("other", self.equals)
        right = (
            checked == wanted
            if wanted is not None
            else Range(min=self.min, max=self.max).allows(checked)
        )
        if checked == 0 and not self.allows_zero:
            right = False
        return Judgement(checked, () if right else [("wrong number of rows", checked)])

    def deviation(self, value: float) -> float:
        """How far the number is outside of the range; 0 for a comparison of two tables."""
        if isinstance(self.equals, str):
            return 0.0
        low, high = (self.min, self.max) if self.equals is None else (self.equals, self.equals)
        return Range(min=low, max=high).deviation(value)

    def says(self, count: int) -> str:
        """The end of the sentence."""
        if isinstance(self.equals, str):
            return f"does not have as many rows as {self.equals}"
        wanted = Range(min=self.min, max=self.max) if self.equals is None else self.equals
        return f"does not have {wanted} rows"
