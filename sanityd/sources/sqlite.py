"""SQLite: a file opened read-only, guarded by an authorizer, with functions that SQLite lacks."""

import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from sqlalchemy import URL, ColumnElement, Connection, Engine, FromClause, event, text
from sqlalchemy.exc import SQLAlchemyError

from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.sources import raw_sql, sqlite_bounds, sqlite_values
from sanityd.sources.base import Dialect, SourceSettings, spaced_words
from sanityd.sources.catalog import ColumnInfo, EnforcedConstraints, TableInfo, UniqueIndex
from sanityd.sources.missing_table import described
from sanityd.sources.snapshot import EngineSource
from sanityd.sources.sqlite_catalog import family, is_rowid, split_indexes
from sanityd.sources.sqlite_connection import GuardedConnection
from sanityd.sources.sqlite_dialect import SqliteDialect
from sanityd.sources.sqlite_functions import add_functions

#: The longest text or blob, in bytes, that sanityd's own statements read.
_LONGEST = 128 * 1024 * 1024
#: After how many steps of SQLite's virtual machine the time limit is checked.
_STEPS = 10_000

#: Messages that quote names and SQL, never values.
_SAFE = re.compile(
    r"no such |near \"|ambiguous column|wrong number of arguments|misuse of|unrecognized token"
    r"|not authorized|sub-select returns|SELECTs to the left|incomplete input|access to "
    r"|aggregate functions|a GROUP BY|HAVING|too many |row value misused|string or blob too big"
    r"|LIKE or GLOB pattern|integer overflow|parser stack overflow|circular reference"
)
_MISSING = re.compile(r"no such [^:]+: (.*)", re.DOTALL)


