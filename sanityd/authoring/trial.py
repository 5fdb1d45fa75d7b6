"""One rule looked at for its author: the run, how it looked, and what would come of it. Records
nothing.

What is remembered is read, where there is a memory; it is never made, migrated or written.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from sanityd.checks import confirm, executor, explain, planner
from sanityd.checks.explain import PlanStep
from sanityd.checks.planner import Elsewhere, Plan, PriorState
from sanityd.errors import CheckError, SourceError, StoreError
from sanityd.model import Outcome, Run
from sanityd.pipeline.simulation import Forecast, forecast
from sanityd.rules.rule import Rule, RuleSet
from sanityd.sources.base import Snapshot
from sanityd.sources.snapshot_pool import SnapshotPool
from sanityd.store import rule_copy, runs, violations
from sanityd.store.open import Store

#: What to do about a refusal that has no advice of its own: the general one names the command that
#: is running.
_ADVICE = (
    "`sanityd lint --connect` shows the place in the file; "
    "where it finds none, run the SQL in a client of yours."
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One SELECT that looked at data, and sqlglot's name of the dialect it is written in."""

    source: str
    dialect: str | None
    sql: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What was there to remember: how many runs of the last weeks, and the last of them; or why it
    can't be read."""

    runs: int = 0
    last: Run | None = None
    #: Whether there is a store at all.
    exists: bool = False
    trouble: StoreError | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What one look saw, how it looked, and what would come of it."""

    run: Run
    steps: tuple[PlanStep, ...] = ()
    statements: tuple[Statement, ...] = ()
    #: The constraint that would make looking needless.
    proof: str | None = None
    #: Whether `check` would look again before it counts.
    to_be_confirmed: bool = False
    memory: Memory = field(default_factory=Memory)
    foresight: Forecast | None = None


def attempt(rules: RuleSet, rule: Rule, at: datetime, state: str | None = None) -> Trial:
    """Look at one rule. A source that doesn't answer gives a skipped run, a store that can't be
    read a `trouble`.

    Parameters: `state` is the URL of the store; None for the one beside the rules file.
    """
    with _reading(rules, state) as (connection, trouble):
        memory, prior = (
            _remembered(connection, rule, at)
            if connection
            else (Memory(trouble=trouble), PriorState())
        )
    # Not while the memory is being read: a look may take long.
    run, steps, statements, proof = _look(rules, rule, at, replace(prior, audited=[rule.id]))
    suspected = run.answered and confirm.is_suspect(
        rule.invariant, run, prior.open_keys.get(rule.id, {})
    )
    ahead = None if run.down else _foresee(rules, rule, run, state)
    if run.hint == CheckError.hint:
        run = replace(run, hint=_ADVICE)
    return Trial(run, steps, statements, proof, suspected, memory, ahead)


def _foresee(rules: RuleSet, rule: Rule, run: Run, state: str | None) -> Forecast:
    with _reading(rules, state) as (connection, _):

        def recall(into: Connection) -> None:
            if connection is not None:
                rule_copy.carry(connection, into, rule.id, run.at)

        return forecast(rules, rule, run, recall)


@contextmanager
def _reading(
    rules: RuleSet, state: str | None
) -> Iterator[tuple[Connection | None, StoreError | None]]:
    """The memory as it is, or nothing, and why."""
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


def _remembered(connection: Connection, rule: Rule, at: datetime) -> tuple[Memory, PriorState]:
    count = runs.count(connection, [rule.id], at - rule_copy.RUNS)
    open_keys = {rule.id: violations.open_keys(connection, rule.id)}
    past = {rule.id: runs.measured(connection, rule.id)} if rule.learns else {}
    return Memory(count, runs.last(connection, rule.id, at), exists=True), PriorState(
        open_keys, past
    )


def _look(
    rules: RuleSet, rule: Rule, at: datetime, prior: PriorState
) -> tuple[Run, tuple[PlanStep, ...], tuple[Statement, ...], str | None]:
    try:
        with SnapshotPool(rules.sources) as views:
            snapshot = views.snapshot(rule.source)
            plan = planner.plan([rule.invariant], snapshot, views.snapshot, prior)
            [run] = executor.evaluate(plan, snapshot, prior.open_keys, at)
            plain = rule.invariant.redaction is None
            looked = tuple(
                Statement(
                    view.source.settings.name,
                    view.source.dialect.name,
                    view.sql(statement, values=plain),
                )
                for view in views.all()
                for statement in view.looked
            )
            if run.outcome is Outcome.ERRORED and not looked:
                looked = tuple(_refused(rule, snapshot, views.snapshot))
            return run, _steps(plan), looked, plan.checks[0].proof if plan.checks else None
    except SourceError as error:
        return executor.skipped(rule.invariant, at, error), (), (), None


def _refused(rule: Rule, own: Snapshot, elsewhere: Elsewhere) -> Iterator[Statement]:
    """The rule's own SELECTs, which were refused before anything was looked at."""
    check = rule.invariant.check
    if (query := check.query_sql()) is not None:
        yield Statement(rule.source, own.source.dialect.name, query)
    if (there := check.query_there()) is not None:
        other = own if there.source in (None, rule.source) else elsewhere(str(there.source))
        yield Statement(other.source.settings.name, other.source.dialect.name, str(there.query))


def _steps(plan: Plan) -> tuple[PlanStep, ...]:
    """How it was looked at, in words. What is wrong with the rule was told by its run."""
    try:
        return tuple(explain.steps(explain.without_mistakes(plan)))
    except CheckError:
        return ()
