"""MariaDB and MySQL through PyMySQL: a consistent, read-only snapshot with a fixed SQL mode."""

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
    FromClause,
    cast,
    collate,
    event,
    func,
    literal_column,
    text,
)
from sqlalchemy.engine import ExceptionContext

from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.sources import mysql_catalog
from sanityd.sources.base import Bitmap, Dialect, SourceSettings
from sanityd.sources.catalog import ColumnInfo, EnforcedConstraints, Family, TableInfo, UniqueIndex
from sanityd.sources.mysql_matching import common_zero, usable
from sanityd.sources.mysql_messages import (
    BAD_PATTERN,
    SAFE,
    UNREACHABLE,
    UNREACHABLE_TEXTS,
    is_of_a_function,
)
from sanityd.sources.mysql_values import conversions
from sanityd.sources.snapshot import CONNECT_TIMEOUT, EngineSource
from sanityd.sources.values import bound, epoch_seconds, seconds_since_1970, wall_clock

#: Double quotes are text, backslashes escape, `||` is OR, as the SQL gate and SQLAlchemy expect.
_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"

#: The highest limit of the steps of a recursive query.
_MOST_STEPS = 4294967295
_TIMED_OUT = frozenset((1317, 1969, 3024))
_LOCKED = frozenset((1205, 1213))
_LOST = frozenset(
    (1053, 1077, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 2006, 2013, 2014, 2055, 4031)
)


