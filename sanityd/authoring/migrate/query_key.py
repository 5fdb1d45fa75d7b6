"""Choosing the `key` of a `query` rule among the columns of its SELECT.

A key leaves the database, so that it has as few columns as possible.
"""

import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sanityd.authoring.migrate.import_result import UnsupportedCheck

#: The comment of each rule that got its key from here.
KEY_CHOSEN_NOTE = (
    "`key` was chosen by the import: its columns leave the database. See that they identify a row."
)
#: Names of columns that identify a row and tell nothing about a person.
KEY_NAME = re.compile(r"id|.*_(id|key|uuid|sk|pk)|uuid|key", re.IGNORECASE)
_LONGEST = 100_000


def key_columns(sql: str) -> list[str]:
    """Return the columns that a SELECT groups by; else those named like a key; else its first.

    Raises UnsupportedCheck when the SELECT names no columns, or can't be parsed.
    """
    query = _parse_select(sql)
    names = [name for name in query.named_selects if name]
    if not names or "*" in names:
        raise UnsupportedCheck("`select *` does not say which columns identify a row: name them")
    grouped = _grouped_columns(query, names)
    if grouped:
        return grouped
    named_like_keys = [name for name in names if KEY_NAME.fullmatch(name)]
    return named_like_keys or names[:1]


def _parse_select(sql: str) -> exp.Query:
    if len(sql) > _LONGEST:
        raise UnsupportedCheck("the SELECT has more than 100,000 characters")
    try:
        tree = sqlglot.parse_one(sql)
    except (SqlglotError, RecursionError):
        raise UnsupportedCheck(
            "the SELECT can't be read to find the columns that identify a row"
        ) from None
    if not isinstance(tree, exp.Query):
        raise UnsupportedCheck("this is not a SELECT")
    return tree


def _grouped_columns(query: exp.Query, names: list[str]) -> list[str]:
    """Return the selected columns that are named in GROUP BY, then those given by position."""
    group = query.args.get("group")
    if not isinstance(group, exp.Group):
        return []
    by_name: list[str] = []
    by_position: list[str] = []
    for expression in group.expressions:
        if isinstance(expression, exp.Column):
            by_name.append(expression.name)
        elif isinstance(expression, exp.Literal) and str(expression).isdigit():
            position = int(str(expression))
            if 1 <= position <= len(names):
                by_position.append(names[position - 1])
    return [name for name in (*by_name, *by_position) if name in names]
