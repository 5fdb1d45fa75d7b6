"""`aggregate`: a value of many rows lies in a range, for the whole table or for each group."""

import re
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator
from sqlalchemy import ColumnElement, case, func, literal_column, or_, select

from sanityd.checks.base import IN_SCOPE, ROWS, QueryCheck, Scope, plural
from sanityd.checks.ranges import Bound, Range
from sanityd.checks.scope import bind
from sanityd.model.option_types import Names, option_error
from sanityd.sources.base import AnySelect

_VALUE = "value"
#: The key of the only violation where there are no groups.
_WHOLE = "fault"
_AMBIGUOUS = re.compile(r"\b(stddev|std|stdev|variance|var)\s*\(", re.IGNORECASE)


class Aggregate(QueryCheck):
    """A value of many rows is correct, for the whole table or for each group.

    A violation is the group.

    ```yaml
    aggregate: {expr: sum(amount), equals: 0, by: account_id}
    aggregate: {expr: avg(price), min: 5, below: 500}
    aggregate: {expr: stddev_samp(seconds), max: 30, by: [host, service]}
    ```

    `expr` is SQL: `sum`, `avg`, `min`, `max`, `count`, `stddev_samp` and `stddev_pop`, `var_samp`
    and `var_pop` mean the same on every database; percentiles and other functions are the
    database's own. Plain `stddev` and `variance` are refused, as they mean the sample on one
    database and the population on another. A value that is NULL (of no rows, or of NULLs only)
    passes unless the rule says `nulls: fail`. `tolerance` is how far from `equals` a value may be.
    With `show: [value]` the value itself is shown, and so leaves the database.
    """

    kind: ClassVar[str] = "aggregate"
    judges_nulls: ClassVar[bool] = True
    showable: ClassVar[tuple[str, ...] | None] = (_VALUE,)
    unit: ClassVar[tuple[str, str]] = ("group", "groups")

    expr: str = Field(min_length=1, description="An aggregate in SQL, as in `sum(amount)`.")
    by: Names = Field([], description="The columns that make a group; none: the whole table.")
    equals: float | int | None = Field(None, description="What it must be.")
    tolerance: float | int = Field(0, ge=0, description="How far from `equals` it may be.")
    min: Bound | None = Field(None, description="It is at least that.")
    max: Bound | None = Field(None, description="It is at most that.")
    above: Bound | None = Field(None, description="It is above that.", examples=[0])
    below: Bound | None = Field(None, description="It is below that.")

    @field_validator("expr")
    @classmethod
    def _means_one_thing(cls, value: str) -> str:
        match = _AMBIGUOUS.search(value)
        if match:
            function = match[1]
            stem = "var" if function.lower().startswith("var") else "stddev"
            message = (
                f"`{function}` means the sample on some databases and the population on others"
            )
            raise option_error(message, f"write `{stem}_samp` or `{stem}_pop`", word=function)
        return value

    @model_validator(mode="after")
    def _says_what_is_right(self) -> Self:
        bounds = (self.min, self.max, self.above, self.below)
        if (self.equals is None) == all(bound is None for bound in bounds):
            advice = "write for example `equals: 0`, or `min: 1`"
            raise option_error(
                "needs either `equals` or one of `min`, `max`, `above`, `below`", advice
            )
        try:
            self._range()
        except OverflowError:
            raise option_error(
                "`equals` is too large for a tolerance", "take `tolerance` out"
            ) from None
        return self

    def sql(self) -> tuple[str, ...]:
        """The expression."""
        return (self.expr,)

    def key(self, scope: Scope) -> tuple[str, ...]:
        """The group."""
        return tuple(self.by) or (_WHOLE,)

    @property
    def measure_name(self) -> str:
        """The expression."""
        return self.expr

    @property
    def value_column(self) -> str | None:
        """The value of a group."""
        return _VALUE if self.by else None

    def deviation(self, value: float) -> float:
        """How far it is outside of the range."""
        return self._range().deviation(value)

    @property
    def quotes_rows(self) -> bool:
        """The group is one."""
        return bool(self.by)

    def violations(self, scope: Scope) -> AnySelect:
        """The groups whose value is wrong."""
        groups = self._groups(scope)
        value = scope.predicate(self.expr)
        labelled = (element.label(name) for name, element in groups.items())
        summed = select(
            *labelled, value.label("sanityd_value"), func.count().label(ROWS)
        ).select_from(scope.table)
        summed = summed.where(scope.rows)
        if self.by:
            summed = summed.group_by(*groups.values())
        values = summed.subquery("summed")
        measured = values.c.sanityd_value
        wrong = or_(*self._range().excludes(measured, bind))
        if scope.subject.nulls_fail:
            wrong = or_(wrong, measured.is_(None))
        shown = [measured.label(_VALUE)] if _VALUE in scope.subject.show else []
        return select(*(values.c[name] for name in groups), values.c[ROWS], *shown).where(wrong)

    def population(self, scope: Scope) -> AnySelect | None:
        """All groups."""
        groups = self._groups(scope)
        labelled = (element.label(name) for name, element in groups.items())
        everything = select(
            *labelled, func.max(case((scope.rows, 1), else_=0)).label(IN_SCOPE)
        ).select_from(scope.table)
        return everything.group_by(*groups.values()) if self.by else everything

    def measure(self, scope: Scope) -> ColumnElement[Any] | None:
        """The value, where there is only one."""
        return None if self.by else scope.predicate(self.expr)

    def says(self, count: int) -> str:
        """The end of the sentence."""
        wanted = str(self.equals) if self.equals is not None else str(self._range())
        return f"{plural(count, 'has', 'have')} {self.expr} that is not {wanted}"

    def counted(self, violations: int) -> str:
        """Groups, where there are any."""
        return super().counted(violations) if self.by else ""

    def amount(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """Counts groups."""
        return self.counted(violations) or table

    def sentence(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """About the groups, or about the table as a whole."""
        if not self.by:
            return f"{table} {self.says(1)}"
        return f"{self.counted(violations)} of {table} {self.says(violations)}"

    def _groups(self, scope: Scope) -> dict[str, ColumnElement[Any]]:
        if not self.by:
            return {_WHOLE: literal_column("'out of range'")}
        return {name: scope.exact(name) for name in self.by}

    def _range(self) -> Range:
        if self.equals is not None:
            return Range(min=self.equals - self.tolerance, max=self.equals + self.tolerance)
        return Range(min=self.min, max=self.max, above=self.above, below=self.below)
