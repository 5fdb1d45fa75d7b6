"""One batch, end to end: READ THIS FIRST. The rooms know nothing of each other; here they meet.

    evaluate     open keys from the store → one read-only snapshot of the source → plan → a Run per rule
    record       what we knew + what the run saw → transitions, incidents, noise  ┐ in one transaction
    tell         incidents + what each recipient knows → messages in the outbox   ┘ of sanityd's own memory
    deliver      outbox → channels

The watched database is closed before the store's transaction opens; mail is only ever sent from the outbox.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from sanityd import clock, lifecycle
from sanityd.alerts import dispatcher
from sanityd.alerts.dispatcher import DispatchSummary
from sanityd.checks import confirm, executor, planner
from sanityd.checks.planner import NOTHING, PriorState
from sanityd.errors import CheckError, SourceError
from sanityd.model import (
    Cause,
    Change,
    Incident,
    Key,
    Reason,
    Resolution,
    Run,
    Severity,
    Transition,
    Triage,
    Value,
    about_source,
    watermark_after,
)
from sanityd.notifications import digest, noise
from sanityd.notifications import noise_review as quietening
from sanityd.notifications.notify import notify as tell_all
from sanityd.pipeline import guards
from sanityd.rules.rule import Rule, RuleSet
from sanityd.sources.snapshot_pool import CancelToken, SnapshotPool
from sanityd.store import (
    audit,
    incidents,
    noise_state,
    outbox,
    pending_confirmations,
    rules_seen,
    runs,
    triage,
    unchanged,
    violations,
    watermarks,
)
from sanityd.store.open import Store
from sanityd.store.outbox import Outbox

#: A constraint is believed for so long; then the rows are read once more. Indexes break when a collation is upgraded.
AUDIT_EVERY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Result:
    """What one rule's run came to."""

    rule: Rule
    run: Run
    changes: Mapping[Change, int] = field(default_factory=dict)
    incident: Incident | None = None
    #: Why each recipient is told, or isn't.
    reasons: tuple[Reason, ...] = ()
    #: How many messages it put into the outbox; one that tells of several rules counts for the first.
    queued: int = 0
    #: What somebody decided about it, if that holds.
    triage: Triage | None = None
    #: Why it counts as less than it was declared, if it does.
    downgraded: str = ""

    @property
    def severity(self) -> Severity | None:
        """How severe it is as it counts today: downgraded, and without rows that a human accepted."""
        if self.run.severity is None or self.incident is None or not self.incident.open:
            return self.run.severity
        return self.incident.severity

    @property
    def accepted(self) -> int:
        """How many of its violations a human accepted, so that they don't count."""
        if self.incident is None or not self.incident.open:
            return 0
        return max(0, self.run.violations - self.incident.violations)


@dataclass(frozen=True, slots=True)
class Order:
    """On whose behalf a batch is looked at.

    Parameters: `wait` is how long what opens waits for its like; `brake` stops the look from another thread; `ends` is
    asked in the transaction that records it, and says whether what was seen still counts.
    """

    wait: timedelta = timedelta(0)
    brake: CancelToken = field(default_factory=CancelToken)
    ends: Callable[[Connection], bool] = lambda _: True
    #: Whether a rule is still what it was when the look began.
    counts: Callable[[Rule], bool] = lambda _: True


def evaluate(
    rules: RuleSet,
    batch: Sequence[Rule],
    at: datetime,
    known: PriorState = NOTHING,
    brake: CancelToken | None = None,
) -> Iterator[Run]:
    """Look at rules of one source, in one snapshot; yields a Run per rule. Records nothing.

    Parameters: `known` is what earlier runs have left: open violations, whose fate is looked up, and more. When the
    source doesn't answer, every run is `skipped`; those that `brake` stops are `errored`.
    """
    if not batch:
        return
    source, open_keys, brake = batch[0].source, known.open_keys, brake or CancelToken()
    suspects: list[tuple[Rule, Run]] = []
    by_id = {rule.id: rule for rule in batch}
    for run in _look(rules, source, batch, at, known, brake):
        if confirm.is_suspect(by_id[run.rule].invariant, run, open_keys.get(run.rule, {})):
            suspects.append((by_id[run.rule], run))
        else:
            yield run
    yield from _confirm(rules, source, suspects, at, open_keys, brake)


