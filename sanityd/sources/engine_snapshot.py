"""Snapshot on a connection of a SQLAlchemy engine: runs statements and translates errors."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from threading import local
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Connection,
    Executable,
    FromClause,
    Subquery,
    TextClause,
    column,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.sources import freeze_clock, raw_sql
from sanityd.sources.base import AnyRow, AnySelect, Snapshot
from sanityd.sources.catalog import ColumnInfo, CostEstimate, TableInfo
from sanityd.sources.missing_table import no_such_table
from sanityd.sources.sql_gate import (
    GateRefusal,
    gate_expression,
    gate_predicate,
    gate_query,
)
from sanityd.sources.sql_parameters import bound, gate_lookup

if TYPE_CHECKING:
    from sanityd.sources.snapshot import EngineSource

#: How many rows of a stream are fetched at once.
ROWS_PER_FETCH = 5_000


class _ThreadState(local):
    """State of a snapshot that each thread has for itself."""

    connection: Connection | None = None
    statements: int = 0


class EngineSnapshot(Snapshot):
    """Snapshot on one connection, which the source opens and closes.

    Other threads may have a connection of their own (`second_connection`).
    """

    source: "EngineSource"

    def __init__(self, source: "EngineSource", connection: Connection, now: datetime) -> None:
        self.source = source
        self.now = now
        self.executed: list[AnySelect] = []
        self._first = connection
        self._thread = _ThreadState()
        self._is_lost = False
        #: Why the snapshot was cancelled; None while it wasn't.
        self._cancelled: CheckError | None = None
        #: The connections of the driver, for cancelling.
        self._drivers = {_driver_of(connection)}
        #: The id of the exported snapshot; None while it isn't exported.
        self._exported: str | None = None
        self._tables: dict[tuple[str, str | None], TableInfo] = {}
        #: The names of the columns of users' SELECTs.
        self._columns: dict[str, list[str]] = {}
        #: What the SQL gate made of SELECTs with parameters, by their SQL and their limit.
        self._lookups: dict[tuple[str, int], str] = {}
        #: The types of expressions, by the SELECT of them.
        self._types: dict[str, ColumnInfo] = {}

    @property
    def statements(self) -> int:
        """How many SELECTs the current thread has run so far to read data."""
        return self._thread.statements

    def state(self) -> str | None:
        """Return a version of the data of all plain tables."""
        with self._translate_errors():
            return self.source.state(self._connection)

    def export_snapshot(self) -> bool:
        """Export the snapshot for other threads, if that is possible."""
        with self._translate_errors():
            self._exported = self.source.export_snapshot(self._first)
        return self._exported is not None

    @contextmanager
    def second_connection(self) -> Iterator[bool]:
        """Open another connection for the current thread, if there can be one."""
        context = self.source.second_connection(self._exported) if self._exported else nullcontext()
        with context as connection:
            self._thread.connection = connection
            driver = _driver_of(connection)
            self._drivers.add(driver)
            try:
                yield connection is not None
            finally:
                self._drivers.discard(driver)
                self._thread.connection = None

    def stop(self, reason: CheckError) -> None:
        """Cancel the statements of all threads.

        A statement that starts at the same time may be missed; it has its own time limit.
        """
        self._cancelled = reason
        for driver in self._drivers - {None}:
            # An error does not matter, as the snapshot is not used any more.
            with suppress(Exception):
                self.source.interrupt(driver)

    def forecast(self, statement: AnySelect) -> CostEstimate | None:
        """Return the database's cost estimate of a SELECT, if there is one."""
        with self._translate_errors():
            return self.source.forecast(self._connection, statement)

    def table(self, name: str, schema: str | None = None) -> TableInfo:
        """Return what the catalog says; it is asked once per snapshot."""
        full_name = (name, schema)
        if full_name not in self._tables:
            # With the schema that the rule names: without one, SQL must name none either.
            self._tables[full_name] = replace(self._describe(name, schema), schema=schema)
        return self._tables[full_name]

    def _describe(self, name: str, schema: str | None) -> TableInfo:
        with self._translate_errors():
            table = self.source.describe(self._connection, name, schema)
            if table is not None:
                return table
            in_schema = self.source.table_names(self._connection, schema)
            everywhere = self.source.names_everywhere(self._connection)
        raise no_such_table(self.source.settings.name, name, schema, in_schema, everywhere)

    def all_tables(self) -> Sequence[tuple[str | None, str]]:
        """Return the tables of all schemas, the default one first."""
        with self._translate_errors():
            tables = self.source.all_tables(self._connection)
        return sorted(tables, key=lambda table: (table[0] or "", table[1]))

    def quoted(self, name: str) -> str:
        """Return the name as the dialect quotes it."""
        return self._connection.dialect.identifier_preparer.quote(name)

    def rows(self, statement: AnySelect, *, by_sorting: bool = False) -> Sequence[AnyRow]:
        """Run one SELECT and read all of its rows."""
        if not statement.is_select:
            raise TypeError("a snapshot runs SELECTs only")
        self._count(statement)
        setting = self._sorting() if by_sorting else nullcontext()
        with self._translate_errors(), setting:
            return self._connection.execute(statement).all()

    def stream(self, statement: AnySelect) -> Iterator[AnyRow]:
        """Run one SELECT with a server-side cursor, as drivers otherwise fetch all rows at once."""
        self._count(statement)
        streaming = {"yield_per": ROWS_PER_FETCH}
        with (
            self._translate_errors(),
            self._connection.execute(statement, execution_options=streaming) as result,
        ):
            yield from result

    def query(self, sql: str) -> Subquery:
        """Return a user's SELECT as a subquery. The database is asked for its columns only."""
        plain = self._gated(gate_query, sql)
        return raw_sql.subquery(plain, self._names(plain, text(raw_sql.head(plain))))

    def lookup(self, sql: str, values: Mapping[str, Any], rows: int) -> Subquery:
        """Return a user's SELECT as a subquery, with values bound to its parameters."""
        if (sql, rows) not in self._lookups:
            self._lookups[sql, rows] = self._gated(partial(gate_lookup, rows=rows), sql)
        plain = self._lookups[sql, rows]
        statement, parameters = bound(plain, values)
        head = text(raw_sql.head_of(statement)).bindparams(*parameters)
        columns: list[ColumnClause[Any]] = [column(name) for name in self._names(plain, head)]
        lookup = text(f"\n{statement}\n").bindparams(*parameters)
        return lookup.columns(*columns).subquery("q")

    def _names(self, plain: str, head: TextClause) -> list[str]:
        """Return the names of the columns of a SELECT; the database is asked once."""
        if plain not in self._columns:
            # Otherwise the dialect of SQLite cuts names at their last dot.
            head = head.execution_options(sqlite_raw_colnames=True)
            with self._translate_errors():
                self._columns[plain] = list(self._connection.execute(head).keys())
        names = self._columns[plain]
        duplicates = sorted({name for name in names if names.count(name) > 1})
        if duplicates:
            raise CheckError(
                f"the query returns more than one column named `{duplicates[0]}`",
                "Give each a name of its own with AS.",
            )
        return names

    def predicate(self, sql: str) -> ColumnElement[bool]:
        """Return a user's SQL condition."""
        return raw_sql.condition(self._gated(gate_predicate, sql))

    def expression(self, sql: str) -> ColumnElement[Any]:
        """Return a user's SQL expression."""
        return raw_sql.condition(self._gated(gate_expression, sql))

    def value_type(self, value: ColumnElement[Any], table: FromClause) -> ColumnInfo:
        """Return the type of an expression; the database is asked once per snapshot."""
        asked = str(select(value).select_from(table))
        if asked not in self._types:
            with self._translate_errors():
                self._types[asked] = self.source.value_type(self._connection, value, table)
        return self._types[asked]

    def sql(self, statement: Executable, *, values: bool = True) -> str:
        """Return the statement as text for people to read, with its values or with `?`."""
        return raw_sql.readable(statement, self._connection.dialect, values=values)

    @property
    def _connection(self) -> Connection:
        return self._thread.connection or self._first

    def _count(self, statement: AnySelect) -> None:
        self.executed.append(statement)
        self._thread.statements += 1

    @contextmanager
    def _sorting(self) -> Iterator[None]:
        """Set the database to group by sorting. A failed statement rolls the setting back."""
        if self.source.sorting is None:
            yield
            return
        name, value = self.source.sorting
        self._connection.exec_driver_sql(f"SET LOCAL {name} = {value}")
        yield
        self._connection.exec_driver_sql(f"SET LOCAL {name} TO DEFAULT")

    def _gated(self, gate: Any, sql: str) -> str:
        dialect, at = self.source.dialect.name, self.source.settings.frozen_at
        try:
            plain = freeze_clock.freeze(gate(sql, dialect), dialect, at)
        except GateRefusal as refusal:
            raise CheckError(
                f"the rule's SQL was refused: {refusal.message}", refusal.advice
            ) from None
        with self._translate_errors():
            return self.source.bound_calls(self._connection, plain)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Raise errors of the driver as CheckError or SourceError, without values of the data."""
        if self._cancelled is not None:
            raise self._cancelled
        if self._is_lost:
            raise self._connection_lost()
        try:
            yield
        except DBAPIError as error:
            if self._cancelled is not None:
                raise self._cancelled from None
            failure = self._failed(error)
            if isinstance(failure, SourceError):
                failure.source = self.source.settings.name
            raise failure from None
        # Values that the driver can't send or read, such as a number of more than 64 bits.
        except (SQLAlchemyError, OverflowError, ValueError) as error:
            raise CheckError(
                f"the statement or its result can't be handled ({type(error).__name__})"
            ) from None

    def _failed(self, error: DBAPIError) -> SanitydError:
        """Make the snapshot usable again, and return the error of the failed statement."""
        cause = error.orig if error.orig is not None else error
        if error.connection_invalidated or self._connection.invalidated:
            self._is_lost = True
            return self._connection_lost()
        try:
            self.source.recover(self._connection)
        except SQLAlchemyError:
            self._is_lost = True
            return self._connection_lost()
        if self.source.quotes_data(cause, error.statement or ""):
            return CheckError("the database failed at a value, which its message would tell")
        failure = self.source.explain(cause)
        if isinstance(failure, SourceError) and self.source.answers(self._connection):
            return self._failed_elsewhere(cause)
        return failure

    def _failed_elsewhere(self, cause: BaseException) -> CheckError:
        """Return the error of a statement whose code says that a connection was lost.

        The source still answers, so the code comes from what the statement uses.
        """
        error = self.source.error_name(cause)
        return CheckError(
            f"the statement failed as if the connection were lost ({error}),"
            f" but `{self.source.settings.name}` still answers",
            "Check what the rule reads: a foreign table, a damaged table, or a function.",
        )

    def _connection_lost(self) -> SourceError:
        name = self.source.settings.name
        return SourceError(f"the connection to `{name}` was lost", source=name)


def _driver_of(connection: Connection | None) -> Any:
    return None if connection is None else connection.connection.driver_connection
