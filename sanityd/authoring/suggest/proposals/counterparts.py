"""`has`: rows that nearly all have their counterpart in another table, such as every order its lines."""

import re
from collections.abc import Iterator

from sanityd.authoring.suggest.naming import slug, words
from sanityd.authoring.suggest.profile import TableProfile
from sanityd.authoring.suggest.proposals.base import (
    ENOUGH,
    REFERENCE,
    Candidate,
    Surroundings,
    counted,
)
from sanityd.authoring.yaml_text import named

#: Such a share of the rows that were seen must have one; and how many tables are asked.
_NEARLY = 0.9
_MOST = 4
_FEW = 50


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """One rule for each table whose rows hang on nearly all rows of this one."""
    if table.read < ENOUGH or len(table.info.key) != 1:
        return
    [key] = table.info.key
    values = list(dict.fromkeys(table.seen(key)))
    values = [*values[: _FEW // 2], *values[-_FEW // 2 :]]
    asked: set[str] = set()
    for other, column, there in tables.pointers.at(table):
        if there != key or other.title in asked or len(asked) >= _MOST or not values:
            continue
        if tables.contained(other, column, values) >= _NEARLY:
            asked.add(other.title)
            yield _rule(table, key, other, column)


def _rule(table: TableProfile, key: str, other: TableProfile, column: str) -> Candidate:
    return Candidate(
        table,
        f"every-row-of-{{table}}-has-{slug(other.name)}",
        "has",
        {"in": other.title, "on": {key: column}},
        REFERENCE - 2,
        f"has: {counted(table.read, 'row')}, each with a row in {named(other.name)} by {named(column)}",
        tolerance=0.04,
        about=(key,),
        grace=_age(table),
    )


def _age(table: TableProfile) -> str | None:
    """The column that says when a row was made: who comes first needs its counterpart a little later."""
    for column in table.columns.values():
        said = words(column.name)
        is_plain = re.fullmatch(r"\w+", column.name)
        if (
            is_plain
            and column.is_time
            and said[:1] in (("created",), ("placed",), ("inserted",), ("ordered",))
        ):
            return column.name
    return None
