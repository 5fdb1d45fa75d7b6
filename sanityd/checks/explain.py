"""A plan in words: what is read together, what is proved, in which form and why, and the cost.

No row is read; the database is asked what it would do.
"""

from collections.abc import Sequence

from sqlalchemy import select

from sanityd.checks.counts import SharedCounts
from sanityd.checks.plan import Plan, PlannedCheck
from sanityd.checks.plan_step import PlanStep, plan_step
from sanityd.errors import CheckError


def without_mistakes(plan: Plan) -> Plan:
    """The plan without rules whose SQL can't be built; these are refused, with the reason."""
    checks: list[PlannedCheck] = []
    refused = dict(plan.refused)
    for planned in plan.checks:
        try:
            planned.form.build(planned)
            checks.append(planned)
        except CheckError as error:
            refused[planned.rule] = error
    return Plan(tuple(checks), refused)


def steps(plan: Plan) -> list[PlanStep]:
    """The steps of the plan, in the order of work. Raises CheckError at a rule with a mistake."""
    proved = {planned.rule for planned in plan.checks if _is_proved(planned)}
    plan_steps: list[PlanStep] = []
    for planned_checks in plan.units(proved):
        first = planned_checks[0]
        if first.rule in proved:
            plan_steps.append(_proof(first))
            continue
        step = first.form.explain(planned_checks)
        if step is not None:
            plan_steps.append(step)
    counted = [group for group in plan.counted(proved) if _needs_count(group)]
    return plan_steps + [_counts(planned_checks) for planned_checks in counted]


def _needs_count(planned_checks: Sequence[PlannedCheck]) -> bool:
    """Whether a statement counts the rows; one rule that can share a scan counts in its own."""
    return len(planned_checks) > 1 or planned_checks[0].reads_alone


def _is_proved(planned: PlannedCheck) -> bool:
    return planned.proof is not None and not planned.audited


def _proof(planned: PlannedCheck) -> PlanStep:
    reason = f"{planned.proof} enforces it: the rows are read once a week, in case it is broken"
    probe = select(1).select_from(planned.scope.table).where(planned.scope.rows).limit(1)
    return plan_step("proved", [planned], reason, [probe])


def _counts(planned_checks: Sequence[PlannedCheck]) -> PlanStep:
    reason = "row counts and measured values, in one query"
    statements = SharedCounts(planned_checks).statements()
    return plan_step("counts", planned_checks, reason, statements)


__all__ = ["PlanStep", "steps", "without_mistakes"]
