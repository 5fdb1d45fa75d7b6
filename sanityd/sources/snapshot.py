"""What all databases behind SQLAlchemy share: a connection of its own, one snapshot on it, errors in our words.

A database's own file says how a session is guarded, what its catalog looks like and what its errors mean.
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
STREAM = 5_000
#: How long a database may take to answer at all, in seconds.
CONNECT_TIMEOUT = 10


class EngineSource(Source):
    """A watched database behind a SQLAlchemy engine. Subclasses say what differs.

    Parameters: `url` is parsed; its driver is replaced by the one that the guards are made for.
    Raises SourceError when the driver isn't installed.
    """

    #: The words before `://` (without a driver) that mean this database.
    schemes: ClassVar[frozenset[str]]
    #: SQLAlchemy's name of database and driver.
    drivername: ClassVar[str]
    dialect_class: ClassVar[type[Dialect]]
    #: The extra of the package that brings the driver, for the hint.
    extra: ClassVar[str] = ""
    #: Whether the driver halves `%%`.
    doubles_percent: ClassVar[bool] = False
    #: The setting, and its value, under which the database groups by sorting.
    sorting: ClassVar[tuple[str, str] | None] = None

    def __init__(self, settings: SourceSettings, url: URL) -> None:
        self.settings = settings
        self.dialect = self.dialect_class()
        self._turns = BoundedSemaphore(settings.connections)
        self.engine = self._engine(url.set(drivername=self.drivername))
        raw_sql.deliver(self.engine, doubles_percent=self.doubles_percent)

    @abstractmethod
    def arguments(self, url: URL) -> Mapping[str, Any]:
        """Arguments of `create_engine` that guard each connection from its first moment."""

    @abstractmethod
    def begin(self, connection: Connection) -> datetime:
        """Guard the session, begin the read-only snapshot, read the clock (aware). Raises driver errors."""

    @abstractmethod
    def recover(self, connection: Connection) -> None:
        """Make the snapshot usable after a statement failed in it."""

    def end(self, connection: Connection) -> None:
        """Give up the snapshot."""
        connection.exec_driver_sql("ROLLBACK")

    @abstractmethod
    def describe(self, connection: Connection, name: str, schema: str | None) -> TableInfo | None:
        """What the catalog says of a table or view; None when there is none."""

    @abstractmethod
    def table_names(self, connection: Connection, schema: str | None) -> Sequence[str]:
        """The tables and views of a schema, or of the default one."""

    def places(self, connection: Connection) -> Sequence[tuple[str | None, str]]:
        """The tables of all schemas, each with its schema; None for the default one."""
        return [(None, name) for name in self.table_names(connection, None)]

    @abstractmethod
    def writable(self, connection: Connection) -> bool:
        """Whether the login has a right to write."""

    @abstractmethod
    def unreachable(self, error: BaseException) -> str:
        """Why the database can't be opened, as the end of a sentence; nothing of the URL or the data is in it."""

    @abstractmethod
    def explain(self, error: BaseException) -> SanitydError:
        """What a failed statement means: a CheckError or SourceError without any value of the data."""

    @abstractmethod
    def interrupt(self, driver: Any) -> None:
        """Cut off what runs on a connection of the driver, from another thread. May raise whatever it likes."""

    def forecast(self, connection: Connection, statement: AnySelect) -> CostEstimate | None:
        """What the database expects of a statement; None where it doesn't tell."""
        del connection, statement
        return None

    def state(self, connection: Connection) -> str | None:
        """A word that is the same again only if no plain table has changed; None where there is none to be had."""
        del connection
        return None

    def names_everywhere(self, connection: Connection) -> Sequence[tuple[str, str]]:
        """The schemas and names of all tables and views that the login can see."""
        return [(schema, name) for schema, name in connection.execute(text(EVERYWHERE))]

    def share(self, connection: Connection) -> str | None:
        """A word by which other connections can see the same snapshot; None where none can."""
        del connection
        return None

    def beside(self, shared: str) -> AbstractContextManager[Connection | None]:
        """Another connection that sees the shared snapshot; None where there can't be one."""
        del shared
        return nullcontext()

    def quotes_data(self, error: BaseException, statement: str) -> bool:
        """Whether the error names what isn't in the statement, so that it may be a value."""
        del error, statement
        return False

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """A new snapshot on a connection of its own. Waits while `connections` others are open."""
        with self._turns, self._session() as (connection, now):
            yield EngineSnapshot(self, connection, now)

    def can_write(self) -> bool:
        """Whether the login could write if it weren't for our guards. Raises SourceError where that can't be asked."""
        with self._turns, self._session() as (connection, _):
            try:
                return self.writable(connection)
            except SQLAlchemyError as error:
                raise self._no_answer(error) from None

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()

    def too_slow(self) -> CheckError:
        """The error of a statement that was cut off at the limit."""
        seconds = self.settings.statement_timeout.total_seconds()
        return CheckError(
            f"the statement was cut off after {seconds:g} s",
            "Narrow the rule by `where` or `window`, add an index, or raise the source's `statement_timeout`.",
        )

    def locked(self) -> CheckError:
        """The error of a statement that waited too long for a lock."""
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
            # Whatever fails here, the server forgets the snapshot with the connection.
            with suppress(SQLAlchemyError):
                if not connection.invalidated:
                    self.end(connection)
            with suppress(SQLAlchemyError):
                connection.close()

    def _connect(self) -> Connection:
        try:
            return self.engine.connect()
        # Drivers raise TypeError and the like for options of the URL that they don't know.
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
            # SQLAlchemy looks for a `?plugin=` as it does for a driver.
            is_driver = isinstance(error, NoSuchModuleError) and "plugin" not in url.query
            if is_driver or isinstance(error, ImportError):
                hint = f"pip install 'sanityd[{self.extra}]'"
                raise SourceError(f"`{name}` needs a driver that isn't installed", hint) from None
            hint = "Correct what stands behind its `?`, or leave it out."
            raise SourceError(
                f"the URL of `{name}` has an option that can't be understood", hint
            ) from None