def _look(
    rules: RuleSet,
    source: str,
    batch: Sequence[Rule],
    at: datetime,
    known: PriorState,
    brake: CancelToken,
) -> Iterator[Run]:
    """One look at each rule, in one snapshot per source, all given back at the end."""
    invariants = [rule.invariant for rule in batch]
    told: set[str] = set()
    try:
        with SnapshotPool(rules.sources, brake) as views:
            snapshot = views.snapshot(source)
            plan = planner.plan(invariants, snapshot, views.snapshot, known)
            for run in executor.evaluate(plan, snapshot, known.open_keys, at):
                told.add(run.rule)
                yield run
    except SourceError as error:
        yield from (executor.skipped(one, at, error) for one in invariants if one.id not in told)
    except CheckError as error:
        yield from (executor.errored(one, at, error) for one in invariants if one.id not in told)


def _confirm(
    rules: RuleSet,
    source: str,
    suspects: Sequence[tuple[Rule, Run]],
    at: datetime,
    open_keys: Mapping[str, Mapping[str, Key]],
    brake: CancelToken,
) -> Iterator[Run]:
    """Look again at what two databases seem to disagree about: at once, and after a while, holding no snapshot."""
    for wait in (False, True):
        if wait and suspects:
            brake.wait(max(rule.invariant.confirm.after for rule, _ in suspects).total_seconds())
        again = [rule for rule, _ in suspects]
        seen = {
            run.rule: run for run in _look(rules, source, again, at, PriorState(open_keys), brake)
        }
        left = []
        for rule, first in suspects:
            known = open_keys.get(rule.id, {})
            run = confirm.confirmed(rule.invariant, first, seen[rule.id], known)
            if confirm.is_suspect(rule.invariant, run, known):
                left.append((rule, run))
            else:
                yield run
        suspects = left
    yield from (run for _, run in suspects)


def run_batch(
    rules: RuleSet,
    batch: Sequence[Rule],
    store: Store,
    at: datetime,
    seen: Callable[[Run], object] = lambda _: None,
    *,
    order: Order | None = None,
) -> list[Result]:
    """Evaluate rules of one source, record what was seen, and ask for what is to be told.

    Parameters: `seen` is called with each run as it ends, for progress. When the order doesn't count any more nothing
    is recorded, and nothing comes back. Raises StoreError when it can't be remembered.
    """
    order = order or Order()
    with store.read() as memory:
        known = _known(memory, batch, at)
    found = []
    for run in evaluate(rules, batch, at, known, order.brake):
        seen(run)
        found.append(run)
    by_id = {rule.id: rule for rule in batch}
    with store.write() as memory:
        if not order.ends(memory):
            return []
        results = [
            record(memory, rules, rule, run)
            for run in found
            if order.counts(rule := by_id[run.rule])
        ]
        _record_outages(memory, by_id, found, at)
        return _tell(memory, rules, results, at, order.wait)


def tell(rules: RuleSet, store: Store, at: datetime) -> int:
    """Say what time alone makes worth saying: reminders, what was held back, the digest.

    Returns how many messages that are.
    """
    with store.write() as memory:
        return sum(one.messages for one in tell_all(memory, rules, at)) + digest.send(
            memory, rules, at
        )


