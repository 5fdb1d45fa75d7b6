"""SQLite: a file opened read-only, watched over by an authorizer, with the functions that SQLite lacks."""

import math
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sqlalchemy import URL, ColumnElement, Connection, String, cast, collate, event, func, text

from sanityd import clock
from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.sources.base import Dialect, SourceSettings, words
from sanityd.sources.catalog import ColumnInfo, Enforced, Family, TableInfo, UniqueIndex
from sanityd.sources.missing_table import described
from sanityd.sources.snapshot import EngineSource
from sanityd.sources.values import bound, epoch_microseconds, read_instant

#: The longest text or blob, in bytes; `zeroblob(1e9)` must not take the machine's memory.
_LONGEST = 128 * 1024 * 1024
#: How many steps of SQLite's virtual machine lie between two looks at the clock.
_STEPS = 10_000

#: Messages that quote names and SQL, never values.
_SAFE = re.compile(
    r"no such |near \"|ambiguous column|wrong number of arguments|misuse of|unrecognized token|not authorized"
    r"|sub-select returns|SELECTs to the left|incomplete input|access to |aggregate functions|a GROUP BY|HAVING"
    r"|too many |row value misused|string or blob too big|integer overflow|parser stack overflow|circular reference"
)
_MISSING = re.compile(r"no such [^:]+: (.*)", re.DOTALL)


