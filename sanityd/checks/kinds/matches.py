"""`matches`: columns whose text has a format or matches a regular expression."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field
from sqlalchemy import ColumnElement

from sanityd.checks import formats
from sanityd.checks.base import ColumnCheck, Scope, plural


class Matches(ColumnCheck):
    """Every value, as a whole, has a named format or matches a regular expression.

    Upper and lower case are different.

    ```yaml
    matches: {email: email}
    matches: {sku: "[A-Z]{3}-[0-9]+"}
    matches: {columns: {note: "invoice [0-9]+"}, part: true}
    ```

    Named formats mean the same on every database: `email`, `uuid`, `url`, `ip`, `iso_date`, `e164`,
    `country` (two capital letters), `currency` (three), `slug`. Any other text is a regular
    expression in the database's own dialect: POSIX with Perl's classes on PostgreSQL, PCRE on
    MariaDB, RE2 on DuckDB, Python's on SQLite. With `part: true`, it is enough that a part of the
    value matches.
    """

    kind: ClassVar[str] = "matches"
    is_timeless: ClassVar[bool] = True
    is_expensive: ClassVar[bool] = True

    columns: Mapping[str, str] = Field(
        description="Each column with a named format or a regular expression."
    )
    part: bool = Field(False, description="Whether it is enough that a part of the value matches.")

    def is_bad_value(self, scope: Scope, name: str, expected: str) -> ColumnElement[bool]:
        """True for a value that does not match."""
        return ~formats.matches(scope, name, expected, part=self.part)

    def says(self, count: int) -> str:
        """The end of the sentence."""
        wrong = " or ".join(
            f"no well-formed {name}" if expected in formats.FORMATS else f"{name} in the wrong form"
            for name, expected in self.columns.items()
        )
        return f"{plural(count, 'has', 'have')} {wrong}"
