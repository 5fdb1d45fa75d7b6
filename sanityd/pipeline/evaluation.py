"""Evaluate: one batch of rules in one read-only snapshot of its source. Records nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

from sqlalchemy import Connection

from sanityd.checks import confirm, executor, planner
from sanityd.checks.confirm import Suspects
from sanityd.checks.planner import NOTHING, PriorState
from sanityd.errors import CheckError, SourceError
from sanityd.model import Key, Run, Value
from sanityd.rules.rule import Rule, RuleSet
from sanityd.sources.snapshot_pool import CancelToken, SnapshotPool
from sanityd.store import rechecks, runs, unchanged, violations, watermarks

#: A rule that a constraint proves reads its rows all the same once in so long, as indexes can be
#: corrupt: they break when a collation is upgraded.
AUDIT_EVERY = timedelta(days=7)


def evaluate(
    rules: RuleSet,
    batch: Sequence[Rule],
    at: datetime,
    prior: PriorState = NOTHING,
    cancel: CancelToken | None = None,
    suspects: Mapping[str, Suspects] = MappingProxyType({}),
) -> Iterator[Run]:
    """Yield a run for each rule of a batch, all of one source.

    When the source does not answer, every run is `skipped`. Suspects of a rule about two sources
    are evaluated again at once; when it finds them again, its run is `unconfirmed`: it counts for
    nothing, and a recheck is due later.

    Parameters: `prior` is what earlier runs left in the store, such as the open violations, which
    are looked up again; `cancel` stops the evaluation from another thread, and the runs that it
    stops are `errored`; `suspects` are, by rule, those whose recheck this is.
    """
    cancel = cancel or CancelToken()
    by_id = {rule.id: rule for rule in batch}
    open_keys = prior.open_keys
    new_suspects: dict[str, Suspects] = {}
    first = [rule for rule in batch if rule.id not in suspects]
    for run in _evaluate_once(rules, first, at, prior, cancel):
        if confirm.is_suspect(by_id[run.rule].invariant, run, open_keys.get(run.rule, {})):
            new_suspects[run.rule] = Suspects.of(run)
        else:
            yield run
    for run in _evaluate_again(rules, batch, new_suspects, at, open_keys, cancel):
        is_suspect = confirm.is_suspect(by_id[run.rule].invariant, run, open_keys.get(run.rule, {}))
        yield replace(run, unconfirmed=is_suspect)
    yield from _evaluate_again(rules, batch, suspects, at, open_keys, cancel)


def read_prior_state(connection: Connection, batch: Sequence[Rule], at: datetime) -> PriorState:
    """Read what the evaluation of a batch must know of earlier runs."""
    ids = [rule.id for rule in batch]
    meanings = {rule.id: rule.meaning for rule in batch}
    recently_run = runs.evaluated_rules(connection, ids, at - AUDIT_EVERY, at)
    return PriorState(
        open_keys=violations.open_keys_of(connection, ids),
        past={rule.id: runs.measured(connection, rule.id) for rule in batch if rule.learns},
        audited=set(ids) - recently_run,
        since=_read_scan_starts(connection, batch, at),
        unchanged=unchanged.of_rules(connection, meanings),
    )


def read_due_suspects(
    connection: Connection, batch: Sequence[Rule], at: datetime
) -> dict[str, Suspects]:
    """Read what rechecks must find again that are due at that time, by rule."""
    waiting = rechecks.of_rules(connection, {rule.id: rule.meaning for rule in batch}, at)
    return {
        rule_id: Suspects(recheck.fingerprints, recheck.beyond)
        for rule_id, recheck in waiting.items()
        if recheck.due_at <= at
    }


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


def _evaluate_again(
    rules: RuleSet,
    batch: Sequence[Rule],
    suspects: Mapping[str, Suspects],
    at: datetime,
    open_keys: Mapping[str, Mapping[str, Key]],
    cancel: CancelToken,
) -> Iterator[Run]:
    """Yield the runs of the rules with suspects, with what an evaluation in new snapshots confirms.

    Two databases seem to disagree; one may only lag behind.
    """
    again = [rule for rule in batch if rule.id in suspects]
    by_id = {rule.id: rule for rule in again}
    for run in _evaluate_once(rules, again, at, PriorState(open_keys), cancel):
        keys = open_keys.get(run.rule, {})
        yield confirm.confirmed(by_id[run.rule].invariant, suspects[run.rule], run, keys)
