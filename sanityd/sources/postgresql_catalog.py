"""What PostgreSQL says of its tables: columns, keys, and what it sees to itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from sanityd.sources.base import AnyRow
from sanityd.sources.catalog import ColumnInfo, Enforced, Family, ForeignKey, TableInfo, UniqueIndex


def describe(connection: Connection, name: str, schema: str | None) -> TableInfo | None:
    """From pg_catalog in two queries; a table without a schema is found as SQL would find it."""
    rows = connection.execute(text(_COLUMNS), {"name": name, "schema": schema}).all()
    if not rows:
        return None
    columns = {
        row.attname: ColumnInfo(
            row.attname, row.type, _family(row), not row.attnotnull, row.collation
        )
        for row in rows
    }
    oid = rows[0].oid
    keys = connection.execute(text(_KEYS), {"table": oid}).all()
    primary = next((tuple(key.names) for key in keys if key.indisprimary), ())
    unique = [tuple(key.names) for key in keys if not key.indisprimary]
    sure = tuple(key for key in unique if not any(columns[part].nullable for part in key))
    estimate = None if rows[0].reltuples < 0 else int(rows[0].reltuples)
    enforced = _enforced(connection, oid, columns, keys)
    first = rows[0]
    return TableInfo(
        name,
        schema,
        columns,
        primary,
        sure,
        enforced,
        oid,
        first.is_plain,
        first.is_filtered,
        estimate,
    )


def table_names(connection: Connection, schema: str | None) -> Sequence[str]:
    """What the login can see; tables of other schemas with their schema."""
    return connection.execute(text(_NAMES), {"schema": schema}).scalars().all()


def places(connection: Connection) -> Sequence[tuple[str | None, str]]:
    """The tables that the login may read, each with its schema where SQL would have to say it."""
    return [(row.schema, row.relname) for row in connection.execute(text(_PLACES))]


def state(connection: Connection) -> str | None:
    """A word that is the same again only if no row of any plain table has changed.

    Whoever writes has a transaction number, and a snapshot says of each number whether what it wrote is seen. Numbers
    can be given again after a crash that lost some, which the last checkpoint tells; and by another server. A standby's
    snapshot doesn't say enough.
    """
    return connection.execute(text(_STATE)).scalar()


def writable(connection: Connection) -> bool:
    """A right on any table that isn't the system's, also by a role, counts."""
    return bool(connection.execute(text(_WRITABLE)).scalar())


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
        unique=tuple(
            UniqueIndex(key.name, tuple(key.names), key.nulls_equal)
            for key in keys
            if key.is_immediate
        ),
        not_null=frozenset(name for name, info in columns.items() if not info.nullable),
        foreign_keys=tuple(ForeignKey(name, on, target) for name, (target, on) in foreign.items()),
        checks={check.name: check.sql for check in checks},
    )


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

#: Deterministic collations compare exactly, so only others are told. Domains count as what they are made of.
_COLUMNS = """
SELECT c.oid, c.reltuples, a.attname,
    format_type(CASE t.typtype WHEN 'd' THEN b.oid ELSE t.oid END, a.atttypmod) AS type,
    b.typname, b.typtype, a.attnotnull, l.collname AS collation,
    c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relrowsecurity
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid) AS is_plain,
    row_security_active(c.oid) AS is_filtered
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

#: A partition's rows are those of the table it is a part of.
_PLACES = """
SELECT CASE WHEN pg_table_is_visible(c.oid) THEN NULL ELSE n.nspname END AS schema, c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'f', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg~_%' ESCAPE '~'
    AND n.nspname <> 'information_schema' AND has_schema_privilege(n.oid, 'USAGE')
    AND has_any_column_privilege(c.oid, 'SELECT')
"""

_STATE = """
SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE concat_ws(
    '/', txid_current_snapshot(), extract(epoch FROM pg_postmaster_start_time()), d.oid, c.checkpoint_lsn,
    s.system_identifier
) END
FROM pg_database AS d, pg_control_checkpoint() AS c, pg_control_system() AS s WHERE d.datname = current_database()
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
