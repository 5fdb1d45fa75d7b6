"""Record: runs into the store, and what follows from them for rows, incidents and noise.

All functions run inside one write transaction, whose connection they are given.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from sanityd import lifecycle
from sanityd.model import (
    Cause,
    Change,
    Incident,
    NoiseState,
    Reason,
    Resolution,
    Run,
    Severity,
    Transition,
    Triage,
    source_rule_id,
    watermark_after,
)
from sanityd.notifications import announcements, noise, noise_review
from sanityd.notifications.recipients import reading
from sanityd.pipeline import guards
from sanityd.pipeline.batch_state import BatchState, parts
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import (
    audit,
    incidents,
    noise_state,
    outbox,
    pending_confirmations,
    rechecks,
    runs,
    triage,
    unchanged,
    violations,
    watermarks,
)
from sanityd.store.violations import RowChanges


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one rule's run."""

    rule: Rule
    run: Run
    changes: Mapping[Change, int] = field(default_factory=dict)
    incident: Incident | None = None
    #: Why each recipient is notified, or is not.
    reasons: tuple[Reason, ...] = ()
    #: The number of messages put into the outbox; one about several rules counts for the first.
    queued: int = 0
    #: The decision of a person that is in force.
    triage: Triage | None = None
    #: Why it counts as less severe than declared; empty when it does not.
    downgraded: str = ""

    @property
    def severity(self) -> Severity | None:
        """The severity that counts today: downgraded, and without accepted rows."""
        if self.run.severity is None or self.incident is None or not self.incident.open:
            return self.run.severity
        return self.incident.severity

    @property
    def accepted(self) -> int:
        """The number of its violations that people accepted."""
        if self.incident is None or not self.incident.open:
            return 0
        return max(0, self.run.violations - self.incident.violations)


def record(
    connection: Connection, rules: RuleSet, batch: Iterable[tuple[Rule, Run]]
) -> list[Result]:
    """Record runs and what follows from them: transitions, incidents, and the noise policy.

    Returns one result for each run, in their order. Raises StoreError.
    """
    results: list[Result] = []
    for part in parts(batch):
        at = part[0][1].at
        state = BatchState.read(connection, rules, [rule for rule, _ in part], at)
        rechecks.finish(connection, [run for _, run in part])
        recorded = [_record(state, rule, run) for rule, run in part]
        state.write()
        results += _judge(connection, rules, recorded, at)
    return results


def _record(state: BatchState, rule: Rule, run: Run) -> Result:
    """Record one run, but for the noise policy.

    The order of the steps matters:

    1. A run that is suspicious or outdated is found before anything is changed by it.
    2. What is open under an older meaning of the rule is closed before rows are compared.
    3. Unconfirmed rows are held back before transitions are computed from the run.
    4. An incident whose rows were all replaced by others while nobody looked is ended first.
    """
    connection = state.connection
    run = guards.fail_if_suddenly_empty(connection, rule, run)
    incident_before = state.open_incidents.get((rule.id, Cause.VIOLATED))
    last_run = state.last_runs.get(rule.id)
    if _is_outdated(connection, rule, run, last_run):
        state.save_run(run, incident_before)
        return Result(rule, run, incident=incident_before, reasons=(Reason.UNCHANGED,))

    if _close_if_meaning_changed(state, rule):
        incident_before = None
    _save_watermark(connection, rule, run)

    rows_before = state.rows.get(rule.id, {})
    run_as_seen = run
    run = guards.hold_back_unconfirmed(connection, rule, run, rows_before)
    transitions = lifecycle.transitions(rows_before, run, incident_before)
    state.save_rows(rule, run_as_seen, transitions)

    if incident_before is not None and guards.was_not_watched(rule, run, last_run):
        incident_before = _end_if_replaced(state, incident_before, run, transitions)
    incident = lifecycle.incident_after(incident_before, run, transitions, meaning=rule.meaning)
    incident = _kept_open(connection, rule, run, incident)
    incident = announcements.assign(state.announced, rule, run.at, incident_before, incident)
    incident = _save_incident(state, incident_before, incident)
    _record_fault(state, rule, run)
    state.save_run(run, incident)
    return Result(rule, run, count_changes(transitions), incident)


