"""Which columns of a foreign SELECT may serve as a rule's key. A key leaves the database: as few columns as can be."""

import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sanityd.authoring.migrate.draft import Unmappable

#: What is said wherever a key was found so.
KEY_CHOSEN = (
    "`key` was chosen by the import: its columns leave the database. See that they identify a row."
)
#: How columns are called that identify a row, and tell nothing of a person.
LIKE_A_KEY = re.compile(r"id|.*_(id|key|uuid|sk|pk)|uuid|key", re.IGNORECASE)


def key_of(sql: str) -> list[str]:
    """The columns that the SELECT groups by; else those named like a key; else its first.

    Raises Unmappable when the SELECT names no columns, or can't be read.
    """
    if len(sql) > 100_000:
        raise Unmappable("the SELECT has more than 100,000 characters")
    try:
        tree = sqlglot.parse_one(sql)
    except (SqlglotError, RecursionError):
        raise Unmappable(
            "the SELECT can't be read to find the columns that identify a row"
        ) from None
    if not isinstance(tree, exp.Query):
        raise Unmappable("this is not a SELECT")
    names = [name for name in tree.named_selects if name]
    if not names or "*" in names:
        raise Unmappable("`select *` does not say which columns identify a row: name them")
    group = tree.args.get("group")
    if isinstance(group, exp.Group):
        grouped = [one.name for one in group.expressions if isinstance(one, exp.Column)]
        by_place = [
            names[int(str(one)) - 1] for one in group.expressions if _is_place(one, len(names))
        ]
        if found := [name for name in (*grouped, *by_place) if name in names]:
            return found
    return [name for name in names if LIKE_A_KEY.fullmatch(name)] or names[:1]


def _is_place(one: exp.Expression, last: int) -> bool:
    return isinstance(one, exp.Literal) and str(one).isdigit() and 1 <= int(str(one)) <= last
