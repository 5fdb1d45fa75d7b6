"""`rejected_values`: columns that never hold one of a list of values."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from pydantic import Field
from sqlalchemy import ColumnElement

from sanityd.checks.base import ColumnCheck, Scope, plural
from sanityd.checks.kinds.accepted_values import Listed, is_listed, words_of
from sanityd.checks.requirements import ListedWords


class RejectedValues(ColumnCheck):
    """No value is one of a list, compared exactly.

    ```yaml
    rejected_values: {name: [test, "n/a", unknown]}
    ```
    """

    kind: ClassVar[str] = "rejected_values"
    is_timeless: ClassVar[bool] = True

    columns: Mapping[str, Listed] = Field(
        description="Each column with the values it must not have."
    )

    def listed_words(self) -> Iterable[ListedWords]:
        """The rejected values."""
        return words_of(self.columns, allowed=False)

    def is_bad_value(self, scope: Scope, name: str, expected: Listed) -> ColumnElement[bool]:
        """True for a value that is listed."""
        return is_listed(scope, name, expected)

    def says(self, count: int) -> str:
        """The end of the sentence."""
        return (
            f"{plural(count, 'has', 'have')} {' or '.join(self.columns)} among the rejected values"
        )
