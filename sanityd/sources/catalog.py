"""What a database says about one of its tables: columns, their families, and the keys that identify a row."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from sqlalchemy import TableClause, column, table


class Family(enum.StrEnum):
    """What kind of values a column holds, as far as checks care."""

    TEXT = "text"
    INTEGER = "integer"
    #: Exact and inexact numbers with a fraction.
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    #: A date and time without a zone; read in the source's `zone`.
    TIMESTAMP = "timestamp"
    #: An instant.
    TIMESTAMPTZ = "timestamptz"
    UUID = "uuid"
    BYTES = "bytes"
    #: One of a closed list of words.
    ENUM = "enum"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """One column. `type` is the database's own word for it; `collation` is set where the database names one."""

    name: str
    type: str
    family: Family
    nullable: bool = True
    collation: str | None = None


@dataclass(frozen=True, slots=True)
class UniqueIndex:
    """Whole columns whose values, together, the database lets occur once."""

    name: str
    columns: tuple[str, ...]
    #: Whether it lets a NULL, too, occur only once.
    nulls_equal: bool = False


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns whose values, where none is NULL, exist in another table. `table` is that one's `TableInfo.id`."""

    name: str
    columns: Mapping[str, str]
    table: int


@dataclass(frozen=True, slots=True)
class Enforced:
    """What the database itself sees to in every row of a table, those from before included.

    Only what can't be got round by ordinary means is listed here: a constraint that was never validated, is switched
    off, or is about some of the rows only, is no proof of anything.
    """

    unique: tuple[UniqueIndex, ...] = ()
    #: Columns that can't be NULL.
    not_null: frozenset[str] = frozenset()
    foreign_keys: tuple[ForeignKey, ...] = ()
    #: Conditions that no row makes false, by the constraint's name, in the database's own SQL.
    checks: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What the database expects of a statement, without running it."""

    #: How many rows it will return, about.
    rows: int
    #: What it costs, in the database's own unit (PostgreSQL: 1 is reading a page in order).
    cost: float
    #: Whether its constraints alone rule out that it returns any.
    impossible: bool = False


@dataclass(frozen=True)
class TableInfo:
    """One table or view, as it is in the present snapshot."""

    name: str
    schema: str | None
    columns: Mapping[str, ColumnInfo]
    primary_key: tuple[str, ...] = ()
    #: Unique indexes over columns that can't be NULL, in the database's order.
    unique_keys: tuple[tuple[str, ...], ...] = ()
    enforced: Enforced = Enforced()
    #: The database's own number of the table, where it has one.
    id: int = 0
    #: Whether what it shows depends on nothing but rows of its own: no view, no other server's, no policy in between.
    is_plain: bool = False
    #: Whether the database may hide rows of it from this login (row-level security).
    is_filtered: bool = False
    #: About how many rows it has, where the database keeps that in mind.
    estimate: int | None = None
    #: Columns by which an index finds rows; None where the database needs none to compare two tables quickly.
    leading: frozenset[str] | None = None

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """All that identify a row, the primary key first."""
        return (*((self.primary_key,) if self.primary_key else ()), *self.unique_keys)

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that identify a row: the primary key, else the first non-null unique index, else nothing."""
        return self.keys[0] if self.keys else ()

    @cached_property
    def clause(self) -> TableClause:
        """The table for SQL expressions, the same for all who ask, so that conditions of several can be put into one
        statement. Columns are untyped, so that values come as the driver gives them."""
        return table(self.name, *(column(name) for name in self.columns), schema=self.schema)
