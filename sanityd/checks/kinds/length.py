"""`length`: columns whose text has so many characters."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field
from sqlalchemy import ColumnElement, or_

from sanityd.checks.base import ColumnCheck, Scope, plural
from sanityd.checks.ranges import Range


class Length(ColumnCheck):
    """The number of characters (not bytes) of every text lies in a range, bounds included.

    ```yaml
    length: {name: [1, 80]}
    length: {iban: {min: 15, max: 34}}
    ```
    """

    kind: ClassVar[str] = "length"
    is_timeless: ClassVar[bool] = True

    columns: Mapping[str, Range] = Field(
        description="Each column with the range of its number of characters."
    )

    def is_bad_value(self, scope: Scope, name: str, expected: Range) -> ColumnElement[bool]:
        """True for a text that is too short or too long."""
        return or_(*expected.excludes(scope.length(name), lambda bound: bound))

    def says(self, count: int) -> str:
        """The end of the sentence."""
        wrong = " or ".join(
            f"{name} that is not {expected} characters long"
            for name, expected in self.columns.items()
        )
        return f"{plural(count, 'has', 'have')} {wrong}"
