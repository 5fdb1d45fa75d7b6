"""Foreign keys that a table declares and that prove nothing, as sessions can bypass them.

SQLite enforces them only in connections that ask for it. MariaDB and DuckDB enforce them unless a
session switches that off. They are still the best hint for a `references` rule.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Column, MetaData, String, Table, func, select

from sanityd.authoring.suggest.profile import DeclaredForeignKey
from sanityd.checks.scope import bind
from sanityd.errors import CheckError
from sanityd.sources.base import Snapshot
from sanityd.sources.catalog import TableInfo


@dataclass(frozen=True, slots=True)
class _KeyColumn:
    """One column of a foreign key. `constraint` is the name or number of the key in its table."""

    constraint: str
    column: str
    schema: str | None
    table: str
    referenced_column: str | None


def declared_foreign_keys(snapshot: Snapshot, info: TableInfo) -> tuple[DeclaredForeignKey, ...]:
    """Return the foreign keys that the table declares.

    Returns nothing when the catalog can't be queried, and for PostgreSQL, whose keys are proofs.
    """
    query = _BY_DIALECT.get(snapshot.source.dialect.name)
    if query is None:
        return ()
    try:
        return tuple(query(snapshot, info))
    except CheckError:
        return ()


def _of_sqlite(snapshot: Snapshot, info: TableInfo) -> Iterator[DeclaredForeignKey]:
    keys = func.pragma_foreign_key_list(bind(info.name)).table_valued(
        "id", "seq", "table", "from", "to"
    )
    statement = select(keys.c.id, keys.c["table"], keys.c["from"], keys.c["to"])
    rows = snapshot.rows(statement.order_by(keys.c.id, keys.c.seq))
    # The referenced column is NULL where the primary key is meant.
    key_columns = (
        _KeyColumn(str(constraint), column, None, table, referenced_column)
        for constraint, table, column, referenced_column in rows
    )
    yield from _grouped(key_columns, is_enforced=False)


_USAGE = Table(
    "key_column_usage",
    MetaData(schema="information_schema"),
    Column("table_name", String),
    Column("column_name", String),
    Column("referenced_table_name", String),
    Column("referenced_column_name", String),
    Column("constraint_name", String),
    Column("table_schema", String),
    Column("referenced_table_schema", String),
    Column("ordinal_position", String),
)


def _of_mysql(snapshot: Snapshot, info: TableInfo) -> Iterator[DeclaredForeignKey]:
    usage = _USAGE.c
    schema = bind(info.schema) if info.schema else func.database()
    referenced_schema = func.nullif(usage.referenced_table_schema, func.database())
    statement = select(
        referenced_schema,
        usage.constraint_name,
        usage.referenced_table_name,
        usage.column_name,
        usage.referenced_column_name,
    ).where(
        usage.table_schema == schema,
        usage.table_name == bind(info.name),
        usage.referenced_table_name.is_not(None),
    )
    rows = snapshot.rows(statement.order_by(usage.constraint_name, usage.ordinal_position))
    key_columns = (
        _KeyColumn(constraint, column, other_schema, table, referenced_column)
        for other_schema, constraint, table, column, referenced_column in rows
    )
    yield from _grouped(key_columns, is_enforced=True)


def _of_duckdb(snapshot: Snapshot, info: TableInfo) -> Iterator[DeclaredForeignKey]:
    keys = func.duckdb_constraints().table_valued(
        "database_name",
        "schema_name",
        "table_name",
        "constraint_type",
        "constraint_column_names",
        "referenced_table",
        "referenced_column_names",
    )
    schema = bind(info.schema) if info.schema else func.current_schema()
    statement = select(
        keys.c.referenced_table, keys.c.constraint_column_names, keys.c.referenced_column_names
    ).where(
        keys.c.database_name == func.current_database(),
        keys.c.schema_name == schema,
        keys.c.table_name == bind(info.name),
        keys.c.constraint_type == bind("FOREIGN KEY"),
    )
    for table, names, referenced_names in snapshot.rows(statement):
        columns = dict(zip(names, referenced_names, strict=True))
        # DuckDB has no foreign keys across schemas.
        yield DeclaredForeignKey(columns, info.schema, table, is_enforced=True)


def _grouped(
    key_columns: Iterator[_KeyColumn], *, is_enforced: bool
) -> Iterator[DeclaredForeignKey]:
    """Group the columns by their foreign key."""
    keys: dict[tuple[str | None, str, str], dict[str, str | None]] = {}
    for key_column in key_columns:
        key = (key_column.schema, key_column.constraint, key_column.table)
        keys.setdefault(key, {})[key_column.column] = key_column.referenced_column
    for (schema, _, table), columns in keys.items():
        yield DeclaredForeignKey(columns, schema, table, is_enforced=is_enforced)


_BY_DIALECT: Mapping[str, Callable[[Snapshot, TableInfo], Iterator[DeclaredForeignKey]]] = {
    "sqlite": _of_sqlite,
    "mysql": _of_mysql,
    "duckdb": _of_duckdb,
}
