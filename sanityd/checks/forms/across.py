"""Rows whose counterparts are in another source."""

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import and_, func, select

from sanityd.checks import crosscheck
from sanityd.checks.base import RowCheck
from sanityd.checks.counts import SharedCounts
from sanityd.checks.crosscheck import Sides
from sanityd.checks.findings import Evaluation
from sanityd.checks.forms.base import Form, PlannedScopes, shown_columns
from sanityd.checks.forms.two_sources import (
    explain_comparison,
    rows_of_table,
    statements_of_both,
    still_violating,
)
from sanityd.checks.identical_rows import distinct_if_identical
from sanityd.checks.invariant import Invariant
from sanityd.checks.keys import normalized, values_of
from sanityd.checks.plan import PlannedCheck
from sanityd.checks.plan_reader import PlanReader
from sanityd.checks.plan_step import PlanStep
from sanityd.checks.scope import Scope
from sanityd.model import Key, Violation
from sanityd.sources.base import AnySelect


class AcrossForm(Form[RowCheck]):
    """Rows and their counterparts in another source, compared by their keys."""

    def plan(self, invariant: Invariant, reader: PlanReader) -> PlannedScopes:
        """The rule's table, and that of the counterparts in its own snapshot."""
        scope = reader.scope(invariant)
        other_snapshot = reader.other_snapshot(invariant)
        [requirement] = self.check_of(invariant).requirements()
        other = scope.other(requirement.table, requirement.where, other_snapshot)
        for own_name, other_name in requirement.on.items():
            scope.column_info(own_name)
            other.column_info(other_name)
        return PlannedScopes(scope, scope.key, other)

    def proof(self, invariant: Invariant, scopes: PlannedScopes, reader: PlanReader) -> None:
        """No constraint reaches into another source."""
        del invariant, scopes, reader

    def evaluate(self, planned: PlannedCheck, counts: SharedCounts) -> Evaluation:
        """Compare the keys of both sides."""
        assert planned.other is not None
        [requirement] = self.check_of(planned.invariant).requirements()
        sides = Sides(requirement, planned.scope, planned.other)
        checked = counts.of(planned).rows
        cap = planned.invariant.cap
        shown = shown_columns(planned)
        differences = crosscheck.compare(sides, cap)
        rows = differences.rows
        tracked: list[Violation] = []
        if rows:
            tracked.extend(crosscheck.rows_of(sides, planned.key, shown, differences, cap))
        if planned.invariant.subject.nulls_fail:
            null_rows, null_violations = self._null_rows(planned, shown, cap - len(tracked))
            rows += null_rows
            tracked.extend(null_violations)
        own_rows = distinct_if_identical(planned, [normalized(row) for row in tracked])
        return Evaluation(rows, rows, checked, tuple(own_rows))

    def recheck(self, planned: PlannedCheck, keys: Sequence[Key]) -> Sequence[Violation]:
        """All of them: see `still_violating`."""
        del planned
        return still_violating(keys)

    def population(self, planned: PlannedCheck) -> AnySelect:
        """All rows of the rule's own table."""
        return rows_of_table(planned)

    def explain(self, planned_checks: Sequence[PlannedCheck]) -> PlanStep:
        """A comparison of two sources."""
        return explain_comparison(planned_checks)

    def build(self, planned: PlannedCheck) -> object:
        """The rows of both sides."""
        return list(statements_of_both(planned))

    def statements(self, planned: PlannedCheck) -> Iterable[tuple[Scope, AnySelect]]:
        """The rows of both sides, each in its own source."""
        return statements_of_both(planned)

    def _null_rows(
        self, planned: PlannedCheck, shown: Sequence[str], limit: int
    ) -> tuple[int, Iterator[Violation]]:
        """How many rows have no value to compare, and at most `limit` of them."""
        scope = planned.scope
        is_unknown = and_(scope.rows, self.check_of(planned.invariant).is_unknown(scope))
        count = select(func.count()).select_from(scope.table).where(is_unknown)
        [(null_rows,)] = scope.snapshot.rows(count)
        if not null_rows or limit <= 0:
            return null_rows, iter(())
        end = len(planned.key)
        columns = [scope.column(name) for name in (*planned.key, *shown)]
        statement = select(*columns).where(is_unknown).order_by(*columns[:end]).limit(limit)
        rows = scope.snapshot.rows(statement)
        violations = (
            Violation(values_of(planned.key, row), shown=values_of(shown, row[end:]))
            for row in rows
        )
        return null_rows, violations
