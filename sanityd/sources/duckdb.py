"""DuckDB: a file opened read-only in this process, without access to other files."""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, Timer
from typing import Any, ClassVar

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    CursorResult,
    FromClause,
    event,
    text,
)

from sanityd import clock
from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.sources import duckdb_catalog
from sanityd.sources.base import Dialect, SourceSettings, spaced_words
from sanityd.sources.catalog import ColumnInfo, TableInfo
from sanityd.sources.duckdb_bounds import TOO_BIG, bound_calls, macros_of, too_big
from sanityd.sources.duckdb_catalog import DuckdbCatalog
from sanityd.sources.duckdb_dialect import DuckdbDialect
from sanityd.sources.snapshot import EngineSource

#: Settings with which each database is opened. All connections of a process to one file must have
#: the same settings, so they can't differ between sources.
GUARDS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    # Otherwise a name that is no table could read a Python variable.
    "python_enable_replacements": "false",
    "memory_limit": "2GB",
    # No data is written, not even to temporary files.
    "temp_directory": "",
}
#: Run last. The time zone belongs to an extension that is loaded after opening.
_SEAL = ("SET GLOBAL TimeZone = 'UTC'", "SET lock_configuration = true")
_SEAL_LOCK = Lock()

#: How many seconds to wait before a file that is being written is opened again.
_PAUSE = 0.05

_BEGIN = "BEGIN TRANSACTION READ ONLY"
#: The execution option that marks a statement as one of sanityd itself.
OURS = "sanityd_ours"
#: Key of a connection's `info` for the timer of its statement.
_TIMER = "sanityd_timer"
#: Key of a connection's `info` for the names of the macros that it has.
_MACROS = "sanityd_macros"
#: Key of a connection's `info` for the catalog.
_CATALOG = "sanityd_catalog"

#: The start of RE2's message about an invalid pattern, before it quotes the pattern.
_BAD_PATTERN = re.compile(
    r"Invalid Input Error: "
    r"((?:missing|unexpected|invalid|no argument|bad repetition|trailing|pattern too)[^:]*): "
)


