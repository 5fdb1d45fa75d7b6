"""MariaDB and MySQL through PyMySQL: a consistent snapshot, read-only, in a session whose SQL mode is ours."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BIGINT,
    URL,
    ColumnElement,
    Connection,
    cast,
    collate,
    func,
    literal_column,
    text,
)

from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.sources.base import Bitmap, Dialect
from sanityd.sources.catalog import ColumnInfo, Enforced, Family, TableInfo, UniqueIndex
from sanityd.sources.snapshot import CONNECT_TIMEOUT, EngineSource
from sanityd.sources.values import bound, epoch_seconds, seconds_since_1970, wall_clock

#: Double quotes are text, backslashes escape, `||` is OR: what the gate and SQLAlchemy take for granted.
_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"

#: Error codes whose text quotes names and SQL, never values.
_SAFE = frozenset({
    1044, 1046, 1051, 1052, 1054, 1055, 1056, 1060, 1064, 1066, 1103, 1109, 1111, 1115, 1140,
    1142, 1143, 1146, 1149, 1221, 1222, 1227, 1235, 1239, 1241, 1242, 1247, 1248, 1250, 1267, 1270,
    1271, 1273, 1286, 1290, 1305, 1318, 1356, 1370, 1382, 1425, 1463, 1582, 1583, 1584, 1630, 1792,
    3685, 3692, 4078,
})  # fmt: skip
_BAD_PATTERN = 1139
_TIMED_OUT = frozenset((1317, 1969, 3024))
_LOCKED = frozenset((1205, 1213))
_LOST = frozenset(
    (1053, 1077, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 2006, 2013, 2014, 2055, 4031)
)


class MysqlDialect(Dialect):
    """Collations of MariaDB and MySQL ignore case, accents and trailing blanks unless told not to."""

    name: ClassVar[str] = "mysql"

    def __init__(self) -> None:
        #: The one collation that tells everything apart, which the two products name differently.
        self.collation = "utf8mb4_nopad_bin"

    def exact(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Only texts have collations."""
        return self.text(element, info) if info.family in (Family.TEXT, Family.ENUM) else element

    def same(
        self,
        left: ColumnElement[Any],
        left_info: ColumnInfo,
        right: ColumnElement[Any],
        right_info: ColumnInfo,
    ) -> ColumnElement[bool]:
        """A collation on one side holds for both. Said on both sides, MariaDB 10.11 forgets it inside of EXISTS."""
        return self.exact(left, left_info) == right

    def text(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """As utf8mb4, since a column may be of any character set."""
        return collate(func.convert(element.op("USING")(literal_column("utf8mb4"))), self.collation)

    def folded(self, element: ColumnElement[Any]) -> ColumnElement[Any]:
        """LOWER keeps the exact collation."""
        return func.lower(element)

    def length(self, element: ColumnElement[Any]) -> ColumnElement[int]:
        """LENGTH would count bytes."""
        return func.char_length(element)

    def matches(
        self, element: ColumnElement[Any], pattern: str, *, part: bool
    ) -> ColumnElement[bool]:
        """PCRE (ICU in MySQL); `(?s)` lets a dot stand for a line break, as in PostgreSQL."""
        whole = f"(?s){pattern}" if part else rf"(?s)\A(?:{pattern})\z"
        return element.op("REGEXP", is_comparison=True)(bound(whole))

    def bitmap(self, element: ColumnElement[Any], info: ColumnInfo) -> Bitmap | None:
        """Shifts know no sign: numbers with one are moved up by 2^63 first, and their buckets down by 2^57."""
        bits = func.bit_or(literal_column("1").op("<<")(element.op("&")(literal_column("63"))))
        if "unsigned" in info.type:
            return element.op(">>")(literal_column("6")), bits
        moved = element.op("^")(literal_column(str(1 << 63))).op(">>")(literal_column("6"))
        return cast(moved, BIGINT) - literal_column(str(1 << 57)), bits

    def instant(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """The column itself, so that its index is of use."""
        return (
            seconds_since_1970(element)
            if info.family in (Family.INTEGER, Family.NUMBER)
            else element
        )

    def moment(self, at: datetime, info: ColumnInfo, zone: ZoneInfo) -> ColumnElement[Any]:
        """TIMESTAMP is shown in the session's zone, which is UTC; DATETIME is what somebody's wall clock showed."""
        match info.family:
            case Family.INTEGER | Family.NUMBER:
                return bound(epoch_seconds(at))
            case Family.TIMESTAMPTZ:
                return func.timestamp(bound(wall_clock(at, UTC)))
            case _:
                return func.timestamp(bound(wall_clock(at, zone)))


class MysqlSource(EngineSource):
    """One MariaDB or MySQL database. Tables that aren't transactional (MyISAM) are not part of the snapshot."""

    schemes: ClassVar[frozenset[str]] = frozenset({"mysql", "mariadb"})
    drivername: ClassVar[str] = "mysql+pymysql"
    dialect_class: ClassVar[type[Dialect]] = MysqlDialect
    extra: ClassVar[str] = "mysql"
    doubles_percent: ClassVar[bool] = True
    dialect: MysqlDialect

    def arguments(self, url: URL) -> Mapping[str, Any]:
        """What a URL could undo is said last. The mode comes first of all, as SQLAlchemy asks for it at once."""
        patience = (
            self.settings.statement_timeout.total_seconds()
            + self.settings.lock_timeout.total_seconds()
        )
        arguments = {
            "charset": "utf8mb4",
            "client_flag": 0,
            "local_infile": False,
            "connect_timeout": CONNECT_TIMEOUT,
            # The server cuts off before that; this is for servers that have vanished.
            "read_timeout": round(patience) + 30,
            "init_command": f"SET SESSION sql_mode = '{_MODE}', time_zone = '+00:00'",
        }
        return {"connect_args": arguments}

    def begin(self, connection: Connection) -> datetime:
        """A consistent snapshot exists in REPEATABLE READ only."""
        limit = self.settings.statement_timeout.total_seconds()
        wait = max(1, round(self.settings.lock_timeout.total_seconds()))
        is_mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
        self.dialect.collation = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        timeout = (
            f"max_statement_time = {limit:g}"
            if is_mariadb
            else f"max_execution_time = {max(1, round(limit * 1000))}"
        )
        # A hierarchy may be deeper than MariaDB's thousand steps, after which it would stop without a word.
        depth = (
            "max_recursive_iterations = 4294967295"
            if is_mariadb
            else "cte_max_recursion_depth = 4294967295"
        )
        for statement in (
            f"SET SESSION {timeout}, {depth}, lock_wait_timeout = {wait}, innodb_lock_wait_timeout = {wait}",
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "SET SESSION TRANSACTION READ ONLY",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ):
            connection.exec_driver_sql(statement)
        at: datetime = connection.exec_driver_sql("SELECT UTC_TIMESTAMP(6)").scalar_one()
        return at.replace(tzinfo=UTC)

    def interrupt(self, driver: Any) -> None:
        """By asking the server, on a connection of its own; everybody may stop their own statements."""
        with self.engine.connect() as another:
            another.exec_driver_sql(f"KILL QUERY {int(driver.thread_id())}")

    def recover(self, connection: Connection) -> None:
        """A failed SELECT leaves the transaction as it was; only a deadlock ends it, which reading can't cause."""

    def describe(self, connection: Connection, name: str, schema: str | None) -> TableInfo | None:
        """From information_schema, in two queries; letter case counts where the server's does."""
        values = {"name": name, "schema": schema}
        rows = connection.execute(text(_COLUMNS), values).all()
        if not rows:
            return None
        columns = {
            column: ColumnInfo(
                column, type_, _family(type_, data_type), nullable == "YES", collation
            )
            for column, type_, data_type, nullable, collation in rows
        }
        keys: dict[str, list[str | None]] = {}
        for index, column, part in connection.execute(text(_KEYS), values):
            # Only whole columns identify a row by their value; an expression has no column.
            keys.setdefault(index, []).append(None if part else column)
        unique = {
            index: [name for name in names if name]
            for index, names in keys.items()
            if None not in names
        }
        primary = tuple(unique.get("PRIMARY", ()))
        sure = tuple(
            tuple(key)
            for index, key in unique.items()
            if index != "PRIMARY" and not any(columns[part].nullable for part in key)
        )
        # No row of a table of these engines gets past them, while others (CONNECT, Spider) have rows of somebody else.
        engine, estimate = connection.execute(text(_ENGINE), values).one_or_none() or ("", None)
        whole = [UniqueIndex(f"{name}.{index}", tuple(key)) for index, key in unique.items()]
        own_rows = engine.lower() in _OWN_ROWS
        enforced = (
            Enforced(tuple(whole), frozenset(_never_null(columns))) if own_rows else Enforced()
        )
        return TableInfo(name, schema, columns, primary, sure, enforced, estimate=estimate)

    def table_names(self, connection: Connection, schema: str | None) -> Sequence[str]:
        """The tables and views of one database."""
        return connection.execute(text(_NAMES), {"schema": schema}).scalars().all()

    def places(self, connection: Connection) -> Sequence[tuple[str | None, str]]:
        """The tables of the one database that the URL names; others on the server are somebody else's."""
        return [(None, name) for name in connection.execute(text(_TABLES)).scalars()]

    def writable(self, connection: Connection) -> bool:
        """By SHOW GRANTS, which tells the rights of the active role, too."""
        return any(
            _grants_writing(line) for line in connection.exec_driver_sql("SHOW GRANTS").scalars()
        )

    def unreachable(self, error: BaseException) -> str:
        """By code; the text of code 2003 is the system's."""
        code = _code(error)
        said = str(error).lower()
        if code in _UNREACHABLE:
            return _UNREACHABLE[code]
        if "refused" in said:
            return "it refuses the connection; is it running?"
        if "timed out" in said:
            return "it doesn't answer in time"
        if "name or service not known" in said or "resolution" in said or "getaddrinfo" in said:
            return "its host name is unknown"
        if "no such file" in said:
            return "there is no socket; is it running?"
        if isinstance(error, TypeError | ValueError):
            return "the URL has an option that PyMySQL doesn't know"
        return (
            f"the server says error {code}"
            if code
            else f"the driver failed ({type(error).__name__})"
        )

    def explain(self, error: BaseException) -> SanitydError:
        """By code; the server's text only where it quotes names and SQL alone."""
        code = _code(error)
        if code in _TIMED_OUT:
            return self.too_slow()
        if code in _LOCKED:
            return self.locked()
        if code in _LOST:
            return SourceError(f"`{self.settings.name}` ended the connection (error {code})")
        if code == _BAD_PATTERN:
            return CheckError("the regular expression can't be read", f"{error.args[1]}.")
        if code in _SAFE and len(error.args) > 1:
            return CheckError(f"the database refused the statement: {error.args[1]}")
        return CheckError(f"the database failed at the statement (error {code})")


def _never_null(columns: Mapping[str, ColumnInfo]) -> Iterator[str]:
    """Of a column of dates that can't be NULL, IS NULL is true where it holds `0000-00-00`."""
    dates = (Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ)
    return (
        name for name, info in columns.items() if not info.nullable and info.family not in dates
    )


def _code(error: BaseException) -> int:
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def _grants_writing(line: str) -> bool:
    """`GRANT SELECT, INSERT (a, b) ON …` names its rights before ON; a line without is about a role."""
    if not (rights := re.match(r"GRANT (.+?) ON ", line)):
        return False
    words = {part.strip().upper() for part in re.sub(r"\([^)]*\)", "", rights[1]).split(",")}
    return bool(words & _WRITING)


_WRITING = frozenset({
    "ALL PRIVILEGES", "ALL", "INSERT", "UPDATE", "DELETE", "DELETE HISTORY",
    "CREATE", "DROP", "ALTER", "TRIGGER", "INDEX", "FILE",
    "SUPER", "CREATE ROUTINE", "ALTER ROUTINE", "CREATE VIEW", "EVENT", "CREATE USER",
})  # fmt: skip


def _family(full: str, name: str) -> Family:
    if full == "tinyint(1)":
        return Family.BOOLEAN
    if name.endswith(("text", "char")):
        return Family.TEXT
    if name.endswith("int"):
        return Family.INTEGER
    if name.endswith(("blob", "binary")):
        return Family.BYTES
    return _FAMILIES.get(name, Family.OTHER)


_FAMILIES = {
    "set": Family.TEXT,
    "enum": Family.ENUM,
    "year": Family.INTEGER,
    "decimal": Family.NUMBER,
    "float": Family.NUMBER,
    "double": Family.NUMBER,
    "date": Family.DATE,
    "datetime": Family.TIMESTAMP,
    "timestamp": Family.TIMESTAMPTZ,
    "uuid": Family.UUID,
}

_UNREACHABLE = {
    1040: "it has no free connection",
    1044: "the login may not use the database",
    1045: "it refuses the login",
    1049: "there is no database of that name",
    1130: "it doesn't let this host in",
    1203: "the login has no free connection",
    1227: "the login lacks a right",
    1698: "it refuses the login",
    2013: "it closed the connection",
    2026: "no encrypted connection could be agreed on",
}

_WHERE = """table_schema = COALESCE(:schema, DATABASE())
    AND (BINARY table_name = :name OR @@lower_case_table_names > 0 AND table_name = :name)"""

_COLUMNS = f"""
SELECT column_name, column_type, data_type, is_nullable, collation_name
FROM information_schema.columns WHERE {_WHERE} ORDER BY ordinal_position
"""

_ENGINE = f"SELECT engine, table_rows FROM information_schema.tables WHERE {_WHERE} AND table_type = 'BASE TABLE'"
_OWN_ROWS = frozenset(("innodb", "myisam", "aria"))

_KEYS = f"""
SELECT index_name, column_name, sub_part
FROM information_schema.statistics WHERE {_WHERE} AND non_unique = 0 ORDER BY index_name, seq_in_index
"""

_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"

_NAMES = """
SELECT table_name FROM information_schema.tables WHERE table_schema = COALESCE(:schema, DATABASE()) ORDER BY table_name
"""
