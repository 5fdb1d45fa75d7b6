"""Evaluate: one batch of rules in one read-only snapshot of its source. Records nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from sanityd.checks import confirm, executor, planner
from sanityd.checks.planner import NOTHING, PriorState
from sanityd.errors import CheckError, SourceError
from sanityd.model import Key, Run, Value
from sanityd.rules.rule import Rule, RuleSet
from sanityd.sources.snapshot_pool import CancelToken, SnapshotPool
from sanityd.store import runs, unchanged, violations, watermarks

#: A rule that a constraint proves reads its rows all the same once in so long, as indexes can be
#: corrupt: they break when a collation is upgraded.
AUDIT_EVERY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A run that must be confirmed before it counts."""

    rule: Rule
    run: Run


def evaluate(
    rules: RuleSet,
    batch: Sequence[Rule],
    at: datetime,
    prior: PriorState = NOTHING,
    cancel: CancelToken | None = None,
) -> Iterator[Run]:
    """Yield a run for each rule of a batch, all of one source.

    When the source does not answer, every run is `skipped`.

    Parameters: `prior` is what earlier runs left in the store, such as the open violations, which
    are looked up again; `cancel` stops the evaluation from another thread, and the runs that it
    stops are `errored`.
    """
    if not batch:
        return
    cancel = cancel or CancelToken()
    by_id = {rule.id: rule for rule in batch}
    suspects: list[_Suspect] = []
    for run in _evaluate_once(rules, batch, at, prior, cancel):
        rule = by_id[run.rule]
        if confirm.is_suspect(rule.invariant, run, prior.open_keys.get(run.rule, {})):
            suspects.append(_Suspect(rule, run))
        else:
            yield run
    yield from _confirm(rules, suspects, at, prior.open_keys, cancel)


def read_prior_state(connection: Connection, batch: Sequence[Rule], at: datetime) -> PriorState:
    """Read what the evaluation of a batch must know of earlier runs."""
    ids = [rule.id for rule in batch]
    meanings = {rule.id: rule.meaning for rule in batch}
    recently_run = runs.evaluated_rules(connection, ids, at - AUDIT_EVERY, at)
    return PriorState(
        open_keys={rule_id: violations.open_keys(connection, rule_id) for rule_id in ids},
        past={rule.id: runs.measured(connection, rule.id) for rule in batch if rule.learns},
        audited=set(ids) - recently_run,
        since=_read_scan_starts(connection, batch, at),
        unchanged=unchanged.of_rules(connection, meanings),
    )


def _read_scan_starts(
    connection: Connection, batch: Sequence[Rule], at: datetime
) -> dict[str, Value]:
    """Read from which value on rows are new, for the rules that may scan only these this time."""
    incremental = {rule.id: rule for rule in batch if rule.invariant.scan.column}
    if not incremental:
        return {}
    meanings = {rule_id: rule.meaning for rule_id, rule in incremental.items()}
    starts: dict[str, Value] = {}
    for rule_id, watermark in watermarks.of_rules(connection, meanings).items():
        scan = incremental[rule_id].invariant.scan
        starts[rule_id] = watermark.since(str(scan.column), scan.every, at)
    return starts


def _evaluate_once(
    rules: RuleSet,
    batch: Sequence[Rule],
    at: datetime,
    prior: PriorState,
    cancel: CancelToken,
) -> Iterator[Run]:
    """Yield a run for each rule, in one snapshot per source; all are closed at the end."""
    if not batch:
        return
    invariants = [rule.invariant for rule in batch]
    finished: set[str] = set()
    try:
        with SnapshotPool(rules.sources, cancel) as snapshots:
            snapshot = snapshots.snapshot(batch[0].source)
            plan = planner.plan(invariants, snapshot, snapshots.snapshot, prior)
            for run in executor.evaluate(plan, snapshot, prior.open_keys, at):
                finished.add(run.rule)
                yield run
    except SourceError as error:
        for invariant in invariants:
            if invariant.id not in finished:
                yield executor.skipped(invariant, at, error)
    except CheckError as error:
        for invariant in invariants:
            if invariant.id not in finished:
                yield executor.errored(invariant, at, error)


def _confirm(
    rules: RuleSet,
    suspects: Sequence[_Suspect],
    at: datetime,
    open_keys: Mapping[str, Mapping[str, Key]],
    cancel: CancelToken,
) -> Iterator[Run]:
    """Evaluate the suspects again at once, and what is left once more after a wait.

    Two databases seem to disagree; one may only lag behind. No snapshot is open during the wait.
    """
    for waits in (False, True):
        if waits and suspects:
            longest = max(suspect.rule.invariant.confirm.after for suspect in suspects)
            cancel.wait(longest.total_seconds())
        batch = [suspect.rule for suspect in suspects]
        second_runs = _evaluate_once(rules, batch, at, PriorState(open_keys), cancel)
        by_rule = {run.rule: run for run in second_runs}
        unconfirmed = []
        for suspect in suspects:
            rule = suspect.rule
            keys = open_keys.get(rule.id, {})
            run = confirm.confirmed(rule.invariant, suspect.run, by_rule[rule.id], keys)
            if confirm.is_suspect(rule.invariant, run, keys):
                unconfirmed.append(_Suspect(rule, run))
            else:
                yield run
        suspects = unconfirmed
    for suspect in suspects:
        yield suspect.run
