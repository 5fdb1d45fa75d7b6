"""PostgreSQL through psycopg 3: REPEATABLE READ READ ONLY, guarded from the first packet, one statement per message."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from sqlalchemy import (
    REAL,
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    Text,
    cast,
    collate,
    event,
    func,
    literal_column,
    text,
)

from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.sources.base import AnyRow, Bitmap, Dialect, SourceSettings
from sanityd.sources.catalog import ColumnInfo, Enforced, Family, ForeignKey, TableInfo, UniqueIndex
from sanityd.sources.snapshot import CONNECT_TIMEOUT, EngineSource, words
from sanityd.sources.values import bound, epoch_seconds, seconds_since_1970, wall_clock

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
        if info.type == "citext" or info.family is Family.ENUM or (info.collation and info.family is Family.TEXT):
            return self.text(element, info)
        return element

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

    def matches(self, element: ColumnElement[Any], pattern: str, *, part: bool) -> ColumnElement[bool]:
        """PostgreSQL's advanced regular expressions; `^` and `$` are the ends of the whole text."""
        options = _OPTIONS.match(pattern)
        start = options.end() if options else 0
        whole = pattern if part else f"{pattern[:start]}^(?:{pattern[start:]})$"
        return element.op("~", is_comparison=True)(bound(whole))

    def number(self, value: float, info: ColumnInfo) -> ColumnElement[Any]:
        """A `real` has fewer digits than the number it was made of; so must what it is compared with."""
        return cast(bound(value), REAL) if info.type == "real" else bound(value)

    def bitmap(self, element: ColumnElement[Any], info: ColumnInfo) -> Bitmap | None:
        """Both shifts keep the sign."""
        number = cast(element, BigInteger)
        bit = cast(literal_column("1"), BigInteger).op("<<")(cast(number.op("&")(literal_column("63")), Integer))
        return number.op(">>")(literal_column("6")), func.bit_or(bit)

    def instant(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """The column itself, so that its index is of use."""
        return seconds_since_1970(element) if info.family in (Family.INTEGER, Family.NUMBER) else element

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
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        at: datetime
        at, self.dialect.has_icu = connection.exec_driver_sql(
            "SELECT clock_timestamp(), getdatabaseencoding() = 'UTF8'"
            " AND EXISTS (SELECT FROM pg_catalog.pg_collation WHERE collname = 'und-x-icu')"
        ).one()
        connection.exec_driver_sql("SAVEPOINT sanityd")
        return at.astimezone(UTC)

    def recover(self, connection: Connection) -> None:
        """Back to before the failed statement; the snapshot stays the same."""
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT sanityd")

    def describe(self, connection: Connection, name: str, schema: str | None) -> TableInfo | None:
        """From pg_catalog in two queries; a table without a schema is found as SQL would find it."""
        rows = connection.execute(text(_COLUMNS), {"name": name, "schema": schema}).all()
        if not rows:
            return None
        columns = {
            row.attname: ColumnInfo(row.attname, row.type, _family(row), not row.attnotnull, row.collation)
            for row in rows
        }
        oid = rows[0].oid
        keys = connection.execute(text(_KEYS), {"table": oid}).all()
        primary = next((tuple(key.names) for key in keys if key.indisprimary), ())
        unique = [tuple(key.names) for key in keys if not key.indisprimary]
        sure = tuple(key for key in unique if not any(columns[part].nullable for part in key))
        return TableInfo(name, schema, columns, primary, sure, _enforced(connection, oid, columns, keys), oid)

    def table_names(self, connection: Connection, schema: str | None) -> Sequence[str]:
        """What the login can see; tables of other schemas with their schema."""
        return connection.execute(text(_NAMES), {"schema": schema}).scalars().all()

    def writable(self, connection: Connection) -> bool:
        """A right on any table that isn't the system's, also by a role, counts."""
        return bool(connection.execute(text(_WRITABLE)).scalar())

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
            case (("57" | "08"), _):
                return SourceError(f"`{self.settings.name}` ended the connection ({words(type(error).__name__)})")
            case (("42" | "0A" | "25"), _) if diag is not None and _is_of_the_statement(diag, state):
                return CheckError(f"PostgreSQL refused the statement: {diag.message_primary}", diag.message_hint)
            case _, "2201B":
                return CheckError("the regular expression can't be read by PostgreSQL")
            case _:
                named = words(type(error).__name__) + (f", SQLSTATE {state}" if state else "")
                return CheckError(f"PostgreSQL failed at the statement ({named})")


def _enforced(
    connection: Connection, table: int, columns: Mapping[str, ColumnInfo], keys: Sequence[AnyRow]
) -> Enforced:
    """What PostgreSQL sees to itself. A foreign table's constraints are claims, a parent's don't bind its children."""
    if not connection.execute(text(_KEEPS_ITS_WORD), {"table": table}).scalar():
        return Enforced()
    foreign: dict[str, tuple[int, dict[str, str]]] = {}
    for key in connection.execute(text(_FOREIGN_KEYS), {"table": table}):
        foreign.setdefault(key.name, (key.target, {}))[1][key.mine] = key.theirs
    checks = connection.execute(text(_CHECKS), {"table": table})
    return Enforced(
        unique=tuple(UniqueIndex(key.name, tuple(key.names), key.nulls_equal) for key in keys if key.is_immediate),
        not_null=frozenset(name for name, info in columns.items() if not info.nullable),
        foreign_keys=tuple(ForeignKey(name, on, target) for name, (target, on) in foreign.items()),
        checks={check.name: check.sql for check in checks},
    )


def _is_of_the_statement(diag: Any, state: str) -> bool:
    """Whether an error is the parser's, which has a place in the SQL, or about rights. All others may quote values:
    `name::regclass` looks for a table of that name, and a function may raise any error with any text."""
    return diag.context is None and (diag.statement_position is not None or state in ("42501", "25006"))


def _force_extended_protocol(engine: Engine) -> None:
    """psycopg uses the extended protocol, which refuses a second statement, only where there is a parameter."""

    def add_parameter(
        _connection: Connection, _cursor: Any, statement: str, parameters: Any, context: Any, _many: bool
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


def _family(row: Any) -> Family:
    if row.typtype == "e":
        return Family.ENUM
    return _FAMILIES.get(row.typname, Family.OTHER)


_FAMILIES = {
    **dict.fromkeys(("text", "varchar", "bpchar", "citext", "name"), Family.TEXT),
    **dict.fromkeys(("int2", "int4", "int8", "oid"), Family.INTEGER),
    **dict.fromkeys(("numeric", "float4", "float8", "money"), Family.NUMBER),
    "bool": Family.BOOLEAN,
    "date": Family.DATE,
    "timestamp": Family.TIMESTAMP,
    "timestamptz": Family.TIMESTAMPTZ,
    "uuid": Family.UUID,
    "bytea": Family.BYTES,
}

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

#: Deterministic collations compare exactly, so only others are told. Domains count as what they are made of.
_COLUMNS = """
SELECT c.oid, a.attname, format_type(CASE t.typtype WHEN 'd' THEN b.oid ELSE t.oid END, a.atttypmod) AS type,
    b.typname, b.typtype, a.attnotnull, l.collname AS collation
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN pg_catalog.pg_type b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation AND NOT l.collisdeterministic
WHERE c.relname = :name AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
    AND CASE WHEN CAST(:schema AS text) IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = :schema END
ORDER BY a.attnum
"""

#: Whole, valid unique indexes. A parent of tables that inherit from it has rows that its own index doesn't know.
_KEYS = """
SELECT i.indisprimary, x.relname AS name, i.indimmediate AS is_immediate,
    COALESCE(CAST(to_jsonb(i) ->> 'indnullsnotdistinct' AS boolean), false) AS nulls_equal, (
    SELECT array_agg(a.attname ORDER BY k.place)
    FROM unnest(CAST(i.indkey AS int2[])) WITH ORDINALITY AS k (number, place)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
    WHERE k.place <= i.indnkeyatts
) AS names
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
WHERE i.indrelid = :table AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
    AND NOT (c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid))
ORDER BY i.indisprimary DESC, i.indexrelid
"""

#: Tables whose rows are all their own and under their own constraints: none with children that inherit (a child may
#: drop NOT NULL), and no partition that lies on another server.
_KEEPS_ITS_WORD = """
SELECT CASE c.relkind
    WHEN 'r' THEN NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid)
    WHEN 'p' THEN NOT EXISTS (
        SELECT FROM pg_partition_tree(c.oid) t JOIN pg_catalog.pg_class p ON p.oid = t.relid
        WHERE p.relkind NOT IN ('r', 'p')
    )
    ELSE false
END
FROM pg_catalog.pg_class c WHERE c.oid = :table
"""

#: What every row was looked at for, and is still looked at for. Rows of pg_constraint of newer versions say more.
_HOLDS = "k.convalidated AND COALESCE(CAST(to_jsonb(k) ->> 'conenforced' AS boolean), true)"

#: Their triggers do the work; both sides' must fire, for those who replicate, too. A deferred one may still be broken.
_FOREIGN_KEYS = f"""
SELECT k.conname AS name, k.confrelid AS target, mine.attname AS mine, theirs.attname AS theirs
FROM pg_catalog.pg_constraint k
CROSS JOIN unnest(k.conkey, k.confkey) WITH ORDINALITY AS part (mine, theirs, place)
JOIN pg_catalog.pg_attribute mine ON mine.attrelid = k.conrelid AND mine.attnum = part.mine
JOIN pg_catalog.pg_attribute theirs ON theirs.attrelid = k.confrelid AND theirs.attnum = part.theirs
WHERE k.conrelid = :table AND k.contype = 'f' AND {_HOLDS} AND NOT k.condeferrable
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgconstraint = k.oid AND t.tgenabled NOT IN ('O', 'A'))
ORDER BY k.oid, part.place
"""

_CHECKS = f"""
SELECT k.conname AS name, pg_get_expr(k.conbin, k.conrelid) AS sql
FROM pg_catalog.pg_constraint k WHERE k.conrelid = :table AND k.contype = 'c' AND {_HOLDS} ORDER BY k.conname
"""

_NAMES = """
SELECT CASE WHEN CAST(:schema AS text) IS NULL AND NOT pg_table_is_visible(c.oid) THEN n.nspname || '.' ELSE '' END
    || c.relname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname NOT LIKE 'pg~_%' ESCAPE '~'
    AND n.nspname <> 'information_schema' AND n.nspname = COALESCE(CAST(:schema AS text), n.nspname)
ORDER BY 1
"""

_WRITABLE = """
SELECT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) OR EXISTS (
    SELECT FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v', 'f', 'p') AND n.nspname NOT LIKE 'pg~_%' ESCAPE '~'
        AND n.nspname <> 'information_schema'
        AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
)
"""
