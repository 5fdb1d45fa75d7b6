"""What the columns and indexes of SQLite's catalog mean."""

from collections.abc import Sequence, Set
from typing import Any

from sanityd.sources.catalog import Family, UniqueIndex


def split_indexes(
    indexes: Sequence[tuple[str, UniqueIndex]], columns: Set[str], not_null: Set[str]
) -> tuple[list[UniqueIndex], list[tuple[str, ...]]]:
    """Return the indexes over whole columns, and the keys among them that can't contain NULL.

    The primary key is not among these keys.
    """
    unique = []
    keys = []
    for origin, index in indexes:
        if not columns >= set(index.columns):
            continue
        unique.append(index)
        if origin != "pk" and not_null >= set(index.columns):
            keys.append(index.columns)
    return unique, keys


def is_rowid(rows: Sequence[Any], indexes: Sequence[tuple[str, UniqueIndex]]) -> bool:
    """Return whether the primary key is the rowid, which is never NULL.

    Other primary keys of SQLite may contain NULLs, also INTEGER PRIMARY KEY DESC, which has an
    index of its own.
    """
    key_types = [row.type.upper() for row in rows if row.pk]
    return key_types == ["INTEGER"] and all(origin != "pk" for origin, _ in indexes)


def family(declared: str) -> Family:
    """Return the family of a declared type, which may be any word in SQLite."""
    word = declared.upper()
    for part, family in _FAMILIES.items():
        if part in word:
            return family
    return Family.OTHER


#: Tested in this order: DATETIME before DATE; INT first, as SQLite does.
_FAMILIES = {
    "INT": Family.INTEGER,
    "BOOL": Family.BOOLEAN,
    "DATETIME": Family.TIMESTAMP,
    "TIMESTAMP": Family.TIMESTAMP,
    "DATE": Family.DATE,
    "TIME": Family.TIME,
    "JSON": Family.JSON,
    "UUID": Family.UUID,
    "CHAR": Family.TEXT,
    "CLOB": Family.TEXT,
    "TEXT": Family.TEXT,
    "STRING": Family.TEXT,
    "BLOB": Family.BYTES,
    "BINARY": Family.BYTES,
    "REAL": Family.NUMBER,
    "FLOA": Family.NUMBER,
    "DOUB": Family.NUMBER,
    "NUMERIC": Family.NUMBER,
    "DEC": Family.NUMBER,
}
