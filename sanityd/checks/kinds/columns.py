"""`columns`: the table still has these columns, of these types."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from sanityd.checks.base import CatalogCheck, plural
from sanityd.model import Violation
from sanityd.sources.catalog import ColumnInfo, Family, TableInfo


class Columns(CatalogCheck):
    """The table still has these columns, of these types.

    A violation is a column; no row is read.

    ```yaml
    columns: {id: integer, email: text, born: date, note: any}
    columns: {columns: {id: integer, email: "varchar(80)"}, extra: fail}
    ```

    A type is `text`, `integer`, `number`, `boolean`, `date`, `timestamp`, `timestamptz`, `uuid`,
    `bytes`, `enum`, `time`, `interval`, `json` or `any`, which mean the same on every database, or
    the database's own name of the type; of a domain, also that of the type that it is based on.
    With `extra: fail`, any other column is a violation.
    """

    kind: ClassVar[str] = "columns"
    short: ClassVar[str | None] = "columns"

    columns: Mapping[str, str] = Field(min_length=1, description="Each column with its type.")
    extra: Literal["pass", "fail"] = Field("pass", description="Whether other columns violate.")

    def judge(self, table: TableInfo) -> list[Violation]:
        """The columns that are missing, of another type, or too many."""
        violations: list[Violation] = []
        for name, expected in self.columns.items():
            difference = _difference(table.columns.get(name), expected)
            if difference:
                violations.append(Violation({"column": name}, detail=difference))
        if self.extra == "fail":
            others = table.columns.keys() - self.columns.keys()
            violations += [
                Violation({"column": name}, detail="is not expected") for name in sorted(others)
            ]
        return violations

    def says(self, count: int) -> str:
        """The end of the sentence."""
        return f"{plural(count, 'is', 'are')} not as expected"

    def amount(self, table: str, violations: int, rows: int, checked: int | None) -> str:
        """Counts columns."""
        return f"{violations:,} {plural(violations, 'column', 'columns')} of {table}"


def _difference(column: ColumnInfo | None, expected: str) -> str:
    if column is None:
        return "is missing"
    word = expected.lower()
    family = Family(word) if word in list(Family) else None
    # Whole numbers are numbers.
    same = column.family is family or (family is Family.NUMBER and column.family is Family.INTEGER)
    names = {column.type.lower(), *(alias.lower() for alias in column.aliases)}
    if word == "any" or same or word in names:
        return ""
    return f"is {column.type}, not {expected}"
