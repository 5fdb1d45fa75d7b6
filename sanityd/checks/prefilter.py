"""A regular expression is asked only of values that no list of accepted ones has vouched for.

Comparing with a few words takes a tenth of matching. Which of the words match is asked from the database, once and by
the same expression, so that nothing is taken for granted.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, case, cast, or_, select, union_all

from sanityd.checks.base import ColumnCheck
from sanityd.checks.planner import PlannedCheck
from sanityd.checks.scope import Scope, bind
from sanityd.errors import CheckError

#: With more words than that, comparing takes as long as matching.
WORDS = 20


def violating(looks: Sequence[PlannedCheck]) -> list[ColumnElement[bool]]:
    """The condition of a violating row, for each of several rules about one table."""
    lists: dict[str, Sequence[str]] = {}
    for look in looks:
        check = look.invariant.check
        if isinstance(check, ColumnCheck):
            lists |= {
                name: words for name, words in check.lists().items() if look.scope.is_text(name)
            }
    return [_spared(look, lists) for look in looks]


def _spared(look: PlannedCheck, lists: dict[str, Sequence[str]]) -> ColumnElement[bool]:
    check, scope = look.invariant.check, look.scope
    # Where NULLs count, the condition is about more than the value.
    if not isinstance(check, ColumnCheck) or not check.is_dear or look.invariant.subject.nulls_fail:
        return look.violating
    words = {name: lists[name][:WORDS] for name in check.columns if lists.get(name)}
    if not words:
        return look.violating
    bad = []
    for name, expected in check.columns.items():
        good = _good(check, scope, name, expected, words[name]) if name in words else []
        unlisted = [~scope.text(name).in_([bind(word) for word in good])] if good else []
        bad.append(and_(*unlisted, check.is_bad_value(scope, name, expected)))
    return and_(scope.rows, or_(*bad))


def _good(
    check: ColumnCheck, scope: Scope, name: str, expected: Any, words: Sequence[str]
) -> list[str]:
    """The words that the check would let pass, found by asking it about them instead of about the table."""
    listed = union_all(
        *(select(cast(bind(word), Text).label(name), bind(word).label("word")) for word in words)
    )
    there = copy(scope)
    there.table = listed.subquery("listed")
    statement = select(
        there.table.c.word, case((check.is_bad_value(there, name, expected), 1), else_=0)
    )
    try:
        return [word for word, bad in scope.snapshot.rows(statement) if not bad]
    except CheckError:
        # What is wrong with the expression is told by the statement that reads the rows.
        return []
