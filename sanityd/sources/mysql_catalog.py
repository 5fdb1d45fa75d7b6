"""SELECTs on the catalog of MariaDB and MySQL, and the families of their types."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, func, select

from sanityd.sources.base import one_row_of
from sanityd.sources.catalog import ColumnInfo, Family


def value_type(connection: Connection, value: ColumnElement[Any], table: FromClause) -> ColumnInfo:
    """Return the type of an expression. Its character set tells texts from bytes."""
    charset = func.charset(value)
    result = connection.execute(select(value, charset).select_from(one_row_of(table)))
    code: Any = result.cursor.description[0][1]
    [(_, characters)] = result
    name = _TYPES.get(code, "")
    if not name:
        name = "varbinary" if characters == "binary" else "varchar"
    return ColumnInfo("", name, family(name, name))


#: Types that are neither texts nor bytes, by their number in the protocol.
_TYPES = {
    0: "decimal",
    1: "tinyint",
    2: "smallint",
    3: "int",
    4: "float",
    5: "double",
    7: "timestamp",
    8: "bigint",
    9: "mediumint",
    10: "date",
    11: "time",
    12: "datetime",
    13: "year",
    14: "date",
    16: "bit",
    245: "json",
    246: "decimal",
}


def family(full: str, name: str) -> Family:
    """Return the family of a type, from `column_type` and `data_type`."""
    if full in ("tinyint(1)", "bit(1)"):
        return Family.BOOLEAN
    if name.endswith(("text", "char")):
        return Family.TEXT
    if name in ("int", "tinyint", "smallint", "mediumint", "bigint"):
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
    "bit": Family.INTEGER,
    "time": Family.TIME,
    "json": Family.JSON,
}

#: With `table_name = :name` alone in an AND, the server opens this table and no other one.
_WHERE = """table_schema = COALESCE(:schema, DATABASE()) AND table_name = :name
    AND (BINARY table_name = :name OR @@lower_case_table_names > 0)"""

#: The columns of a table, in their order.
COLUMNS = f"""
SELECT column_name, column_type, data_type, is_nullable, collation_name
FROM information_schema.columns WHERE {_WHERE} ORDER BY ordinal_position
"""

ENGINE = f"""
SELECT engine, table_rows FROM information_schema.tables
WHERE {_WHERE} AND table_type = 'BASE TABLE'
"""
#: Engines that store the rows of their tables themselves.
OWN_ROWS = frozenset(("innodb", "myisam", "aria"))

KEYS = f"""
SELECT index_name, column_name, sub_part FROM information_schema.statistics
WHERE {_WHERE} AND non_unique = 0 ORDER BY index_name, seq_in_index
"""

#: An index over an expression has no name of a column.
LEADING = f"""
SELECT column_name FROM information_schema.statistics
WHERE {_WHERE} AND seq_in_index = 1 AND column_name IS NOT NULL
"""

TABLES = """
SELECT table_name FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'
"""

NAMES = """
SELECT table_name FROM information_schema.tables
WHERE table_schema = COALESCE(:schema, DATABASE()) ORDER BY table_name
"""