class MysqlDialect(Dialect):
    """Dialect of MariaDB and MySQL, whose collations ignore case, accents and trailing blanks."""

    name: ClassVar[str] = "mysql"
    has_booleans: ClassVar[bool] = False

    def __init__(self) -> None:
        #: The binary collation, which the two products name differently.
        self.collation = "utf8mb4_nopad_bin"

    def exact(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return texts with the binary collation; other values as they are."""
        return self.text(element, info) if info.family in (Family.TEXT, Family.ENUM) else element

    def same(
        self,
        left: ColumnElement[Any],
        left_info: ColumnInfo,
        right: ColumnElement[Any],
        right_info: ColumnInfo,
    ) -> ColumnElement[bool]:
        """Compare with a collation on one side, which applies to both.

        With one on both sides, MariaDB 10.11 ignores it inside of EXISTS.
        """
        return self.exact(left, left_info) == right

    def pair(
        self,
        left: ColumnElement[Any],
        left_info: ColumnInfo,
        right: ColumnElement[Any],
        right_info: ColumnInfo,
    ) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """Return numbers of one type, as the server looks up no others in a subquery's result."""
        zero = common_zero(left_info, right_info)
        values = self.exact(left, left_info), self.exact(right, right_info)
        return values if zero is None else (values[0].op("+")(zero), values[1].op("+")(zero))

    def text(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Convert to utf8mb4, since a column may have any character set; bits to digits first."""
        if info.type.startswith("bit"):
            element = cast(element, BIGINT)
        return collate(func.convert(element.op("USING")(literal_column("utf8mb4"))), self.collation)

    def folded(self, element: ColumnElement[Any]) -> ColumnElement[Any]:
        """Convert by LOWER, which keeps the exact collation."""
        return func.lower(element)

    def length(self, element: ColumnElement[Any]) -> ColumnElement[int]:
        """Count by CHAR_LENGTH, as LENGTH counts bytes."""
        return func.char_length(element)

    def matches(
        self, element: ColumnElement[Any], pattern: str, *, part: bool
    ) -> ColumnElement[bool]:
        """Match by PCRE (MySQL: ICU); with `(?s)` a dot matches a line break, as in PostgreSQL."""
        whole = f"(?s){pattern}" if part else rf"(?s)\A(?:{pattern})\z"
        return element.op("REGEXP", is_comparison=True)(bound(whole))

    def bitmap(self, element: ColumnElement[Any], info: ColumnInfo) -> Bitmap | None:
        """Shift as unsigned: add 2^63 to signed numbers first, subtract 2^57 from their buckets."""
        bits = func.bit_or(literal_column("1").op("<<")(element.op("&")(literal_column("63"))))
        if "unsigned" in info.type or info.type.startswith("bit"):
            return element.op(">>")(literal_column("6")), bits
        moved = element.op("^")(literal_column(str(1 << 63))).op(">>")(literal_column("6"))
        return cast(moved, BIGINT) - literal_column(str(1 << 57)), bits

    def instant(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return the column itself, so that its index can be used; of numbers, seconds."""
        if info.family in (Family.INTEGER, Family.NUMBER):
            return seconds_since_1970(element)
        return element

    def time_literal(self, at: datetime, info: ColumnInfo, zone: ZoneInfo) -> ColumnElement[Any]:
        """Return UTC, the session's zone, for TIMESTAMP; the source's wall clock for DATETIME."""
        match info.family:
            case Family.INTEGER | Family.NUMBER:
                return bound(epoch_seconds(at))
            case Family.TIMESTAMPTZ:
                return func.timestamp(bound(wall_clock(at, UTC)))
            case _:
                return func.timestamp(bound(wall_clock(at, zone)))


class MysqlSource(EngineSource):
    """MariaDB or MySQL database. Non-transactional tables (MyISAM) are not part of the snapshot."""

    schemes: ClassVar[frozenset[str]] = frozenset({"mysql", "mariadb"})
    drivername: ClassVar[str] = "mysql+pymysql"
    dialect_class: ClassVar[type[Dialect]] = MysqlDialect
    extra: ClassVar[str] = "mysql"
    doubles_percent: ClassVar[bool] = True
    dialect: MysqlDialect

    def __init__(self, settings: SourceSettings, url: URL) -> None:
        super().__init__(settings, url)
        event.listen(self.engine, "handle_error", _keep_if_alive)

    def error_name(self, error: BaseException) -> str:
        """Return the code of an error."""
        return f"error {_code(error)}"

    def arguments(self, url: URL) -> Mapping[str, Any]:
        """Override options of the URL; set the SQL mode first, as SQLAlchemy reads it at once."""
        longest = self.settings.statement_timeout + self.settings.lock_timeout
        arguments = {
            "charset": "utf8mb4",
            "conv": conversions(),
            "client_flag": 0,
            "local_infile": False,
            "connect_timeout": CONNECT_TIMEOUT,
            # The server cancels before that; this is for servers that no longer answer.
            "read_timeout": round(longest.total_seconds()) + 30,
            "init_command": f"SET SESSION sql_mode = '{_MODE}', time_zone = '+00:00'",
        }
        return {"connect_args": arguments}

    def begin(self, connection: Connection) -> datetime:
        """Begin a consistent snapshot, which requires REPEATABLE READ."""
        limit = self.settings.statement_timeout.total_seconds()
        wait = max(1, round(self.settings.lock_timeout.total_seconds()))
        # Recursion must not stop silently at MariaDB's default of a thousand steps.
        if getattr(connection.dialect, "is_mariadb", False):
            self.dialect.collation = "utf8mb4_nopad_bin"
            limits = f"max_statement_time = {limit:g}, max_recursive_iterations = {_MOST_STEPS}"
        else:
            self.dialect.collation = "utf8mb4_0900_bin"
            milliseconds = max(1, round(limit * 1000))
            limits = f"max_execution_time = {milliseconds}, cte_max_recursion_depth = {_MOST_STEPS}"
        for statement in (
            f"SET SESSION {limits}, lock_wait_timeout = {wait}, innodb_lock_wait_timeout = {wait}",
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "SET SESSION TRANSACTION READ ONLY",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ):
            connection.exec_driver_sql(statement)
        at: datetime = connection.exec_driver_sql("SELECT UTC_TIMESTAMP(6)").scalar_one()
        return at.replace(tzinfo=UTC)

    def interrupt(self, driver: Any) -> None:
        """Cancel by KILL QUERY on another connection; each login may do that with its own."""
        with self.engine.connect() as another:
            another.exec_driver_sql(f"KILL QUERY {int(driver.thread_id())}")

    def recover(self, connection: Connection) -> None:
        """Do nothing: a failed SELECT leaves the transaction as it was."""

    def describe(self, connection: Connection, name: str, schema: str | None) -> TableInfo | None:
        """Return a table from information_schema; case matters where it does for the server."""
        values = {"name": name, "schema": schema}
        rows = connection.execute(text(mysql_catalog.COLUMNS), values).all()
        if not rows:
            return None
        columns = {}
        for column, type_, data_type, nullable, collation in rows:
            columns[column] = ColumnInfo(
                column, type_, mysql_catalog.family(type_, data_type), nullable == "YES", collation
            )
        unique = _whole_keys(connection, values)
        unique_keys = []
        for index, key in unique.items():
            if index != "PRIMARY" and not any(columns[column].nullable for column in key):
                unique_keys.append(key)
        table = connection.execute(text(mysql_catalog.ENGINE), values).one_or_none()
        engine, estimate = ("", None) if table is None else table
        enforced = EnforcedConstraints()
        # Tables of other engines (CONNECT, Spider) may have rows of somebody else.
        if engine.lower() in mysql_catalog.OWN_ROWS:
            indexes = [UniqueIndex(f"{name}.{index}", key) for index, key in unique.items()]
            enforced = EnforcedConstraints(tuple(indexes), frozenset(_never_null(columns)))
        return TableInfo(
            name,
            schema,
            columns,
            unique.get("PRIMARY", ()),
            tuple(unique_keys),
            enforced,
            estimate=estimate,
            leading=usable(
                connection.execute(text(mysql_catalog.LEADING), values).scalars(), columns
            ),
        )

    def value_type(
        self, connection: Connection, value: ColumnElement[Any], table: FromClause
    ) -> ColumnInfo:
        """Return the type by the server's description of the result."""
        return mysql_catalog.value_type(connection, value, table)

    def table_names(self, connection: Connection, schema: str | None) -> Sequence[str]:
        """Return the tables and views of one database."""
        return connection.execute(text(mysql_catalog.NAMES), {"schema": schema}).scalars().all()

    def all_tables(self, connection: Connection) -> Sequence[tuple[str | None, str]]:
        """Return the tables of the database that the URL names, and of no other one."""
        return [(None, name) for name in connection.execute(text(mysql_catalog.TABLES)).scalars()]

    def writable(self, connection: Connection) -> bool:
        """Return whether SHOW GRANTS, which includes the active role, lists a right to write."""
        lines = connection.exec_driver_sql("SHOW GRANTS").scalars()
        return any(_grants_writing(line) for line in lines)

    def unreachable(self, error: BaseException) -> str:
        """Return the reason by error code; for code 2003, by the text of the system."""
        code = _code(error)
        if code in UNREACHABLE:
            return UNREACHABLE[code]
        message = str(error).lower()
        for part, reason in UNREACHABLE_TEXTS.items():
            if part in message:
                return reason
        if isinstance(error, TypeError | ValueError):
            return "the URL has an option that PyMySQL doesn't know"
        if code:
            return f"the server says error {code}"
        return f"the driver failed ({type(error).__name__})"

    def quotes_data(self, error: BaseException, statement: str) -> bool:
        """Return whether a text that is safe by its code has words of somebody else.

        A stored function may raise any code with any text.
        """
        if len(error.args) < 2:
            return False
        url = self.engine.url
        own = f"{statement} {url.database} {url.username}"
        return is_of_a_function(_code(error), str(error.args[1]), own)

    def explain(self, error: BaseException) -> SanitydError:
        """Return the error by its code, with the server's text only where that quotes no values."""
        code = _code(error)
        if code in _TIMED_OUT:
            return self.too_slow()
        if code in _LOCKED:
            return self.locked()
        if code in _LOST:
            return SourceError(f"`{self.settings.name}` ended the connection (error {code})")
        if code == BAD_PATTERN:
            return CheckError("the regular expression can't be read", f"{error.args[1]}.")
        if code in SAFE and len(error.args) > 1:
            return CheckError(f"the database refused the statement: {error.args[1]}")
        return CheckError(f"the database failed at the statement (error {code})")


def _keep_if_alive(context: ExceptionContext) -> None:
    """Keep a connection that still answers, whatever the code of the error is.

    SQLAlchemy takes it for lost by the code, but a function or a foreign table may raise any.
    """
    if not context.is_disconnect or context.connection is None:
        return
    try:
        # It raises when the driver has closed the connection.
        driver: Any = context.connection.connection.driver_connection
        driver.ping(reconnect=False)
    except Exception:  # noqa: BLE001  # it is lost, as SQLAlchemy says
        return
    context.is_disconnect = False


def _never_null(columns: Mapping[str, ColumnInfo]) -> Iterator[str]:
    """Yield the columns of which IS NULL is never true.

    It is true for `0000-00-00` in a column of dates that can't be NULL.
    """
    dates = (Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ)
    for name, info in columns.items():
        if not info.nullable and info.family not in dates:
            yield name


def _whole_keys(
    connection: Connection, values: Mapping[str, str | None]
) -> dict[str, tuple[str, ...]]:
    """Return the unique indexes over whole columns: name → columns.

    Indexes over a prefix of a column, or over an expression, don't identify a row by its values.
    """
    keys: dict[str, list[str | None]] = {}
    for index, column, prefix in connection.execute(text(mysql_catalog.KEYS), values):
        keys.setdefault(index, []).append(None if prefix else column)
    whole = {}
    for index, parts in keys.items():
        names = tuple(part for part in parts if part)
        if len(names) == len(parts):
            whole[index] = names
    return whole


def _code(error: BaseException) -> int:
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def _grants_writing(line: str) -> bool:
    """Return whether a line such as `GRANT SELECT, INSERT (a, b) ON …` has a right to write.

    A line without ON is about a role.
    """
    rights = re.match(r"GRANT (.+?) ON ", line)
    if not rights:
        return False
    words = {part.strip().upper() for part in re.sub(r"\([^)]*\)", "", rights[1]).split(",")}
    return bool(words & _WRITING)


_WRITING = frozenset({
    "ALL PRIVILEGES", "ALL", "INSERT", "UPDATE", "DELETE", "DELETE HISTORY",
    "CREATE", "DROP", "ALTER", "TRIGGER", "INDEX", "FILE",
    "SUPER", "CREATE ROUTINE", "ALTER ROUTINE", "CREATE VIEW", "EVENT", "CREATE USER",
})  # fmt: skip
