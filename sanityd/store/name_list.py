"""A list of any length as one parameter of a statement.

`IN (?, ?, …)` has a parameter for each name, and both databases have a limit for them.
"""

from collections.abc import Iterable

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    String,
    bindparam,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.types import TypeEngine


def name_list(connection: Connection, names: Iterable[str]) -> FromClause:
    """Return a table of these names; its only column is `value`."""
    return _table(connection, list(names), String())


def number_list(connection: Connection, numbers: Iterable[int]) -> FromClause:
    """Return a table of these numbers; its only column is `value`."""
    return _table(connection, list(numbers), Integer())


def pair_list(connection: Connection, pairs: Iterable[tuple[str, str]]) -> FromClause:
    """Return a table of these pairs; its columns are `first` and `second`."""
    parts: list[ColumnElement[str]]
    parameter = bindparam(None, [list(pair) for pair in pairs], type_=JSON)
    if connection.dialect.name == "postgresql":
        value = func.json_array_elements(parameter).table_valued("value").c.value
        parts = [value.op("->>")(literal_column(index)) for index in ("0", "1")]
    else:
        value = func.json_each(parameter).table_valued("value").c.value
        parts = [func.json_extract(value, path) for path in ("$[0]", "$[1]")]
    return select(parts[0].label("first"), parts[1].label("second")).subquery()


def _table(
    connection: Connection, values: list[str] | list[int], form: TypeEngine[str] | TypeEngine[int]
) -> FromClause:
    parameter = bindparam(None, values, type_=JSON)
    if connection.dialect.name == "postgresql":
        elements = func.json_array_elements_text(parameter).table_valued("value")
        if isinstance(form, Integer):
            return select(cast(elements.c.value, BigInteger).label("value")).subquery()
        return elements
    return func.json_each(parameter).table_valued("value")