def record(memory: Connection, rules: RuleSet, rule: Rule, run: Run) -> Result:
    """Remember one run and what follows from it: transitions, incidents, and whether the rule is noisy."""
    run = guards.not_suddenly_empty(memory, rule, run)
    late = runs.newest_at(memory, [rule.id], run.at).get(rule.id)
    before = incidents.open_for(memory, rule.id)
    if (late is not None and run.at < late) or guards.was_not_asked(memory, rule, run):
        # Two passes overlapped and this one looked earlier, maybe by older rules: what it saw is history, not news.
        runs.record(memory, run, revision=rules.revision, incident=before.id if before else None)
        return Result(rule, run, incident=before, reasons=(Reason.UNCHANGED,))
    if _close_if_changed(memory, rules, rule, run.at):
        before = None
    _mark(memory, rule, run)
    unchanged.remember(memory, rule.meaning, run)
    known = violations.known(memory, rule.id, run.at)
    run = guards.without_suspects(memory, rule, run, known)
    transitions = lifecycle.transitions(known, run, before)
    incident = lifecycle.incident_after(before, run, transitions, meaning=rule.meaning)
    violations.apply(memory, rule.id, rule.source, transitions, run.at)
    incident = _save(memory, before, incident)
    fault = incidents.open_for(memory, rule.id, Cause.ERRORED)
    _save(memory, fault, lifecycle.fault_after(fault, run, rule.severity))
    runs.record(memory, run, revision=rules.revision, incident=incident.id if incident else None)
    queued = 0
    if run.answered:
        queued = quietening.judge(memory, rules, rule, run.at)
        incident = _save(memory, incident, incident)
    return Result(rule, run, count_changes(transitions), incident, queued=queued)


def forget_removed(rules: RuleSet, store: Store, at: datetime) -> dict[str, int]:
    """Close what is open of rules that have left this file: never called fixed. Returns how much that was, by rule."""
    with store.write() as memory:
        gone = rules_seen.removed(memory, rules.name, rules.rules, at)
        return {rule: _close(memory, rule, Resolution.RULE_REMOVED, at) for rule in gone}


