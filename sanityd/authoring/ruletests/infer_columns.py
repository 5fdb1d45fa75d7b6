"""Which columns a rule asks for, found by letting its check build its SQL upon tables that have
whatever is asked for.

No kind need say so, and no database is asked.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Executable, Subquery
from sqlalchemy.exc import SQLAlchemyError

from sanityd.authoring.ruletests import sql_columns
from sanityd.checks import planner
from sanityd.checks.invariant import Invariant, TableName
from sanityd.checks.planner import PlannedCheck
from sanityd.errors import CheckError
from sanityd.sources import raw_sql
from sanityd.sources.base import AnyRow, AnySelect, Snapshot, Source, SourceSettings
from sanityd.sources.catalog import ColumnInfo, CostEstimate, Family, TableInfo
from sanityd.sources.sqlite_dialect import SqliteDialect

#: More columns than any rule names.
_MOST = 500
Families = Mapping[TableName, Mapping[str, Family]]


class Drawn:
    """What was asked for: the columns of each table, and which of them as points in time."""

    def __init__(self) -> None:
        self.columns: dict[TableName, dict[str, Family]] = {}
        self.times: set[tuple[TableName, str]] = set()


def draw(invariant: Invariant, known: Families, now: datetime) -> Drawn:
    """The columns that the check itself asks for. `known` are the types of columns that are
    there."""
    drawn = Drawn()
    for _ in range(_MOST):
        board = _Boards(drawn, known, now)
        try:
            with suppress(CheckError, SQLAlchemyError):
                _exercise(
                    planner.plan_check(invariant, board.of(invariant.subject.source), board.of)
                )
            break
        except _RequestedColumns as wanted:
            family = known.get(wanted.table, {}).get(wanted.column, Family.TEXT)
            drawn.columns.setdefault(wanted.table, {})[wanted.column] = family
    return drawn


def _exercise(look: PlannedCheck) -> None:
    """Let the check build all of its SQL."""
    _ = look.scope.rows
    look.form.build_all(look)


class _RequestedColumns(Exception):  # not an error: a column that isn't there yet
    """A column is asked for."""

    def __init__(self, table: TableName, column: str) -> None:
        super().__init__()
        self.table = table
        self.column = column


class _RecordedColumns(dict[str, ColumnInfo]):
    """The columns of a table, which asks for those that it hasn't."""

    def __init__(self, table: TableName, columns: Mapping[str, Family]) -> None:
        super().__init__({name: ColumnInfo(name, "", family) for name, family in columns.items()})
        self.table = table

    def __missing__(self, name: str) -> ColumnInfo:
        raise _RequestedColumns(self.table, name)


class _Noting(SqliteDialect):
    """Notes which columns are read as points in time."""

    def __init__(self, boards: "_Boards") -> None:
        self._boards = boards

    def instant(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Whatever form the value has."""
        self._boards.note_time(info)
        return super().instant(element, info)


class _Boards:
    """A snapshot of each source, upon which nothing is looked at."""

    def __init__(self, drawn: Drawn, known: Families, now: datetime) -> None:
        self.drawn = drawn
        self.known = known
        self.now = now
        self.tables: dict[TableName, TableInfo] = {}

    def of(self, source: str) -> "_Board":
        """That of a source."""
        return _Board(self, source)

    def table(self, table: TableName) -> TableInfo:
        """The table with what has been asked of it so far."""
        if table not in self.tables:
            columns = _RecordedColumns(table, self.drawn.columns.setdefault(table, {}))
            self.tables[table] = TableInfo(table.name, table.schema, columns)
        return self.tables[table]

    def note_time(self, info: ColumnInfo) -> None:
        """A column is read as a point in time."""
        for table, found in self.tables.items():
            if any(one is info for one in found.columns.values()):
                self.drawn.times.add((table, info.name))


class _BoardSource(Source):
    def __init__(self, name: str, boards: _Boards) -> None:
        self.settings = SourceSettings(name, "")
        self.dialect = _Noting(boards)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        raise NotImplementedError

    def can_write(self) -> bool:
        return False

    def close(self) -> None:
        pass


class _Board(Snapshot):
    """Says that every table is there, and reads nothing."""

    statements = 0

    def __init__(self, boards: _Boards, source: str) -> None:
        self.source = _BoardSource(source, boards)
        self.now = boards.now
        self.looked = []
        self._boards = boards

    def table(self, name: str, schema: str | None = None) -> TableInfo:
        return self._boards.table(TableName(self.source.settings.name, name, schema))

    def places(self) -> Sequence[tuple[str | None, str]]:
        return ()

    def quoted(self, name: str) -> str:
        return name

    def predicate(self, sql: str) -> ColumnElement[bool]:
        return raw_sql.condition(sql)

    def query(self, sql: str) -> Subquery:
        if not (names := sql_columns.outputs(sql, "")):
            raise CheckError("what the query returns can't be told from its text")
        return raw_sql.subquery(sql, names)

    def rows(self, statement: AnySelect, *, by_sorting: bool = False) -> Sequence[AnyRow]:
        raise CheckError("nothing is read here")

    def stream(self, statement: AnySelect) -> Iterator[AnyRow]:
        raise CheckError("nothing is read here")

    def sql(self, statement: Executable, *, values: bool = True) -> str:
        return ""

    def state(self) -> str | None:
        return None

    def share(self) -> bool:
        return False

    def beside(self) -> AbstractContextManager[bool]:
        raise NotImplementedError

    def forecast(self, statement: AnySelect) -> CostEstimate | None:
        return None

    def stop(self, reason: CheckError) -> None:
        pass
