"""Makes a plan of the rules of one source: how each will be evaluated, in one snapshot.

Builds SQL and asks the catalog; reads no rows, except for the highest value of a column that
tells which rows are new. A rule that can't be planned (a missing column, no key) is refused
alone; the others keep their plan.
"""

from collections.abc import Iterable
from datetime import timedelta

from sanityd.checks.base import Check
from sanityd.checks.expressions import other_expressions, own_expressions
from sanityd.checks.forms import form_of
from sanityd.checks.forms.base import PlannedScopes
from sanityd.checks.invariant import Invariant
from sanityd.checks.plan import NOTHING, Elsewhere, Plan, PlannedCheck, PriorState
from sanityd.checks.plan_reader import PlanReader
from sanityd.checks.scope import Scope
from sanityd.errors import CheckError
from sanityd.model import UnchangedState, Value
from sanityd.sources.base import Snapshot
from sanityd.sources.catalog import UNCOMMON, Family

#: Families of columns that tell by the clock which rows are new.
_TIMES = frozenset({Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ})
#: Families whose values are compared with bounds that may mean another time each day (`today`).
_CLOCK_DEPENDENT = _TIMES | UNCOMMON


def plan(
    invariants: Iterable[Invariant],
    snapshot: Snapshot,
    elsewhere: Elsewhere | None = None,
    prior: PriorState = NOTHING,
) -> Plan:
    """Plan each rule in this snapshot. Raises SourceError when the source is lost.

    Parameters: `elsewhere` returns the snapshots of other sources; `prior` is what earlier runs
    recorded.
    """
    reader = PlanReader(snapshot, elsewhere)
    checks: list[PlannedCheck] = []
    refused: dict[str, CheckError] = {}
    for invariant in invariants:
        try:
            checks.append(_plan(invariant, reader, prior))
        except CheckError as error:
            refused[invariant.id] = error
    return Plan(tuple(checks), refused)


def plan_check(
    invariant: Invariant,
    snapshot: Snapshot,
    elsewhere: Elsewhere | None = None,
    faults: list[CheckError] | None = None,
) -> PlannedCheck:
    """Plan one rule, as if it ran for the first time. Raises CheckError when it can't be planned.

    Parameters: `faults` collects what is wrong with the names in the rule; if there are any, the
    result is of no use.
    """
    reader = PlanReader(snapshot, elsewhere, faults)
    form = form_of(invariant)
    scopes = form.plan(invariant, reader)
    proof = None if faults else form.proof(invariant, scopes, reader)
    return PlannedCheck(
        invariant=invariant,
        form=form,
        scope=scopes.scope,
        key=scopes.key,
        other=scopes.other,
        proof=proof,
    )


def tells_new(scope: Scope, name: str) -> Family:
    """The family of the column that tells which rows are new.

    Raises CheckError, or collects it, when the column is neither a time nor a whole number.
    """
    family = scope.column_info(name).family
    if family not in _TIMES | {Family.INTEGER} and name in scope.info.columns:
        scope.refuse(
            f"`{name}` can't tell which rows are new: it is neither a time nor a whole number",
            "Name a column that grows with each new row, "
            "as in `scan: new rows by created_at, full daily`.",
            name,
        )
    return family


def _plan(invariant: Invariant, reader: PlanReader, prior: PriorState) -> PlannedCheck:
    form = form_of(invariant)
    scopes = form.plan(invariant, reader)
    proof = form.proof(invariant, scopes, reader)
    newest = _newest(invariant, scopes.scope, reader)
    state = None
    if proof is None and _depends_on_tables_alone(invariant, scopes):
        state = reader.state()
    return PlannedCheck(
        invariant=invariant,
        form=form,
        scope=scopes.scope,
        key=scopes.key,
        other=scopes.other,
        open_keys=prior.open_keys.get(invariant.id, {}),
        past=prior.past.get(invariant.id, ()),
        proof=proof,
        audited=invariant.id in prior.audited,
        newest=newest,
        new_rows=_new_rows(invariant, reader, newest, prior.since.get(invariant.id)),
        state=state,
        unchanged=_unchanged(state, prior.unchanged.get(invariant.id)),
    )


def _newest(invariant: Invariant, scope: Scope, reader: PlanReader) -> Value:
    """The value from which on rows will be new for the next run; None if it reads all rows."""
    column = invariant.scan.column
    if column is None:
        return None
    family = tells_new(scope, column)
    if family not in _TIMES:
        return reader.highest(scope, column)
    newest = scope.now - invariant.overlap
    if family is Family.DATE:
        # A row of today was made at any hour of it, and counts as made at its beginning.
        newest -= timedelta(days=1)
    return newest


def _new_rows(
    invariant: Invariant, reader: PlanReader, newest: Value, since: Value
) -> Scope | None:
    """The scope of the new rows; None where all rows are to be read."""
    column = invariant.scan.column
    if column is None or since is None or type(since) is not type(newest):
        return None
    return reader.new_rows(invariant, column, since)


def _unchanged(state: str | None, recorded: UnchangedState | None) -> UnchangedState | None:
    """What was recorded when the rule last held, if the tables are still in the same state."""
    if recorded and state == recorded.state:
        return recorded
    return None


def _depends_on_tables_alone(invariant: Invariant, scopes: PlannedScopes) -> bool:
    """Whether nothing but the rows of plain tables decides: no clock, no view, no user's SQL."""
    check, scope = invariant.check, scopes.scope
    if scopes.other is not None or not check.is_timeless or check.reads_clock:
        return False
    if not scope.is_whole or invariant.subject.window or _has_user_sql(check):
        return False
    for name in check.value_columns():
        if scope.column_info(name).family in _CLOCK_DEPENDENT:
            return False
    return _reads_plain_tables(check, scope)


def _has_user_sql(check: Check) -> bool:
    compared = check.compared_columns()
    return any((*check.sql(), *own_expressions(compared), *other_expressions(compared)))


def _reads_plain_tables(check: Check, scope: Scope) -> bool:
    """Whether all tables of a check are plain ones, not views."""
    if not scope.info.is_plain:
        return False
    return all(scope.other(table).info.is_plain for table in check.tables())


__all__ = [
    "NOTHING",
    "Elsewhere",
    "Plan",
    "PlannedCheck",
    "PriorState",
    "plan",
    "plan_check",
    "tells_new",
]
