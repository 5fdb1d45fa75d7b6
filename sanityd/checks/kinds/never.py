"""`never`: a SQL condition that holds for no row."""

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field
from sqlalchemy import ColumnElement

from sanityd.checks.base import RowCheck, Scope, plural


class Never(RowCheck):
    """The condition is true for no row. A row for which it is unknown (NULL) passes.

    ```yaml
    never: status = 'pending'
    within: 1h of placed_at
    ```
    """

    kind: ClassVar[str] = "never"
    short: ClassVar[str | None] = "condition"
    judges_nulls: ClassVar[bool] = True

    condition: str = Field(
        min_length=1, description="A SQL condition on one row, in the database's dialect."
    )

    def sql(self) -> Iterable[str]:
        """The condition."""
        return (self.condition,)

    def is_bad(self, scope: Scope) -> ColumnElement[bool]:
        """True where the condition is true."""
        return scope.predicate(self.condition)

    def says(self, count: int) -> str:
        """The end of the sentence."""
        return f"{plural(count, 'is', 'are')} in a forbidden state: `{self.condition}`"
