"""What forms share that compare two tables by statements of their own for each."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, case, select

from sanityd.checks.base import IN_SCOPE
from sanityd.checks.expressions import name_of_key
from sanityd.checks.plan import PlannedCheck
from sanityd.checks.plan_step import PlanStep, plan_step
from sanityd.checks.scope import Scope
from sanityd.model import Key, Violation
from sanityd.sources.base import AnySelect


def rows_of_table(planned: PlannedCheck) -> AnySelect:
    """The keys of all rows of the rule's own table, each with whether it is in scope."""
    scope = planned.scope
    columns = [_labelled(scope, name) for name in planned.key]
    in_scope = case((scope.rows, 1), else_=0).label(IN_SCOPE)
    return select(*columns, in_scope).select_from(scope.table)


def _labelled(scope: Scope, name: str) -> ColumnElement[Any]:
    """A column of the key, an expression with a name that databases accept."""
    column = scope.column(name)
    return column.label(name_of_key(name)) if scope.is_expression(name) else column


def still_violating(keys: Sequence[Key]) -> Sequence[Violation]:
    """All of the keys: two sources are not compared for single keys, so none is resolved."""
    return [Violation(key) for key in keys]


def statements_of_both(planned: PlannedCheck) -> Iterator[tuple[Scope, AnySelect]]:
    """The rows of both sides, for a database to read and not to run."""
    for scope in (planned.other, planned.scope):
        if scope is not None:
            yield scope, select(1).select_from(scope.table).where(scope.rows)


def explain_comparison(planned_checks: Sequence[PlannedCheck]) -> PlanStep:
    """The step that compares two tables."""
    other = planned_checks[0].other
    name = other.name if other is not None else ""
    reason = (
        f"compared with {name} key by key, in bounded memory; differences are checked a second time"
    )
    return plan_step("two sources", planned_checks, reason)
