"""A Plan in words: what is read together, what is proved, in which form and why, and what the database expects of it.

Nothing is looked at; the database is asked what it would do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from sanityd.checks import fused_scan
from sanityd.checks.base import QueryCheck, RowCheck
from sanityd.checks.counts import SharedCounts, measures_of
from sanityd.checks.evaluation import worth_clues
from sanityd.checks.planner import Plan, PlannedCheck
from sanityd.errors import CheckError
from sanityd.sources.base import AnySelect


@dataclass(frozen=True, slots=True)
class PlanStep:
    """What is done for some rules at once."""

    #: `proved`, `one scan`, `scan`, `duplicates`, `query`, `counts`, `two sources`, `catalog` or `function`.
    form: str
    table: str
    rules: tuple[str, ...]
    #: Why in this form.
    reason: str
    #: How many it takes when nothing is violated; None where that depends on the rows.
    statements: int | None = None
    #: About how many rows the table has, as the database remembers.
    rows: int | None = None
    #: What the database expects it to cost, in its own unit.
    cost: float | None = None
    sql: tuple[str, ...] = ()


def without_mistakes(plan: Plan) -> Plan:
    """The plan, without rules whose statement can't even be written; why stands with those that it refused."""
    looks, refused = [], dict(plan.refused)
    for look in plan.looks:
        try:
            _statement_of(look)
            looks.append(look)
        except CheckError as error:
            refused[look.invariant.id] = error
    return Plan(tuple(looks), refused)


def _statement_of(look: PlannedCheck) -> object:
    check = look.invariant.check
    if look.other is not None:
        # Each source is asked for its own half.
        return look.scope.rows, look.other.rows
    if isinstance(check, RowCheck):
        return look.violating
    return check.violations(look.scope) if isinstance(check, QueryCheck) else measures_of(look)


def steps(plan: Plan) -> list[PlanStep]:
    """The plan, in the order of work. Raises CheckError at a rule with a mistake."""
    proved = {
        look.invariant.id for look in plan.looks if look.proof is not None and not look.audited
    }
    units = [
        _unit(looks) if looks[0].invariant.id not in proved else _proof(looks[0])
        for looks in plan.units(proved)
    ]
    counted = [_counts(looks) for looks in plan.counted(proved) if not _counts_itself(looks)]
    return [*(step for step in units if step is not None), *counted]


def _proof(look: PlannedCheck) -> PlanStep:
    reason = f"{look.proof} sees to it: the rows are read once a week, in case it is broken"
    probe = select(1).select_from(look.scope.table).where(look.scope.rows).limit(1)
    return _step("proved", [look], reason, [probe])


def _unit(looks: Sequence[PlannedCheck]) -> PlanStep | None:
    look = looks[0]
    match look.form:
        case "row scan" if len(looks) > 1:
            reason = (
                "a row is read once and asked for all of them; only rows that break one are sent"
            )
            return _step(
                "one scan", looks, _also_new(look, reason), [fused_scan.statement_of(looks)[0]]
            )
        case "row scan":
            alone = (
                "it looks into another table, and is a statement of its own"
                if look.reads_alone
                else "it is the only one"
            )
            return _step("scan", looks, _also_new(look, alone), [fused_scan.statement_of(looks)[0]])
        case "query":
            return _query(look)
        case "aggregate" if look.other is None:
            return None  # told with the counts
        case "catalog":
            return PlanStep("catalog", look.scope.name, (look.invariant.id,), "no row is read", 0)
        case "function":
            return PlanStep(
                "function",
                look.scope.name,
                (look.invariant.id,),
                "the function reads what it likes",
            )
    there = look.other.name if look.other else ""
    reason = f"compared with {there} key by key, in bounded memory; what differs is looked at twice"
    return _step("two sources", looks, reason, [])


def _query(look: PlannedCheck) -> PlanStep:
    check, scope = look.invariant.check, look.scope
    assert isinstance(check, QueryCheck)
    clues = check.clues(scope) if worth_clues(scope) else None
    if clues is not None:
        reason = (
            "64-bit digests of the key are sorted; only keys whose digest occurs twice are compared"
        )
        return _step("duplicates", [look], _also_new(look, reason), [clues.statement])
    return _step("query", [look], _also_new(look, "asked as it is"), [check.violations(scope)])


def _counts(looks: Sequence[PlannedCheck]) -> PlanStep:
    reason = "rows in scope, and what is measured of them, counted at once"
    return _step("counts", looks, reason, SharedCounts(looks).statements())


def _counts_itself(looks: Sequence[PlannedCheck]) -> bool:
    """A single row rule counts its rows in the statement that looks for violations."""
    return len(looks) == 1 and looks[0].form == "row scan" and not looks[0].reads_alone


def _also_new(look: PlannedCheck, reason: str) -> str:
    scan = look.invariant.scan
    return (
        reason
        if scan.column is None
        else f"{reason}; between full looks, only rows that are new by {scan.column}"
    )


def _step(
    form: str, looks: Sequence[PlannedCheck], reason: str, statements: Sequence[AnySelect]
) -> PlanStep:
    snapshot, scope = looks[0].scope.snapshot, looks[0].scope
    costs = list(_costs(looks[0], statements))
    return PlanStep(
        form,
        scope.name,
        tuple(look.invariant.id for look in looks),
        reason,
        len(statements) or None,
        scope.info.estimate,
        sum(costs) if costs else None,
        tuple(snapshot.sql(statement) for statement in statements),
    )


def _costs(look: PlannedCheck, statements: Sequence[AnySelect]) -> Iterator[float]:
    for statement in statements:
        try:
            forecast = look.scope.snapshot.forecast(statement)
        except CheckError:
            # What is wrong with it is told when it is run.
            continue
        if forecast is not None:
            yield forecast.cost
