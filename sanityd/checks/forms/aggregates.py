"""Values of all rows in scope, judged outside of the database."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, func, select

from sanityd.checks.base import AggregateCheck
from sanityd.checks.counts import SharedCounts
from sanityd.checks.findings import Evaluation
from sanityd.checks.forms.base import Form, PlannedScopes
from sanityd.checks.forms.two_sources import explain_comparison, statements_of_both
from sanityd.checks.invariant import Invariant
from sanityd.checks.plan import PlannedCheck
from sanityd.checks.plan_reader import PlanReader
from sanityd.checks.plan_step import PlanStep
from sanityd.checks.scope import Scope
from sanityd.model import Resolution
from sanityd.sources.base import AnySelect

#: The key of a violation is what is wrong, in words.
_KEY = ("fault",)


class AggregateForm(Form[AggregateCheck]):
    """Values that are measured by the statement that counts the rows."""

    resolution_without_population: ClassVar[Resolution] = Resolution.FIXED

    def across(self, invariant: Invariant) -> Form[Any]:
        """The same: the number of rows in the other source is asked there."""
        del invariant
        return self

    def plan(self, invariant: Invariant, reader: PlanReader) -> PlannedScopes:
        """The rule's table, and the other one where that is in another source."""
        scope = reader.scope(invariant)
        if invariant.elsewhere is None:
            return PlannedScopes(scope, _KEY)
        other_snapshot = reader.other_snapshot(invariant)
        [other_table] = invariant.check.tables()
        return PlannedScopes(scope, _KEY, scope.other(other_table, None, other_snapshot))

    def proof(self, invariant: Invariant, scopes: PlannedScopes, reader: PlanReader) -> str | None:
        """As the check says, where it is about one source."""
        if scopes.other is not None:
            return None
        return super().proof(invariant, scopes, reader)

    def evaluate(self, planned: PlannedCheck, counts: SharedCounts) -> Evaluation:
        """Judge the measured values."""
        count = counts.of(planned)
        checked, measured = count.rows, dict(count.measured)
        if planned.other is not None:
            everything = select(func.count()).select_from(planned.other.table)
            [(measured["other"],)] = planned.other.snapshot.rows(everything)
        if checked == 0 and planned.invariant.subject.empty_fails is False:
            return Evaluation(0, 0, 0, (), measured=0.0)
        check = self.check_of(planned.invariant)
        judgement = check.judge(measured, checked, planned.scope.now, planned.past)
        violations = judgement.violations
        rows = sum(violation.rows for violation in violations)
        return Evaluation(
            len(violations),
            rows,
            checked,
            violations,
            measured=judgement.measured,
            detail=check.detail(measured, planned.scope) if violations else "",
        )

    def has_measures(self, planned: PlannedCheck) -> bool:
        """Always."""
        del planned
        return True

    def measures(self, planned: PlannedCheck) -> Mapping[str, ColumnElement[Any]]:
        """The values of the check; the number of rows in another source is asked there."""
        if planned.other is not None:
            return {}
        return dict(self.check_of(planned.invariant).measures(planned.scope))

    def explain(self, planned_checks: Sequence[PlannedCheck]) -> PlanStep | None:
        """A comparison of two sources; otherwise the counts answer it."""
        if planned_checks[0].other is not None:
            return explain_comparison(planned_checks)
        return None

    def build(self, planned: PlannedCheck) -> object:
        """The values, or the rows of both sides."""
        if planned.other is not None:
            return list(statements_of_both(planned))
        return self.measures(planned)

    def statements(self, planned: PlannedCheck) -> Iterable[tuple[Scope, AnySelect]]:
        """The values, or the rows of both sides."""
        if planned.other is not None:
            return list(statements_of_both(planned))
        scope = planned.scope
        values = self.check_of(planned.invariant).measures(scope).values()
        return [(scope, select(1, *values).select_from(scope.table).where(scope.rows))]
