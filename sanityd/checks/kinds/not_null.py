"""`not_null`: columns that must have a value."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field
from sqlalchemy import ColumnElement, func, or_

from sanityd.checks import proofs
from sanityd.checks.base import RowCheck, Scope, plural
from sanityd.model.option_types import Names


class NotNull(RowCheck):
    """Every row has a value in these columns.

    ```yaml
    not_null: email
    not_null: [email, name]
    not_null: {columns: [email, name], blank: fail}
    ```

    With `blank: fail`, empty text and text that consists of spaces only count as missing, too. The
    violation says which column is missing.
    """

    kind: ClassVar[str] = "not_null"
    is_timeless: ClassVar[bool] = True
    short: ClassVar[str | None] = "columns"

    columns: Names = Field(min_length=1, description="The columns that must have a value.")
    blank: Literal["pass", "fail"] = Field(
        "pass", description="Whether empty or only-spaces text counts as missing."
    )

    def is_bad(self, scope: Scope) -> ColumnElement[bool]:
        """True when any of the columns is missing."""
        return or_(*(self._is_missing(scope, name) for name in self.columns))

    def proof(self, scope: Scope) -> str | None:
        """Columns that can't be NULL; they may still be blank."""
        return None if self.blank == "fail" else proofs.of_not_null(scope.info, self.columns)

    def reasons(self, scope: Scope) -> Mapping[str, ColumnElement[bool]]:
        """Which column is missing; with `blank: fail` also whether a column is NULL or blank."""
        if self.blank == "pass" and len(self.columns) == 1:
            return {}
        words: dict[str, ColumnElement[bool]] = {
            f"{name} is null": scope.column(name).is_(None) for name in self.columns
        }
        if self.blank == "fail":
            words |= {
                f"{name} is blank": self._is_blank(scope, name)
                for name in self.columns
                if scope.may_hold_text(name)
            }
        return words

    def says(self, count: int) -> str:
        """The end of the sentence."""
        return f"{plural(count, 'has', 'have')} no {' or no '.join(self.columns)}"

    def _is_missing(self, scope: Scope, name: str) -> ColumnElement[bool]:
        if self.blank == "fail" and scope.may_hold_text(name):
            return or_(scope.column(name).is_(None), self._is_blank(scope, name))
        return scope.column(name).is_(None)

    @staticmethod
    def _is_blank(scope: Scope, name: str) -> ColumnElement[bool]:
        return func.trim(scope.text(name)) == ""
