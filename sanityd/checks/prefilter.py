"""A regular expression is evaluated only for values that no list of accepted ones contains.

Comparing with a few words takes a tenth of the time of matching. Which of the words match is
asked from the database, once and by the same expression, so that nothing is assumed.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, case, cast, or_, select, union_all

from sanityd.checks.base import ColumnCheck
from sanityd.checks.plan import PlannedCheck
from sanityd.checks.scope import Scope, bind
from sanityd.errors import CheckError

#: With more words than that, comparing takes as long as matching.
MAX_WORDS = 20


def violating_conditions(planned_checks: Sequence[PlannedCheck]) -> list[ColumnElement[bool]]:
    """The condition of a violating row, for each of several rules about one table."""
    words: dict[str, Sequence[str]] = {}
    for planned in planned_checks:
        words_of_check = planned.invariant.check.common_words()
        texts = [name for name in words_of_check if planned.scope.is_text(name)]
        words |= {name: words_of_check[name] for name in texts}
    return [_prefiltered(planned, words) for planned in planned_checks]


def _prefiltered(
    planned: PlannedCheck, words_by_column: Mapping[str, Sequence[str]]
) -> ColumnElement[bool]:
    check, scope = planned.invariant.check, planned.scope
    # Where NULLs count, the condition is about more than the value.
    if planned.invariant.subject.nulls_fail:
        return planned.violating
    if not isinstance(check, ColumnCheck) or not check.is_expensive:
        return planned.violating
    if not any(words_by_column.get(name) for name in check.columns):
        return planned.violating
    bad_values: list[ColumnElement[bool]] = []
    for name, expected in check.columns.items():
        conditions: list[ColumnElement[bool]] = []
        words = words_by_column.get(name, ())[:MAX_WORDS]
        good_words = _good_words(check, scope, name, expected, words) if words else []
        if good_words:
            conditions.append(~scope.text(name).in_([bind(word) for word in good_words]))
        conditions.append(check.is_bad_value(scope, name, expected))
        bad_values.append(and_(*conditions))
    return and_(scope.rows, or_(*bad_values))


def _good_words(
    check: ColumnCheck, scope: Scope, name: str, expected: Any, words: Sequence[str]
) -> list[str]:
    """The words that the check lets pass, found by asking it about them instead of the table."""
    rows = [select(cast(bind(word), Text).label(name), bind(word).label("word")) for word in words]
    words_scope = copy(scope)
    words_scope.table = union_all(*rows).subquery("listed")
    is_bad = case((check.is_bad_value(words_scope, name, expected), 1), else_=0)
    statement = select(words_scope.table.c.word, is_bad)
    try:
        return [word for word, bad in scope.snapshot.rows(statement) if not bad]
    except CheckError:
        # What is wrong with the expression is reported by the statement that reads the rows.
        return []