class _Here(local):
    """What is a thread's own."""

    connection: Connection | None = None
    statements: int = 0


class EngineSnapshot(Snapshot):
    """One snapshot on one connection, which it neither opens nor closes; threads may have one of their own `beside`."""

    source: EngineSource

    def __init__(self, source: EngineSource, connection: Connection, now: datetime) -> None:
        self.source = source
        self.now = now
        self.looked: list[AnySelect] = []
        self._first = connection
        self._here = _Here()
        self._lost = False
        self._stopped: CheckError | None = None
        self._running = {_driver_of(connection)}
        self._shared: str | None = None
        self._tables: dict[tuple[str, str | None], TableInfo] = {}
        self._columns: dict[str, list[str]] = {}

    @property
    def statements(self) -> int:
        """How many SELECTs the present thread has looked at data with so far."""
        return self._here.statements

    def state(self) -> str | None:
        """A word for what all plain tables show."""
        with self._in_our_words():
            return self.source.state(self._connection)

    def share(self) -> bool:
        """Let other threads see this snapshot, too, if that is possible."""
        with self._in_our_words():
            self._shared = self.source.share(self._first)
        return self._shared is not None

    @contextmanager
    def beside(self) -> Iterator[bool]:
        """A second connection for the present thread, if there can be one."""
        with self.source.beside(self._shared) if self._shared else nullcontext() as another:
            self._here.connection = another
            driver = _driver_of(another)
            self._running.add(driver)
            try:
                yield another is not None
            finally:
                self._running.discard(driver)
                self._here.connection = None

    def stop(self, reason: CheckError) -> None:
        """Cut off the statements of all threads. One that begins at this very moment has its own time limit."""
        self._stopped = reason
        for driver in self._running - {None}:
            # Whatever is wrong with it, nothing more will be asked.
            with suppress(Exception):
                self.source.interrupt(driver)

    def forecast(self, statement: AnySelect) -> CostEstimate | None:
        """What the database expects of a SELECT, where it tells."""
        with self._in_our_words():
            return self.source.forecast(self._connection, statement)

    def table(self, name: str, schema: str | None = None) -> TableInfo:
        """What the catalog says, asked once per snapshot."""
        place = (name, schema)
        if place not in self._tables:
            with self._in_our_words():
                found = self.source.describe(self._connection, name, schema)
                here = [] if found else self.source.table_names(self._connection, schema)
                everywhere = [] if found else self.source.names_everywhere(self._connection)
            if found is None:
                raise no_such_table(self.source.settings.name, name, schema, here, everywhere)
            # The schema as the rule names it: unnamed ones stay so in SQL, too.
            self._tables[place] = replace(found, schema=schema)
        return self._tables[place]

    def places(self) -> Sequence[tuple[str | None, str]]:
        """The tables of all schemas, the default one first."""
        with self._in_our_words():
            return sorted(
                self.source.places(self._connection), key=lambda place: (place[0] or "", place[1])
            )

    def quoted(self, name: str) -> str:
        """By the rules of the dialect."""
        return self._connection.dialect.identifier_preparer.quote(name)

    def rows(self, statement: AnySelect, *, by_sorting: bool = False) -> Sequence[AnyRow]:
        """Run one SELECT and read all of its rows."""
        if not statement.is_select:
            raise TypeError("a snapshot runs SELECTs only")
        self._count(statement)
        with self._in_our_words(), self._sorting() if by_sorting else nullcontext():
            return self._connection.execute(statement).all()

    def stream(self, statement: AnySelect) -> Iterator[AnyRow]:
        """Run one SELECT with a cursor in the database, where the driver would else fetch everything."""
        self._count(statement)
        streaming = {"yield_per": STREAM}
        with (
            self._in_our_words(),
            self._connection.execute(statement, execution_options=streaming) as result,
        ):
            yield from result

    def query(self, sql: str) -> Subquery:
        """A user's SELECT, gated, as a subquery; its columns are asked from the database, without reading a row."""
        plain = self._gated(gate_query, sql)
        if plain not in self._columns:
            # SQLite's dialect would cut names at their last dot.
            head = text(raw_sql.head(plain)).execution_options(sqlite_raw_colnames=True)
            with self._in_our_words():
                self._columns[plain] = list(self._connection.execute(head).keys())
        names = self._columns[plain]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise CheckError(
                f"the query returns more than one column named `{twice[0]}`",
                "Give each a name of its own with AS.",
            )
        return raw_sql.subquery(plain, names)

    def predicate(self, sql: str) -> ColumnElement[bool]:
        """A user's SQL condition, gated."""
        return raw_sql.condition(self._gated(gate_predicate, sql))

    def sql(self, statement: Executable, *, values: bool = True) -> str:
        """The statement as people read it, with the user's SQL and its values, or `?`, in place. It is never run."""
        return raw_sql.readable(statement, self._connection.dialect, values=values)

    @property
    def _connection(self) -> Connection:
        return self._here.connection or self._first

    def _count(self, statement: AnySelect) -> None:
        self.looked.append(statement)
        self._here.statements += 1

    @contextmanager
    def _sorting(self) -> Iterator[None]:
        """Around one statement. A failed one takes the setting back with it."""
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
    def _in_our_words(self) -> Iterator[None]:
        if self._stopped is not None:
            raise self._stopped
        if self._lost:
            raise self._gone()
        try:
            yield
        except DBAPIError as error:
            if self._stopped is not None:
                raise self._stopped from None
            failure = self._failed(error)
            if isinstance(failure, SourceError):
                failure.source = self.source.settings.name
            raise failure from None
        # Values and columns that the driver can't send or read, such as a number beyond 64 bits.
        except (SQLAlchemyError, OverflowError, ValueError) as error:
            raise CheckError(
                f"the statement or its result can't be handled ({type(error).__name__})"
            ) from None

    def _failed(self, error: DBAPIError) -> SanitydError:
        cause = error.orig if error.orig is not None else error
        if error.connection_invalidated or self._connection.invalidated:
            self._lost = True
            return self._gone()
        try:
            self.source.recover(self._connection)
        except SQLAlchemyError:
            self._lost = True
            return self._gone()
        if self.source.quotes_data(cause, error.statement or ""):
            return CheckError("the database failed at a value, which its message would tell")
        return self.source.explain(cause)

    def _gone(self) -> SourceError:
        name = self.source.settings.name
        return SourceError(f"the connection to `{name}` was lost", source=name)


def _driver_of(connection: Connection | None) -> Any:
    return None if connection is None else connection.connection.driver_connection
