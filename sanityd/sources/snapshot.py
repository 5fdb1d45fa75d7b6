"""Source on a SQLAlchemy engine: the part that all databases share.

The file of each database says how a session is made read-only, how its catalog is read, and what
its errors mean.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from threading import BoundedSemaphore
from typing import Any, ClassVar

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    create_engine,
    text,
)
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.sources import raw_sql
from sanityd.sources.base import (
    AnySelect,
    Dialect,
    Snapshot,
    Source,
    SourceSettings,
    spaced_words,
)
from sanityd.sources.catalog import ColumnInfo, CostEstimate, TableInfo
from sanityd.sources.engine_snapshot import EngineSnapshot
from sanityd.sources.missing_table import EVERYWHERE

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
    def value_type(
        self, connection: Connection, value: ColumnElement[Any], table: FromClause
    ) -> ColumnInfo:
        """Return the type of an expression over the rows of a table, without a name.

        Raises the errors of the driver.
        """

    @abstractmethod
    def table_names(self, connection: Connection, schema: str | None) -> Sequence[str]:
        """Return the tables and views of a schema, or of the default one."""

    def all_tables(self, connection: Connection) -> Sequence[tuple[str | None, str]]:
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

    def answers(self, connection: Connection) -> bool:
        """Return whether the connection still works, after a statement failed on it."""
        try:
            connection.exec_driver_sql("SELECT 1")
        except SQLAlchemyError:
            return False
        return True

    def error_name(self, error: BaseException) -> str:
        """Return the class of an error as words, without its text."""
        return spaced_words(type(error).__name__)

    @abstractmethod
    def interrupt(self, driver: Any) -> None:
        """Cancel what runs on a connection of the driver, from another thread. May raise."""

    def bound_calls(self, connection: Connection, sql: str) -> str:
        """Return a user's SQL with bounded functions, where a call may outlast the time limit.

        Raises CheckError for a call that asks for too much.
        """
        del connection
        return sql

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

    def export_snapshot(self, connection: Connection) -> str | None:
        """Export the snapshot and return its id for other connections; None if impossible."""
        del connection
        return None

    def second_connection(self, shared: str) -> AbstractContextManager[Connection | None]:
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
            yield connection, self.settings.frozen_at or now
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