def _judge(
    connection: Connection, rules: RuleSet, recorded: Sequence[Result], at: datetime
) -> list[Result]:
    """Let the noise policy judge the recorded runs; the severity that counts may be another then.

    Returns the results with the incidents as they are now, and with the messages of the policy.
    """
    judged = [result.rule for result in recorded if _counts(result)]
    queued = noise_review.judge(connection, rules, judged, at)
    noise_states = noise_state.of_rules(connection, [rule.id for rule in judged])
    results = []
    changed = []
    for result in recorded:
        incident = result.incident
        if incident is not None and _counts(result):
            incident = _at_effective_severity(incident, noise_states)
            if incident != result.incident:
                changed.append(incident)
        messages = queued.get(result.rule.id, 0)
        results.append(replace(result, incident=incident, queued=messages))
    incidents.save_all(connection, changed)
    return results


def _counts(result: Result) -> bool:
    """Return whether a recorded run has an answer, and is not outdated."""
    return result.run.answered and not result.reasons


def _end_if_replaced(
    state: BatchState, incident: Incident, run: Run, transitions: Sequence[Transition]
) -> Incident | None:
    """End an incident all of whose rows were resolved while the rule was not evaluated.

    Returns the incident that goes on; None when it ended, so that the rows that violate now begin
    another one. Not while a decision of a person about it is in force.
    """
    if not lifecycle.rows_were_replaced(incident, run, transitions):
        return incident
    decisions = triage.list_active(state.connection, [incident.rule])
    if any(decision.incident == incident.id for decision in decisions):
        return incident
    ended = lifecycle.replaced_incident(incident, run.at, transitions)
    state.save_incident(ended)
    return None


def record_outages(
    connection: Connection,
    rules: RuleSet,
    batch: Mapping[str, Rule],
    batch_runs: Sequence[Run],
    at: datetime,
) -> None:
    """Open, keep or resolve the incident of each source of a batch: one, not one for each rule."""
    skipped_runs = {}
    answering = set()
    for run in batch_runs:
        rule = batch[run.rule]
        if run.down:
            skipped_runs[run.down] = run
        else:
            answering.add(rule.source)
            if rule.invariant.elsewhere:
                answering.add(rule.invariant.elsewhere)
    for source in sorted(skipped_runs.keys() | answering):
        before = incidents.open_for(connection, source_rule_id(source), Cause.SOURCE_DOWN)
        skipped = skipped_runs.get(source)
        severity = _outage_severity(connection, rules, source) if skipped else Severity.ERROR
        after = lifecycle.outage_after(before, source, skipped, at, severity)
        if after is not None and after != before:
            incidents.save(connection, after)


def _outage_severity(connection: Connection, rules: RuleSet, source: str) -> Severity:
    """Return the worst severity that a rule reading the source can have today; at least error."""
    noise_states = noise_state.all_of(connection)
    worst = Severity.ERROR
    for rule in reading(rules, source):
        steps = noise_states.get(rule.id, NoiseState()).steps
        worst = max(worst, noise.effective(rule.invariant.ladder.worst, steps))
    return worst


def close_rule(connection: Connection, rule: str, resolution: Resolution, at: datetime) -> int:
    """Close what is open of a rule that was removed, or means something else now.

    It is never called fixed, and nobody is notified of its end. Returns the number of violations
    that were open.
    """
    incident = incidents.open_for(connection, rule)
    rows = violations.recent_rows(connection, rule, at)
    transitions, closed = lifecycle.close(rows, incident, at, resolution)
    source = incident.source if incident else ""
    violations.apply(connection, [RowChanges(rule, source, transitions)], at)
    pending_confirmations.remove(connection, rule)
    watermarks.remove(connection, rule)
    unchanged.remove(connection, rule)
    if closed is not None:
        _save_closed(connection, rule, closed, at)
    fault = incidents.open_for(connection, rule, Cause.ERRORED)
    if fault is not None:
        closed_fault = replace(fault, resolved_at=at, resolutions={resolution: 1})
        _save_closed(connection, rule, closed_fault, at)
    return incident.violations if incident is not None else 0


