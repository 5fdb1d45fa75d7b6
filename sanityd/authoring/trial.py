"""Try one rule for its author: the run, its plan, and what `check` would do with the result.

Nothing is stored. An existing store is read; it is never created, migrated or written.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from sanityd.authoring.unmatched import Unmatched, unmatched
from sanityd.checks import confirm, executor, explain, planner
from sanityd.checks.explain import PlanStep
from sanityd.checks.planner import Elsewhere, Plan, PriorState
from sanityd.errors import CheckError, SourceError, StoreError
from sanityd.model import Evidence, Outcome, Run
from sanityd.pipeline.evidence import EvidenceReader
from sanityd.pipeline.simulation import Forecast, forecast
from sanityd.rules.rule import Rule, RuleSet
from sanityd.sources.base import Snapshot
from sanityd.sources.snapshot_pool import SnapshotPool
from sanityd.store import rule_copy, runs, violations
from sanityd.store.open import Store

#: The hint for an error without its own: the general hint names the command that is running.
_ADVICE = (
    "`sanityd lint --connect` shows the place in the file; where it finds none, run the SQL in a "
    "client of yours."
)


#: Of how many violations evidence is read.
EVIDENCE_ROWS = 3


@dataclass(frozen=True, slots=True)
class Statement:
    """A SELECT that read data, and sqlglot's name of its dialect."""

    source: str
    dialect: str | None
    sql: str


@dataclass(frozen=True, slots=True)
class StoredState:
    """The stored runs of the rule: their number in the last weeks, and the last one.

    `trouble` is why the store can't be read.
    """

    runs: int = 0
    #: When the first of them was.
    since: datetime | None = None
    last: Run | None = None
    #: Whether there is a store at all.
    exists: bool = False
    trouble: StoreError | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """The run of one rule, its plan and statements, and the forecast of its notifications."""

    run: Run
    steps: tuple[PlanStep, ...] = ()
    statements: tuple[Statement, ...] = ()
    #: The constraint that proves the rule without reading rows.
    proof: str | None = None
    #: Values in the rule that its tables never have.
    unmatched: tuple[Unmatched, ...] = ()
    #: The evidence of the first violations, in their order.
    evidence: tuple[tuple[Evidence, ...], ...] = ()
    #: Whether `check` would confirm the violations first.
    to_be_confirmed: bool = False
    memory: StoredState = field(default_factory=StoredState)
    foresight: Forecast | None = None


def run_trial(rules: RuleSet, rule: Rule, at: datetime, state: str | None = None) -> Trial:
    """Try one rule.

    When its source doesn't answer, the run is skipped. When the store can't be read, the trial's
    memory says why.

    Parameters: `state` is the URL of the store; None for the one beside the rules file.
    """
    with _reading(rules, state) as (connection, trouble):
        memory, prior = StoredState(trouble=trouble), PriorState()
        if connection is not None:
            memory, prior = _stored(connection, rule, at)
    # The store is closed before the check, which may take long.
    trial = _check(rules, rule, at, replace(prior, audited=[rule.id]))
    trial = _with_evidence(rules, rule, trial)
    run = trial.run
    open_keys = prior.open_keys.get(rule.id, {})
    is_suspect = run.answered and confirm.is_suspect(rule.invariant, run, open_keys)
    foresight = None if run.down else _foresee(rules, rule, run, state)
    if run.hint == CheckError.hint:
        run = replace(run, hint=_ADVICE)
    return replace(trial, run=run, to_be_confirmed=is_suspect, memory=memory, foresight=foresight)


def _with_evidence(rules: RuleSet, rule: Rule, trial: Trial) -> Trial:
    """Return the trial with the evidence of the first violations, whether they are new or not."""
    run = trial.run
    if not rule.evidence or not run.tracked:
        return trial
    with EvidenceReader(rules) as reader:
        evidence = reader.of_violations(rule, run.tracked[:EVIDENCE_ROWS], run.at)
    run = replace(run, evidence=evidence)
    return replace(trial, run=run, evidence=tuple(evidence.values()))


def _foresee(rules: RuleSet, rule: Rule, run: Run, state: str | None) -> Forecast:
    """Return the forecast of what `check` would do with this run."""
    with _reading(rules, state) as (connection, _):

        def copy_history(into: Connection) -> None:
            if connection is not None:
                rule_copy.copy_rule(connection, into, rule.id, run.at)

        return forecast(rules, rule, run, copy_history)


@contextmanager
def _reading(
    rules: RuleSet, state: str | None
) -> Iterator[tuple[Connection | None, StoreError | None]]:
    """Open the store for reading. Gives a connection or None, and why it can't be read."""
    try:
        store = Store.existing(state, rules.folder)
    except StoreError as error:
        yield None, error
        return
    if store is None:
        yield None, None
        return
    try:
        with store.read() as connection:
            yield connection, None
    finally:
        store.close()


def _stored(connection: Connection, rule: Rule, at: datetime) -> tuple[StoredState, PriorState]:
    """Return the stored runs of a rule, and what its check takes from them."""
    begin = at - rule_copy.RUNS
    memory = StoredState(
        runs.count(connection, [rule.id], begin),
        runs.first_time(connection, rule.id, begin),
        runs.last(connection, rule.id, at),
        exists=True,
    )
    open_keys = {rule.id: violations.open_keys(connection, rule.id)}
    past = {rule.id: runs.measured(connection, rule.id)} if rule.learns else {}
    return memory, PriorState(open_keys, past)


def _check(rules: RuleSet, rule: Rule, at: datetime, prior: PriorState) -> Trial:
    """Return the trial without what the store has about the rule."""
    try:
        with SnapshotPool(rules.sources) as pool:
            snapshot = pool.snapshot(rule.source)
            plan = planner.plan([rule.invariant], snapshot, pool.snapshot, prior)
            [run] = executor.evaluate(plan, snapshot, prior.open_keys, at)
            statements = tuple(_executed(rule, pool))
            if run.outcome is Outcome.ERRORED and not statements:
                statements = tuple(_refused(rule, snapshot, pool.snapshot))
            proof = plan.checks[0].proof if plan.checks else None
            trial = Trial(run, _steps(plan), statements, proof)
            findings = unmatched(rule.invariant, snapshot, pool.snapshot)
            return replace(trial, unmatched=tuple(findings))
    except SourceError as error:
        return Trial(executor.skipped(rule.invariant, at, error))


def _executed(rule: Rule, pool: SnapshotPool) -> Iterator[Statement]:
    """Yield the statements that read data, without their values when the rule is redacted."""
    with_values = rule.invariant.redaction is None
    for snapshot in pool.all():
        source = snapshot.source
        for statement in snapshot.executed:
            sql = snapshot.sql(statement, values=with_values)
            yield Statement(source.settings.name, source.dialect.name, sql)


def _refused(rule: Rule, own: Snapshot, elsewhere: Elsewhere) -> Iterator[Statement]:
    """Yield the rule's own SELECTs, which were refused before any data was read."""
    check = rule.invariant.check
    query = check.query_sql()
    if query is not None:
        yield Statement(rule.source, own.source.dialect.name, query)
    other = check.query_elsewhere()
    if other is not None:
        is_own = other.source in (None, rule.source)
        source = (own if is_own else elsewhere(str(other.source))).source
        yield Statement(source.settings.name, source.dialect.name, str(other.query))


def _steps(plan: Plan) -> tuple[PlanStep, ...]:
    """Return the steps of the plan in words; none for a wrong rule, whose run has the error."""
    try:
        return tuple(explain.steps(explain.without_mistakes(plan)))
    except CheckError:
        return ()
