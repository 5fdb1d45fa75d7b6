"""PostgreSQL through psycopg 3: REPEATABLE READ READ ONLY, guarded from the first packet, one statement per message."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from sqlalchemy import (
    REAL,
    URL,
    BigInteger,
    ClauseElement,
    ColumnElement,
    Connection,
    Engine,
    Executable,
    FromClause,
    Integer,
    Text,
    and_,
    cast,
    collate,
    event,
    func,
    literal_column,
    select,
    tablesample,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.compiler import compiles

from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.sources import postgresql_catalog
from sanityd.sources.base import AnySelect, Bitmap, Dialect, SourceSettings, words
from sanityd.sources.catalog import ColumnInfo, CostEstimate, Family, TableInfo
from sanityd.sources.postgresql_regex import measured
from sanityd.sources.snapshot import CONNECT_TIMEOUT, EngineSource
from sanityd.sources.values import bound, epoch_seconds, seconds_since_1970, wall_clock

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
#: From how many rows on a sample of pages is as good as one of rows.
_MANY = 500_000
#: Options inside a pattern work only at its very beginning.
_OPTIONS = re.compile(r"\(\?[a-z]+\)")


class PostgresqlDialect(Dialect):
    """Deterministic collations compare exactly by themselves, so that indexes stay of use."""

    name: ClassVar[str] = "postgres"

    def __init__(self) -> None:
        #: Whether this server has ICU's rules for letters; else lower() knows those of the database's locale.
        self.has_icu = False

    def exact(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """As text where the type or its collation takes different texts for the same."""
        if (
            info.type == "citext"
            or info.family is Family.ENUM
            or (info.collation and info.family is Family.TEXT)
        ):
            return self.text(element, info)
        return element

    def sorts(self, info: ColumnInfo) -> bool:
        """An enum has the order of its list."""
        return (
            super().sorts(info)
            or info.family is Family.ENUM
            or info.type in ("interval", "inet", "cidr")
        )

    def text(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Every type of PostgreSQL has a text form."""
        if info.family is Family.TEXT and info.type != "citext" and not info.collation:
            return cast(element, Text) if info.type.startswith("character(") else element
        as_text = cast(element, Text)
        return collate(as_text, "C") if info.collation or info.type == "citext" else as_text

    def folded(self, element: ColumnElement[Any]) -> ColumnElement[Any]:
        """With the letters of all alphabets, also where the column's collation is "C"."""
        if not self.has_icu:
            return func.lower(element)
        return collate(func.lower(collate(element, "und-x-icu")), "C")

    def length(self, element: ColumnElement[Any]) -> ColumnElement[int]:
        """Characters of a text."""
        return func.char_length(element)

    def whole(self, statement: AnySelect) -> AnySelect:
        """Behind a barrier, or a LIMIT has PostgreSQL walk two indexes for the sake of the first rows; mostly there is
        none, and it walks them to the end (8 s instead of 0.6 s for a million rows whose order isn't the index's)."""
        found = statement.cte("sanityd_found").prefix_with("MATERIALIZED")
        return select(*found.c)

    def matches(
        self, element: ColumnElement[Any], pattern: str, *, part: bool
    ) -> ColumnElement[bool]:
        """PostgreSQL's advanced regular expressions; `^` and `$` are the ends of the whole text."""
        if not part and (found := measured(pattern)) is not None:
            quick = element.op("~", is_comparison=True)(bound(f"^{found.pattern}$"))
            return and_(quick, func.char_length(element).between(found.low, found.high))
        options = _OPTIONS.match(pattern)
        start = options.end() if options else 0
        whole = pattern if part else f"{pattern[:start]}^(?:{pattern[start:]})$"
        return element.op("~", is_comparison=True)(bound(whole))

    def number(self, value: float, info: ColumnInfo) -> ColumnElement[Any]:
        """A `real` has fewer digits than the number it was made of; so must what it is compared with."""
        return cast(bound(value), REAL) if info.type == "real" else bound(value)

    def digest(
        self, elements: Sequence[ColumnElement[Any]], infos: Sequence[ColumnInfo]
    ) -> ColumnElement[Any] | None:
        """Whole numbers as they are, but not as the index has them, whose order may be far from that of the rows."""
        [info, *others] = infos
        if not others and info.family is Family.INTEGER:
            return cast(elements[0], BigInteger).op("#")(literal_column("0"))
        if not others and info.family is Family.TEXT:
            return func.hashtextextended(elements[0], literal_column("0"))
        return func.hash_record_extended(func.row(*elements), literal_column("0"))

    def sample(self, table: TableInfo, share: float) -> FromClause | None:
        """Whole pages, always the same ones; of a small table, whose pages are few, single rows."""
        method = func.system if (table.estimate or 0) >= _MANY else func.bernoulli
        return tablesample(
            table.clause, method(literal_column(f"{share * 100:.6f}")), "sanityd_sample", bound(1)
        )

    def bitmap(self, element: ColumnElement[Any], info: ColumnInfo) -> Bitmap | None:
        """Both shifts keep the sign."""
        number = cast(element, BigInteger)
        bit = cast(literal_column("1"), BigInteger).op("<<")(
            cast(number.op("&")(literal_column("63")), Integer)
        )
        return number.op(">>")(literal_column("6")), func.bit_or(bit)

    def instant(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """The column itself, so that its index is of use."""
        return (
            seconds_since_1970(element)
            if info.family in (Family.INTEGER, Family.NUMBER)
            else element
        )

    def moment(self, at: datetime, info: ColumnInfo, zone: ZoneInfo) -> ColumnElement[Any]:
        """As the column keeps time: with a zone, without one, or as seconds since 1970."""
        match info.family:
            case Family.TIMESTAMP | Family.DATE:
                return bound(wall_clock(at, zone))
            case Family.INTEGER | Family.NUMBER:
                return bound(epoch_seconds(at))
            case _:
                return bound(at)


class PostgresqlSource(EngineSource):
    """One PostgreSQL database (or one that speaks its protocol)."""

    schemes: ClassVar[frozenset[str]] = frozenset({"postgresql", "postgres"})
    drivername: ClassVar[str] = "postgresql+psycopg"
    dialect_class: ClassVar[type[Dialect]] = PostgresqlDialect
    extra: ClassVar[str] = "postgresql"
    doubles_percent: ClassVar[bool] = True
    #: Sorting 64-bit numbers takes 60 % of the time of hashing them, once they don't fit into `work_mem`.
    sorting: ClassVar[tuple[str, str] | None] = ("enable_hashagg", "off")
    dialect: PostgresqlDialect

    def __init__(self, settings: SourceSettings, url: URL) -> None:
        super().__init__(settings, url)
        _force_extended_protocol(self.engine)
        event.listen(self.engine, "connect", _take_any_time)

    def arguments(self, url: URL) -> Mapping[str, Any]:
        """Read-only from the first packet on; nothing is prepared that would outlive its planner settings."""
        limit = _milliseconds(self.settings.statement_timeout)
        session = {
            "default_transaction_read_only": "on",
            "statement_timeout": limit,
            "lock_timeout": _milliseconds(self.settings.lock_timeout),
            # While this snapshot is idle, another source may be looked at.
            "idle_in_transaction_session_timeout": max(600_000, 3 * limit),
            "standard_conforming_strings": "on",
            "timezone": "UTC",
            "datestyle": "ISO",
        }
        own = url.query.get("options", "")
        options = [
            own if isinstance(own, str) else " ".join(own),
            *(f"-c {key}={value}" for key, value in session.items()),
        ]
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
        """After the first query, `SET TRANSACTION READ WRITE` is refused; the savepoint outlives failed statements."""
        connection.exec_driver_sql(_BEGIN)
        at: datetime
        at, self.dialect.has_icu = connection.exec_driver_sql(
            "SELECT clock_timestamp(), getdatabaseencoding() = 'UTF8'"
            " AND EXISTS (SELECT FROM pg_catalog.pg_collation WHERE collname = 'und-x-icu')"
        ).one()
        connection.exec_driver_sql("SAVEPOINT sanityd")
        return at.astimezone(UTC)

    def share(self, connection: Connection) -> str | None:
        """By exporting it, which can't be done below the savepoint. Two connections that each use one core take less
        time than one that uses two, and less of the server's."""
        if self.settings.connections == 1 or not connection.exec_driver_sql(_CAN_EXPORT).scalar():
            return None
        connection.exec_driver_sql("RELEASE SAVEPOINT sanityd")
        connection.exec_driver_sql("SET LOCAL max_parallel_workers_per_gather = 0")
        name: str = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        connection.exec_driver_sql("SAVEPOINT sanityd")
        return name

    @contextmanager
    def beside(self, shared: str) -> Iterator[Connection | None]:
        """Another connection in the exported snapshot."""
        if not self.free_connections.acquire(blocking=False):
            yield None
            return
        try:
            another = self._join(shared)
            try:
                yield another
            finally:
                if another is not None:
                    with suppress(SQLAlchemyError):
                        self.end(another)
                    with suppress(SQLAlchemyError):
                        another.close()
        finally:
            self.free_connections.release()

    def _join(self, shared: str) -> Connection | None:
        """A pooler or the server's limit of connections may be against it."""
        another = None
        try:
            another = self.engine.connect()
            another.exec_driver_sql(_BEGIN)
            another.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{shared}'")
            another.exec_driver_sql("SELECT 1")
            another.exec_driver_sql("SET LOCAL max_parallel_workers_per_gather = 0")
            another.exec_driver_sql("SAVEPOINT sanityd")
        except SQLAlchemyError:
            with suppress(SQLAlchemyError):
                if another is not None:
                    another.close()
            return None
        return another

    def state(self, connection: Connection) -> str | None:
        """By the numbers of transactions, if the login may see what that takes."""
        try:
            return postgresql_catalog.state(connection)
        except SQLAlchemyError:
            self.recover(connection)
            return None

    def forecast(self, connection: Connection, statement: AnySelect) -> CostEstimate | None:
        """By EXPLAIN, whose planner also refutes conditions by what CHECK constraints say (when they are valid)."""
        connection.exec_driver_sql("SET LOCAL constraint_exclusion = on")
        [[[said]]] = connection.execute(_Explain(statement))
        connection.exec_driver_sql("SET LOCAL constraint_exclusion TO DEFAULT")
        top = said["Plan"]
        refuted = top["Node Type"] == "Result" and top.get("One-Time Filter") == "false"
        return CostEstimate(int(top["Plan Rows"]), float(top["Total Cost"]), refuted)

    def interrupt(self, driver: Any) -> None:
        """By asking the server, on a connection of its own."""
        driver.cancel_safe(timeout=CONNECT_TIMEOUT)

    def recover(self, connection: Connection) -> None:
        """Back to before the failed statement; the snapshot stays the same."""
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT sanityd")

    def describe(self, connection: Connection, name: str, schema: str | None) -> TableInfo | None:
        """From pg_catalog; a table without a schema is found as SQL would find it."""
        return postgresql_catalog.describe(connection, name, schema)

    def table_names(self, connection: Connection, schema: str | None) -> Sequence[str]:
        """What the login can see; tables of other schemas with their schema."""
        return postgresql_catalog.table_names(connection, schema)

    def places(self, connection: Connection) -> Sequence[tuple[str | None, str]]:
        """All schemas that the login may use, without the partitions of tables."""
        return postgresql_catalog.places(connection)

    def writable(self, connection: Connection) -> bool:
        """A right on any table that isn't the system's, also by a role, counts."""
        return postgresql_catalog.writable(connection)

    def unreachable(self, error: BaseException) -> str:
        """libpq tells why in words only, of which the known ones are told on."""
        said = str(error)
        for pattern, reason in _UNREACHABLE.items():
            if found := re.search(pattern, said, re.IGNORECASE):
                return found.expand(reason)
        state = getattr(error, "sqlstate", None)
        return f"PostgreSQL says {words(type(error).__name__)}" + (f" ({state})" if state else "")

    def explain(self, error: BaseException) -> SanitydError:
        """By SQLSTATE; the server's text only where it is about the statement's words or the login's rights."""
        state = getattr(error, "sqlstate", None) or ""
        diag = getattr(error, "diag", None)
        match state[:2], state:
            case "57", "57014":
                return self.too_slow()
            case "55", "55P03":
                return self.locked()
            case _, "08001":
                return CheckError("a foreign server that the table is on does not answer")
            case (("57" | "08"), _):
                return SourceError(
                    f"`{self.settings.name}` ended the connection ({words(type(error).__name__)})"
                )
            case _, "42501" if diag is not None:
                hint = "Let the login read it: `GRANT USAGE ON SCHEMA … TO …` and `GRANT SELECT ON … TO …`."
                return CheckError(f"PostgreSQL refused the statement: {diag.message_primary}", hint)
            case (("42" | "0A" | "25"), _) if diag is not None and _is_of_the_statement(
                diag, state
            ):
                return CheckError(
                    f"PostgreSQL refused the statement: {diag.message_primary}", diag.message_hint
                )
            case _, "2201B":
                return CheckError("the regular expression can't be read by PostgreSQL")
            case _:
                named = words(type(error).__name__) + (f", SQLSTATE {state}" if state else "")
                return CheckError(f"PostgreSQL failed at the statement ({named})")


class _Explain(Executable, ClauseElement):
    """A statement that is asked about and not run."""

    inherit_cache = False

    def __init__(self, statement: AnySelect) -> None:
        self.statement = statement


@compiles(_Explain)
def _compile_explain(element: _Explain, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **options)}"


