"""PostgreSQL through psycopg 3: REPEATABLE READ READ ONLY, with one statement per message."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import (
    URL,
    ClauseElement,
    ColumnElement,
    Connection,
    Engine,
    Executable,
    FromClause,
    event,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.compiler import compiles

from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.sources import postgresql_catalog
from sanityd.sources.base import AnySelect, Dialect, SourceSettings, spaced_words
from sanityd.sources.catalog import ColumnInfo, CostEstimate, TableInfo
from sanityd.sources.postgresql_dialect import PostgresqlDialect
from sanityd.sources.snapshot import CONNECT_TIMEOUT, EngineSource

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresqlSource(EngineSource):
    """PostgreSQL database, or another one with its protocol."""

    schemes: ClassVar[frozenset[str]] = frozenset({"postgresql", "postgres"})
    drivername: ClassVar[str] = "postgresql+psycopg"
    dialect_class: ClassVar[type[Dialect]] = PostgresqlDialect
    extra: ClassVar[str] = "postgresql"
    doubles_percent: ClassVar[bool] = True
    #: Sorting 64-bit numbers takes 60 % of the time of hashing them, if `work_mem` is too small.
    sorting: ClassVar[tuple[str, str] | None] = ("enable_hashagg", "off")
    dialect: PostgresqlDialect

    def __init__(self, settings: SourceSettings, url: URL) -> None:
        super().__init__(settings, url)
        _force_extended_protocol(self.engine)
        event.listen(self.engine, "connect", _take_any_time)

    def arguments(self, url: URL) -> Mapping[str, Any]:
        """Make the session read-only from the start, without prepared statements."""
        limit = _milliseconds(self.settings.statement_timeout)
        session = {
            "default_transaction_read_only": "on",
            "statement_timeout": limit,
            "lock_timeout": _milliseconds(self.settings.lock_timeout),
            # The snapshot is idle while another source is read.
            "idle_in_transaction_session_timeout": max(600_000, 3 * limit),
            "standard_conforming_strings": "on",
            "timezone": "UTC",
            "datestyle": "ISO",
        }
        options_of_url = url.query.get("options", "")
        if not isinstance(options_of_url, str):
            options_of_url = " ".join(options_of_url)
        # The last one wins.
        options = [options_of_url, *(f"-c {key}={value}" for key, value in session.items())]
        arguments = {
            "options": " ".join(options).strip(),
            "application_name": "sanityd",
            "prepare_threshold": None,
            "connect_timeout": CONNECT_TIMEOUT,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        }
        return {"connect_args": arguments}

    def begin(self, connection: Connection) -> datetime:
        """Begin, read the time, and set the savepoint that `recover` returns to.

        After the first query, PostgreSQL refuses `SET TRANSACTION READ WRITE`.
        """
        connection.exec_driver_sql(_BEGIN)
        at: datetime
        at, self.dialect.has_icu = connection.exec_driver_sql(
            "SELECT clock_timestamp(), getdatabaseencoding() = 'UTF8'"
            " AND EXISTS (SELECT FROM pg_catalog.pg_collation WHERE collname = 'und-x-icu')"
        ).one()
        connection.exec_driver_sql("SAVEPOINT sanityd")
        return at.astimezone(UTC)

    def export_snapshot(self, connection: Connection) -> str | None:
        """Export the snapshot, which can't be done inside of a savepoint.

        Parallel workers are switched off: two connections with one core each take less time, and
        less of the server's, than one connection with two.
        """
        if self.settings.connections == 1 or not connection.exec_driver_sql(_CAN_EXPORT).scalar():
            return None
        connection.exec_driver_sql("RELEASE SAVEPOINT sanityd")
        connection.exec_driver_sql("SET LOCAL max_parallel_workers_per_gather = 0")
        name: str = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        connection.exec_driver_sql("SAVEPOINT sanityd")
        return name

    @contextmanager
    def second_connection(self, shared: str) -> Iterator[Connection | None]:
        """Open another connection in the exported snapshot, if `connections` allows it."""
        if not self.free_connections.acquire(blocking=False):
            yield None
            return
        try:
            connection = self._join(shared)
            try:
                yield connection
            finally:
                if connection is not None:
                    with suppress(SQLAlchemyError):
                        self.end(connection)
                    with suppress(SQLAlchemyError):
                        connection.close()
        finally:
            self.free_connections.release()

    def _join(self, shared: str) -> Connection | None:
        """Open a connection in an exported snapshot; None when a pooler or a limit prevents it."""
        connection = None
        try:
            connection = self.engine.connect()
            connection.exec_driver_sql(_BEGIN)
            connection.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{shared}'")
            connection.exec_driver_sql("SELECT 1")
            connection.exec_driver_sql("SET LOCAL max_parallel_workers_per_gather = 0")
            connection.exec_driver_sql("SAVEPOINT sanityd")
        except SQLAlchemyError:
            with suppress(SQLAlchemyError):
                if connection is not None:
                    connection.close()
            return None
        return connection

    def state(self, connection: Connection) -> str | None:
        """Return a version made of transaction numbers, if the login may read what it needs."""
        try:
            return postgresql_catalog.state(connection)
        except SQLAlchemyError:
            self.recover(connection)
            return None

    def forecast(self, connection: Connection, statement: AnySelect) -> CostEstimate | None:
        """Return the estimate of EXPLAIN, whose planner also uses valid CHECK constraints."""
        connection.exec_driver_sql("SET LOCAL constraint_exclusion = on")
        [[[explained]]] = connection.execute(_Explain(statement))
        connection.exec_driver_sql("SET LOCAL constraint_exclusion TO DEFAULT")
        top = explained["Plan"]
        refuted = top["Node Type"] == "Result" and top.get("One-Time Filter") == "false"
        return CostEstimate(int(top["Plan Rows"]), float(top["Total Cost"]), refuted)

    def interrupt(self, driver: Any) -> None:
        """Cancel by a request to the server, on another connection."""
        driver.cancel_safe(timeout=CONNECT_TIMEOUT)

    def recover(self, connection: Connection) -> None:
        """Roll back the failed statement; the snapshot stays the same."""
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT sanityd")

    def describe(self, connection: Connection, name: str, schema: str | None) -> TableInfo | None:
        """Return a table from pg_catalog; one without a schema is found by the search path."""
        return postgresql_catalog.describe(connection, name, schema)

    def value_type(
        self, connection: Connection, value: ColumnElement[Any], table: FromClause
    ) -> ColumnInfo:
        """Return the type by the server's description of the result."""
        return postgresql_catalog.value_type(connection, value, table)

    def table_names(self, connection: Connection, schema: str | None) -> Sequence[str]:
        """Return what the login can see; tables of other schemas with their schema."""
        return postgresql_catalog.table_names(connection, schema)

    def all_tables(self, connection: Connection) -> Sequence[tuple[str | None, str]]:
        """Return the tables of all schemas that the login may use, without partitions."""
        return postgresql_catalog.all_tables(connection)

    def writable(self, connection: Connection) -> bool:
        """Return whether the login may write to any table, also by a role."""
        return postgresql_catalog.writable(connection)

    def unreachable(self, error: BaseException) -> str:
        """Return the reason by known texts of libpq, which has no codes for this."""
        message = str(error)
        for pattern, reason in _UNREACHABLE.items():
            match = re.search(pattern, message, re.IGNORECASE)
            if match:
                return match.expand(reason)
        return f"PostgreSQL says {_error_name(error, ' ({})')}"

    def error_name(self, error: BaseException) -> str:
        """Return the class of an error as words, with its SQLSTATE."""
        return _error_name(error, ", SQLSTATE {}")

    def quotes_data(self, error: BaseException, statement: str) -> bool:
        """Return whether a missing right is about a name that is not in the statement.

        `name::regclass` looks for a table whose name is a value.
        """
        diagnostics = getattr(error, "diag", None)
        if _sqlstate(error) != "42501" or diagnostics is None or diagnostics.context:
            return False
        name = _FORBIDDEN_NAME.search(diagnostics.message_primary or "")
        return name is None or name[1].lower() not in statement.lower()

    def explain(self, error: BaseException) -> SanitydError:
        """Return the error by SQLSTATE.

        The server's text is used only where it is about the statement or the login's rights.
        """
        state = _sqlstate(error)
        if state == "57014":
            return self.too_slow()
        if state == "55P03":
            return self.locked()
        if state == "08001":
            return CheckError("a foreign server that the table is on does not answer")
        if state.startswith(("57", "08")):
            reason = spaced_words(type(error).__name__)
            return SourceError(f"`{self.settings.name}` ended the connection ({reason})")
        diagnostics = getattr(error, "diag", None)
        if diagnostics is not None and _is_of_the_statement(diagnostics, state):
            advice = _GRANT_ADVICE if state == "42501" else diagnostics.message_hint
            refused = f"PostgreSQL refused the statement: {diagnostics.message_primary}"
            return CheckError(refused, advice)
        if state == "42501":
            return CheckError("the login lacks a right that the statement needs", _GRANT_ADVICE)
        if state == "2201B":
            return CheckError("the regular expression can't be read by PostgreSQL")
        name = _error_name(error, ", SQLSTATE {}")
        return CheckError(f"PostgreSQL failed at the statement ({name})")


