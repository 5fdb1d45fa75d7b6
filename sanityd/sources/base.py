"""The contract of a watched database: a `Source` gives read-only `Snapshot`s, and says how its SQL differs.

A database is one file beside this one: a subclass of `Source` with `Dialect` differences as methods. `open_source`
finds it by the URL's scheme.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Executable, FromClause, Row, Select, Subquery, literal
from sqlalchemy.types import NullType

from sanityd.errors import CheckError
from sanityd.sources.catalog import ColumnInfo, CostEstimate, Family, TableInfo

#: A SELECT, and a row of its result, of any columns.
AnySelect = Select[*tuple[Any, ...]]
AnyRow = Row[*tuple[Any, ...]]
#: A bucket of whole numbers, and the bits of those in it.
Bitmap = tuple[ColumnElement[Any], ColumnElement[Any]]


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """How one source is reached. `url` is a secret: it is never printed (and not part of the repr)."""

    name: str
    url: str = field(repr=False)
    statement_timeout: timedelta = timedelta(seconds=60)
    lock_timeout: timedelta = timedelta(seconds=5)
    connections: int = 2
    #: The zone in which columns without one are meant.
    zone: ZoneInfo = ZoneInfo("UTC")
    #: Patterns of files that are the tables, where the source is no database, and what they are relative to.
    files: tuple[str, ...] = ()
    folder: Path = Path()
    #: Of a rule test: the time at which its clock stands, also for SQL that reads it. None: it goes.
    stands_at: datetime | None = None


#: Families whose values have a smallest one on every database.
_SORTED = frozenset(
    {Family.INTEGER, Family.NUMBER, Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ}
)


class Dialect(ABC):
    """How the SQL of one database differs, for the few things that checks need beyond plain SQL.

    Every method takes a column of a table, untyped, with what the catalog knows about it, and returns an expression.
    """

    #: sqlglot's name of the dialect, for the gate.
    name: ClassVar[str]
    #: Whether `instant` reads times in columns of text, as the database has no other.
    writes_times: ClassVar[bool] = False

    @abstractmethod
    def exact(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """The value such that `=`, IN and GROUP BY tell apart all that differs in any character (case, accents,
        trailing blanks), whatever the column's collation says. Selecting it gives the value back."""

    def same(
        self,
        left: ColumnElement[Any],
        left_info: ColumnInfo,
        right: ColumnElement[Any],
        right_info: ColumnInfo,
    ) -> ColumnElement[bool]:
        """Whether two values of the same kind are exactly the same."""
        return self.exact(left, left_info) == self.exact(right, right_info)

    @abstractmethod
    def text(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """The value as text (an enum's word, a UUID's usual form, a number's digits), compared exactly."""

    def sorts(self, info: ColumnInfo) -> bool:
        """Whether the smallest value of a column is told by min(), and not by that of its texts."""
        return info.family in _SORTED

    def number(self, value: float, info: ColumnInfo) -> ColumnElement[Any]:
        """A number of a rule, to be compared with that column."""
        return literal(value, NullType())

    def digest(
        self, elements: Sequence[ColumnElement[Any]], infos: Sequence[ColumnInfo]
    ) -> ColumnElement[Any] | None:
        """A number of 64 bits that is the same for the same (exact) values, for columns without NULLs: to be sorted in
        their place, where that is quicker. None where it isn't."""
        return None

    def whole(self, statement: AnySelect) -> AnySelect:
        """The statement such that a limit on it doesn't change how it is done."""
        return statement

    def sample(self, table: TableInfo, share: float) -> FromClause | None:
        """About that share (0 to 1) of a table's rows, from all over it, without reading the others; the same ones each
        time it is asked. None where the database has no such thing."""
        del table, share
        return None

    def bitmap(self, element: ColumnElement[Any], info: ColumnInfo) -> "Bitmap | None":
        """Whole numbers, 64 to a row: what to group by, `number // 64`, in the order of numbers; and per group the bits
        of those that occur, 1 << number % 64. None where the database can't, or has other things in such columns."""
        return None

    @abstractmethod
    def folded(self, element: ColumnElement[Any]) -> ColumnElement[Any]:
        """An exact text in lower case."""

    @abstractmethod
    def length(self, element: ColumnElement[Any]) -> ColumnElement[int]:
        """The number of characters (not bytes) of a text."""

    @abstractmethod
    def matches(
        self, element: ColumnElement[Any], pattern: str, *, part: bool
    ) -> ColumnElement[bool]:
        """Whether an exact text matches the regular expression as a whole, or anywhere where `part`. Case counts."""

    @abstractmethod
    def instant(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """A point in time that can be compared with `moment` of the same column."""

    @abstractmethod
    def moment(self, at: datetime, info: ColumnInfo, zone: ZoneInfo) -> ColumnElement[Any]:
        """The aware time `at` as a bound value that compares with `instant` of that column."""


class Snapshot(ABC):
    """One consistent, read-only view of one source; every statement sees the same instant."""

    source: "Source"
    #: The database's clock when the snapshot was taken, aware, UTC.
    now: datetime
    #: The SELECTs that have looked at data so far; questions to the catalog are not among them.
    looked: list[AnySelect]

    @property
    @abstractmethod
    def statements(self) -> int:
        """How many SELECTs the present thread has looked at data with so far."""

    @abstractmethod
    def table(self, name: str, schema: str | None = None) -> TableInfo:
        """What the catalog says. Raises CheckError (with "did you mean" as the hint) when there is no such table."""

    @abstractmethod
    def places(self) -> Sequence[tuple[str | None, str]]:
        """All tables, without views, as (schema, name); the schema of the default one is None."""

    @abstractmethod
    def quoted(self, name: str) -> str:
        """The name of a column as it stands in the database's SQL."""

    @abstractmethod
    def sql(self, statement: Executable, *, values: bool = True) -> str:
        """A statement as people read it, with the user's SQL and its values in place. It is for reading, never run.

        Without `values` there are question marks in their places: some may be what was read before.
        """

    @abstractmethod
    def state(self) -> str | None:
        """A word that two snapshots have in common only if each plain table (`TableInfo.is_plain`) shows the same in
        both; None where that can't be told for sure."""

    @abstractmethod
    def share(self) -> bool:
        """Make ready for threads that look `beside` this one, if the database allows for it."""

    @abstractmethod
    def beside(self) -> AbstractContextManager[bool]:
        """A second connection for the present thread, in which it sees the same instant as the first; False where there
        is none to be had. Only of a shared snapshot."""

    @abstractmethod
    def forecast(self, statement: AnySelect) -> CostEstimate | None:
        """What the database expects of a SELECT; None where it doesn't tell. Raises as `rows` does."""

    @abstractmethod
    def rows(self, statement: AnySelect, *, by_sorting: bool = False) -> Sequence[AnyRow]:
        """Run one SELECT. Raises CheckError when it fails or takes too long (the snapshot stays usable), SourceError
        when the connection is lost.

        Parameters: `by_sorting` asks the database to group by sorting, if it can be asked.
        """

    @abstractmethod
    def stream(self, statement: AnySelect) -> Iterator[AnyRow]:
        """Run one SELECT and give its rows one after the other, in bounded memory. Raises as `rows` does."""

    @abstractmethod
    def stop(self, reason: CheckError) -> None:
        """Cut off the statements that run, from another thread; all that is asked from then on fails with `reason`."""

    @abstractmethod
    def query(self, sql: str) -> Subquery:
        """A user's SELECT, gated, as a subquery that `rows` can select from."""

    @abstractmethod
    def predicate(self, sql: str) -> ColumnElement[bool]:
        """A user's SQL condition, gated, as an expression."""


class Source(ABC):
    """One watched database."""

    settings: SourceSettings
    dialect: Dialect

    @abstractmethod
    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """A new snapshot; always rolled back at the end. Raises SourceError when the database doesn't answer."""

    @abstractmethod
    def can_write(self) -> bool:
        """Whether the login could write if it weren't for our guards (`lint --connect` warns)."""

    @abstractmethod
    def close(self) -> None:
        """Give back all connections."""


__all__ = ["AnyRow", "AnySelect", "Dialect", "Snapshot", "Source", "SourceSettings"]


def words(name: str) -> str:
    """The name of an error class as words: `InvalidTextRepresentation` is `invalid text representation`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").lower()