class DuckdbSource(EngineSource):
    """DuckDB file. It is never created.

    Nobody can write the file while a snapshot is open, so all transactions see the same data.
    """

    schemes: ClassVar[frozenset[str]] = frozenset({"duckdb"})
    drivername: ClassVar[str] = "duckdb"
    dialect_class: ClassVar[type[Dialect]] = DuckdbDialect
    extra: ClassVar[str] = "duckdb"

    def __init__(self, settings: SourceSettings, url: URL) -> None:
        self.path = Path(url.database or ":memory:")
        self.settings = settings
        self.check_settings()
        super().__init__(settings, url)
        for name in ("do_execute", "do_execute_no_params"):
            event.listen(self.engine, name, _only_one_select)
        event.listen(self.engine, "before_cursor_execute", self._start_timer)

    def check_settings(self) -> None:
        """Raise SourceError when the URL names no file."""
        # A rules file makes a path of it that begins with its folder.
        if re.search(r"(^|/)(:memory:|md:|motherduck:)", str(self.path)):
            advice = "Write `duckdb:///path/to/file.duckdb`."
            raise SourceError(f"the URL of `{self.settings.name}` names no file", advice)

    def arguments(self, url: URL) -> Mapping[str, Any]:
        """Open connections here, so that options of the URL can't change the settings."""
        return {"creator": self._open}

    def _open(self) -> Any:
        from duckdb_sqlalchemy import ConnectionWrapper

        return ConnectionWrapper(self.guarded())

    def guarded(self) -> Any:
        """Open a connection of the driver; waits while the file is being written."""
        import duckdb

        until = clock.stopwatch() + self.settings.lock_timeout.total_seconds()
        while True:
            if not self.path.is_file():
                raise FileNotFoundError
            try:
                path = str(self.path.absolute())
                connection = duckdb.connect(path, read_only=True, config=GUARDS)
            except duckdb.IOException as error:
                if "lock" not in str(error) or clock.stopwatch() > until:
                    raise
                clock.pause(_PAUSE)
            else:
                seal(connection)
                return connection

    def begin(self, connection: Connection) -> datetime:
        """Begin and read once, as DuckDB takes its snapshot at the first read."""
        _run_own(connection, _BEGIN)
        microseconds = _run_own(
            connection, "SELECT epoch_us(get_current_timestamp()) FROM duckdb_schemas() LIMIT 1"
        )
        return datetime.fromtimestamp(microseconds.scalar_one() / 1_000_000, UTC)

    def bound_calls(self, connection: Connection, sql: str) -> str:
        """Replace functions that make long texts and lists in one step, by macros.

        They are made outside of the transaction, which begins again and sees the same data.
        """
        bounded = bound_calls(sql)
        existing = connection.info.setdefault(_MACROS, set())
        missing = {
            name: macro for name, macro in macros_of(bounded).items() if name not in existing
        }
        if missing:
            existing.update(missing)
            for statement in ("ROLLBACK", *missing.values(), _BEGIN):
                _run_own(connection, statement)
        return bounded

    def interrupt(self, driver: Any) -> None:
        """Cancel by the driver."""
        _interrupt(driver)

    def recover(self, connection: Connection) -> None:
        """Begin again, as an error ends the transaction. The new one sees the same data."""
        _run_own(connection, "ROLLBACK")
        _run_own(connection, _BEGIN)

    def end(self, connection: Connection) -> None:
        """End the snapshot and the timer of its statement."""
        _run_own(connection, "ROLLBACK")
        connection.info.pop(_TIMER).cancel()

    def describe(self, connection: Connection, name: str, schema: str | None) -> TableInfo | None:
        """Return a table from the catalog, which is read once per snapshot."""
        if _CATALOG not in connection.info:
            connection.info[_CATALOG] = DuckdbCatalog.read(connection)
        catalog: DuckdbCatalog = connection.info[_CATALOG]
        return catalog.table(name, schema)

    def value_type(
        self, connection: Connection, value: ColumnElement[Any], table: FromClause
    ) -> ColumnInfo:
        """Return the type that `typeof` tells."""
        return duckdb_catalog.value_type(connection, value, table)

    def table_names(self, connection: Connection, schema: str | None) -> Sequence[str]:
        """Return tables and views of one schema."""
        return connection.execute(text(_NAMES), {"schema": schema}).scalars().all()

    def all_tables(self, connection: Connection) -> Sequence[tuple[str | None, str]]:
        """Return the tables of all schemas of the file."""
        return [(row.schema, row.name) for row in connection.execute(text(_ALL_TABLES))]

    def writable(self, connection: Connection) -> bool:
        """Return whether the user of this process may write the file."""
        return os.access(self.path, os.W_OK)

    def unreachable(self, error: BaseException) -> str:
        """Return the reason by DuckDB's text, with the name of the file but not its path."""
        name, message = self.path.name, str(error)
        if isinstance(error, FileNotFoundError):
            return f"there is no file `{name}`"
        for pattern, reason in _UNREACHABLE.items():
            if re.search(pattern, message):
                seconds = self.settings.lock_timeout.total_seconds()
                return reason.format(name=name, seconds=seconds)
        return f"DuckDB says {_class(error)}"

    def explain(self, error: BaseException) -> SanitydError:
        """Return the error by its class, with its text only where that quotes no values."""
        name, message = _class(error), str(error)
        match name:
            case "interrupt":
                return self.too_slow()
            case "out of memory":
                advice = "Narrow the rule by `where` or `window`."
                return CheckError(
                    f"the statement needs more memory than {GUARDS['memory_limit']}", advice
                )
            case "parser" | "binder" | "catalog" | "syntax" | "permission" | "not supported":
                return CheckError(f"DuckDB refused the statement: {_first_line(message)}")
            case "io" | "fatal" | "internal" | "connection":
                return SourceError(f"`{self.settings.name}` can't be read on: {name} error")
        if message.startswith(f"Invalid Input Error: {TOO_BIG}"):
            return too_big()
        bad_pattern = _BAD_PATTERN.match(message)
        if bad_pattern:
            return CheckError(f"the regular expression can't be read: {bad_pattern[1]}")
        return CheckError(f"DuckDB failed at the statement ({name} error)")

    def timer(self, driver: Any) -> Timer:
        """Return a timer that cancels what runs at the statement timeout, once it is started."""
        timer = Timer(self.settings.statement_timeout.total_seconds(), _interrupt, [driver])
        timer.daemon = True
        return timer

    def _start_timer(self, connection: Connection, *_: Any) -> None:
        """Start the timer of a statement; the one before is over."""
        timer = self.timer(_driver(connection))
        previous = connection.info.pop(_TIMER, None)
        if previous:
            previous.cancel()
        connection.info[_TIMER] = timer
        timer.start()


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _interrupt(driver: Any) -> None:
    from duckdb import Error

    # The connection may be closed by now.
    with suppress(Error):
        driver.interrupt()


