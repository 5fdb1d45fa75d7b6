"""`not_matches`: columns whose text has no such format."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field
from sqlalchemy import ColumnElement

from sanityd.checks import formats
from sanityd.checks.base import ColumnCheck, Scope, plural


class NotMatches(ColumnCheck):
    """No value, as a whole, has a named format or matches a regular expression.

    Upper and lower case are different.

    ```yaml
    not_matches: {name: email}
    not_matches: {columns: {note: "(?i)lorem ipsum"}, part: true}
    ```

    The formats and the dialects of regular expressions are those of `matches`.
    """

    kind: ClassVar[str] = "not_matches"
    is_timeless: ClassVar[bool] = True
    is_expensive: ClassVar[bool] = True

    columns: Mapping[str, str] = Field(
        description="Each column with a named format or a regular expression."
    )
    part: bool = Field(
        False, description="Whether it is enough to violate that a part of the value matches."
    )

    def is_bad_value(self, scope: Scope, name: str, expected: str) -> ColumnElement[bool]:
        """True for a value that matches."""
        return formats.matches(scope, name, expected, part=self.part)

    def says(self, count: int) -> str:
        """The end of the sentence."""
        columns = " or ".join(self.columns)
        return f"{plural(count, 'has', 'have')} {columns} in a form that is not allowed"