def deliver(
    rules: RuleSet,
    store: Store,
    *,
    seconds: float | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> DispatchSummary:
    """Send what is due in the outbox, for at most so many seconds."""
    begun = clock.stopwatch()

    def enough() -> bool:
        return stop() or (seconds is not None and clock.stopwatch() - begun > seconds)

    return dispatcher.dispatch(Outbox(store), rules.channels, now=clock.now, until=enough)


def count_changes(transitions: Iterable[Transition]) -> dict[Change, int]:
    """How many rows changed how."""
    counts: dict[Change, int] = {}
    for transition in transitions:
        counts[transition.change] = counts.get(transition.change, 0) + 1
    return counts


def _known(memory: Connection, batch: Sequence[Rule], at: datetime) -> PriorState:
    """What a batch must be told of earlier runs."""
    ids = [rule.id for rule in batch]
    return PriorState(
        open_keys={rule: violations.open_keys(memory, rule) for rule in ids},
        past={rule.id: runs.measured(memory, rule.id) for rule in batch if rule.learns},
        audited={*ids} - runs.looked_at(memory, ids, at - AUDIT_EVERY, at),
        since=_since(memory, batch, at),
        held=unchanged.of_rules(memory, {rule.id: rule.meaning for rule in batch}),
    )


def _since(memory: Connection, batch: Sequence[Rule], at: datetime) -> dict[str, Value]:
    """From where on rows are new, for those rules that may look at these only, this time."""
    scans = {rule.id: rule.invariant.scan for rule in batch if rule.invariant.scan.column}
    known = (
        watermarks.of_rules(memory, {rule.id: rule.meaning for rule in batch if rule.id in scans})
        if scans
        else {}
    )
    return {
        rule: mark.since(str(scans[rule].column), scans[rule].every, at)
        for rule, mark in known.items()
    }


def _mark(memory: Connection, rule: Rule, run: Run) -> None:
    """Remember up to where the rule has looked."""
    if (column := rule.invariant.scan.column) is not None:
        before = watermarks.of_rules(memory, {rule.id: rule.meaning}).get(rule.id)
        after = watermark_after(before, run, column, rule.invariant.overlap)
        watermarks.remember(memory, rule.id, rule.meaning, after)


def _save(memory: Connection, before: Incident | None, after: Incident | None) -> Incident | None:
    """Keep what became of an incident, at the severity that counts today.

    Of one that is over, nothing is sent that was not begun to be sent.
    """
    if after is None:
        return None
    if after.open:
        after = replace(
            after,
            severity=noise.effective(after.declared, noise_state.of_rule(memory, after.rule).steps),
        )
    if after != before:
        incidents.save(memory, after)
        if after.resolved_at is not None:
            outbox.cancel_pending(memory, after.id, after.resolved_at)
    return after


def _record_outages(
    memory: Connection, batch: Mapping[str, Rule], found: Sequence[Run], at: datetime
) -> None:
    """A source that does not answer is one incident, not one for each of its rules."""
    down = {run.down: run for run in found if run.down}
    answered = (batch[run.rule] for run in found if not run.down)
    up = {name for rule in answered for name in (rule.source, rule.invariant.elsewhere) if name}
    for source in sorted(down.keys() | up):
        before = incidents.open_for(memory, about_source(source), Cause.SOURCE_DOWN)
        _save(memory, before, lifecycle.outage_after(before, source, down.get(source), at))


def _tell(
    memory: Connection, rules: RuleSet, results: Sequence[Result], at: datetime, wait: timedelta
) -> list[Result]:
    """Let everybody know what there is to know, and each result why."""
    changes = {result.rule.id: result.changes for result in results}
    decisions = tell_all(memory, rules, at, wait=wait, changes=changes)
    holding = {one.incident: one for one in triage.in_force(memory)}
    lowered = {rule: one.sentence for rule, one in noise_state.all_of(memory).items() if one.steps}
    told = []
    for result in results:
        ours = [one for one in decisions if one.incident.rule == result.rule.id]
        incident = next(
            (one.incident for one in ours if one.incident.cause is Cause.VIOLATED), result.incident
        )
        told.append(
            replace(
                result,
                incident=incident,
                triage=holding.get(incident.id) if incident else None,
                downgraded=lowered.get(result.rule.id, ""),
                reasons=tuple(one.reason for one in ours) or result.reasons,
                queued=result.queued + sum(one.messages for one in ours),
            )
        )
    return told


def _close_if_changed(memory: Connection, rules: RuleSet, rule: Rule, at: datetime) -> bool:
    """A rule that means something else now starts anew: what was open under the old meaning is closed as such."""
    before = rules_seen.meaning(memory, rules.name, rule.id)
    changed = before not in (None, rule.meaning)
    if changed:
        _close(memory, rule.id, Resolution.RULE_CHANGED, at)
    if before != rule.meaning and rule.invariant.redaction is not None:
        # What was remembered before may have keys in clear, and a fingerprint of a small number is as good as that.
        violations.forget(memory, rule.id)
        triage.forget_rows(memory, rule.id, at)
    rules_seen.remember(memory, rules.name, rule.id, rule.meaning, rules.revision, at)
    return changed


def _close(memory: Connection, rule: str, fate: Resolution, at: datetime) -> int:
    """Returns how many violations were open."""
    incident = incidents.open_for(memory, rule)
    transitions, closed = lifecycle.close(violations.known(memory, rule, at), incident, at, fate)
    violations.apply(memory, rule, incident.source if incident else "", transitions, at)
    pending_confirmations.forget(memory, rule)
    watermarks.forget(memory, rule)
    unchanged.forget(memory, rule)
    fault = incidents.open_for(memory, rule, Cause.ERRORED)
    for over in (closed, replace(fault, resolved_at=at, resolutions={fate: 1}) if fault else None):
        if over is not None:
            _save(memory, None, over)
            # What nobody looked at is not told to be resolved.
            incidents.settle(memory, over.id)
            audit.append(
                memory,
                at,
                "sanityd",
                "closed",
                "rule changed or removed",
                rule=rule,
                incident=over.id,
            )
    return incident.violations if incident is not None else 0
