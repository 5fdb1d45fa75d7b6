"""Foreign keys that a table declares and that prove nothing, as they can be got round: the best hint there is.

SQLite sees to them only where each connection says so; MariaDB and DuckDB do, unless a session switched it off.
"""

from collections.abc import Callable, Iterator, Mapping

from sqlalchemy import Column, MetaData, String, Table, func, select

from sanityd.authoring.suggest.profile import Declared
from sanityd.checks.scope import bind
from sanityd.errors import CheckError
from sanityd.sources.base import Snapshot
from sanityd.sources.catalog import TableInfo


def declared(snapshot: Snapshot, info: TableInfo) -> tuple[Declared, ...]:
    """What the table declares; nothing where the catalog can't be asked, and of PostgreSQL, whose own are proofs."""
    ask = _BY_DIALECT.get(snapshot.source.dialect.name)
    try:
        return tuple(ask(snapshot, info)) if ask is not None else ()
    except CheckError:
        return ()


def _of_sqlite(snapshot: Snapshot, info: TableInfo) -> Iterator[Declared]:
    """Without a column there, the primary key is meant."""
    keys = func.pragma_foreign_key_list(bind(info.name)).table_valued(
        "id", "seq", "table", "from", "to"
    )
    ordered = select(keys.c.id, keys.c["table"], keys.c["from"], keys.c["to"]).order_by(
        keys.c.id, keys.c.seq
    )
    yield from _grouped(
        ((None, str(key), there), mine, theirs)
        for key, there, mine, theirs in snapshot.rows(ordered)
    )


_USAGE = Table(
    "key_column_usage",
    MetaData(schema="information_schema"),
    *(
        Column(f"{prefix}{name}", String)
        for prefix in ("", "referenced_")
        for name in ("table_name", "column_name")
    ),
    *(
        Column(name, String)
        for name in ("constraint_name", "table_schema", "referenced_table_schema")
    ),
    Column("ordinal_position", String),
)


def _of_mysql(snapshot: Snapshot, info: TableInfo) -> Iterator[Declared]:
    usage = _USAGE.c
    schema = bind(info.schema) if info.schema else func.database()
    there = func.nullif(usage.referenced_table_schema, func.database())
    asked = select(
        there,
        usage.constraint_name,
        usage.referenced_table_name,
        usage.column_name,
        usage.referenced_column_name,
    ).where(
        usage.table_schema == schema,
        usage.table_name == bind(info.name),
        usage.referenced_table_name.is_not(None),
    )
    rows = snapshot.rows(asked.order_by(usage.constraint_name, usage.ordinal_position))
    yield from _grouped(
        (((other, name, table), mine, theirs) for other, name, table, mine, theirs in rows),
        kept=True,
    )


def _of_duckdb(snapshot: Snapshot, info: TableInfo) -> Iterator[Declared]:
    names = (
        "database_name",
        "schema_name",
        "table_name",
        "constraint_type",
        "constraint_column_names",
    )
    keys = func.duckdb_constraints().table_valued(
        *names, "referenced_table", "referenced_column_names"
    )
    schema = bind(info.schema) if info.schema else func.current_schema()
    asked = select(
        keys.c.referenced_table, keys.c.constraint_column_names, keys.c.referenced_column_names
    ).where(
        keys.c.database_name == func.current_database(),
        keys.c.schema_name == schema,
        keys.c.table_name == bind(info.name),
        keys.c.constraint_type == bind("FOREIGN KEY"),
    )
    for table, mine, theirs in snapshot.rows(asked):
        # DuckDB has no foreign keys across schemas.
        yield Declared(dict(zip(mine, theirs, strict=True)), info.schema, table, kept=True)


def _grouped(
    rows: Iterator[tuple[tuple[str | None, str, str], str, str | None]], *, kept: bool = False
) -> Iterator[Declared]:
    """One for each constraint, of rows with its schema there, its name and its table there, and two columns."""
    keys: dict[tuple[str | None, str, str], dict[str, str | None]] = {}
    for key, mine, theirs in rows:
        keys.setdefault(key, {})[mine] = theirs
    for (schema, _, table), columns in keys.items():
        yield Declared(columns, schema, table, kept=kept)


_BY_DIALECT: Mapping[str, Callable[[Snapshot, TableInfo], Iterator[Declared]]] = {
    "sqlite": _of_sqlite,
    "mysql": _of_mysql,
    "duckdb": _of_duckdb,
}