class SqliteDialect(Dialect):
    """SQLite's lower() and times are completed by functions of ours; every connection of ours knows them."""

    name: ClassVar[str] = "sqlite"
    writes_times: ClassVar[bool] = True

    def exact(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Compared byte by byte, also in a column that ignores case."""
        return collate(element, "BINARY")

    def sorts(self, info: ColumnInfo) -> bool:
        """Values have types, columns needn't: the result of a sum has none."""
        return super().sorts(info) or info.family is Family.OTHER

    def text(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """A column of text may hold numbers, too."""
        return collate(cast(element, String), "BINARY")

    def folded(self, element: ColumnElement[Any]) -> ColumnElement[Any]:
        """SQLite's own lower() knows ASCII only."""
        return func.sanityd_lower(element)

    def length(self, element: ColumnElement[Any]) -> ColumnElement[int]:
        """Characters of a text."""
        return func.length(element)

    def matches(
        self, element: ColumnElement[Any], pattern: str, *, part: bool
    ) -> ColumnElement[bool]:
        """Python's regular expressions. Raises CheckError when the pattern is none."""
        try:
            re.compile(pattern)
        except re.error as error:
            raise CheckError(
                f"the regular expression can't be read: {error.msg}", word=pattern
            ) from None
        return func.sanityd_matches(bound(pattern), element, bound(int(part))) == bound(1)

    def instant(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Microseconds since 1970, whatever form the value has."""
        return func.sanityd_instant(element)

    def moment(self, at: datetime, info: ColumnInfo, zone: ZoneInfo) -> ColumnElement[Any]:
        """Microseconds since 1970."""
        return bound(epoch_microseconds(at))


class SqliteSource(EngineSource):
    """One SQLite file. Nothing is created where there is none; options of the URL are for whoever else uses it."""

    schemes: ClassVar[frozenset[str]] = frozenset({"sqlite"})
    drivername: ClassVar[str] = "sqlite+pysqlite"
    dialect_class: ClassVar[type[Dialect]] = SqliteDialect

    def __init__(self, settings: SourceSettings, url: URL) -> None:
        if (
            url.host
            or not url.database
            or url.database == ":memory:"
            or url.database.startswith("file:")
        ):
            raise SourceError(
                f"the URL of `{settings.name}` names no file", "Write `sqlite:///path/to/file.db`."
            )
        self.path = Path(url.database)
        super().__init__(settings, url.set(query={}))
        event.listen(self.engine, "before_cursor_execute", _fit, retval=True)

    def arguments(self, url: URL) -> Mapping[str, Any]:
        """Connections are made here, as SQLAlchemy's way of writing a URI is not strict about the mode."""
        return {"creator": self._open}

    def _open(self) -> sqlite3.Connection:
        if not self.path.is_file():
            raise FileNotFoundError
        connection = sqlite3.connect(
            f"file:{quote(str(self.path.absolute()))}?mode=ro",
            uri=True,
            timeout=self.settings.lock_timeout.total_seconds(),
            factory=_GuardedConnection,
        )
        connection.limit = self.settings.statement_timeout.total_seconds()
        connection.text_factory = _decoded
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        _add_functions(connection, self.settings.zone)
        return connection

    def begin(self, connection: Connection) -> datetime:
        """SQLite takes its snapshot at the first read, not at BEGIN."""
        driver = _driver(connection)
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
        at = connection.exec_driver_sql("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')").scalar_one()
        driver.set_progress_handler(driver.is_late, _STEPS)
        driver.set_authorizer(_authorize)
        return datetime.fromisoformat(at).replace(tzinfo=UTC)

    def interrupt(self, driver: Any) -> None:
        """The driver can do that."""
        driver.interrupt()

    def recover(self, connection: Connection) -> None:
        """A failed SELECT leaves SQLite's transaction as it was."""

    def end(self, connection: Connection) -> None:
        """The authorizer would refuse the ROLLBACK, too."""
        _driver(connection).set_authorizer(None)
        super().end(connection)

    def describe(self, connection: Connection, name: str, schema: str | None) -> TableInfo | None:
        """Names are found in any case, as SQLite does; `main` is the only schema."""
        if schema not in (None, "main"):
            return None
        query = text(
            "SELECT name, type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' AS is_real FROM sqlite_master"
            " WHERE type IN ('table', 'view') AND name = :name COLLATE NOCASE"
        )
        found = connection.execute(query, {"name": name}).first()
        if found is None:
            return None
        actual = found.name
        query = text(
            'SELECT name, type, "notnull", pk FROM pragma_table_xinfo(:name) WHERE hidden <> 1 ORDER BY cid'
        )
        with described(self.settings.name, actual):
            rows = connection.execute(query, {"name": actual}).all()
        primary = [row.name for row in sorted(rows, key=lambda row: row.pk) if row.pk]
        # INTEGER PRIMARY KEY is the rowid, which is never NULL; other primary keys of SQLite may hold NULLs.
        # Where it isn't (INTEGER PRIMARY KEY DESC), it has an index of its own.
        indexes = list(_unique_indexes(connection, actual))
        has_index = any(origin == "pk" for origin, _ in indexes)
        rowid = (
            primary
            if [row.type.upper() for row in rows if row.pk] == ["INTEGER"] and not has_index
            else []
        )
        columns = {
            row.name: ColumnInfo(
                row.name, row.type, _family(row.type), not row.notnull and row.name not in rowid
            )
            for row in rows
        }
        unique = [index for _, index in indexes if all(name in columns for name in index.columns)]
        sure = tuple(
            index.columns
            for origin, index in indexes
            if origin != "pk"
            and index in unique
            and not any(columns[name].nullable for name in index.columns)
        )
        if rowid:
            unique.append(UniqueIndex("PRIMARY KEY", tuple(rowid)))
        never = frozenset(name for name, info in columns.items() if not info.nullable)
        # A view and a module's table promise nothing. Neither do CHECK and foreign keys, which a pragma switches off.
        enforced = Enforced(tuple(unique), never) if found.is_real else Enforced()
        leading = frozenset([*rowid, *connection.execute(_LEADING, {"name": actual}).scalars()])
        return TableInfo(actual, schema, columns, tuple(primary), sure, enforced, leading=leading)

    def table_names(self, connection: Connection, schema: str | None) -> Sequence[str]:
        """Tables and views, without SQLite's own."""
        query = text(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
        )
        return connection.execute(query).scalars().all()

    def names_everywhere(self, connection: Connection) -> Sequence[tuple[str, str]]:
        """None: a file has one schema."""
        del connection
        return []

    def places(self, connection: Connection) -> Sequence[tuple[str | None, str]]:
        """Without views, and without tables that are a module's."""
        query = text(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
        )
        names = connection.execute(query).scalars().all()
        return [(None, name) for name in names if not name.startswith("sqlite_")]

    def writable(self, connection: Connection) -> bool:
        """Whether our user may write the file."""
        return os.access(self.path, os.W_OK)

    def unreachable(self, error: BaseException) -> str:
        """By SQLite's code; the path is not told, only the file's name."""
        name = self.path.name
        if isinstance(error, FileNotFoundError):
            return f"there is no file `{name}`"
        match getattr(error, "sqlite_errorname", ""):
            case "SQLITE_CANTOPEN" if self.path.with_name(f"{name}-wal").exists() or _in_wal_mode(
                self.path
            ):
                return f"`{name}` is in WAL mode, for which its folder must be writable or a writer must have it open"
            case "SQLITE_CANTOPEN" | "SQLITE_PERM" | "SQLITE_AUTH":
                return f"the file `{name}` may not be read"
            case "SQLITE_NOTADB":
                return f"`{name}` is no SQLite database, or it is encrypted"
            case "SQLITE_BUSY":
                return f"`{name}` stayed locked by a writer for {self.settings.lock_timeout.total_seconds():g} s"
            case "SQLITE_READONLY_ROLLBACK":
                return f"a writer of `{name}` died: open it once for writing, so that SQLite can repair it"
            case code:
                return f"SQLite says {words(code.removeprefix('SQLITE_')) or type(error).__name__}"

    def quotes_data(self, error: BaseException, statement: str) -> bool:
        """A full-text search reads its words as names of columns when it runs, and complains as a parser would."""
        missing = _MISSING.match(str(error))
        return (
            missing is not None and missing[1].rpartition(".")[2].lower() not in statement.lower()
        )

    def explain(self, error: BaseException) -> SanitydError:
        """By SQLite's code; its text only where that quotes names and SQL alone."""
        code = getattr(error, "sqlite_errorname", "")
        message = str(error)
        if code == "SQLITE_INTERRUPT":
            return self.too_slow()
        if code in ("SQLITE_BUSY", "SQLITE_LOCKED"):
            return self.locked()
        if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR", "SQLITE_CANTOPEN")):
            return SourceError(
                f"`{self.settings.name}` can't be read on: {words(code.removeprefix('SQLITE_'))}"
            )
        if _SAFE.match(message):
            return CheckError(f"SQLite refused the statement: {message}")
        return CheckError(
            f"SQLite failed at the statement ({words(code.removeprefix('SQLITE_') or 'misuse')})"
        )


class _GuardedConnection(sqlite3.Connection):
    """A connection whose statements have a time limit, in seconds."""

    limit = math.inf
    _deadline = math.inf

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        """SQLAlchemy asks for a new cursor for each statement, so the clock starts here."""
        self._deadline = clock.stopwatch() + self.limit
        return super().cursor(*arguments, **options)

    def is_late(self) -> bool:
        """For the progress handler: whether SQLite must stop."""
        return clock.stopwatch() > self._deadline


def _fit(
    _connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any
) -> tuple[str, Any]:
    """SQLite's integers have 64 bits; a larger one is compared as a fraction."""
    large = (isinstance(value, int) and not -(2**63) <= value < 2**63 for value in parameters)
    return statement, tuple(
        float(value) if big else value for value, big in zip(parameters, large, strict=True)
    )


def _driver(connection: Connection) -> _GuardedConnection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, _GuardedConnection)
    return driver


#: SQLAlchemy brings `regexp`, whose patterns no time limit can stop.
_FORBIDDEN = frozenset({"load_extension", "fts3_tokenizer", "writefile", "edit", "regexp"})


#: Pragmas that ask and change nothing.
#: The first column of each index that all rows are in, in the order in which rules compare.
_LEADING = text(
    "SELECT part.name FROM pragma_index_list(:name) AS it, pragma_index_xinfo(it.name) AS part"
    " WHERE NOT it.partial AND part.seqno = 0 AND part.coll = 'BINARY' AND part.name IS NOT NULL"
)
_QUESTIONS = frozenset(
    {"table_xinfo", "index_list", "index_xinfo", "foreign_key_list", "data_version"}
)


def _authorize(
    action: int, first: str | None, second: str | None, _schema: str | None, _trigger: str | None
) -> int:
    """Reading is allowed, and asking for the shape of tables; all else is not."""
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and second not in _FORBIDDEN:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and first in _QUESTIONS:
        return sqlite3.SQLITE_OK
    # What SQLite asks when it first meets a virtual table; a real UPDATE of the schema it refuses by itself.
    if action == sqlite3.SQLITE_UPDATE and first == "sqlite_master":
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _add_functions(connection: sqlite3.Connection, zone: tzinfo) -> None:
    def matches(pattern: str, value: str | None, part: int) -> bool | None:
        if value is None:
            return None
        # As in PostgreSQL, a dot stands for a line break, too.
        find = re.search if part else re.fullmatch
        return find(pattern, value, re.DOTALL) is not None

    def lower(value: str | None) -> str | None:
        return None if value is None else str(value).lower()

    def instant(value: object) -> int | None:
        return read_instant(value, zone)

    for name, spread in _SPREADS.items():
        connection.create_aggregate(name, 1, spread)
    connection.create_function("sanityd_matches", 3, matches, deterministic=True)
    connection.create_function("sanityd_lower", 1, lower, deterministic=True)
    connection.create_function("sanityd_instant", 1, instant, deterministic=True)


class _Spread:
    """Variances, which SQLite lacks; in one pass, by Welford's method (Technometrics 4, 1962, page 419)."""

    sample, root = 0, False

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def step(self, value: object) -> None:
        """One more value; what is no number doesn't count."""
        if isinstance(value, int | float):
            self.count += 1
            off = value - self.mean
            self.mean += off / self.count
            self.squares += off * (value - self.mean)

    def finalize(self) -> float | None:
        """NULL of too few values, as elsewhere."""
        if self.count <= self.sample:
            return None
        variance = self.squares / (self.count - self.sample)
        return math.sqrt(variance) if self.root else variance


_SPREADS = {
    f"{word}_{of}": type(word, (_Spread,), {"sample": sample, "root": root})
    for word, root in (("var", False), ("stddev", True))
    for of, sample in (("pop", 0), ("samp", 1))
}


def _decoded(data: bytes) -> str | bytes:
    """Text that is no UTF-8 stays bytes: the driver would quote it in its complaint, and a repair could make two keys
    one."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _unique_indexes(connection: Connection, name: str) -> Iterator[tuple[str, UniqueIndex]]:
    """Those about all rows, with what they come from: `pk`, `u` (UNIQUE) or `c` (CREATE INDEX)."""
    query = text(
        'SELECT name, origin FROM pragma_index_list(:name) WHERE "unique" AND NOT partial ORDER BY seq DESC'
    )
    parts = text(
        "SELECT COALESCE(name, '') FROM pragma_index_xinfo(:name) WHERE key ORDER BY seqno"
    )
    for index, origin in connection.execute(query, {"name": name}).all():
        # A part without a name is an expression.
        yield (
            origin,
            UniqueIndex(index, tuple(connection.execute(parts, {"name": index}).scalars().all())),
        )


def _family(declared: str) -> Family:
    """SQLite keeps any word as a type; these are the ones that people write."""
    word = declared.upper()
    for part, family in _FAMILIES.items():
        if part in word:
            return family
    return Family.OTHER


#: In this order: DATETIME is no DATE, and SQLite itself looks for INT first.
_FAMILIES = {
    "INT": Family.INTEGER,
    "BOOL": Family.BOOLEAN,
    "DATETIME": Family.TIMESTAMP,
    "TIMESTAMP": Family.TIMESTAMP,
    "DATE": Family.DATE,
    "UUID": Family.UUID,
    "CHAR": Family.TEXT,
    "CLOB": Family.TEXT,
    "TEXT": Family.TEXT,
    "STRING": Family.TEXT,
    "BLOB": Family.BYTES,
    "BINARY": Family.BYTES,
    "REAL": Family.NUMBER,
    "FLOA": Family.NUMBER,
    "DOUB": Family.NUMBER,
    "NUMERIC": Family.NUMBER,
    "DEC": Family.NUMBER,
}


def _in_wal_mode(path: Path) -> bool:
    """Bytes 18 and 19 of the header are the format for writing and reading; 2 is WAL."""
    try:
        with path.open("rb") as file:
            return file.read(20)[18:] == b"\x02\x02"
    except OSError:
        return False