class SqliteSource(EngineSource):
    """SQLite file. It is never created; options of the URL are ignored."""

    schemes: ClassVar[frozenset[str]] = frozenset({"sqlite"})
    drivername: ClassVar[str] = "sqlite+pysqlite"
    dialect_class: ClassVar[type[Dialect]] = SqliteDialect

    def __init__(self, settings: SourceSettings, url: URL) -> None:
        database = url.database or ""
        if url.host or database in ("", ":memory:") or database.startswith("file:"):
            raise SourceError(
                f"the URL of `{settings.name}` names no file", "Write `sqlite:///path/to/file.db`."
            )
        self.path = Path(database)
        super().__init__(settings, url.set(query={}))
        event.listen(self.engine, "before_cursor_execute", _shorten_integers, retval=True)

    def _engine(self, url: URL) -> Engine:
        engine = super()._engine(url)
        # Here it comes first, and sees whether a statement contains a user's SQL.
        event.listen(engine, "before_cursor_execute", _limit_length)
        return engine

    def arguments(self, url: URL) -> Mapping[str, Any]:
        """Open connections here, as the URI that SQLAlchemy writes may lose the read-only mode."""
        return {"creator": self._open}

    def _open(self) -> sqlite3.Connection:
        if not self.path.is_file():
            raise FileNotFoundError
        connection = sqlite3.connect(
            f"file:{quote(str(self.path.absolute()))}?mode=ro",
            uri=True,
            timeout=self.settings.lock_timeout.total_seconds(),
            factory=GuardedConnection,
        )
        connection.limit = self.settings.statement_timeout.total_seconds()
        connection.text_factory = _decoded
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, sqlite_bounds.LONGEST_PATTERN)
        add_functions(connection, self.settings.zone)
        connection.helper = sqlite_bounds.add_bounded_functions(connection)
        return connection

    def begin(self, connection: Connection) -> datetime:
        """Begin and read once, as SQLite takes its snapshot at the first read, not at BEGIN."""
        driver = _driver(connection)
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
        at = connection.exec_driver_sql("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')").scalar_one()
        driver.set_progress_handler(driver.is_late, _STEPS)
        driver.set_authorizer(_authorize)
        return datetime.fromisoformat(at).replace(tzinfo=UTC)

    def bound_calls(self, connection: Connection, sql: str) -> str:
        """Replace functions that compare each place of one text with all of another."""
        return sqlite_bounds.bound_calls(sql)

    def interrupt(self, driver: Any) -> None:
        """Cancel by the driver."""
        driver.interrupt()

    def recover(self, connection: Connection) -> None:
        """Do nothing: a failed SELECT leaves the transaction of SQLite as it was."""

    def answers(self, connection: Connection) -> bool:
        """Return whether the catalog can be read, which `SELECT 1` does not do."""
        try:
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
        except SQLAlchemyError:
            return False
        return True

    def end(self, connection: Connection) -> None:
        """Remove the authorizer first, which would refuse the ROLLBACK."""
        driver = _driver(connection)
        driver.set_authorizer(None)
        super().end(connection)
        driver.stop_timer()

    def describe(self, connection: Connection, name: str, schema: str | None) -> TableInfo | None:
        """Return a table; names match in any case, `main` is the only schema."""
        if schema not in (None, "main"):
            return None
        table = connection.execute(_TABLE, {"name": name}).first()
        if table is None:
            return None
        with described(self.settings.name, table.name):
            rows = connection.execute(_COLUMNS, {"name": table.name}).all()
        primary = [row.name for row in sorted(rows, key=lambda row: row.pk) if row.pk]
        indexes = list(_unique_indexes(connection, table.name))
        rowid = primary if is_rowid(rows, indexes) else []
        columns = {}
        for row in rows:
            nullable = not row.notnull and row.name not in rowid
            columns[row.name] = ColumnInfo(row.name, row.type, family(row.type), nullable)
        not_null = frozenset(column for column, info in columns.items() if not info.nullable)
        unique, unique_keys = split_indexes(indexes, columns.keys(), not_null)
        if rowid:
            unique.append(UniqueIndex("PRIMARY KEY", tuple(rowid)))
        # Views and virtual tables guarantee nothing. CHECK and foreign keys don't either, as a
        # pragma can switch them off.
        enforced = EnforcedConstraints()
        if table.is_real:
            enforced = EnforcedConstraints(tuple(unique), not_null)
        leading = connection.execute(_LEADING, {"name": table.name}).scalars()
        return TableInfo(
            table.name,
            schema,
            columns,
            tuple(primary),
            tuple(unique_keys),
            enforced,
            leading=frozenset([*rowid, *leading]),
        )

    def value_type(
        self, connection: Connection, value: ColumnElement[Any], table: FromClause
    ) -> ColumnInfo:
        """Return the type of the first value."""
        return sqlite_values.value_type(connection, value, table)

    def table_names(self, connection: Connection, schema: str | None) -> Sequence[str]:
        """Return tables and views, without SQLite's own."""
        query = text(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
            " AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
        )
        return connection.execute(query).scalars().all()

    def names_everywhere(self, connection: Connection) -> Sequence[tuple[str, str]]:
        """Return nothing: a file has only one schema."""
        del connection
        return []

    def all_tables(self, connection: Connection) -> Sequence[tuple[str | None, str]]:
        """Return the tables, without views and virtual tables."""
        query = text(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
        )
        names = connection.execute(query).scalars().all()
        return [(None, name) for name in names if not name.startswith("sqlite_")]

    def writable(self, connection: Connection) -> bool:
        """Return whether the user of this process may write the file."""
        return os.access(self.path, os.W_OK)

    def unreachable(self, error: BaseException) -> str:
        """Return the reason by SQLite's code, with the name of the file but not its path."""
        name = self.path.name
        if isinstance(error, FileNotFoundError):
            return f"there is no file `{name}`"
        match getattr(error, "sqlite_errorname", ""):
            case "SQLITE_CANTOPEN" if self._is_in_wal_mode():
                return (
                    f"`{name}` is in WAL mode, for which its folder must be writable"
                    " or a writer must have it open"
                )
            case "SQLITE_CANTOPEN" | "SQLITE_PERM" | "SQLITE_AUTH":
                return f"the file `{name}` may not be read"
            case "SQLITE_NOTADB":
                return f"`{name}` is no SQLite database, or it is encrypted"
            case "SQLITE_BUSY":
                seconds = self.settings.lock_timeout.total_seconds()
                return f"`{name}` stayed locked by a writer for {seconds:g} s"
            case "SQLITE_READONLY_ROLLBACK":
                return (
                    f"a writer of `{name}` died: open it once for writing,"
                    " so that SQLite can repair it"
                )
            case code:
                name = spaced_words(code.removeprefix("SQLITE_")) or type(error).__name__
                return f"SQLite says {name}"

    def _is_in_wal_mode(self) -> bool:
        return self.path.with_name(f"{self.path.name}-wal").exists() or _in_wal_mode(self.path)

    def quotes_data(self, error: BaseException, statement: str) -> bool:
        """Return whether the missing name is not in the statement.

        A full-text search may take words of the data for names of columns.
        """
        missing = _MISSING.match(str(error))
        return (
            missing is not None and missing[1].rpartition(".")[2].lower() not in statement.lower()
        )

    def explain(self, error: BaseException) -> SanitydError:
        """Return the error by SQLite's code, with its text only where that quotes no values."""
        code = getattr(error, "sqlite_errorname", "")
        message = str(error)
        if code == "SQLITE_INTERRUPT":
            return self.too_slow()
        if code in ("SQLITE_BUSY", "SQLITE_LOCKED"):
            return self.locked()
        if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR", "SQLITE_CANTOPEN")):
            name = spaced_words(code.removeprefix("SQLITE_"))
            return SourceError(f"`{self.settings.name}` can't be read on: {name}")
        if code == "SQLITE_TOOBIG":
            return sqlite_bounds.too_big()
        if message == "user-defined function raised exception":
            return CheckError(
                "a function of the statement was given text that is not UTF-8, or can't read it",
                "Leave out these rows by `where`.",
            )
        if _SAFE.match(message):
            return CheckError(f"SQLite refused the statement: {message}")
        name = spaced_words(code.removeprefix("SQLITE_") or "misuse")
        return CheckError(f"SQLite failed at the statement ({name})")


