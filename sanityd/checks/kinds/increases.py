"""`increases`: values that never go back."""

from typing import Any, ClassVar

from pydantic import Field
from sqlalchemy import ColumnElement

from sanityd.checks.base import Scope, plural
from sanityd.checks.sequence import SequenceCheck


class Increases(SequenceCheck):
    """A value never goes back in the order of the rows.

    A violation is the row where it did.

    ```yaml
    increases: {column: odometer, per: car_id, order_by: read_at}
    increases: {column: version, per: document_id, order_by: saved_at, strictly: true}
    ```

    Each row is compared with the row before it in its group. With `strictly`, the value must not
    stay the same either. Rows with a NULL in `column` or `order_by` are skipped.
    """

    kind: ClassVar[str] = "increases"
    needs_key: ClassVar[bool] = True

    strictly: bool = Field(
        False, description="Whether each value must be greater than the one before."
    )

    def value(self, scope: Scope) -> ColumnElement[Any]:
        """Numbers and times as such, text by its characters."""
        return scope.exact(self.column)

    def is_wrong(
        self, value: ColumnElement[Any], previous: ColumnElement[Any]
    ) -> ColumnElement[bool]:
        """True for a step back."""
        return value <= previous if self.strictly else value < previous

    def says(self, count: int) -> str:
        """The end of the sentence."""
        back = "does not increase" if self.strictly else "goes back"
        many = "do not increase" if self.strictly else "go back"
        return f"{plural(count, back, many)} in {self.column} by {', '.join(self.order_by)}"
