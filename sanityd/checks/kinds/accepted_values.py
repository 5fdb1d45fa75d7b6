"""`accepted_values`: columns that hold one of a list of values."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from pydantic import Field
from sqlalchemy import ColumnElement

from sanityd.checks.base import ColumnCheck, Scope, plural
from sanityd.checks.literals import comparison
from sanityd.checks.requirements import ListedWords

Listed = list[bool | int | float | str]


def is_listed(scope: Scope, name: str, values: Listed) -> ColumnElement[bool]:
    """Whether the column is exactly one of the values.

    In a text column, numbers mean their digits.
    """
    compared = comparison(scope, name, values)
    return compared.element.in_([compared.bind(value) for value in values])


def words_of(columns: Mapping[str, Listed], *, allowed: bool) -> list[ListedWords]:
    """The listed values of each column as words; in a text column, numbers mean their digits."""
    return [ListedWords(name, tuple(map(str, values)), allowed) for name, values in columns.items()]


class AcceptedValues(ColumnCheck):
    """Every value is one of a list, compared exactly.

    Upper and lower case, accents and trailing spaces are different.

    ```yaml
    accepted_values: {status: [new, paid, void]}
    ```
    """

    kind: ClassVar[str] = "accepted_values"
    is_timeless: ClassVar[bool] = True

    columns: Mapping[str, Listed] = Field(description="Each column with the values it may have.")

    def listed_words(self) -> Iterable[ListedWords]:
        """The accepted values."""
        return words_of(self.columns, allowed=True)

    def is_bad_value(self, scope: Scope, name: str, expected: Listed) -> ColumnElement[bool]:
        """True for a value that is not listed."""
        return ~is_listed(scope, name, expected)

    def says(self, count: int) -> str:
        """The end of the sentence."""
        columns = " or ".join(self.columns)
        return f"{plural(count, 'has', 'have')} {columns} outside the accepted values"
