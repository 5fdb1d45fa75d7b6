"""`always`: a SQL condition that holds for every row."""

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field
from sqlalchemy import ColumnElement, not_

from sanityd.checks.base import RowCheck, Scope, plural


class Always(RowCheck):
    """The condition is true for every row.

    A row for which it is unknown (NULL) passes, as in a CHECK constraint.

    ```yaml
    always: total = subtotal + tax
    ```
    """

    kind: ClassVar[str] = "always"
    short: ClassVar[str | None] = "condition"
    judges_nulls: ClassVar[bool] = True

    condition: str = Field(
        min_length=1, description="A SQL condition on one row, in the database's dialect."
    )

    def sql(self) -> Iterable[str]:
        """The condition."""
        return (self.condition,)

    def is_bad(self, scope: Scope) -> ColumnElement[bool]:
        """True where the condition is false."""
        return not_(scope.predicate(self.condition))

    def says(self, count: int) -> str:
        """The end of the sentence."""
        return f"{plural(count, 'breaks', 'break')} `{self.condition}`"