def _sqlstate(error: BaseException) -> str:
    return getattr(error, "sqlstate", None) or ""


def _error_name(error: BaseException, state_format: str) -> str:
    """Return the class of an error as words, with its SQLSTATE if it has one."""
    state = _sqlstate(error)
    name = spaced_words(type(error).__name__)
    return name + state_format.format(state) if state else name


class _Explain(Executable, ClauseElement):
    """EXPLAIN of a statement, which is not run."""

    inherit_cache = False

    def __init__(self, statement: AnySelect) -> None:
        self.statement = statement


@compiles(_Explain)
def _compile_explain(element: _Explain, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **options)}"


def _is_of_the_statement(diag: Any, state: str) -> bool:
    """Return whether an error is of the parser, which names a position in the SQL, or about rights.

    All others may quote values: `name::regclass` looks for a table of that name, and a function may
    raise any error with any text.
    """
    if diag.context is not None or not state.startswith(("42", "0A", "25")):
        return False
    return diag.statement_position is not None or state in ("42501", "25006")


def _force_extended_protocol(engine: Engine) -> None:
    """Add a parameter to each statement, so that psycopg uses the extended protocol.

    That protocol refuses a second statement in the same message.
    """

    def add_parameter(
        _connection: Connection,
        _cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        _many: bool,
    ) -> tuple[str, Any]:
        # Statements of sanityd itself are not compiled. With a parameter, BEGIN would take its
        # snapshot too early.
        if context.compiled is None:
            return statement, parameters
        return f"/* sanityd %(sanityd)s */ {statement}", {**parameters, "sanityd": 1}

    event.listen(engine, "before_cursor_execute", add_parameter, retval=True)


