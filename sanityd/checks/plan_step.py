"""One step of a plan, as `explain` prints it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sanityd.checks.plan import PlannedCheck
from sanityd.errors import CheckError
from sanityd.sources.base import AnySelect, Snapshot


@dataclass(frozen=True, slots=True)
class PlanStep:
    """What is done for some rules at once."""

    #: `proved`, `one scan`, `scan`, `duplicates`, `query`, `counts`, `two sources`, `catalog` or
    #: `function`.
    form: str
    table: str
    rules: tuple[str, ...]
    #: Why it is done in this form.
    reason: str
    #: The number of statements when nothing is violated; None where that depends on the rows.
    statements: int | None = None
    #: The number of rows in the table, as the database estimates it.
    rows: int | None = None
    #: The cost that the database expects, in its own unit.
    cost: float | None = None
    sql: tuple[str, ...] = ()


def plan_step(
    form: str,
    planned_checks: Sequence[PlannedCheck],
    reason: str,
    statements: Sequence[AnySelect] = (),
) -> PlanStep:
    """The step that answers some rules by these statements, with their text and expected cost."""
    scope = planned_checks[0].scope
    costs = list(_costs(scope.snapshot, statements))
    return PlanStep(
        form=form,
        table=scope.name,
        rules=tuple(planned.rule for planned in planned_checks),
        reason=reason,
        statements=len(statements) or None,
        rows=scope.info.estimate,
        cost=sum(costs) if costs else None,
        sql=tuple(scope.snapshot.sql(statement) for statement in statements),
    )


def also_new_rows(planned: PlannedCheck, reason: str) -> str:
    """The reason, with the addition that some runs read new rows only."""
    column = planned.invariant.scan.column
    if column is None:
        return reason
    return f"{reason}; between full scans, only rows that are new by {column}"


def _costs(snapshot: Snapshot, statements: Sequence[AnySelect]) -> Iterator[float]:
    for statement in statements:
        try:
            estimate = snapshot.forecast(statement)
        except CheckError:
            # What is wrong with the statement is reported when it is run.
            continue
        if estimate is not None:
            yield estimate.cost
