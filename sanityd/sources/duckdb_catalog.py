"""Reads the whole catalog of a DuckDB file at once.

DuckDB's catalog functions list all tables whatever they are asked for, so that asking anew for
each table costs the square of the number of tables.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, FromClause, func, select, text

from sanityd.sources.base import one_row_of
from sanityd.sources.catalog import ColumnInfo, EnforcedConstraints, Family, TableInfo, UniqueIndex

#: A schema, and the name of a table in lower case, as names match in any case.
_FullName = tuple[str, str]
_Rows = Mapping[_FullName, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class DuckdbCatalog:
    """The rows of the catalog's functions, by table."""

    default_schema: str
    columns: _Rows
    constraints: _Rows
    indexes: _Rows
    #: The number of rows, of tables but not of views.
    estimates: _Rows

    @classmethod
    def read(cls, connection: Connection) -> Self:
        """Read the catalog with one statement for each of its functions."""
        return cls(
            connection.execute(text("SELECT current_schema()")).scalar_one(),
            _by_table(connection.execute(text(_COLUMNS))),
            _by_table(connection.execute(text(_CONSTRAINTS))),
            _by_table(connection.execute(text(_INDEXES))),
            _by_table(connection.execute(text(_TABLES))),
        )

    def table(self, name: str, schema: str | None) -> TableInfo | None:
        """Return a table or view; None when there is none of that name."""
        full_name = (schema or self.default_schema, name.lower())
        rows = self.columns.get(full_name)
        if not rows:
            return None
        columns = {}
        for row in rows:
            columns[row.column_name] = ColumnInfo(
                row.column_name, row.data_type, _family(row.data_type), row.is_nullable
            )
        primary, unique = self._keys(full_name, columns)
        not_null = frozenset(column for column, info in columns.items() if not info.nullable)
        unique_keys = [index.columns for index in unique if not_null.issuperset(index.columns)]
        if primary:
            unique.append(UniqueIndex("PRIMARY KEY", primary))
        enforced, estimate = EnforcedConstraints(), None
        for table in self.estimates.get(full_name, ()):
            enforced = EnforcedConstraints(
                tuple(unique), not_null, unique_expressions=self._expressions(full_name, columns)
            )
            estimate = table.estimate
        return TableInfo(
            rows[0].table_name,
            schema,
            columns,
            primary,
            tuple(unique_keys),
            enforced,
            estimate=estimate,
        )

    def _expressions(
        self, full_name: _FullName, columns: Mapping[str, ColumnInfo]
    ) -> dict[str, tuple[str, ...]]:
        """Return the parts of the unique indexes that have a part that is no column, by name."""
        expressions = {}
        for index in self.indexes.get(full_name, ()):
            parts = tuple(_unquoted(part) for part in index.parts)
            if not columns.keys() >= set(parts):
                expressions[index.index_name] = parts
        return expressions

    def _keys(
        self, full_name: _FullName, columns: Mapping[str, ColumnInfo]
    ) -> tuple[tuple[str, ...], list[UniqueIndex]]:
        """Return the columns of the primary key (empty without one), and the unique indexes."""
        primary: tuple[str, ...] = ()
        unique = []
        for key in self.constraints.get(full_name, ()):
            names = tuple(key.names)
            if key.constraint_type == "PRIMARY KEY":
                primary = primary or names
            elif key.constraint_type == "UNIQUE":
                unique.append(UniqueIndex(f"UNIQUE ({', '.join(names)})", names))
        for index in self.indexes.get(full_name, ()):
            parts = tuple(_unquoted(part) for part in index.parts)
            # A part that is no column is an expression.
            if all(part in columns for part in parts):
                unique.append(UniqueIndex(index.index_name, parts))
        return primary, unique


def value_type(connection: Connection, value: ColumnElement[Any], table: FromClause) -> ColumnInfo:
    """Return the type of an expression, which `typeof` tells of NULL, too."""
    statement = select(func.typeof(value)).select_from(one_row_of(table))
    name = connection.execute(statement).scalar_one()
    return ColumnInfo("", name, _family(name))


def _by_table(rows: Iterable[Any]) -> _Rows:
    by_table: dict[_FullName, list[Any]] = defaultdict(list)
    for row in rows:
        by_table[row.schema_name, row.table_name.lower()].append(row)
    return dict(by_table)


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
    "TIME": Family.TIME,
    "TIME_NS": Family.TIME,
    "TIME WITH TIME ZONE": Family.TIME,
    "INTERVAL": Family.INTERVAL,
    "JSON": Family.JSON,
}

_COLUMNS = """
SELECT schema_name, table_name, column_name, data_type, is_nullable
FROM duckdb_columns() WHERE database_name = current_database()
ORDER BY table_oid, column_index
"""

_TABLES = """
SELECT schema_name, table_name, estimated_size AS estimate
FROM duckdb_tables() WHERE database_name = current_database()
"""

_CONSTRAINTS = """
SELECT schema_name, table_name, constraint_type, constraint_column_names AS names
FROM duckdb_constraints() WHERE database_name = current_database() ORDER BY constraint_index
"""

#: The parts of an index come as the text of a list.
_INDEXES = """
SELECT schema_name, table_name, index_name, CAST(expressions AS VARCHAR[]) AS parts
FROM duckdb_indexes() WHERE database_name = current_database() AND is_unique ORDER BY index_oid
"""
