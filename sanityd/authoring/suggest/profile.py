"""Profiles of tables and columns: row counts, minimum and maximum, sample rows. No I/O.

The values in a profile (`sample`, `minimum`, `maximum`, `value_counts`) are user data. They decide
what is proposed. None of them leaves this process, except the values of columns of codes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sanityd.sources.catalog import ColumnInfo, Family, TableInfo

#: Families whose values are numbers.
NUMBERS = frozenset({Family.INTEGER, Family.NUMBER})
#: Families whose values are times.
TIMES = frozenset({Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ})
#: Families of columns that may be a primary key.
_KEY_FAMILIES = frozenset({Family.TEXT, Family.INTEGER, Family.UUID})
#: Fewer values than these may be distinct by chance.
_MIN_KEY_VALUES = 5


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """The profile of a column."""

    info: ColumnInfo
    #: Number of rows with a value.
    non_null: int = 0
    #: Number of these values that are text of blanks only.
    blank: int = 0
    #: The smallest and the largest value of a column of numbers.
    minimum: Any = None
    maximum: Any = None
    #: Whether it is a text column that holds times: SQLite has no type for times.
    holds_time_text: bool = False

    @property
    def name(self) -> str:
        """The column name, as the database spells it."""
        return self.info.name

    @property
    def family(self) -> Family:
        """The family of its type."""
        return self.info.family

    @property
    def is_time(self) -> bool:
        """Whether its values are dates or times."""
        return self.family in TIMES or self.holds_time_text


@dataclass(frozen=True, slots=True)
class DeclaredForeignKey:
    """A foreign key in the catalog that proves nothing, as sessions can bypass it.

    `columns` maps each column to the referenced one, or to None for the referenced table's primary
    key. `is_enforced` tells whether the database usually enforces the key all the same.
    """

    columns: Mapping[str, str | None]
    schema: str | None
    table: str
    is_enforced: bool = False


@dataclass(frozen=True)
class TableProfile:
    """The profile of a table or view."""

    source: str
    info: TableInfo
    #: Number of rows: counted, or the database's estimate when only a sample was read.
    rows: int
    #: Number of rows that were read; less than `rows` for a large table.
    rows_read: int
    columns: Mapping[str, ColumnProfile]
    #: Some of the first and of the last rows.
    sample: Sequence[Mapping[str, Any]] = ()
    #: For each column of codes, how often each value occurs; without columns of too many values.
    value_counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    #: For columns of creation or change times, the rows on each of the last days, today first.
    daily_counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    #: Foreign keys that prove nothing.
    declared_foreign_keys: Sequence[DeclaredForeignKey] = ()

    @property
    def name(self) -> str:
        """The table name, without its schema."""
        return self.info.name

    @property
    def is_whole(self) -> bool:
        """Whether all rows were read."""
        return self.rows_read >= self.rows

    @property
    def title(self) -> str:
        """The table as rules name it: `app.people`, `app.crm.people`."""
        return ".".join(part for part in (self.source, self.info.schema, self.name) if part)

    @property
    def likely_key(self) -> str | None:
        """The probable key column of a table without a declared key.

        This is the first column, if it is text, an integer or a UUID, has a value in each row, and
        its sample values are distinct.
        """
        first = next(iter(self.columns.values()), None)
        if self.info.key or first is None or first.family not in _KEY_FAMILIES:
            return None
        values = self.sample_values(first.name)
        if first.non_null != self.rows_read or len(values) < _MIN_KEY_VALUES:
            return None
        is_distinct = len({str(value) for value in values}) == len(values)
        return first.name if is_distinct else None

    def sample_values(self, column: str) -> list[Any]:
        """Return the values of a column in the sample rows, without NULLs."""
        return [row[column] for row in self.sample if row.get(column) is not None]

    def columns_of(self, *families: Family) -> Iterator[ColumnProfile]:
        """Iterate over the columns of these type families."""
        for column in self.columns.values():
            if column.family in families:
                yield column


def is_nameable(*names: str | None) -> bool:
    """Return whether rules can name all of these: a dot separates the parts of a name."""
    return not any(name is not None and "." in name for name in names)
