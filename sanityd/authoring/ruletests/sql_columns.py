"""Find the columns that the SQL of a rule names, and their tables, from its text.

Pure: reads no database. SQL that can't be parsed names nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sanityd.checks.invariant import TableName
from sanityd.sources.catalog import Family

if TYPE_CHECKING:
    from sqlglot import exp

#: Words of SQL about times, as sqlglot writes them.
_TIME_WORDS = re.compile(
    r"\b(now|current_(date|timestamp|datetime|time)|localtimestamp|today|interval|datetime"
    r"|julianday|unixepoch|strftime|date_trunc|timestamp\w*|date)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ColumnMention:
    """A column that SQL names, and the type of what it is compared with there.

    `column` is empty where the SQL names only the table. `sure` is whether the SQL says which table
    the column belongs to.
    """

    table: TableName
    column: str
    family: Family | None
    sure: bool


def of_condition(sql: str, dialect: str, table: TableName) -> list[ColumnMention]:
    """Return what a condition (or an aggregate) on the rows of a table names."""
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError

    try:
        condition = parse_one(sql, read=dialect, into=exp.Condition)
    except SqlglotError:
        return []
    own_table = exp.to_table(table.name)
    if table.schema:
        own_table = exp.to_table(table.name, db=table.schema)
    query = exp.select("1").from_(own_table).where(condition, copy=False)
    return _of_tree(query, table.source)


def of_query(sql: str, dialect: str, source: str) -> list[ColumnMention]:
    """Return what a SELECT names."""
    query = _parsed_query(sql, dialect)
    return [] if query is None else _of_tree(query, source)


def outputs(sql: str, dialect: str) -> list[str]:
    """Return the names of a SELECT's columns; nothing where its text doesn't tell."""
    query = _parsed_query(sql, dialect)
    if query is None or "*" in query.named_selects:
        return []
    return query.named_selects


def _parsed_query(sql: str, dialect: str) -> "exp.Query | None":
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError

    try:
        tree = parse_one(sql, read=dialect)
    except SqlglotError:
        return None
    return tree if isinstance(tree, exp.Query) else None


def _of_tree(tree: "exp.Query", source: str) -> list[ColumnMention]:
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.scope import traverse_scope

    mentions: list[ColumnMention] = []
    try:
        for scope in traverse_scope(tree):
            mentions += _of_scope(scope, source)
    except SqlglotError:
        return []
    return mentions


def _of_scope(scope: "object", source: str) -> Iterator[ColumnMention]:
    from sqlglot import exp

    sources: dict[str, object] = scope.sources  # type: ignore[attr-defined]  # sqlglot's Scope
    tables: dict[str, TableName] = {}
    for alias, origin in sources.items():
        if isinstance(origin, exp.Table):
            tables[alias] = TableName(source, origin.name, origin.db or None)
    for table in tables.values():
        yield ColumnMention(table, "", None, sure=True)
    for column in scope.columns:  # type: ignore[attr-defined]
        if not isinstance(column.this, exp.Identifier):
            continue
        family = _compared_family(column)
        if column.table in tables:
            yield ColumnMention(tables[column.table], column.name, family, sure=True)
        elif not column.table:
            # With several tables, the rows tell which of them has such a column.
            for table in tables.values():
                yield ColumnMention(table, column.name, family, sure=len(sources) == 1)


def _compared_family(column: "exp.Column") -> Family | None:
    """Return the type of what the column is compared with: a time where the SQL is about time."""
    from sqlglot import exp

    comparison = column.find_ancestor(exp.Binary, exp.In, exp.Between)
    if comparison is not None and _TIME_WORDS.search(comparison.sql()):
        return Family.TIMESTAMP
    parent = column.parent
    if not isinstance(parent, exp.Binary | exp.In | exp.Between):
        return None
    literal = parent.find(exp.Literal)
    if literal is None:
        return None
    return Family.TEXT if literal.is_string else Family.NUMBER
