"""READ THIS FIRST: one batch of rules, end to end. Here the rooms meet.

    evaluate   prior state from the store → one read-only snapshot of the source → plan → runs
               evaluation.py; of new violations also their evidence: evidence.py
    record     prior state + runs → transitions, incidents, noise         ┐ one transaction
               runs to be confirmed → rechecks, which are due later       │ of the store
               recording.py, with guards.py and batch_state.py            │ of the store
    notify     incidents + what each recipient was notified of → outbox   ┘
               ../notifications/notify.py
    deliver    outbox → channels
               ../alerts/dispatcher.py

`run_batch` does the first three for `check`; the daemon calls `evaluate_batch` and `record_batch`,
and finishes its claim of the slot in the transaction of `record_batch`. `notify_due` and `deliver`
are called from time to time. `simulation.py` does the same in virtual time. A recheck is a batch
like any other; nobody waits for it with a claim or a thread.

The snapshot of the watched database is closed before the transaction of the store begins. Messages
are only ever sent from the outbox.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from sanityd import clock
from sanityd.alerts import dispatcher
from sanityd.alerts.dispatcher import DispatchSummary
from sanityd.checks.confirm import Suspects
from sanityd.model import Cause, Incident, NoiseState, Resolution, Run
from sanityd.notifications import digest
from sanityd.notifications.notify import NotificationResult, notify
from sanityd.pipeline.evaluation import evaluate, read_due_suspects, read_prior_state
from sanityd.pipeline.recording import Result, close_rule, count_changes, record, record_outages
from sanityd.pipeline.renaming import carry_over, renames, suggested_renames
from sanityd.rules.rule import Rule, RuleSet
from sanityd.sources.snapshot_pool import CancelToken
from sanityd.store import noise_state, outbox, rechecks, rules_seen, triage
from sanityd.store.open import Store
from sanityd.store.outbox import Outbox
from sanityd.store.rechecks import Recheck

__all__ = [
    "Result",
    "carry_over",
    "count_changes",
    "deliver",
    "deliver_all",
    "evaluate",
    "evaluate_batch",
    "forget_removed",
    "notify_due",
    "record",
    "record_batch",
    "renames",
    "run_batch",
    "suggested_renames",
]


def run_batch(
    rules: RuleSet,
    batch: Sequence[Rule],
    store: Store,
    at: datetime,
    seen: Callable[[Run], object] = lambda _: None,
    *,
    group_wait: timedelta = timedelta(0),
    suspects: Mapping[str, Suspects] | None = None,
) -> list[Result]:
    """Evaluate rules of one source, record the runs, and notify of what changed.

    Returns a result for each run that counts; none for an unconfirmed one, whose recheck is stored.

    Parameters: `seen` is called with each run as it ends, for progress, also with those that are
    unconfirmed; `group_wait` is how long messages about new incidents wait for others to join them;
    `suspects` as in `evaluate_batch`. Raises StoreError.
    """
    batch_runs = evaluate_batch(rules, batch, store, at, seen, suspects=suspects)
    with store.write() as connection:
        return record_batch(connection, rules, batch, batch_runs, at, group_wait=group_wait)


def evaluate_batch(
    rules: RuleSet,
    batch: Sequence[Rule],
    store: Store,
    at: datetime,
    seen: Callable[[Run], object] = lambda _: None,
    *,
    cancel: CancelToken | None = None,
    suspects: Mapping[str, Suspects] | None = None,
) -> list[Run]:
    """Evaluate rules of one source by what the store knows of earlier runs. Records nothing.

    Parameters: `seen` is called with each run as it ends; `cancel` stops the evaluation from
    another thread; `suspects` are those that the caller rechecks, by rule, None for those whose
    recheck is due by the store. Raises StoreError.
    """
    with store.read() as connection:
        prior = read_prior_state(connection, batch, at)
        if suspects is None:
            suspects = read_due_suspects(connection, batch, at)
    batch_runs = []
    for run in evaluate(rules, batch, at, prior, cancel, suspects):
        seen(run)
        batch_runs.append(run)
    if not any(rule.evidence for rule in batch):
        return batch_runs
    # Imported here, as few files have rules with evidence.
    from sanityd.pipeline.evidence import add_evidence, read_opening

    with store.read() as connection:
        opening = read_opening(connection, batch, batch_runs, prior.open_keys)
    return add_evidence(rules, batch, batch_runs, opening, cancel)


def record_batch(
    connection: Connection,
    rules: RuleSet,
    batch: Sequence[Rule],
    batch_runs: Sequence[Run],
    at: datetime,
    *,
    group_wait: timedelta = timedelta(0),
    outdated: Set[str] = frozenset(),
) -> list[Result]:
    """Record the runs of a batch, and notify of what changed, inside a write transaction.

    Of a run that is unconfirmed, only its recheck is stored.

    Parameters: `outdated` are rules that changed or were removed since the evaluation began: their
    runs are not recorded, but still say whether their source answered.
    """
    by_id = {rule.id: rule for rule in batch}
    recorded = []
    for run in batch_runs:
        if run.rule in outdated:
            continue
        if run.unconfirmed:
            _save_recheck(connection, by_id[run.rule], run)
        else:
            recorded.append((by_id[run.rule], run))
    results = record(connection, rules, recorded)
    record_outages(connection, rules, by_id, batch_runs, at)
    changes = {result.rule.id: result.changes for result in results}
    notified = notify(connection, rules, at, wait=group_wait, changes=changes)
    return _with_notifications(connection, results, notified)


def notify_due(rules: RuleSet, store: Store, at: datetime) -> int:
    """Notify of what is due by time alone: reminders, messages that were held back, the digest.

    Returns the number of messages put into the outbox.
    """
    with store.write() as connection:
        messages = sum(result.messages for result in notify(connection, rules, at))
        return messages + digest.send(connection, rules, at)


def forget_removed(rules: RuleSet, store: Store, at: datetime) -> dict[str, int]:
    """Close what is open of rules that were removed from this file; it is never called fixed.

    Returns the number of violations that were open, by rule.
    """
    with store.write() as connection:
        removed = rules_seen.mark_removed(connection, rules.name, rules.rules, at)
        return {rule: close_rule(connection, rule, Resolution.RULE_REMOVED, at) for rule in removed}


def deliver(
    rules: RuleSet,
    store: Store,
    *,
    seconds: float | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> DispatchSummary:
    """Send the messages of the outbox that are due.

    Parameters: `seconds` is for how long at most, None for no limit; `stop` is asked between two
    messages.
    """
    begin = clock.stopwatch()

    def is_over() -> bool:
        return stop() or (seconds is not None and clock.stopwatch() - begin > seconds)

    return dispatcher.dispatch(Outbox(store), rules.channels, now=clock.now, until=is_over)


def deliver_all(rules: RuleSet, store: Store) -> DispatchSummary:
    """Send all messages that wait in the outbox, also those that are not due yet; each once."""
    at = clock.now()
    with store.write() as connection:
        outbox.make_due(connection, at)
    return dispatcher.dispatch(Outbox(store, due_at=at), rules.channels, now=clock.now)


def _save_recheck(connection: Connection, rule: Rule, run: Run) -> None:
    """Store when the rule is to be evaluated again. It is counted from now, not from the run."""
    suspects = Suspects.of(run)
    due_at = clock.now() + rule.invariant.confirm.after
    recheck = Recheck(due_at, suspects.fingerprints, suspects.beyond)
    rechecks.save(connection, rule.id, rule.meaning, recheck, run.at)


def _with_notifications(
    connection: Connection, results: Sequence[Result], notified: Sequence[NotificationResult]
) -> list[Result]:
    """Return the results with the incidents as they count, and with why recipients are notified."""
    triage_by_incident = {
        decision.incident: decision for decision in triage.list_active(connection)
    }
    noise_states = noise_state.all_of(connection)
    by_rule: dict[str, list[NotificationResult]] = {}
    for item in notified:
        by_rule.setdefault(item.incident.rule, []).append(item)
    completed = []
    for result in results:
        about = by_rule.get(result.rule.id, [])
        incident = _counted_incident(result, about)
        noise = noise_states.get(result.rule.id, NoiseState())
        completed.append(
            replace(
                result,
                incident=incident,
                triage=triage_by_incident.get(incident.id) if incident else None,
                downgraded=noise.sentence if noise.steps else "",
                reasons=tuple(item.reason for item in about) or result.reasons,
                queued=result.queued + sum(item.messages for item in about),
            )
        )
    return completed


def _counted_incident(result: Result, about: Sequence[NotificationResult]) -> Incident | None:
    """Return the incident as the notifications counted it; as it was recorded without any."""
    violated = [item.incident for item in about if item.incident.cause is Cause.VIOLATED]
    if result.incident is None:
        return violated[0] if violated else None
    # One that ended in the same run may be among them, too.
    same = [incident for incident in violated if incident.id == result.incident.id]
    return same[0] if same else result.incident
