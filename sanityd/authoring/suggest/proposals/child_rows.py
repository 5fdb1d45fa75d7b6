"""`has`: nearly every row has a row in another table, such as every order its lines."""

import re
from collections.abc import Iterator

from sanityd.authoring.suggest.naming import slug, words
from sanityd.authoring.suggest.profile import TableProfile
from sanityd.authoring.suggest.proposals.base import (
    MIN_ROWS,
    REFERENCE,
    Candidate,
    SourceContext,
    counted,
)
from sanityd.authoring.yaml_text import escaped_name

#: The share of the sample rows that must have a row in the other table.
_MIN_SHARE = 0.9
#: Number of other tables for which rules are proposed, and of keys that are looked up in each.
_MAX_TABLES = 4
_LOOKUPS = 50
#: First words of columns that hold the creation time of a row.
_CREATION_WORDS = ("created", "placed", "inserted", "ordered")


def candidates(table: TableProfile, context: SourceContext) -> Iterator[Candidate]:
    """Iterate over one rule for each table that references nearly all rows of this one."""
    if table.rows_read < MIN_ROWS or len(table.info.key) != 1:
        return
    key = table.info.key[0]
    distinct_values = list(dict.fromkeys(table.sample_values(key)))
    values = [*distinct_values[: _LOOKUPS // 2], *distinct_values[-_LOOKUPS // 2 :]]
    if not values:
        return
    child_tables: set[str] = set()
    for referrer in context.relationships.referrers(table):
        child = referrer.table
        if referrer.key != key or child.title in child_tables or len(child_tables) >= _MAX_TABLES:
            continue
        if context.share_contained(child, referrer.column, values) >= _MIN_SHARE:
            child_tables.add(child.title)
            yield _rule(table, key, child, referrer.column)


def _rule(table: TableProfile, key: str, child: TableProfile, column: str) -> Candidate:
    rows = counted(table.rows_read, "row")
    return Candidate(
        table,
        f"every-row-of-{{table}}-has-{slug(child.name)}",
        "has",
        {"in": child.title, "on": {key: column}},
        REFERENCE - 2,
        f"has: {rows}, each with a row in {escaped_name(child.name)} by {escaped_name(column)}",
        tolerance=0.04,
        columns=(key,),
        age_column=_creation_time_column(table),
    )


def _creation_time_column(table: TableProfile) -> str | None:
    """Return the column with a row's creation time: its children may be inserted later."""
    for column in table.columns.values():
        if not re.fullmatch(r"\w+", column.name) or not column.is_time:
            continue
        name_words = words(column.name)
        if name_words and name_words[0] in _CREATION_WORDS:
            return column.name
    return None
