"""Conditions on one row at a time. Rules of one table share a scan."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy import case, func, select

from sanityd.checks import incremental
from sanityd.checks.base import RowCheck
from sanityd.checks.conditions import bad_row, violating_row
from sanityd.checks.counts import SharedCounts
from sanityd.checks.findings import Evaluation
from sanityd.checks.forms.across import AcrossForm
from sanityd.checks.forms.base import Form, PlannedScopes, name_columns
from sanityd.checks.forms.two_sources import rows_of_table
from sanityd.checks.fused_scan import Hits, ScanLayout, scan, scan_in_order, statement_of
from sanityd.checks.identical_rows import distinct
from sanityd.checks.invariant import Invariant
from sanityd.checks.keys import is_any_of
from sanityd.checks.plan import PlannedCheck
from sanityd.checks.plan_reader import PlanReader
from sanityd.checks.plan_step import PlanStep, also_new_rows, plan_step
from sanityd.checks.scope import Scope
from sanityd.checks.table_contents import TableContents
from sanityd.errors import CheckError
from sanityd.model import Key, Violation
from sanityd.sources.base import AnySelect


class RowForm(Form[RowCheck]):
    """A condition on one row: rules of one table are answered by one scan."""

    scans_rows: ClassVar[bool] = True

    def across(self, invariant: Invariant) -> Form[Any]:
        """Rows with counterparts in another source are compared by their keys."""
        del invariant
        return AcrossForm()

    def plan(self, invariant: Invariant, reader: PlanReader) -> PlannedScopes:
        """The rule's table; a violation is known by its key."""
        scope = reader.scope(invariant)
        key = scope.key
        name_columns(scope, invariant.subject.show)
        return PlannedScopes(scope, key)

    def proof(self, invariant: Invariant, scopes: PlannedScopes, reader: PlanReader) -> str | None:
        """As the check says; else the CHECK constraints that exclude a violating row."""
        check, scope = self.check_of(invariant), scopes.scope
        constraint = check.proof(scope)
        if constraint:
            return constraint
        constraints = scope.info.enforced.checks
        if not constraints or self.reads_alone(invariant):
            return None
        try:
            is_ruled_out = reader.rules_out(scope, violating_row(check, scope))
        except CheckError:
            # What is wrong with the condition is reported when the rows are read.
            return None
        return ", ".join(constraints) if is_ruled_out else None

    def reads_alone(self, invariant: Invariant) -> bool:
        """Whether the condition has a subquery: inside of OR it can't become a join any more."""
        check = self.check_of(invariant)
        if check.requirements():
            return True
        conditions = (invariant.subject.where or "", *check.sql())
        return any("select" in sql.lower() for sql in conditions)

    def evaluate(self, planned: PlannedCheck, counts: SharedCounts) -> Evaluation:
        """Read all rows in scope."""
        if counts.is_shared or planned.reads_alone:
            return _with_count(planned, scan([planned])[planned.rule], counts)
        # No other rule asks anything of this table: one statement counts the rows in scope and
        # those that violate.
        scope = planned.scope
        is_bad = bad_row(self.check_of(planned.invariant), scope)
        totals = select(func.count().label("checked"), func.count(case((is_bad, 1))).label("bad"))
        [(checked, bad)] = scope.snapshot.rows(totals.select_from(scope.table).where(scope.rows))
        tracked = scan_in_order(planned, bad).tracked if bad else ()
        return Evaluation(bad, bad, checked, tracked)

    def evaluate_together(
        self,
        planned_checks: Sequence[PlannedCheck],
        open_keys: Mapping[str, Mapping[str, Key]],
        counts: SharedCounts | None,
    ) -> Iterator[tuple[PlannedCheck, Evaluation | CheckError]]:
        """One scan for all rules. All are about one table and `window`."""
        hits = scan([planned.on_new_rows for planned in planned_checks])
        contents = TableContents()
        for planned in planned_checks:
            own_counts = SharedCounts([planned])
            try:
                result = hits[planned.rule]
                if planned.new_rows is None:
                    evaluation = _with_count(planned, result, counts or own_counts)
                else:
                    own_keys = open_keys.get(planned.rule, {})
                    partial = _of_new_rows(planned, result, own_keys, contents)
                    evaluation = partial or self.evaluate(planned, own_counts)
                yield planned, evaluation
            except CheckError as error:
                yield planned, error

    def evaluate_new_rows(
        self, planned: PlannedCheck, open_keys: Mapping[str, Key], contents: TableContents
    ) -> Evaluation | None:
        """Scan the new rows only."""
        result = scan([planned.on_new_rows])[planned.rule]
        return _of_new_rows(planned, result, open_keys, contents)

    def recheck(self, planned: PlannedCheck, keys: Sequence[Key]) -> Sequence[Violation]:
        """The rows with these keys that violate."""
        scope = planned.scope
        columns = [scope.column(name) for name in planned.key]
        layout = ScanLayout([planned])
        has_key = is_any_of(columns, planned.key, keys)
        statement = select(*layout.columns).where(planned.violating, has_key)
        rows = scope.snapshot.rows(statement)
        return distinct(planned, [layout.violation(planned, row) for row in rows])

    def population(self, planned: PlannedCheck) -> AnySelect:
        """All rows of the table."""
        return rows_of_table(planned)

    def explain(self, planned_checks: Sequence[PlannedCheck]) -> PlanStep:
        """One scan for several rules, or a scan of its own and why."""
        planned = planned_checks[0]
        statement, _ = statement_of(planned_checks)
        if len(planned_checks) > 1:
            form = "one scan"
            reason = "one scan checks all these rules; only violating rows are returned"
        elif planned.reads_alone:
            form = "scan"
            reason = "it reads another table, so it needs a separate query"
        else:
            form = "scan"
            reason = "it is the only row rule of this table here"
        return plan_step(form, planned_checks, also_new_rows(planned, reason), [statement])

    def build(self, planned: PlannedCheck) -> object:
        """The condition of a violating row."""
        return planned.violating

    def build_all(self, planned: PlannedCheck) -> None:
        """The conditions of a violating row, of an unknown one, and of each reason."""
        check, scope = self.check_of(planned.invariant), planned.scope
        self.build(planned)
        check.is_unknown(scope)
        check.reasons(scope)

    def statements(self, planned: PlannedCheck) -> Iterable[tuple[Scope, AnySelect]]:
        """The rows that violate."""
        scope = planned.scope
        yield scope, select(1).select_from(scope.table).where(planned.violating)


def _of_new_rows(
    planned: PlannedCheck,
    result: Hits | CheckError,
    open_keys: Mapping[str, Key],
    contents: TableContents,
) -> Evaluation | None:
    if isinstance(result, CheckError):
        raise result
    if result.violations > len(result.tracked):
        return None
    return incremental.merge(planned, result.tracked, open_keys, contents)


def _with_count(
    planned: PlannedCheck, result: Hits | CheckError, counts: SharedCounts
) -> Evaluation:
    if isinstance(result, CheckError):
        raise result
    checked = counts.of(planned).rows
    return Evaluation(result.violations, result.violations, checked, result.tracked)
