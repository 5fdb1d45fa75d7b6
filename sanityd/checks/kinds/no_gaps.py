"""`no_gaps`: numbers without holes."""

from typing import Any, ClassVar

from pydantic import Field
from sqlalchemy import ColumnElement, func, select

from sanityd.checks.base import ROWS, QueryCheck, Scope, plural
from sanityd.checks.sequence import partition
from sanityd.errors import CheckError
from sanityd.model.option_types import Names
from sanityd.sources.base import AnySelect
from sanityd.sources.catalog import Family

FIRST, LAST = "first_missing", "last_missing"


class NoGaps(QueryCheck):
    """Whole numbers follow each other without a gap.

    A violation is the gap: its first and its last missing number.

    ```yaml
    no_gaps: {column: number, per: series}
    no_gaps: invoice_number
    ```

    Gaps are searched for between the smallest and the largest number of each group. NULLs and
    repeated numbers are ignored. `rows` counts the missing numbers.
    """

    kind: ClassVar[str] = "no_gaps"
    short: ClassVar[str | None] = "column"
    showable: ClassVar[tuple[str, ...] | None] = ()
    unit: ClassVar[tuple[str, str]] = ("hole", "holes")

    column: str = Field(min_length=1, description="The column of whole numbers.")
    per: Names = Field(
        [], description="The columns that make a group; each has a sequence of its own."
    )

    def key(self, scope: Scope) -> tuple[str, ...]:
        """The group, and the hole's ends."""
        return (*self.per, FIRST, LAST)

    def violations(self, scope: Scope) -> AnySelect:
        """The holes."""
        number = self._number(scope)
        before = func.lag(number).over(partition_by=partition(scope, self.per), order_by=number)
        groups = [scope.exact(name).label(name) for name in self.per]
        rows = (
            select(*groups, number.label("number"), before.label("before"))
            .select_from(scope.table)
            .where(scope.rows, number.is_not(None))
            .subquery("in_order")
        )
        first, last = rows.c.before + 1, rows.c.number - 1
        ends = (first.label(FIRST), last.label(LAST), (last - first + 1).label(ROWS))
        return select(*(rows.c[name] for name in self.per), *ends).where(
            rows.c.number - rows.c.before >= 2
        )

    def amount(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """Counts holes, and the numbers that are missing."""
        return f"{self.counted(violations)}, {rows:,} {plural(rows, 'number', 'numbers')}"

    def sentence(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """Counts holes, and the numbers that are missing."""
        missing = f"{rows:,} {plural(rows, 'number is', 'numbers are')} missing"
        return f"{self.counted(violations)} in {self.column} of {table}: {missing}"

    def says(self, count: int) -> str:
        """The end of the sentence."""
        return f"{plural(count, 'is a hole', 'are holes')} in {self.column}"

    def _number(self, scope: Scope) -> ColumnElement[Any]:
        info = scope.column_info(self.column)
        if info.family not in (Family.INTEGER, Family.NUMBER):
            type_name = info.type or "a column without a type"
            raise CheckError(
                f"`{self.column}` is {type_name}, not a whole number",
                "Only whole numbers can have holes.",
                word=self.column,
            )
        return scope.native(self.column)
