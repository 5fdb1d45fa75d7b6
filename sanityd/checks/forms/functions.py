"""Violations that the user's own code finds."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy import select

from sanityd.checks.base import FunctionCheck
from sanityd.checks.counts import SharedCounts
from sanityd.checks.findings import Evaluation
from sanityd.checks.forms.base import Form, PlannedScopes, shown_columns
from sanityd.checks.invariant import Invariant
from sanityd.checks.keys import fingerprint_of, value_of
from sanityd.checks.plan import PlannedCheck
from sanityd.checks.plan_reader import PlanReader
from sanityd.checks.plan_step import PlanStep
from sanityd.errors import CheckError, SourceError
from sanityd.model import Violation


class FunctionForm(Form[FunctionCheck]):
    """A function of the user that reads by statements of its own."""

    counts_rows: ClassVar[bool] = False
    runs_user_code: ClassVar[bool] = True

    def plan(self, invariant: Invariant, reader: PlanReader) -> PlannedScopes:
        """The rule's source; a violation is known by the rule's key."""
        scope = reader.scope(invariant)
        return PlannedScopes(scope, scope.key)

    def evaluate(self, planned: PlannedCheck, counts: SharedCounts) -> Evaluation:
        """Call the function. What it raises becomes a CheckError."""
        del counts
        snapshot = planned.scope.snapshot

        def read(sql: str) -> list[dict[str, Any]]:
            rows = snapshot.query(sql)
            names = rows.c.keys()
            return [dict(zip(names, row, strict=True)) for row in snapshot.rows(select(*rows.c))]

        violations: dict[str, Violation] = {}
        try:
            for row in self.check_of(planned.invariant).find(read):
                violation = _violation(planned, row)
                violations[fingerprint_of(planned, violation.key)] = violation
        except (CheckError, SourceError):
            raise
        except Exception as error:
            hint = "Run it by hand, or with `sanityd --log debug try RULE`."
            raise CheckError(f"the function failed ({type(error).__name__})", hint) from error
        tracked = tuple(violations.values())[: planned.invariant.cap]
        return Evaluation(len(violations), len(violations), None, tracked)

    def explain(self, planned_checks: Sequence[PlannedCheck]) -> PlanStep:
        """The statements are the function's own."""
        [planned] = planned_checks
        reason = "the function reads what it likes"
        return PlanStep("function", planned.scope.name, (planned.rule,), reason)


def _violation(planned: PlannedCheck, row: Mapping[str, Any]) -> Violation:
    missing = [name for name in planned.key if name not in row]
    if missing:
        hint = f"Each needs the rule's key: {', '.join(planned.key)}."
        raise CheckError(f"the function returned a violation without `{missing[0]}`", hint)
    key = {name: value_of(row[name]) for name in planned.key}
    shown = {name: value_of(row[name]) for name in shown_columns(planned) if name in row}
    return Violation(key, shown=shown)
