"""DuckDB: a file opened read-only in this process, cut off from all other files, one SELECT at a time."""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, Timer
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from sqlalchemy import (
    DECIMAL,
    REAL,
    URL,
    ColumnElement,
    Connection,
    CursorResult,
    FromClause,
    String,
    case,
    cast,
    collate,
    column,
    event,
    func,
    literal_column,
    select,
    text,
    try_cast,
)

from sanityd import clock
from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.sources.base import Dialect, SourceSettings, words
from sanityd.sources.catalog import ColumnInfo, Enforced, Family, TableInfo, UniqueIndex
from sanityd.sources.snapshot import EngineSource
from sanityd.sources.values import UNITS, bound, epoch_microseconds, wall_clock

#: Said when the database is opened, so that no moment is unguarded. All connections of a process to one file must say
#: the same, so nothing here may differ between sources.
GUARDS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    # Else a name that is no table could be a Python variable of ours.
    "python_enable_replacements": "false",
    "memory_limit": "2GB",
    # Nothing of the data is ever written, not even beside the file.
    "temp_directory": "",
}
#: Said last. The zone belongs to an extension, which an opening database doesn't know yet.
_SEAL = ("SET GLOBAL TimeZone = 'UTC'", "SET lock_configuration = true")
_SEALING = Lock()

#: How long to wait between two tries to open a file that somebody writes.
_PAUSE = 0.05

_BEGIN = "BEGIN TRANSACTION READ ONLY"
#: The option of a statement that marks it as our own.
OURS = "sanityd_ours"
#: Where a connection keeps the timer of its statement.
_TIMER = "sanityd_timer"

#: The beginning of what RE2 says of a pattern, before it quotes it.
_BAD_PATTERN = re.compile(
    r"Invalid Input Error: ((?:missing|unexpected|invalid|no argument|bad repetition|trailing|pattern too)[^:]*): "
)