def _take_any_time(connection: Any, _record: Any) -> None:
    """Return times that Python does not have (`infinity`, 24:00, before Christ) as text."""
    from psycopg import DataError
    from psycopg.adapt import Loader

    class TolerantLoader(Loader):
        """Loader that uses the one of psycopg, and returns text where that fails."""

        def __init__(self, oid: int, context: Any = None) -> None:
            super().__init__(oid, context)
            self._loader = standard[oid](oid, context)

        def load(self, data: Any) -> Any:
            try:
                return self._loader.load(data)
            except (DataError, ValueError, OverflowError):
                return bytes(data).decode()

    standard: dict[int, Any] = {}
    for name in ("date", "time", "timestamp", "timestamptz"):
        oid = connection.adapters.types[name].oid
        standard[oid] = connection.adapters.get_loader(oid, TolerantLoader.format)
        connection.adapters.register_loader(oid, TolerantLoader)


def _milliseconds(limit: timedelta) -> int:
    return max(1, round(limit.total_seconds() * 1000))


#: The name in `permission denied for table name`.
_FORBIDDEN_NAME = re.compile(r"permission denied for (?:\w+ )+\"?([^\"]+?)\"?$")
_GRANT_ADVICE = (
    "Let the login read it: `GRANT USAGE ON SCHEMA … TO …` and `GRANT SELECT ON … TO …`."
)

#: A pattern of libpq's text about a failed connection → the reason.
_UNREACHABLE = {
    r"password authentication failed|no password supplied|role .* does not exist": (
        "it refuses the login"
    ),
    r"database \".*\" does not exist": "there is no database of that name",
    r"connection refused": "it refuses the connection; is it running?",
    r"timeout expired|timed out": "it doesn't answer in time",
    r"translate host name|name or service not known|getaddrinfo|resolve host": (
        "its host name is unknown"
    ),
    r"no pg_hba.conf entry": "it doesn't let this login in from here (pg_hba.conf)",
    r"starting up|shutting down|recovery": "it is starting or shutting down",
    r"too many clients|too many connections|remaining connection slots": (
        "it has no free connection"
    ),
    r"no such file or directory": "there is no socket; is it running?",
    r"invalid connection option \"(\w+)\"": (
        r"the URL has an option that psycopg doesn't know, `\1`"
    ),
    r"permission denied for": "the login may not use the database",
    r"ssl|certificate": "no encrypted connection could be agreed on",
    r"closed the connection unexpectedly": "it closed the connection",
}

#: Asked first, as other databases with this protocol lack the function, and a failed call would end
#: the snapshot.
_CAN_EXPORT = "SELECT to_regproc('pg_catalog.pg_export_snapshot') IS NOT NULL"
