"""What the catalog says about a table."""

from collections.abc import Sequence
from typing import ClassVar

from sanityd.checks.base import CatalogCheck
from sanityd.checks.counts import SharedCounts
from sanityd.checks.findings import Evaluation
from sanityd.checks.forms.base import Form, PlannedScopes
from sanityd.checks.invariant import Invariant
from sanityd.checks.plan import PlannedCheck
from sanityd.checks.plan_reader import PlanReader
from sanityd.checks.plan_step import PlanStep
from sanityd.model import Resolution


class CatalogForm(Form[CatalogCheck]):
    """The catalog is judged; no row is read."""

    counts_rows: ClassVar[bool] = False
    resolution_without_population: ClassVar[Resolution] = Resolution.FIXED

    def plan(self, invariant: Invariant, reader: PlanReader) -> PlannedScopes:
        """The rule's table; a violation is a column."""
        return PlannedScopes(reader.scope(invariant), ("column",))

    def evaluate(self, planned: PlannedCheck, counts: SharedCounts) -> Evaluation:
        """Judge the table as the catalog describes it."""
        del counts
        violations = self.check_of(planned.invariant).judge(planned.scope.info)
        tracked = tuple(violations[: planned.invariant.cap])
        return Evaluation(len(violations), len(violations), None, tracked)

    def explain(self, planned_checks: Sequence[PlannedCheck]) -> PlanStep:
        """No statement."""
        [planned] = planned_checks
        return PlanStep("catalog", planned.scope.name, (planned.rule,), "no row is read", 0)