def count_changes(transitions: Iterable[Transition]) -> dict[Change, int]:
    """Return the number of rows by how they changed."""
    counts: dict[Change, int] = {}
    for transition in transitions:
        counts[transition.change] = counts.get(transition.change, 0) + 1
    return counts


def _kept_open(
    connection: Connection, rule: Rule, run: Run, incident: Incident | None
) -> Incident | None:
    """Return the incident, still open when the rule holds again for less than its `keep_open`."""
    if incident is None or incident.open or not rule.keep_open:
        return incident
    holding_since = runs.holding_since(connection, rule.id) or run.at
    if run.at - holding_since >= rule.keep_open:
        return incident
    return replace(incident, resolved_at=None)


def _is_outdated(connection: Connection, rule: Rule, run: Run, last_run: datetime | None) -> bool:
    """Return whether another pass recorded a newer state than the one that this run saw.

    Parameters: `last_run` is the time of the newest run in the store.
    """
    if last_run is not None and run.at < last_run:
        return True
    return guards.is_incomplete_incremental(connection, rule, run)


def _close_if_meaning_changed(state: BatchState, rule: Rule) -> bool:
    """Close what is open under another meaning of the rule. Returns whether the meaning changed."""
    state.save_meaning(rule)
    meaning_before = state.meaning_before(rule)
    if meaning_before == rule.meaning:
        return False
    is_changed = meaning_before is not None
    if is_changed:
        close_rule(state.connection, rule.id, Resolution.RULE_CHANGED, state.at)
    if rule.invariant.redaction is not None:
        # Rows remembered before may have keys in clear, and the fingerprint of a small number can
        # be guessed.
        violations.remove(state.connection, rule.id)
        triage.forget_rows(state.connection, rule.id, state.at)
    if is_changed or rule.invariant.redaction is not None:
        state.read_again(rule)
    return is_changed


def _save_watermark(connection: Connection, rule: Rule, run: Run) -> None:
    """Save up to which value an incremental rule has scanned; nothing for other rules."""
    column = rule.invariant.scan.column
    if column is None:
        return
    before = watermarks.of_rules(connection, {rule.id: rule.meaning}).get(rule.id)
    after = watermark_after(before, run, column, rule.invariant.overlap)
    watermarks.save(connection, rule.id, rule.meaning, after)


def _record_fault(state: BatchState, rule: Rule, run: Run) -> None:
    """Open, keep or resolve the incident that the rule can't be checked."""
    before = state.open_incidents.get((rule.id, Cause.ERRORED))
    _save_incident(state, before, lifecycle.fault_after(before, run, rule.severity))


def _save_incident(
    state: BatchState, before: Incident | None, after: Incident | None
) -> Incident | None:
    """Save an incident that changed, at the severity that counts today. Returns it as saved.

    Messages about one that is resolved are cancelled later, by `notify`.
    """
    if after is None:
        return None
    after = _at_effective_severity(after, state.noise_states)
    if after != before:
        state.save_incident(after)
    return after


def _at_effective_severity(incident: Incident, noise_states: Mapping[str, NoiseState]) -> Incident:
    if not incident.open:
        return incident
    steps = noise_states.get(incident.rule, NoiseState()).steps
    return replace(incident, severity=noise.effective(incident.declared, steps))


def _save_closed(connection: Connection, rule: str, incident: Incident, at: datetime) -> None:
    """Save an incident that was closed, and settle it: nobody checked that it is resolved."""
    incidents.save(connection, incident)
    outbox.cancel_pending(connection, incident.id, at)
    incidents.mark_settled(connection, incident.id)
    audit.append(
        connection,
        at,
        "sanityd",
        "closed",
        "rule changed or removed",
        rule=rule,
        incident=incident.id,
    )
