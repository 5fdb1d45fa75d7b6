"""Catalog of PostgreSQL: columns, keys and constraints of tables, and the right to write."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, select, text

from sanityd.sources.base import AnyRow
from sanityd.sources.catalog import (
    ColumnInfo,
    EnforcedConstraints,
    Family,
    ForeignKey,
    TableInfo,
    UniqueIndex,
)


def describe(connection: Connection, name: str, schema: str | None) -> TableInfo | None:
    """Return a table from pg_catalog; one without a schema is found by the search path."""
    rows = connection.execute(text(_COLUMNS), {"name": name, "schema": schema}).all()
    if not rows:
        return None
    columns = {}
    for row in rows:
        columns[row.attname] = ColumnInfo(
            row.attname,
            row.type,
            _family(row),
            not row.attnotnull,
            row.collation,
            row.typname,
            frozenset((row.typname, *row.domains)),
        )
    table = rows[0]
    keys = connection.execute(text(_KEYS), {"table": table.oid}).all()
    primary: tuple[str, ...] = ()
    unique_keys = []
    for key in keys:
        names = tuple(key.names)
        if not key.indisprimary:
            if not any(columns[column].nullable for column in names):
                unique_keys.append(names)
        elif not primary:
            primary = names
    return TableInfo(
        name,
        schema,
        columns,
        primary,
        tuple(unique_keys),
        _enforced(connection, table.oid, columns, keys),
        table.oid,
        table.is_plain,
        table.is_filtered,
        None if table.reltuples < 0 else int(table.reltuples),
    )


def table_names(connection: Connection, schema: str | None) -> Sequence[str]:
    """Return what the login can see; tables of other schemas with their schema."""
    return connection.execute(text(_NAMES), {"schema": schema}).scalars().all()


def all_tables(connection: Connection) -> Sequence[tuple[str | None, str]]:
    """Return the tables that the login may read; schema None for those in the search path."""
    return [(row.schema, row.relname) for row in connection.execute(text(_ALL_TABLES))]


def state(connection: Connection) -> str | None:
    """Return a version that is the same only if no row of any plain table has changed.

    Each writing transaction has a number, and a snapshot tells for each number whether its changes
    are visible. Numbers may be used again after a crash, or by another server; so the version
    includes the last checkpoint and the server. None on a standby, whose snapshot tells too little.
    """
    return connection.execute(text(_STATE)).scalar()


def writable(connection: Connection) -> bool:
    """Return whether the login may write to any table that isn't the system's, also by a role."""
    return bool(connection.execute(text(_WRITABLE)).scalar())


def _enforced(
    connection: Connection, table: int, columns: Mapping[str, ColumnInfo], keys: Sequence[AnyRow]
) -> EnforcedConstraints:
    """Return the enforced constraints.

    Those of a foreign table are not enforced; those of a parent may not hold for its children.
    """
    if not connection.execute(text(_ENFORCES), {"table": table}).scalar():
        return EnforcedConstraints()
    foreign: dict[str, tuple[int, dict[str, str]]] = {}
    for key in connection.execute(text(_FOREIGN_KEYS), {"table": table}):
        _, pairs = foreign.setdefault(key.name, (key.target, {}))
        pairs[key.mine] = key.theirs
    checks = connection.execute(text(_CHECKS), {"table": table})
    return EnforcedConstraints(
        unique=tuple(
            UniqueIndex(key.name, tuple(key.names), key.nulls_equal)
            for key in keys
            if key.is_immediate
        ),
        not_null=frozenset(name for name, info in columns.items() if not info.nullable),
        foreign_keys=tuple(
            ForeignKey(name, pairs, target) for name, (target, pairs) in foreign.items()
        ),
        checks={check.name: check.sql for check in checks},
        unique_expressions=_unique_expressions(connection, table),
        exclusions=_exclusions(connection, table),
    )


def _unique_expressions(connection: Connection, table: int) -> dict[str, tuple[str, ...]]:
    """Return the parts of the unique indexes over expressions, by name."""
    indexes = connection.execute(text(_EXPRESSIONS), {"table": table})
    return {index.name: tuple(index.parts) for index in indexes}


def _exclusions(connection: Connection, table: int) -> dict[str, str]:
    """Return the definitions of the EXCLUDE constraints, by name."""
    constraints = connection.execute(text(_EXCLUSIONS), {"table": table})
    return {constraint.name: constraint.sql for constraint in constraints}


def value_type(connection: Connection, value: ColumnElement[Any], table: FromClause) -> ColumnInfo:
    """Return the type of an expression. Of a domain the server tells the type behind it."""
    described = connection.execute(select(value).select_from(table).limit(0))
    [column] = described.cursor.description
    row = connection.execute(text(_TYPE), {"oid": column[1]}).one()
    family = _family(row)
    # An expression has the collation of its columns, which may take different texts for equal.
    collation = _ANY_COLLATION if family is Family.TEXT else None
    return ColumnInfo("", row.type, family, True, collation, row.typname)


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
    "char": Family.TEXT,
    **dict.fromkeys(("time", "timetz"), Family.TIME),
    "interval": Family.INTERVAL,
    **dict.fromkeys(("json", "jsonb"), Family.JSON),
}

#: Stands for the collation of an expression, which is not looked up.
_ANY_COLLATION = "any"
_TYPE = """
SELECT format_type(oid, NULL) AS type, typname, typtype FROM pg_catalog.pg_type WHERE oid = :oid
"""

#: Collations are only those that are not deterministic. A domain, also one over another domain, has
#: the type that it is based on.
_COLUMNS = """
SELECT c.oid, c.reltuples, a.attname,
    format_type(b.oid, base.modifier) AS type, b.typname, b.typtype, base.domains,
    a.attnotnull, l.collname AS collation,
    c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relrowsecurity
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid) AS is_plain,
    row_security_active(c.oid) AS is_filtered
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
CROSS JOIN LATERAL (
    WITH RECURSIVE types (oid, modifier, domains) AS (
        SELECT a.atttypid, a.atttypmod, CAST('{}' AS name[])
        UNION ALL
        SELECT d.typbasetype, d.typtypmod, types.domains || d.typname
        FROM types JOIN pg_catalog.pg_type d ON d.oid = types.oid AND d.typtype = 'd'
    )
    SELECT * FROM types ORDER BY cardinality(domains) DESC LIMIT 1
) AS base
JOIN pg_catalog.pg_type b ON b.oid = base.oid
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation AND NOT l.collisdeterministic
WHERE c.relname = :name AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
    AND CASE WHEN CAST(:schema AS text) IS NULL
        THEN pg_table_is_visible(c.oid) ELSE n.nspname = :schema END