def seal(connection: Any) -> None:
    """Lock the settings, if no other connection to the file has done so already."""
    with _SEAL_LOCK:
        [is_sealed] = connection.execute("SELECT current_setting('lock_configuration')").fetchone()
        if is_sealed:
            return
        for statement in _SEAL:
            connection.execute(statement)


def _run_own(connection: Connection, statement: str) -> CursorResult[Any]:
    """Run a statement of sanityd itself, which may be no SELECT."""
    return connection.exec_driver_sql(statement, execution_options={OURS: True})


def _only_one_select(cursor: Any, statement: str, *rest: Any) -> None:
    """Refuse what DuckDB's parser does not take for one SELECT.

    Temporary tables and settings could be changed, although the file is read-only.
    """
    from duckdb import NotSupportedError, StatementType

    if rest[-1].execution_options.get(OURS):
        return
    types = [part.type for part in cursor.connection.extract_statements(statement)]
    if types != [StatementType.SELECT]:
        raise NotSupportedError("Not supported Error: this is not one SELECT")


def _class(error: BaseException) -> str:
    """Return the class of an error as words: `OutOfMemoryException` → `out of memory`."""
    name = re.sub(r"(Exception|Error)$", "", type(error).__name__)
    return spaced_words(re.sub(r"^IO", "Io", name))


def _first_line(message: str) -> str:
    """Return a message without the name of its class and without the SQL."""
    return message.partition("\n")[0].partition(" Error: ")[2]


#: A pattern of DuckDB's text about a file that can't be opened → the reason.
_UNREACHABLE = {
    r"[Cc]ould not set lock|[Cc]onflicting lock": (
        "`{name}` stayed open for writing elsewhere for {seconds:g} s"
    ),
    r"different configuration": "this process has `{name}` open with other settings",
    r"not a valid DuckDB|[Ee]ncrypt": "`{name}` is no DuckDB database, or it is encrypted",
    r"[Pp]ermission denied": "the file `{name}` may not be read",
    r"version number|newer version|storage version": (
        "`{name}` was written by another version of DuckDB"
    ),
}

_WHERE = "database_name = current_database() AND schema_name = COALESCE(:schema, current_schema())"

_NAMES = f"""
SELECT table_name FROM duckdb_tables() WHERE {_WHERE} AND NOT internal
UNION ALL SELECT view_name FROM duckdb_views() WHERE {_WHERE} AND NOT internal
"""

_ALL_TABLES = """
SELECT CASE WHEN schema_name = current_schema() THEN NULL ELSE schema_name END AS schema,
    table_name AS name
FROM duckdb_tables() WHERE database_name = current_database() AND NOT internal
"""
