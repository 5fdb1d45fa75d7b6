"""Catalog: tables with their columns, keys and constraints, as a database describes them."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from sqlalchemy import TableClause, column, table


class Family(enum.StrEnum):
    """Family of a column's type, as far as checks need to know it."""

    TEXT = "text"
    INTEGER = "integer"
    #: Exact and inexact numbers with a fraction.
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    #: A date and time without a time zone; it is read in the zone of the source.
    TIMESTAMP = "timestamp"
    #: A point in time.
    TIMESTAMPTZ = "timestamptz"
    UUID = "uuid"
    BYTES = "bytes"
    #: A value of a fixed list of words.
    ENUM = "enum"
    #: A time of day.
    TIME = "time"
    INTERVAL = "interval"
    JSON = "json"
    OTHER = "other"


#: Families whose values each database compares, orders and prints in its own way.
UNCOMMON = frozenset({Family.TIME, Family.INTERVAL, Family.JSON, Family.OTHER})


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """Column of a table."""

    name: str
    #: The type in the words of the database.
    type: str
    family: Family
    nullable: bool = True
    #: Set where the database reports one.
    collation: str | None = None
    #: The name that the database has for the type itself, where `type` may be a longer one.
    base: str = ""
    #: Other names of the type: those of a domain, and the one without a schema.
    aliases: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class UniqueIndex:
    """Unique index over whole columns."""

    name: str
    columns: tuple[str, ...]
    #: Whether NULL, too, may occur only once.
    nulls_equal: bool = False


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Foreign key."""

    name: str
    #: Column of this table → column of the other table.
    columns: Mapping[str, str]
    #: The other table's `TableInfo.id`.
    table: int


@dataclass(frozen=True, slots=True)
class EnforcedConstraints:
    """Constraints that the database enforces for every row of a table.

    Constraints that may have exceptions are left out: those that were never validated, are
    switched off, or are about some of the rows only.
    """

    unique: tuple[UniqueIndex, ...] = ()
    #: Columns that can't be NULL.
    not_null: frozenset[str] = frozenset()
    foreign_keys: tuple[ForeignKey, ...] = ()
    #: Unique indexes over expressions: name → the expressions in the database's SQL.
    unique_expressions: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    #: EXCLUDE constraints: name → definition in the database's SQL.
    exclusions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    #: CHECK constraints: name → condition in the database's SQL, which no row makes false.
    checks: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """Estimate of the database for a statement, made without running it."""

    #: The approximate number of rows that it returns.
    rows: int
    #: The cost in the unit of the database (PostgreSQL: 1 is a sequential read of a page).
    cost: float
    #: Whether the constraints alone exclude that it returns any row.
    impossible: bool = False


@dataclass(frozen=True)
class TableInfo:
    """Table or view, as it is in the current snapshot."""

    name: str
    schema: str | None
    columns: Mapping[str, ColumnInfo]
    primary_key: tuple[str, ...] = ()
    #: The columns of unique indexes that can't contain NULL, in the database's order.
    unique_keys: tuple[tuple[str, ...], ...] = ()
    enforced: EnforcedConstraints = EnforcedConstraints()
    #: The database's number of the table (its oid), where it has one; otherwise 0.
    id: int = 0
    #: Whether its content depends on its own rows only: no view, no foreign table, no policy.
    is_plain: bool = False
    #: Whether the database may hide rows of it from this login (row-level security).
    is_filtered: bool = False
    #: The approximate number of rows, where the database knows it.
    estimate: int | None = None
    #: The first columns of its indexes; None where the database joins quickly without an index.
    leading: frozenset[str] | None = None

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """All keys that identify a row, the primary key first."""
        if not self.primary_key:
            return self.unique_keys
        return (self.primary_key, *self.unique_keys)

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that identify a row: the first of `keys`; empty when there are none."""
        return self.keys[0] if self.keys else ()

    @cached_property
    def clause(self) -> TableClause:
        """The table for SQL expressions.

        It is always the same object, so that conditions of several rules fit into one statement.
        Columns are untyped, so that values come as the driver returns them.
        """
        return table(self.name, *(column(name) for name in self.columns), schema=self.schema)
