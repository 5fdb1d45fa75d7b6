"""Source and snapshot on a SQLAlchemy engine: the part that all databases share.

The file of each database says how a session is made read-only, how its catalog is read, and what
its errors mean.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from threading import BoundedSemaphore, local
from typing import Any, ClassVar

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    Executable,
    Subquery,
    create_engine,
    text,
)
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.sources import freeze_clock, raw_sql
from sanityd.sources.base import AnyRow, AnySelect, Dialect, Snapshot, Source, SourceSettings
from sanityd.sources.catalog import CostEstimate, TableInfo
from sanityd.sources.missing_table import EVERYWHERE, no_such_table
from sanityd.sources.sql_gate import GateRefusal, gate_predicate, gate_query

#: How many rows of a stream are fetched at once.
ROWS_PER_FETCH = 5_000
#: How many seconds a database may take to accept a connection.
CONNECT_TIMEOUT = 10


class EngineSource(Source):
    """Source on a SQLAlchemy engine. A subclass adds what differs between databases.

    Raises SourceError when the driver isn't installed.

    Parameters: the driver in `url` is replaced by the one of the subclass.
    """

    #: The schemes of URLs (the words before `://`, without a driver) of this database.
    schemes: ClassVar[frozenset[str]]
    #: SQLAlchemy's name of the database and the driver.
    drivername: ClassVar[str]
    dialect_class: ClassVar[type[Dialect]]
    #: The extra of the package `sanityd` that installs the driver.
    extra: ClassVar[str] = ""
    #: Whether the driver turns `%%` into `%`.
    doubles_percent: ClassVar[bool] = False
    #: A setting and its value that let the database group by sorting; None without one.
    sorting: ClassVar[tuple[str, str] | None] = None

    def __init__(self, settings: SourceSettings, url: URL) -> None:
        self.settings = settings
        self.dialect = self.dialect_class()
        self.free_connections = BoundedSemaphore(settings.connections)
        self.engine = self._engine(url.set(drivername=self.drivername))
        raw_sql.deliver(self.engine, doubles_percent=self.doubles_percent)

    @abstractmethod
    def arguments(self, url: URL) -> Mapping[str, Any]:
        """Return arguments of `create_engine` that make each connection safe from its start."""

    @abstractmethod
    def begin(self, connection: Connection) -> datetime:
        """Make the session read-only, begin the snapshot, and return the database's time (aware).

        Raises the errors of the driver.
        """

    @abstractmethod
    def recover(self, connection: Connection) -> None:
        """Make the snapshot usable again after a statement failed."""

    def end(self, connection: Connection) -> None:
        """End the snapshot."""
        connection.exec_driver_sql("ROLLBACK")

    @abstractmethod
    def describe(self, connection: Connection, name: str, schema: str | None) -> TableInfo | None:
        """Return what the catalog says about a table or view; None when it does not exist."""

    @abstractmethod
    def table_names(self, connection: Connection, schema: str | None) -> Sequence[str]:
        """Return the tables and views of a schema, or of the default one."""

    def places(self, connection: Connection) -> Sequence[tuple[str | None, str]]:
        """Return the tables of all schemas as (schema, name); the default schema is None."""
        return [(None, name) for name in self.table_names(connection, None)]

    @abstractmethod
    def writable(self, connection: Connection) -> bool:
        """Return whether the login has the right to write."""

    @abstractmethod
    def unreachable(self, error: BaseException) -> str:
        """Return why the database can't be opened, as the end of a sentence.

        The text must contain nothing of the URL or the data.
        """

    @abstractmethod
    def explain(self, error: BaseException) -> SanitydError:
        """Return the error for a failed statement, without values of the data."""

    @abstractmethod
    def interrupt(self, driver: Any) -> None:
        """Cancel what runs on a connection of the driver, from another thread. May raise."""

    def forecast(self, connection: Connection, statement: AnySelect) -> CostEstimate | None:
        """Return the database's cost estimate of a statement; None without one."""
        del connection, statement
        return None

    def state(self, connection: Connection) -> str | None:
        """Return a version that changes whenever a plain table changes; None without one."""
        del connection
        return None

    def names_everywhere(self, connection: Connection) -> Sequence[tuple[str, str]]:
        """Return (schema, name) of all tables and views that the login can see."""
        rows = connection.execute(text(EVERYWHERE))
        return [(schema, name) for schema, name in rows]

    def share(self, connection: Connection) -> str | None:
        """Export the snapshot and return its id for other connections; None if impossible."""
        del connection
        return None

    def beside(self, shared: str) -> AbstractContextManager[Connection | None]:
        """Open another connection in the exported snapshot; None where there can't be one."""
        del shared
        return nullcontext()

    def quotes_data(self, error: BaseException, statement: str) -> bool:
        """Return whether the error contains words that may be a value of the data."""
        del error, statement
        return False

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Open a new snapshot on its own connection. Waits while `connections` others are open."""
        with self.free_connections, self._session() as (connection, now):
            yield EngineSnapshot(self, connection, now)

    def can_write(self) -> bool:
        """Return whether the login has the right to write.

        Raises SourceError when the database does not answer.
        """
        with self.free_connections, self._session() as (connection, _):
            try:
                return self.writable(connection)
            except SQLAlchemyError as error:
                raise self._no_answer(error) from None

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def too_slow(self) -> CheckError:
        """Return the error of a statement that was cancelled at its time limit."""
        seconds = self.settings.statement_timeout.total_seconds()
        return CheckError(
            f"the statement was cut off after {seconds:g} s",
            "Narrow the rule by `where` or `window`, add an index, or raise the source's"
            " `statement_timeout`.",
        )

    def locked(self) -> CheckError:
        """Return the error of a statement that waited too long for a lock."""
        seconds = self.settings.lock_timeout.total_seconds()
        return CheckError(
            f"the table was locked by somebody else for more than {seconds:g} s",
            "It is tried again.",
        )

    @contextmanager
    def _session(self) -> Iterator[tuple[Connection, datetime]]:
        connection = self._connect()
        try:
            try:
                now = self.begin(connection)
            except SQLAlchemyError as error:
                raise self._no_answer(error) from None
            yield connection, self.settings.stands_at or now
        finally:
            # If this fails, the server ends the snapshot with the connection.
            with suppress(SQLAlchemyError):
                if not connection.invalidated:
                    self.end(connection)
            with suppress(SQLAlchemyError):
                connection.close()

    def _connect(self) -> Connection:
        try:
            return self.engine.connect()
        # Drivers raise errors such as TypeError for unknown options of the URL.
        except (SQLAlchemyError, TypeError, ValueError, OSError) as error:
            raise self._no_answer(error) from None

    def _no_answer(self, error: BaseException) -> SourceError:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        return SourceError(f"`{self.settings.name}` can't be read: {self.unreachable(cause)}")

    def _engine(self, url: URL) -> Engine:
        try:
            return create_engine(
                url,
                poolclass=NullPool,
                isolation_level="AUTOCOMMIT",
                hide_parameters=True,
                **self.arguments(url),
            )
        except (ImportError, SQLAlchemyError, TypeError, ValueError) as error:
            name = self.settings.name
            # SQLAlchemy loads a `?plugin=` of the URL in the same way as a driver.
            is_driver = isinstance(error, NoSuchModuleError) and "plugin" not in url.query
            if is_driver or isinstance(error, ImportError):
                hint = f"pip install 'sanityd[{self.extra}]'"
                raise SourceError(f"`{name}` needs a driver that isn't installed", hint) from None
            hint = "Correct what stands behind its `?`, or leave it out."
            raise SourceError(
                f"the URL of `{name}` has an option that can't be understood", hint
            ) from None


class _ThreadState(local):
    """State of a snapshot that each thread has for itself."""

    connection: Connection | None = None
    statements: int = 0


class EngineSnapshot(Snapshot):
    """Snapshot on one connection, which the source opens and closes.

    Other threads may have a connection of their own (`beside`).
    """

    source: EngineSource

    def __init__(self, source: EngineSource, connection: Connection, now: datetime) -> None:
        self.source = source
        self.now = now
        self.looked: list[AnySelect] = []
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

    @property
    def statements(self) -> int:
        """How many SELECTs the current thread has run so far to read data."""
        return self._thread.statements

    def state(self) -> str | None:
        """Return a version of the data of all plain tables."""
        with self._translate_errors():
            return self.source.state(self._connection)

    def share(self) -> bool:
        """Export the snapshot for other threads, if that is possible."""
        with self._translate_errors():
            self._exported = self.source.share(self._first)
        return self._exported is not None

    @contextmanager
    def beside(self) -> Iterator[bool]:
        """Open another connection for the current thread, if there can be one."""
        context = self.source.beside(self._exported) if self._exported else nullcontext()
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

    def places(self) -> Sequence[tuple[str | None, str]]:
        """Return the tables of all schemas, the default one first."""
        with self._translate_errors():
            tables = self.source.places(self._connection)
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
        if plain not in self._columns:
            # Otherwise the dialect of SQLite cuts names at their last dot.
            head = text(raw_sql.head(plain)).execution_options(sqlite_raw_colnames=True)
            with self._translate_errors():
                self._columns[plain] = list(self._connection.execute(head).keys())
        names = self._columns[plain]
        duplicates = sorted({name for name in names if names.count(name) > 1})
        if duplicates:
            raise CheckError(
                f"the query returns more than one column named `{duplicates[0]}`",
                "Give each a name of its own with AS.",
            )
        return raw_sql.subquery(plain, names)

    def predicate(self, sql: str) -> ColumnElement[bool]:
        """Return a user's SQL condition."""
        return raw_sql.condition(self._gated(gate_predicate, sql))

    def sql(self, statement: Executable, *, values: bool = True) -> str:
        """Return the statement as text for people to read, with its values or with `?`."""
        return raw_sql.readable(statement, self._connection.dialect, values=values)

    @property
    def _connection(self) -> Connection:
        return self._thread.connection or self._first

    def _count(self, statement: AnySelect) -> None:
        self.looked.append(statement)
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
        dialect, at = self.source.dialect.name, self.source.settings.stands_at
        try:
            return freeze_clock.still(gate(sql, dialect), dialect, at)
        except GateRefusal as refusal:
            raise CheckError(
                f"the rule's SQL was refused: {refusal.message}", refusal.advice
            ) from None

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
        return self.source.explain(cause)

    def _connection_lost(self) -> SourceError:
        name = self.source.settings.name
        return SourceError(f"the connection to `{name}` was lost", source=name)


def _driver_of(connection: Connection | None) -> Any:
    return None if connection is None else connection.connection.driver_connection
