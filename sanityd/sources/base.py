"""Interface of a watched database: `Source` opens read-only `Snapshot`s, `Dialect` builds its SQL.

Each database is one file in this folder with a subclass of `Source` and one of `Dialect`.
`open_source` finds it by the scheme of the URL.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Executable,
    FromClause,
    Row,
    Select,
    Subquery,
    literal,
    literal_column,
    make_url,
    select,
)
from sqlalchemy.types import NullType

from sanityd.errors import CheckError
from sanityd.sources.catalog import ColumnInfo, CostEstimate, Family, TableInfo

#: A SELECT with any columns, and a row of its result.
AnySelect = Select[*tuple[Any, ...]]
AnyRow = Row[*tuple[Any, ...]]
#: The bucket of a whole number (number // 64), and the bits of the numbers in a bucket.
Bitmap = tuple[ColumnElement[Any], ColumnElement[Any]]


_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Settings of one source. `url` is a secret: it is never printed and not part of the repr."""

    name: str
    url: str = field(repr=False)
    statement_timeout: timedelta = timedelta(seconds=60)
    lock_timeout: timedelta = timedelta(seconds=5)
    #: How many connections may be open at the same time.
    connections: int = 2
    #: The time zone of columns that store times without one.
    zone: ZoneInfo = ZoneInfo("UTC")
    #: Patterns of files that are the tables, if the source is no database.
    files: tuple[str, ...] = ()
    #: The folder that the patterns are relative to.
    folder: Path = Path()
    #: The time at which the clock is frozen, also for SQL that reads it; None: it is not frozen.
    frozen_at: datetime | None = None

    @property
    def server(self) -> tuple[object, ...]:
        """The host and port, or the file: sources with the same one fail together. No secret."""
        url = make_url(self.url)
        if url.get_backend_name() not in _PORTS:
            return (url.database, self.folder, self.files)
        port = url.port or _PORTS[url.get_backend_name()]
        return (str(url.host).lower(), port, str(url.query))


#: Families with an order of their own, so that min() works on every database.
_SORTED = frozenset(
    {Family.INTEGER, Family.NUMBER, Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ}
)


