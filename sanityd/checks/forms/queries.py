"""A SELECT whose rows are violations."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, func, select

from sanityd.checks import incremental
from sanityd.checks.base import ROWS, Candidates, QueryCheck
from sanityd.checks.counts import MEASURED, SharedCounts
from sanityd.checks.findings import Evaluation
from sanityd.checks.forms.base import Form, PlannedScopes
from sanityd.checks.identical_rows import distinct
from sanityd.checks.invariant import Invariant
from sanityd.checks.keys import from_query, is_any_of
from sanityd.checks.plan import PlannedCheck
from sanityd.checks.plan_reader import PlanReader
from sanityd.checks.plan_step import PlanStep, also_new_rows, plan_step
from sanityd.checks.scope import Scope
from sanityd.checks.table_contents import TableContents
from sanityd.errors import CheckError
from sanityd.model import Key, Violation
from sanityd.sources.base import AnySelect

#: From how many rows on a statement for candidates may save time.
LARGE_TABLE = 10_000
#: With more candidates than that, the whole table is read.
MAX_CANDIDATES = 1_000


class QueryForm(Form[QueryCheck]):
    """A SELECT that returns the violations."""

    def plan(self, invariant: Invariant, reader: PlanReader) -> PlannedScopes:
        """The rule's table; a violation is known by the columns that the check names."""
        scope = reader.scope(invariant)
        return PlannedScopes(scope, self.check_of(invariant).key(scope))

    def evaluate(self, planned: PlannedCheck, counts: SharedCounts) -> Evaluation:
        """Run the SELECT; beyond the cap the violations are counted by the database."""
        statement = self._violations(planned)
        if statement is None:
            checked, measured = _measured(planned, counts)
            return Evaluation(0, 0, checked, (), measured)
        snapshot, cap = planned.scope.snapshot, planned.invariant.cap
        names = list(statement.selected_columns.keys())
        result = snapshot.rows(statement.limit(cap + 1))
        tracked = distinct(planned, [from_query(planned, names, row) for row in result])
        violations = len(tracked)
        rows = sum(violation.rows for violation in tracked)
        if violations > cap:
            all_violations = statement.subquery("found")
            total = func.sum(all_violations.c[ROWS]) if ROWS in names else func.count()
            totals = select(func.count(), total).select_from(all_violations)
            [(violations, rows)] = snapshot.rows(totals)
        checked, measured = _measured(planned, counts)
        return Evaluation(violations, int(rows), checked, tuple(tracked[:cap]), measured)

    def evaluate_new_rows(
        self, planned: PlannedCheck, open_keys: Mapping[str, Key], contents: TableContents
    ) -> Evaluation | None:
        """The violations that new rows take part in, where the check can look for these."""
        if planned.new_rows is None:
            return None
        check, scope = self.check_of(planned.invariant), planned.scope
        statement = check.violations_of_new_rows(scope, planned.new_rows)
        if statement is None:
            return None
        names = list(statement.selected_columns.keys())
        rows = scope.snapshot.rows(statement.limit(planned.invariant.cap + 1))
        violations = [from_query(planned, names, row) for row in rows]
        return incremental.merge(planned, violations, open_keys, contents)

    def has_measures(self, planned: PlannedCheck) -> bool:
        """Whether the check is about one value of its rows."""
        check = self.check_of(planned.invariant)
        return check.needs_table and check.measure(planned.scope) is not None

    def measures(self, planned: PlannedCheck) -> Mapping[str, ColumnElement[Any]]:
        """The one value that the check is about."""
        value = self.check_of(planned.invariant).measure(planned.scope)
        return {} if value is None else {MEASURED: value}

    def recheck(self, planned: PlannedCheck, keys: Sequence[Key]) -> Sequence[Violation]:
        """The rows of the SELECT with these keys."""
        statement = self.check_of(planned.invariant).violations(planned.scope)
        violations = statement.subquery("found")
        columns = [violations.c[name] for name in planned.key]
        names = list(violations.c.keys())
        with_key = select(*violations.c).where(is_any_of(columns, planned.key, keys))
        rows = planned.scope.snapshot.rows(with_key)
        return distinct(planned, [from_query(planned, names, row) for row in rows])

    def population(self, planned: PlannedCheck) -> AnySelect | None:
        """As the check says."""
        return self.check_of(planned.invariant).population(planned.scope)

    def explain(self, planned_checks: Sequence[PlannedCheck]) -> PlanStep:
        """The SELECT, or the statement that looks for candidates."""
        [planned] = planned_checks
        candidates = self._candidates(planned)
        if candidates is None:
            statement = self.check_of(planned.invariant).violations(planned.scope)
            reason = also_new_rows(planned, "a query of its own")
            return plan_step("query", planned_checks, reason, [statement])
        reason = (
            "64-bit digests of the key are sorted; only keys whose digest occurs twice are compared"
        )
        statements = [candidates.statement]
        return plan_step("duplicates", planned_checks, also_new_rows(planned, reason), statements)

    def build(self, planned: PlannedCheck) -> object:
        """The SELECT."""
        return self.check_of(planned.invariant).violations(planned.scope)

    def build_all(self, planned: PlannedCheck) -> None:
        """The SELECT, and that of all keys."""
        self.build(planned)
        self.population(planned)

    def statements(self, planned: PlannedCheck) -> Iterable[tuple[Scope, AnySelect]]:
        """The SELECT."""
        yield planned.scope, self.check_of(planned.invariant).violations(planned.scope)

    def _violations(self, planned: PlannedCheck) -> AnySelect | None:
        """The SELECT of the violations, among candidates if possible; None if there are none."""
        snapshot = planned.scope.snapshot
        all_violations = self.check_of(planned.invariant).violations
        candidates = self._candidates(planned)
        if candidates is None:
            return all_violations(planned.scope)
        statement = candidates.statement.limit(MAX_CANDIDATES + 1)
        try:
            values = [value for (value,) in snapshot.rows(statement, by_sorting=True)]
        except CheckError:
            # A type that can't be hashed, or a server that is too old for it.
            return all_violations(planned.scope)
        if len(values) > MAX_CANDIDATES:
            return all_violations(planned.scope)
        if not values:
            return None
        return candidates.violations(values)

    def _candidates(self, planned: PlannedCheck) -> Candidates | None:
        """The question for candidates, where the table is so large that it may save time."""
        estimate = planned.scope.info.estimate or 0
        if estimate < LARGE_TABLE:
            return None
        return self.check_of(planned.invariant).candidates(planned.scope)


def _measured(planned: PlannedCheck, counts: SharedCounts) -> tuple[int | None, float | None]:
    """How many rows are in scope, and the value that the rule is about, if there is one."""
    if not planned.invariant.check.needs_table:
        return None, None
    count = counts.of(planned)
    value = count.measured.get(MEASURED)
    measured = float(value) if isinstance(value, int | float | Decimal) else None
    return count.rows, measured