def _is_of_the_statement(diag: Any, state: str) -> bool:
    """Whether an error is the parser's, which has a place in the SQL, or about rights. All others may quote values:
    `name::regclass` looks for a table of that name, and a function may raise any error with any text."""
    return diag.context is None and (
        diag.statement_position is not None or state in ("42501", "25006")
    )


def _force_extended_protocol(engine: Engine) -> None:
    """psycopg uses the extended protocol, which refuses a second statement, only where there is a parameter."""

    def add_parameter(
        _connection: Connection,
        _cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        _many: bool,
    ) -> tuple[str, Any]:
        # What isn't compiled is ours; BEGIN would take its snapshot too early if it had a parameter.
        if context.compiled is None:
            return statement, parameters
        return f"/* sanityd %(sanityd)s */ {statement}", {**parameters, "sanityd": 1}

    event.listen(engine, "before_cursor_execute", add_parameter, retval=True)


def _take_any_time(connection: Any, _record: Any) -> None:
    """PostgreSQL has times that Python has not (`infinity`, 24:00, before Christ): these come as text."""
    from psycopg import DataError
    from psycopg.types import datetime as times

    def tolerant(loader: type[Any]) -> type[Any]:
        def load(self: Any, data: Any) -> Any:
            try:
                return loader.load(self, data)
            except (DataError, ValueError, OverflowError):
                return bytes(data).decode()

        return type(loader.__name__, (loader,), {"load": load})

    for name, loader in (
        ("date", times.DateLoader),
        ("time", times.TimeLoader),
        ("timestamp", times.TimestampLoader),
        ("timestamptz", times.TimestamptzLoader),
    ):
        connection.adapters.register_loader(name, tolerant(loader))


