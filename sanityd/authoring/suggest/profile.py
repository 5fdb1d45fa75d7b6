"""What was seen of tables before rules are proposed for them: counts, ends, a few rows. Frozen; reads nothing.

The values in here (`rows`, `low`, `high`, `words`) are the user's data: they decide what is proposed and leave this
process nowhere, but for the words of columns that are codes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sanityd.sources.catalog import ColumnInfo, Family, TableInfo

#: Families whose values are numbers.
NUMBERS = frozenset({Family.INTEGER, Family.NUMBER})
#: Fewer values than that are different by chance.
_FEW = 5
#: Families whose values are times.
TIMES = frozenset({Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ})


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column, as far as it was looked at."""

    info: ColumnInfo
    #: How many rows have a value.
    filled: int = 0
    #: How many of these are text of nothing but blanks.
    blank: int = 0
    #: The ends of a column of numbers.
    low: Any = None
    high: Any = None
    #: Whether it is text that is read as times, as SQLite has no other.
    is_written_time: bool = False

    @property
    def name(self) -> str:
        """As the database spells it."""
        return self.info.name

    @property
    def family(self) -> Family:
        """What kind of values it holds."""
        return self.info.family

    @property
    def is_time(self) -> bool:
        """Whether it says when something was."""
        return self.family in TIMES or self.is_written_time


@dataclass(frozen=True, slots=True)
class Declared:
    """A foreign key that is no proof. A column there is None where the primary key is meant; `kept` says whether the
    database sees to it all the same, as a rule."""

    columns: Mapping[str, str | None]
    schema: str | None
    table: str
    kept: bool = False


@dataclass(frozen=True)
class TableProfile:
    """One table or view."""

    source: str
    info: TableInfo
    #: How many rows it has: counted, or as the database believes when only some were read.
    rows: int
    #: How many of them were read; fewer when it is large.
    read: int
    columns: Mapping[str, ColumnProfile]
    #: Some of its first and last rows.
    sample: Sequence[Mapping[str, Any]] = ()
    #: For columns of codes: how often each value occurs. Empty for one that has too many.
    words: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    #: For columns that say when a row was made or changed: how many are of each of the last days, today's first.
    days: Mapping[str, Sequence[int]] = field(default_factory=dict)
    #: Foreign keys that prove nothing.
    declared: Sequence[Declared] = ()

    @property
    def name(self) -> str:
        """The table's name without its schema."""
        return self.info.name

    @property
    def is_whole(self) -> bool:
        """Whether all of its rows were read."""
        return self.read >= self.rows

    @property
    def title(self) -> str:
        """The table as rules name it: `app.people`, `app.crm.people`."""
        return ".".join(part for part in (self.source, self.info.schema, self.name) if part)

    @property
    def likely_key(self) -> str | None:
        """The column that seems to name the rows of a table that nobody gave a key: the first one, where it is text or
        a whole number, has a value in each row, and none twice in the few rows."""
        first = next(iter(self.columns.values()), None)
        if (
            self.info.key
            or first is None
            or first.family not in (Family.TEXT, Family.INTEGER, Family.UUID)
        ):
            return None
        values = self.seen(first.name)
        is_whole = first.filled == self.read and len(values) >= _FEW
        return first.name if is_whole and len({*map(str, values)}) == len(values) else None

    def seen(self, column: str) -> list[Any]:
        """The values of a column in the few rows, without NULLs."""
        return [row[column] for row in self.sample if row.get(column) is not None]

    def of(self, *families: Family) -> Iterator[ColumnProfile]:
        """The columns of these families."""
        return (column for column in self.columns.values() if column.family in families)


def is_nameable(*names: str | None) -> bool:
    """Whether rules can name it: they split names at their dots."""
    return not any(name is not None and "." in name for name in names)
