"""Two tables, or two queries, that are equal row for row."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from sanityd.checks import table_comparison
from sanityd.checks.base import PairCheck
from sanityd.checks.counts import SharedCounts
from sanityd.checks.findings import Evaluation
from sanityd.checks.forms.base import Form, PlannedScopes, name_columns, shown_columns
from sanityd.checks.forms.two_sources import (
    explain_comparison,
    rows_of_table,
    statements_of_both,
    still_violating,
)
from sanityd.checks.invariant import Invariant
from sanityd.checks.keys import fingerprint_of, normalized
from sanityd.checks.plan import PlannedCheck
from sanityd.checks.plan_reader import PlanReader
from sanityd.checks.plan_step import PlanStep
from sanityd.checks.scope import Scope
from sanityd.checks.table_comparison import Tables
from sanityd.model import Key, Resolution, Violation
from sanityd.sources.base import AnySelect


class PairForm(Form[PairCheck]):
    """Two tables compared row for row, each read in its own source."""

    #: A key that only the other table had is not looked for there.
    resolution_outside_population: ClassVar[Resolution] = Resolution.NOT_RETURNED

    def across(self, invariant: Invariant) -> Form[Any]:
        """The same: both tables are read by statements of their own in any case."""
        del invariant
        return self

    def plan(self, invariant: Invariant, reader: PlanReader) -> PlannedScopes:
        """Both tables or queries; a violation is known by the columns that rows are matched by."""
        comparison = self.check_of(invariant).comparison()
        scope = reader.scope(invariant, query=invariant.check.query_sql())
        other_snapshot = reader.other_snapshot(invariant)
        table, where, within = comparison.other, comparison.where, comparison.within
        if table.table is not None:
            other = scope.other(table.table, where, other_snapshot, within)
        else:
            query, source = str(table.query), str(table.source)
            other = scope.other_query(query, source, where, other_snapshot, within)
        for own_name, other_name in (*comparison.on.items(), *comparison.compare.items()):
            scope.column_info(own_name)
            other.column_info(other_name)
        name_columns(scope, invariant.subject.show)
        return PlannedScopes(scope, tuple(comparison.on), other)

    def proof(self, invariant: Invariant, scopes: PlannedScopes, reader: PlanReader) -> None:
        """No constraint keeps two tables equal."""
        del invariant, scopes, reader

    def evaluate(self, planned: PlannedCheck, counts: SharedCounts) -> Evaluation:
        """Compare both sides."""
        assert planned.other is not None
        comparison = self.check_of(planned.invariant).comparison()
        tables = Tables(comparison, planned.scope, planned.other)
        checked = counts.of(planned).rows
        cap = planned.invariant.cap
        result = table_comparison.compare(tables, cap, follow_young=bool(planned.open_keys))
        # Beyond the cap no open violation is resolved in any case.
        young = result.young if result.violations <= cap else {}
        faults = {**result.faults, **young}
        by_mark = table_comparison.violations_of(tables, shown_columns(planned), faults)
        tracked: list[Violation] = []
        still_open = 0
        for mark, violation in by_mark.items():
            if mark in result.faults:
                tracked.append(normalized(violation))
            elif _is_open(planned, normalized(violation)):
                tracked.append(normalized(violation))
                still_open += 1
        violations, rows = result.violations + still_open, result.rows + still_open
        return Evaluation(violations, rows, checked, tuple(tracked))

    def recheck(self, planned: PlannedCheck, keys: Sequence[Key]) -> Sequence[Violation]:
        """All of them: see `still_violating`."""
        del planned
        return still_violating(keys)

    def population(self, planned: PlannedCheck) -> AnySelect:
        """All rows of the rule's own table."""
        return rows_of_table(planned)

    def explain(self, planned_checks: Sequence[PlannedCheck]) -> PlanStep:
        """A comparison of two tables."""
        return explain_comparison(planned_checks)

    def build(self, planned: PlannedCheck) -> object:
        """The rows of both sides."""
        return list(statements_of_both(planned))

    def statements(self, planned: PlannedCheck) -> Iterable[tuple[Scope, AnySelect]]:
        """The rows of both sides."""
        return statements_of_both(planned)


def _is_open(planned: PlannedCheck, violation: Violation) -> bool:
    """Whether an earlier run found the violation, and no run since then that it ended."""
    redaction = planned.invariant.redaction
    if redaction is not None:
        violation = redaction.violation(violation)
    return fingerprint_of(planned, violation.key) in planned.open_keys