class DuckdbDialect(Dialect):
    """Collations of DuckDB may ignore case and accents; `C` doesn't."""

    name: ClassVar[str] = "duckdb"

    def exact(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """The catalog doesn't tell which columns have a collation, so every text gets ours."""
        return collate(element, "C") if info.family is Family.TEXT else element

    def text(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Every type of DuckDB has a text form."""
        return collate(element if info.family is Family.TEXT else cast(element, String), "C")

    def folded(self, element: ColumnElement[Any]) -> ColumnElement[Any]:
        """DuckDB's lower() knows the letters of all alphabets."""
        return func.lower(element)

    def length(self, element: ColumnElement[Any]) -> ColumnElement[int]:
        """Characters of a text."""
        return func.length(element)

    def matches(
        self, element: ColumnElement[Any], pattern: str, *, part: bool
    ) -> ColumnElement[bool]:
        """RE2; `s` lets a dot stand for a line break, as in PostgreSQL."""
        found = func.regexp_matches if part else func.regexp_full_match
        return found(element, bound(pattern), bound("s"))

    def number(self, value: float, info: ColumnInfo) -> ColumnElement[Any]:
        """A FLOAT has fewer digits than the number it was made of; so must what it is compared with. A whole number
        that a DECIMAL has no place for would be an error."""
        if info.type == "FLOAT":
            return cast(bound(value), REAL)
        size = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", info.type)
        is_large = size is not None and abs(value) >= 10 ** (int(size[1]) - int(size[2]))
        return bound(float(value) if is_large else value)

    def sample(self, table: TableInfo, share: float) -> FromClause | None:
        """Every so manieth thousand rows. A view has no row numbers."""
        part = (
            column("rowid")
            .op("//")(literal_column("1000"))
            .op("%")(literal_column(str(max(1, round(1 / share)))))
        )
        return select(*table.clause.c).where(part == literal_column("0")).subquery("sanityd_sample")

    def instant(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """The column itself; of numbers, microseconds since 1970."""
        return _microseconds(element) if info.family in (Family.INTEGER, Family.NUMBER) else element

    def moment(self, at: datetime, info: ColumnInfo, zone: ZoneInfo) -> ColumnElement[Any]:
        """As the column keeps time: with a zone, without one, or as a number."""
        match info.family:
            case Family.TIMESTAMP | Family.DATE:
                return bound(wall_clock(at, zone))
            case Family.INTEGER | Family.NUMBER:
                return bound(epoch_microseconds(at))
            case _:
                return bound(at)


class DuckdbSource(EngineSource):
    """One DuckDB file. Nothing is created where there is none. While a snapshot is open nobody can write the file, so
    that the snapshot stays the same also in a new transaction."""

    schemes: ClassVar[frozenset[str]] = frozenset({"duckdb"})
    drivername: ClassVar[str] = "duckdb"
    dialect_class: ClassVar[type[Dialect]] = DuckdbDialect
    extra: ClassVar[str] = "duckdb"

    def __init__(self, settings: SourceSettings, url: URL) -> None:
        self.path = Path(url.database or ":memory:")
        self.settings = settings
        self.check()
        super().__init__(settings, url)
        for name in ("do_execute", "do_execute_no_params"):
            event.listen(self.engine, name, _only_one_select)
        event.listen(self.engine, "before_cursor_execute", self._start_timer)

    def check(self) -> None:
        """Raises SourceError when the URL names no file."""
        if str(self.path).startswith((":memory:", "md:", "motherduck:")):
            advice = "Write `duckdb:///path/to/file.duckdb`."
            raise SourceError(f"the URL of `{self.settings.name}` names no file", advice)

    def arguments(self, url: URL) -> Mapping[str, Any]:
        """Connections are made here, so that options of the URL undo no guard."""
        return {"creator": self._open}

    def _open(self) -> Any:
        from duckdb_sqlalchemy import ConnectionWrapper

        return ConnectionWrapper(self.guarded())

    def guarded(self) -> Any:
        """A connection of the driver, guarded; waits for one who writes."""
        import duckdb

        until = clock.stopwatch() + self.settings.lock_timeout.total_seconds()
        while True:
            if not self.path.is_file():
                raise FileNotFoundError
            try:
                connection = duckdb.connect(
                    str(self.path.absolute()), read_only=True, config=GUARDS
                )
            except duckdb.IOException as error:
                if "lock" not in str(error) or clock.stopwatch() > until:
                    raise
                clock.pause(_PAUSE)
            else:
                seal(connection)
                return connection

    def begin(self, connection: Connection) -> datetime:
        """DuckDB takes its snapshot at the first read. Its clock is this machine's."""
        _own(connection, _BEGIN)
        microseconds = _own(
            connection, "SELECT epoch_us(get_current_timestamp()) FROM duckdb_schemas() LIMIT 1"
        )
        return datetime.fromtimestamp(microseconds.scalar_one() / 1_000_000, UTC)

    def interrupt(self, driver: Any) -> None:
        """The driver can do that."""
        _interrupt(driver)

    def recover(self, connection: Connection) -> None:
        """What fails while it runs ends the transaction. The file is held, so a new one sees the same."""
        _own(connection, "ROLLBACK")
        _own(connection, _BEGIN)

    def end(self, connection: Connection) -> None:
        """Give up the snapshot, and the statement that may still run in it."""
        _own(connection, "ROLLBACK")
        connection.info.pop(_TIMER).cancel()

    def describe(self, connection: Connection, name: str, schema: str | None) -> TableInfo | None:
        """From DuckDB's own functions, in three queries; names are found in any case, as DuckDB does."""
        values = {"name": name, "schema": schema}
        rows = connection.execute(text(_COLUMNS), values).all()
        if not rows:
            return None
        columns = {
            row.column_name: ColumnInfo(
                row.column_name, row.data_type, _family(row.data_type), row.is_nullable
            )
            for row in rows
        }
        constraints = connection.execute(text(_CONSTRAINTS), values).all()
        primary = next(
            (tuple(key.names) for key in constraints if key.constraint_type == "PRIMARY KEY"), ()
        )
        unique = [
            UniqueIndex(f"UNIQUE ({', '.join(key.names)})", tuple(key.names))
            for key in constraints
            if key.constraint_type == "UNIQUE"
        ]
        for index in connection.execute(text(_INDEXES), values):
            parts = tuple(map(_unquoted, index.parts))
            # A part that is no column is an expression.
            unique += (
                [UniqueIndex(index.index_name, parts)]
                if all(part in columns for part in parts)
                else []
            )
        sure = tuple(
            key.columns for key in unique if not any(columns[part].nullable for part in key.columns)
        )
        if primary:
            unique.append(UniqueIndex("PRIMARY KEY", primary))
        never = frozenset(name for name, info in columns.items() if not info.nullable)
        enforced = Enforced(tuple(unique), never) if rows[0].is_real else Enforced()
        estimate = rows[0].estimate if rows[0].is_real else None
        return TableInfo(
            rows[0].table_name, schema, columns, primary, sure, enforced, estimate=estimate
        )

    def table_names(self, connection: Connection, schema: str | None) -> Sequence[str]:
        """Tables and views of one schema."""
        return connection.execute(text(_NAMES), {"schema": schema}).scalars().all()

    def places(self, connection: Connection) -> Sequence[tuple[str | None, str]]:
        """All schemas of this file."""
        return [(row.schema, row.name) for row in connection.execute(text(_PLACES))]

    def writable(self, connection: Connection) -> bool:
        """Whether our user may write the file."""
        return os.access(self.path, os.W_OK)

    def unreachable(self, error: BaseException) -> str:
        """By DuckDB's words; the path is not told, only the file's name."""
        name, said = self.path.name, str(error)
        if isinstance(error, FileNotFoundError):
            return f"there is no file `{name}`"
        for pattern, reason in _UNREACHABLE.items():
            if re.search(pattern, said):
                return reason.format(name=name, seconds=self.settings.lock_timeout.total_seconds())
        return f"DuckDB says {_class(error)}"

    def explain(self, error: BaseException) -> SanitydError:
        """By the class of the error; its text only where that quotes names and SQL alone."""
        name, said = _class(error), str(error)
        match name:
            case "interrupt":
                return self.too_slow()
            case "out of memory":
                advice = "Narrow the rule by `where` or `window`."
                return CheckError(
                    f"the statement needs more memory than {GUARDS['memory_limit']}", advice
                )
            case "parser" | "binder" | "catalog" | "syntax" | "permission" | "not supported":
                return CheckError(f"DuckDB refused the statement: {_first_line(said)}")
            case "io" | "fatal" | "internal" | "connection":
                return SourceError(f"`{self.settings.name}` can't be read on: {name} error")
        if found := _BAD_PATTERN.match(said):
            return CheckError(f"the regular expression can't be read: {found[1]}")
        return CheckError(f"DuckDB failed at the statement ({name} error)")

    def timer(self, driver: Any) -> Timer:
        """Interrupts what runs at the statement timeout, once it is started."""
        timer = Timer(self.settings.statement_timeout.total_seconds(), _interrupt, [driver])
        timer.daemon = True
        return timer

    def _start_timer(self, connection: Connection, *_: Any) -> None:
        """One timer per connection: as statements begin, the one before is over."""
        timer = self.timer(_driver(connection))
        if before := connection.info.pop(_TIMER, None):
            before.cancel()
        connection.info[_TIMER] = timer
        timer.start()


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _interrupt(driver: Any) -> None:
    from duckdb import Error

    # It may be closed by now.
    with suppress(Error):
        driver.interrupt()


def seal(connection: Any) -> None:
    """Lock the settings, if no other connection to the file has done so already."""
    with _SEALING:
        [is_sealed] = connection.execute("SELECT current_setting('lock_configuration')").fetchone()
        for statement in () if is_sealed else _SEAL:
            connection.execute(statement)


def _own(connection: Connection, statement: str) -> CursorResult[Any]:
    """Run a statement of ours, which may be no SELECT."""
    return connection.exec_driver_sql(statement, execution_options={OURS: True})


def _only_one_select(cursor: Any, statement: str, *rest: Any) -> None:
    """What DuckDB's own parser takes for anything else is refused, as read-only files still let temporary tables and
    other settings be made."""
    from duckdb import NotSupportedError, StatementType

    if rest[-1].execution_options.get(OURS):
        return
    if [part.type for part in cursor.connection.extract_statements(statement)] != [
        StatementType.SELECT
    ]:
        raise NotSupportedError("Not supported Error: this is not one SELECT")


def _microseconds(element: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column of numbers that mean seconds, milliseconds or microseconds since 1970, exactly; no time is NULL."""
    number: ColumnElement[Any] = try_cast(element, DECIMAL(38, 6))
    return case(
        *((func.abs(number) < bound(int(limit)), number * bound(factor)) for limit, factor in UNITS)
    )


def _class(error: BaseException) -> str:
    """`OutOfMemoryException` is `out of memory`."""
    return words(re.sub(r"^IO", "Io", re.sub(r"(Exception|Error)$", "", type(error).__name__)))


def _first_line(said: str) -> str:
    """The message without the name of its class and without the SQL."""
    return said.partition("\n")[0].partition(" Error: ")[2]


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _family(declared: str) -> Family:
    word = declared.partition("(")[0]
    return Family.OTHER if declared.endswith("]") else _FAMILIES.get(word, Family.OTHER)


_FAMILIES = {
    "VARCHAR": Family.TEXT,
    **dict.fromkeys(
        ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "BIGNUM"), Family.INTEGER
    ),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"), Family.INTEGER),
    **dict.fromkeys(("DECIMAL", "FLOAT", "DOUBLE"), Family.NUMBER),
    "BOOLEAN": Family.BOOLEAN,
    "DATE": Family.DATE,
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), Family.TIMESTAMP),
    "TIMESTAMP WITH TIME ZONE": Family.TIMESTAMPTZ,
    "UUID": Family.UUID,
    "BLOB": Family.BYTES,
    "ENUM": Family.ENUM,
}

#: What DuckDB says of a file that it can't open → what it means.
_UNREACHABLE = {
    r"[Cc]ould not set lock|[Cc]onflicting lock": "`{name}` stayed open for writing elsewhere for {seconds:g} s",
    r"different configuration": "this process has `{name}` open with other settings",
    r"not a valid DuckDB|[Ee]ncrypt": "`{name}` is no DuckDB database, or it is encrypted",
    r"[Pp]ermission denied": "the file `{name}` may not be read",
    r"version number|newer version|storage version": "`{name}` was written by another version of DuckDB",
}

_WHERE = "database_name = current_database() AND schema_name = COALESCE(:schema, current_schema())"

_COLUMNS = f"""
SELECT table_name, column_name, data_type, is_nullable, table_oid IN (SELECT table_oid FROM duckdb_tables()) AS is_real,
    (SELECT t.estimated_size FROM duckdb_tables() t WHERE t.table_oid = duckdb_columns.table_oid) AS estimate
FROM duckdb_columns() WHERE {_WHERE} AND lower(table_name) = lower(:name) ORDER BY column_index
"""

_CONSTRAINTS = f"""
SELECT constraint_type, constraint_column_names AS names
FROM duckdb_constraints() WHERE {_WHERE} AND lower(table_name) = lower(:name) ORDER BY constraint_index
"""

#: The parts of an index come as the text of a list.
_INDEXES = f"""
SELECT index_name, CAST(expressions AS VARCHAR[]) AS parts
FROM duckdb_indexes() WHERE {_WHERE} AND lower(table_name) = lower(:name) AND is_unique ORDER BY index_oid
"""

_NAMES = f"""
SELECT table_name FROM duckdb_tables() WHERE {_WHERE} AND NOT internal
UNION ALL SELECT view_name FROM duckdb_views() WHERE {_WHERE} AND NOT internal
"""

_PLACES = """
SELECT CASE WHEN schema_name = current_schema() THEN NULL ELSE schema_name END AS schema, table_name AS name
FROM duckdb_tables() WHERE database_name = current_database() AND NOT internal
"""