def _limit_length(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
    """Set the longest text: a statement with a user's SQL may make texts of its own."""
    longest = sqlite_bounds.LONGEST if raw_sql.has_token(statement) else _LONGEST
    _driver(connection).setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)


def _shorten_integers(
    _connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any
) -> tuple[str, Any]:
    """Pass integers of more than 64 bits, which SQLite does not have, as fractions."""
    values = []
    for value in parameters:
        is_large = isinstance(value, int) and not -(2**63) <= value < 2**63
        values.append(float(value) if is_large else value)
    return statement, tuple(values)


def _driver(connection: Connection) -> GuardedConnection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, GuardedConnection)
    return driver


#: Functions that are refused. `regexp` comes from SQLAlchemy; no time limit can stop it.
_FORBIDDEN = frozenset({"load_extension", "fts3_tokenizer", "writefile", "edit", "regexp"})

#: Pragmas that only read.
_READING_PRAGMAS = frozenset(
    {"table_xinfo", "index_list", "index_xinfo", "foreign_key_list", "data_version"}
)

_TABLE = text(
    "SELECT name, type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' AS is_real FROM sqlite_master"
    " WHERE type IN ('table', 'view') AND name = :name COLLATE NOCASE"
)
_COLUMNS = text(
    'SELECT name, type, "notnull", pk FROM pragma_table_xinfo(:name) WHERE hidden <> 1 ORDER BY cid'
)
#: The first column of each index that all rows are in, in the order in which rules compare.
_LEADING = text(
    "SELECT part.name FROM pragma_index_list(:name) AS it, pragma_index_xinfo(it.name) AS part"
    " WHERE NOT it.partial AND part.seqno = 0 AND part.coll = 'BINARY' AND part.name IS NOT NULL"
)


def _authorize(
    action: int, first: str | None, second: str | None, _schema: str | None, _trigger: str | None
) -> int:
    """Allow reading, also of the catalog, and refuse everything else."""
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and second not in _FORBIDDEN:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and first in _READING_PRAGMAS:
        return sqlite3.SQLITE_OK
    # SQLite asks for this when it first reads a virtual table. It refuses a real UPDATE itself.
    if action == sqlite3.SQLITE_UPDATE and first == "sqlite_master":
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _decoded(data: bytes) -> str | bytes:
    """Return text; bytes if it isn't UTF-8.

    The driver's error would quote it, and a repair could make two keys equal.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _unique_indexes(connection: Connection, name: str) -> Iterator[tuple[str, UniqueIndex]]:
    """Yield unique indexes over all rows with their origin: `pk`, `u` (UNIQUE) or `c` (INDEX)."""
    query = text(
        'SELECT name, origin FROM pragma_index_list(:name) WHERE "unique" AND NOT partial'
        " ORDER BY seq DESC"
    )
    parts = text(
        "SELECT COALESCE(name, '') FROM pragma_index_xinfo(:name) WHERE key ORDER BY seqno"
    )
    for index, origin in connection.execute(query, {"name": name}).all():
        # A part without a name is an expression.
        columns = connection.execute(parts, {"name": index}).scalars().all()
        yield origin, UniqueIndex(index, tuple(columns))


def _in_wal_mode(path: Path) -> bool:
    """Return whether bytes 18 and 19 of the header, the file format, are 2, which is WAL."""
    try:
        with path.open("rb") as file:
            return file.read(20)[18:] == b"\x02\x02"
    except OSError:
        return False