class Dialect(ABC):
    """SQL expressions that differ between databases, for the few things that checks need.

    Most methods take a column as an untyped expression with what the catalog says about it
    (`info`), and return an expression.
    """

    #: sqlglot's name of the dialect.
    name: ClassVar[str]
    #: Whether times are stored as text, since the database has no type for them.
    stores_times_as_text: ClassVar[bool] = False
    #: Whether the type of a column doesn't limit its values, so that each may be text.
    has_typed_values: ClassVar[bool] = False
    #: Whether `true` and `false` are values of a type of their own, and no numbers.
    has_booleans: ClassVar[bool] = True

    @abstractmethod
    def exact(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return the value for exact comparison by `=`, IN and GROUP BY.

        Values that differ in any character (case, accents, trailing blanks) are different,
        whatever the column's collation says. Selecting the expression returns the value itself.
        """

    def same(
        self,
        left: ColumnElement[Any],
        left_info: ColumnInfo,
        right: ColumnElement[Any],
        right_info: ColumnInfo,
    ) -> ColumnElement[bool]:
        """Return a condition: two values of the same family are exactly equal."""
        return self.exact(left, left_info) == self.exact(right, right_info)

    def pair(
        self,
        left: ColumnElement[Any],
        left_info: ColumnInfo,
        right: ColumnElement[Any],
        right_info: ColumnInfo,
    ) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """Return two values of the same family, equal if they are exactly equal.

        The right one can be selected by a subquery, for the left one to be looked up in.
        """
        return self.exact(left, left_info), self.exact(right, right_info)

    @abstractmethod
    def text(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return the value as text for exact comparison: an enum's word, a number's digits."""

    def if_text(
        self, element: ColumnElement[Any], changed: ColumnElement[Any]
    ) -> ColumnElement[Any]:
        """Return `changed` for a value that is text, else the value.

        The type of the column tells, except where `has_typed_values`.
        """
        del element
        return changed

    def opaque(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return a value of an uncommon type, to be compared with a bound text."""
        return self.text(element, info)

    def native(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return the value in a type that can be compared with literals of its family."""
        del info
        return element

    def portable(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return the value in the form in which it is compared with one of another database."""
        return self.native(element, info)

    def bytes_of(self, text: str) -> ColumnElement[Any]:
        """Return the bytes of a text (UTF-8), to be compared with a column of bytes."""
        return literal(text.encode(), NullType())

    def sorts(self, info: ColumnInfo) -> bool:
        """Return whether min() works on the column itself, not only on its values as text."""
        return info.family in _SORTED

    def number(self, value: float, info: ColumnInfo) -> ColumnElement[Any]:
        """Return a number of a rule, to be compared with the column."""
        return literal(value, NullType())

    def digest(
        self, elements: Sequence[ColumnElement[Any]], infos: Sequence[ColumnInfo]
    ) -> ColumnElement[Any] | None:
        """Return a 64-bit hash of the (exact) values, for columns without NULLs.

        It is sorted in place of the values, where that is faster; None where it isn't.
        """
        return None

    def whole(self, statement: AnySelect) -> AnySelect:
        """Return the statement in a form whose query plan does not change with a LIMIT on it."""
        return statement

    def sample(self, table: TableInfo, share: float) -> FromClause | None:
        """Return about that share (0 to 1) of a table's rows, without reading the others.

        The rows come from the whole table, and are the same each time. None where the database
        can't do that.
        """
        del table, share
        return None

    def bitmap(self, element: ColumnElement[Any], info: ColumnInfo) -> "Bitmap | None":
        """Return expressions that pack 64 whole numbers into one row.

        The first is the bucket to group by (`number // 64`, ordered as the numbers); the second the
        bits of the numbers in a group (`1 << number % 64`). None where the database can't do that,
        or has other values in such columns.
        """
        return None

    @abstractmethod
    def folded(self, element: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return an exact text in lower case."""

    @abstractmethod
    def length(self, element: ColumnElement[Any]) -> ColumnElement[int]:
        """Return the number of characters (not bytes) of a text."""

    @abstractmethod
    def matches(
        self, element: ColumnElement[Any], pattern: str, *, part: bool
    ) -> ColumnElement[bool]:
        """Return a condition: an exact text matches the regular expression, with regard to case.

        Parameters: `part` lets the expression match any part of the text, not only the whole.
        """

    @abstractmethod
    def instant(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return the column as a point in time, comparable with its `time_literal`."""

    @abstractmethod
    def time_literal(self, at: datetime, info: ColumnInfo, zone: ZoneInfo) -> ColumnElement[Any]:
        """Return the aware time `at` as a bound value, to be compared with `instant`."""


class Snapshot(ABC):
    """Consistent, read-only view of one source: all statements see the data of the same instant."""

    source: "Source"
    #: The database's clock when the snapshot was taken, aware, UTC.
    now: datetime
    #: The SELECTs that have read data so far, without queries of the catalog.
    executed: list[AnySelect]

    @property
    @abstractmethod
    def statements(self) -> int:
        """How many SELECTs the current thread has run so far to read data."""

    @abstractmethod
    def table(self, name: str, schema: str | None = None) -> TableInfo:
        """Return what the catalog says about a table.

        Raises CheckError, with "did you mean" as its hint, when the table does not exist.
        """

    @abstractmethod
    def all_tables(self) -> Sequence[tuple[str | None, str]]:
        """Return all tables, without views, as (schema, name); the default schema is None."""

    @abstractmethod
    def quoted(self, name: str) -> str:
        """Return the name of a column, quoted as the database's SQL needs it."""

    @abstractmethod
    def sql(self, statement: Executable, *, values: bool = True) -> str:
        """Return a statement as text for people to read. It is never run.

        Parameters: without `values`, each value is shown as `?`, as it may come from the data.
        """

    @abstractmethod
    def state(self) -> str | None:
        """Return a version of the data of all plain tables (`TableInfo.is_plain`).

        Two snapshots have the same version only if each plain table has the same rows in both.
        None where the database can't guarantee that.
        """

    @abstractmethod
    def export_snapshot(self) -> bool:
        """Export the snapshot, so that other threads can open it with `second_connection`.

        Returns False when the database can't do that.
        """

    @abstractmethod
    def second_connection(self) -> AbstractContextManager[bool]:
        """Open another connection for the current thread, with the data of the same instant.

        The context is False when there is none. Call `export_snapshot` before.
        """

    @abstractmethod
    def forecast(self, statement: AnySelect) -> CostEstimate | None:
        """Return the database's cost estimate of a SELECT; None without one. Raises like `rows`."""

    @abstractmethod
    def rows(self, statement: AnySelect, *, by_sorting: bool = False) -> Sequence[AnyRow]:
        """Run one SELECT and return its rows.

        Raises CheckError when it fails or takes too long (the snapshot stays usable), SourceError
        when the connection is lost.

        Parameters: `by_sorting` lets the database group by sorting, where it can be told to.
        """

    @abstractmethod
    def stream(self, statement: AnySelect) -> Iterator[AnyRow]:
        """Run one SELECT and yield its rows, in bounded memory. Raises like `rows`."""

    @abstractmethod
    def stop(self, reason: CheckError) -> None:
        """Cancel running statements, from another thread. Later ones fail with `reason`."""

    @abstractmethod
    def query(self, sql: str) -> Subquery:
        """Return a user's SELECT as a subquery. Raises CheckError when the SQL gate refuses it."""

    @abstractmethod
    def lookup(self, sql: str, values: Mapping[str, Any], rows: int) -> Subquery:
        """Return a user's SELECT as a subquery, with values bound to its parameters.

        Raises CheckError when the SQL gate or the database refuses it.

        Parameters: `values` has one for each parameter of the SQL, by its name without the colon;
        `rows` is the most rows that are needed of a SELECT that orders them.
        """

    @abstractmethod
    def predicate(self, sql: str) -> ColumnElement[bool]:
        """Return a user's SQL condition. Raises CheckError when the SQL gate refuses it."""

    @abstractmethod
    def expression(self, sql: str) -> ColumnElement[Any]:
        """Return a user's SQL expression. Raises CheckError when the SQL gate refuses it."""

    @abstractmethod
    def value_type(self, value: ColumnElement[Any], table: FromClause) -> ColumnInfo:
        """Return the type of an expression over the rows of a table or query, without a name.

        Raises CheckError when the database refuses the expression.
        """


class Source(ABC):
    """One watched database."""

    settings: SourceSettings
    dialect: Dialect

    @abstractmethod
    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Open a new snapshot; it is always rolled back at the end.

        Raises SourceError when the database doesn't answer.
        """

    @abstractmethod
    def can_write(self) -> bool:
        """Return whether the login has the right to write (`lint --connect` warns about that)."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""


def one_row_of(table: FromClause) -> FromClause:
    """Return a FROM with one row, in which every column of the table is NULL."""
    number: ColumnElement[Any] = literal_column("1")
    single = select(number.label("sanityd_one")).subquery("sanityd_row")
    return single.outerjoin(table, literal_column("1") == literal_column("0"))


def spaced_words(name: str) -> str:
    """Return the name of an error class as words: `LockNotAvailable` → `lock not available`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").lower()


__all__ = ["AnyRow", "AnySelect", "Dialect", "Snapshot", "Source", "SourceSettings"]
