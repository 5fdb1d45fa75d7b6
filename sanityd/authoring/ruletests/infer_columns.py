"""Infer which columns a rule asks for: its check builds its SQL on tables that accept any column.

No kind of check declares its columns, and no database is asked.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Executable, FromClause, Subquery
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
_MAX_COLUMNS = 500
#: Types of columns by table.
Families = Mapping[TableName, Mapping[str, Family]]


class RequestedColumns:
    """The columns that a check asked for by table, and those of them that it reads as times."""

    def __init__(self) -> None:
        self.columns: dict[TableName, dict[str, Family]] = {}
        self.times: set[tuple[TableName, str]] = set()


def infer_columns(invariant: Invariant, types: Families, now: datetime) -> RequestedColumns:
    """Return the columns that the check itself asks for.

    Parameters: `types` are the types of the columns that rows have; `now` is the present.
    """
    requested = RequestedColumns()
    for _ in range(_MAX_COLUMNS):
        snapshots = _RecordingSnapshots(requested, now)
        try:
            # A wrong rule has been reported when it was read.
            with suppress(CheckError, SQLAlchemyError):
                own_snapshot = snapshots.of(invariant.subject.source)
                _build_sql(planner.plan_check(invariant, own_snapshot, snapshots.of))
            break
        except _ColumnRequest as request:
            family = types.get(request.table, {}).get(request.column, Family.TEXT)
            requested.columns.setdefault(request.table, {})[request.column] = family
    return requested


def _build_sql(check: PlannedCheck) -> None:
    """Let the check build all of its SQL."""
    _ = check.scope.rows
    check.form.build_all(check)


class _ColumnRequest(Exception):  # not an error: a column that does not exist yet
    """The check asks for a column that the table hasn't yet."""

    def __init__(self, table: TableName, column: str) -> None:
        super().__init__()
        self.table = table
        self.column = column


class _RecordedColumns(dict[str, ColumnInfo]):
    """The columns of a table. Raises _ColumnRequest for a column that it hasn't."""

    def __init__(self, table: TableName, columns: Mapping[str, Family]) -> None:
        super().__init__()
        self.table = table
        for name, family in columns.items():
            self[name] = ColumnInfo(name, "", family)

    def __missing__(self, name: str) -> ColumnInfo:
        raise _ColumnRequest(self.table, name)


class _RecordingDialect(SqliteDialect):
    """Records which columns are read as times."""

    def __init__(self, snapshots: "_RecordingSnapshots") -> None:
        self._snapshots = snapshots

    def instant(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return the column as an instant, and record it."""
        self._snapshots.record_time(info)
        return super().instant(element, info)


class _RecordingSnapshots:
    """Snapshots of all sources. They read nothing, and record which columns are asked for."""

    def __init__(self, requested: RequestedColumns, now: datetime) -> None:
        self.requested = requested
        self.now = now
        self.tables: dict[TableName, TableInfo] = {}

    def of(self, source: str) -> "_RecordingSnapshot":
        """Return the snapshot of a source."""
        return _RecordingSnapshot(self, source)

    def table(self, table: TableName) -> TableInfo:
        """Return the table with the columns that have been asked for so far."""
        if table not in self.tables:
            families = self.requested.columns.setdefault(table, {})
            columns = _RecordedColumns(table, families)
            self.tables[table] = TableInfo(table.name, table.schema, columns)
        return self.tables[table]

    def record_time(self, info: ColumnInfo) -> None:
        """Record that a column is read as a time."""
        for table, table_info in self.tables.items():
            if any(column is info for column in table_info.columns.values()):
                self.requested.times.add((table, info.name))


class _RecordingSource(Source):
    """A source without a database."""

    def __init__(self, name: str, snapshots: _RecordingSnapshots) -> None:
        self.settings = SourceSettings(name, "")
        self.dialect = _RecordingDialect(snapshots)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        raise NotImplementedError

    def can_write(self) -> bool:
        return False

    def close(self) -> None:
        pass


class _RecordingSnapshot(Snapshot):
    """A snapshot that has every table, and reads nothing."""

    statements = 0

    def __init__(self, snapshots: _RecordingSnapshots, source: str) -> None:
        self.source = _RecordingSource(source, snapshots)
        self.now = snapshots.now
        self.executed = []
        self._snapshots = snapshots

    def table(self, name: str, schema: str | None = None) -> TableInfo:
        return self._snapshots.table(TableName(self.source.settings.name, name, schema))

    def all_tables(self) -> Sequence[tuple[str | None, str]]:
        return ()

    def quoted(self, name: str) -> str:
        return name

    def predicate(self, sql: str) -> ColumnElement[bool]:
        return raw_sql.condition(sql)

    def expression(self, sql: str) -> ColumnElement[Any]:
        return raw_sql.condition(sql)

    def value_type(self, value: ColumnElement[Any], table: FromClause) -> ColumnInfo:
        return ColumnInfo("", "", Family.OTHER)

    def query(self, sql: str) -> Subquery:
        if not (names := sql_columns.outputs(sql, "")):
            raise CheckError("the columns of the query can't be determined from its text")
        return raw_sql.subquery(sql, names)

    def lookup(self, sql: str, values: Mapping[str, Any], rows: int) -> Subquery:
        raise CheckError("nothing is read here")

    def rows(self, statement: AnySelect, *, by_sorting: bool = False) -> Sequence[AnyRow]:
        raise CheckError("nothing is read here")

    def stream(self, statement: AnySelect) -> Iterator[AnyRow]:
        raise CheckError("nothing is read here")

    def sql(self, statement: Executable, *, values: bool = True) -> str:
        return ""

    def state(self) -> str | None:
        return None

    def export_snapshot(self) -> bool:
        return False

    def second_connection(self) -> AbstractContextManager[bool]:
        raise NotImplementedError

    def forecast(self, statement: AnySelect) -> CostEstimate | None:
        return None

    def stop(self, reason: CheckError) -> None:
        pass
