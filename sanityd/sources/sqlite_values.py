"""The type of an expression in SQLite, which only its values have."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, func, select

from sanityd.sources.catalog import ColumnInfo, Family

_FAMILIES = {
    "integer": Family.INTEGER,
    "real": Family.NUMBER,
    "text": Family.TEXT,
    "blob": Family.BYTES,
}


def value_type(connection: Connection, value: ColumnElement[Any], table: FromClause) -> ColumnInfo:
    """Return the type of the first value that is not NULL; no type without one."""
    first = select(func.typeof(value)).select_from(table).where(value.is_not(None)).limit(1)
    name = connection.execute(first).scalar() or ""
    return ColumnInfo("", name, _FAMILIES.get(name, Family.OTHER))
