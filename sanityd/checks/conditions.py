"""The SQL condition of a violating row, NULLs decided as the rule says."""

from sqlalchemy import ColumnElement, and_, or_

from sanityd.checks.base import RowCheck
from sanityd.checks.scope import Scope


def bad_row(check: RowCheck, scope: Scope) -> ColumnElement[bool]:
    """The condition of a violating row, whether or not it is in scope."""
    is_bad = check.is_bad(scope)
    if scope.subject.nulls_fail:
        return or_(is_bad, check.is_unknown(scope))
    return is_bad


def violating_row(check: RowCheck, scope: Scope) -> ColumnElement[bool]:
    """The condition of a violating row in scope."""
    return and_(scope.rows, bad_row(check, scope))