ORDER BY a.attnum
"""

#: Valid unique indexes over all rows. The index of a parent does not cover the rows of tables that
#: inherit from it.
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
WHERE i.indrelid = :table AND i.indisunique AND i.indisvalid
    AND i.indpred IS NULL AND i.indexprs IS NULL AND NOT (
        c.relkind = 'r'
        AND EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid)
    )
ORDER BY i.indisprimary DESC, i.indexrelid
"""

#: Whether the constraints hold for all rows: no table with children that inherit (a child may drop
#: NOT NULL), and no partition on another server.
_ENFORCES = """
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

#: Constraints that are validated and enforced. `conenforced` exists in newer versions only.
_HOLDS = "k.convalidated AND COALESCE(CAST(to_jsonb(k) ->> 'conenforced' AS boolean), true)"

#: Foreign keys are enforced by triggers on both tables, which must not be disabled. A deferred one
#: may be violated until the end of a transaction.
_FOREIGN_KEYS = f"""
SELECT k.conname AS name, k.confrelid AS target, mine.attname AS mine, theirs.attname AS theirs
FROM pg_catalog.pg_constraint k
CROSS JOIN unnest(k.conkey, k.confkey) WITH ORDINALITY AS part (mine, theirs, place)
JOIN pg_catalog.pg_attribute mine ON mine.attrelid = k.conrelid AND mine.attnum = part.mine
JOIN pg_catalog.pg_attribute theirs ON theirs.attrelid = k.confrelid AND theirs.attnum = part.theirs
WHERE k.conrelid = :table AND k.contype = 'f' AND {_HOLDS} AND NOT k.condeferrable
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_trigger t
        WHERE t.tgconstraint = k.oid AND t.tgenabled NOT IN ('O', 'A')
    )
ORDER BY k.oid, part.place
"""

_CHECKS = f"""
SELECT k.conname AS name, pg_get_expr(k.conbin, k.conrelid) AS sql
FROM pg_catalog.pg_constraint k
WHERE k.conrelid = :table AND k.contype = 'c' AND {_HOLDS} ORDER BY k.conname
"""

#: An exclusion that is deferred may be violated until the end of a transaction.
_EXCLUSIONS = f"""
SELECT k.conname AS name, pg_get_constraintdef(k.oid) AS sql
FROM pg_catalog.pg_constraint k
WHERE k.conrelid = :table AND k.contype = 'x' AND {_HOLDS} AND NOT k.condeferrable
ORDER BY k.conname
"""

_EXPRESSIONS = """
SELECT x.relname AS name, (
    SELECT array_agg(pg_get_indexdef(i.indexrelid, place, false) ORDER BY place)
    FROM generate_series(1, i.indnkeyatts) AS place
) AS parts
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
WHERE i.indrelid = :table AND i.indisunique AND i.indisvalid AND i.indimmediate
    AND i.indpred IS NULL AND i.indexprs IS NOT NULL
ORDER BY i.indexrelid
"""

_NAMES = """
SELECT CASE WHEN CAST(:schema AS text) IS NULL AND NOT pg_table_is_visible(c.oid)
    THEN n.nspname || '.' ELSE '' END || c.relname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname NOT LIKE 'pg~_%' ESCAPE '~'
    AND n.nspname <> 'information_schema' AND n.nspname = COALESCE(CAST(:schema AS text), n.nspname)
ORDER BY 1
"""

#: Without partitions, whose rows are those of the partitioned table.
_ALL_TABLES = """
SELECT CASE WHEN pg_table_is_visible(c.oid) THEN NULL ELSE n.nspname END AS schema, c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'f', 'p') AND NOT c.relispartition
    AND n.nspname NOT LIKE 'pg~_%' ESCAPE '~' AND n.nspname <> 'information_schema'
    AND has_schema_privilege(n.oid, 'USAGE')
    AND has_any_column_privilege(c.oid, 'SELECT')
"""

_STATE = """
SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE concat_ws(
    '/', txid_current_snapshot(), extract(epoch FROM pg_postmaster_start_time()), d.oid,
    c.checkpoint_lsn, s.system_identifier
) END
FROM pg_database AS d, pg_control_checkpoint() AS c, pg_control_system() AS s
WHERE d.datname = current_database()
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
