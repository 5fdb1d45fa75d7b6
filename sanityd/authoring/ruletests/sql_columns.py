"""Which columns of which tables the SQL of a rule names, as far as its text tells. Touches no
database."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sanityd.checks.invariant import TableName
from sanityd.sources.catalog import Family

if TYPE_CHECKING:
    from sqlglot import exp


@dataclass(frozen=True, slots=True)
class Named:
    """A column that SQL names, with what it is compared with there. `sure` is whether the SQL says
    of which table."""

    table: TableName
    column: str
    family: Family | None
    sure: bool


def of_condition(sql: str, dialect: str, table: TableName) -> list[Named]:
    """What a condition (or an aggregate) on the rows of a table names."""
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError

    try:
        condition = parse_one(sql, read=dialect, into=exp.Condition)
    except SqlglotError:
        return []
    own = exp.to_table(table.name, db=table.schema) if table.schema else exp.to_table(table.name)
    return _of_tree(exp.select("1").from_(own).where(condition, copy=False), table.source)


def of_query(sql: str, dialect: str, source: str) -> list[Named]:
    """What a SELECT names."""
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError

    try:
        tree = parse_one(sql, read=dialect)
    except SqlglotError:
        return []
    return _of_tree(tree, source) if isinstance(tree, exp.Query) else []


def outputs(sql: str, dialect: str) -> list[str]:
    """The names of a SELECT's columns; nothing where its text doesn't tell."""
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError

    try:
        tree = parse_one(sql, read=dialect)
    except SqlglotError:
        return []
    names = tree.named_selects if isinstance(tree, exp.Query) else []
    return [] if "*" in names else names


def _of_tree(tree: "exp.Query", source: str) -> list[Named]:
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.scope import traverse_scope

    try:
        return [named for scope in traverse_scope(tree) for named in _of_scope(scope, source)]
    except SqlglotError:
        return []


def _of_scope(scope: "object", source: str) -> Iterator[Named]:
    from sqlglot import exp

    sources: dict[str, object] = scope.sources  # type: ignore[attr-defined]  # sqlglot's Scope
    tables = {alias: one for alias, one in sources.items() if isinstance(one, exp.Table)}
    for table in tables.values():
        yield Named(_name(table, source), "", None, sure=True)
    for column in scope.columns:  # type: ignore[attr-defined]
        if not isinstance(column.this, exp.Identifier):
            continue
        if column.table in tables:
            yield Named(
                _name(tables[column.table], source), column.name, _neighbour(column), sure=True
            )
        elif not column.table and tables:
            # Of several tables it is told by the rows, if one has such a column.
            for table in tables.values():
                yield Named(
                    _name(table, source), column.name, _neighbour(column), sure=len(sources) == 1
                )


def _name(table: "exp.Table", source: str) -> TableName:
    return TableName(source, table.name, table.db or None)


def _neighbour(column: "exp.Column") -> Family | None:
    """The kind of what it is compared with: a time, where the SQL around it has to do with the
    clock."""
    from sqlglot import exp

    parent = column.parent
    comparison = column.find_ancestor(exp.Binary, exp.In, exp.Between)
    if comparison is not None and _CLOCK.search(comparison.sql()):
        return Family.TIMESTAMP
    for other in (
        parent.find_all(exp.Literal)
        if isinstance(parent, exp.Binary | exp.In | exp.Between)
        else ()
    ):
        return Family.TEXT if other.is_string else Family.NUMBER
    return None


#: Words of SQL about times, as sqlglot writes them.
_CLOCK = re.compile(
    r"\b(now|current_(date|timestamp|datetime|time)|localtimestamp|today|interval|datetime|julianday|unixepoch|strftime"
    r"|date_trunc|timestamp\w*|date)\b",
    re.IGNORECASE,
)