def _milliseconds(limit: timedelta) -> int:
    return max(1, round(limit.total_seconds() * 1000))


#: The text of a failed connection → what it means.
_UNREACHABLE = {
    r"password authentication failed|no password supplied|role .* does not exist": "it refuses the login",
    r"database \".*\" does not exist": "there is no database of that name",
    r"connection refused": "it refuses the connection; is it running?",
    r"timeout expired|timed out": "it doesn't answer in time",
    r"translate host name|name or service not known|getaddrinfo|resolve host": "its host name is unknown",
    r"no pg_hba.conf entry": "it doesn't let this login in from here (pg_hba.conf)",
    r"starting up|shutting down|recovery": "it is starting or shutting down",
    r"too many clients|too many connections|remaining connection slots": "it has no free connection",
    r"no such file or directory": "there is no socket; is it running?",
    r"invalid connection option \"(\w+)\"": r"the URL has an option that psycopg doesn't know, `\1`",
    r"permission denied for": "the login may not use the database",
    r"ssl|certificate": "no encrypted connection could be agreed on",
    r"closed the connection unexpectedly": "it closed the connection",
}

#: Other databases that speak the protocol have no such function, and a failure here would end the snapshot.
_CAN_EXPORT = "SELECT to_regproc('pg_catalog.pg_export_snapshot') IS NOT NULL"
