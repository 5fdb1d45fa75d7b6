"""What the store knows, as the Python interface returns it. Reads only."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from sanityd.api.results import (
    HistoryEvent,
    IncidentRecord,
    RuleState,
    StatusReport,
    TriageDecision,
    ViolatingRow,
)
from sanityd.daemon import health
from sanityd.errors import UnknownRuleError
from sanityd.model import (
    Cause,
    Incident,
    Run,
    TrackedViolation,
    Triage,
    file_rule_id,
    source_rule_id,
)
from sanityd.model.did_you_mean import did_you_mean
from sanityd.notifications import timeline
from sanityd.notifications.open_incidents import OpenIncident, list_open_incidents
from sanityd.notifications.timeline.event import Event
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import (
    announced_changes,
    incidents,
    outbox_summary,
    rechecks,
    rules_seen,
    runs,
    triage,
    violations,
)


def rows(
    connection: Connection, rules: RuleSet, name: str, at: datetime, resolved: bool
) -> tuple[ViolatingRow, ...]:
    """Return the tracked rows of a rule, open ones or all. Raises UnknownRuleError."""
    rule_id = find_rule_id(connection, rules, name)
    tracked = violations.open_rows(connection, rule_id)
    if resolved:
        tracked = violations.all_rows(connection, rule_id)
    accepted = set()
    for decision in triage.list_active(connection, [rule_id]):
        if decision.until > at:
            accepted.add(decision.fingerprint)
    return tuple(_row(rule_id, row, row.fingerprint in accepted) for row in tracked)


def _row(rule_id: str, row: TrackedViolation, accepted: bool) -> ViolatingRow:
    return ViolatingRow(
        rule=rule_id,
        key=dict(row.key),
        shown=dict(row.shown),
        detail=row.detail,
        first_seen=row.first_seen,
        resolved_at=row.resolved_at,
        resolution=row.resolution.value if row.resolution is not None else "",
        accepted=accepted and row.open,
    )


def incidents_of(
    connection: Connection,
    rules: RuleSet,
    name: str | None,
    at: datetime,
    since: datetime | None,
) -> tuple[IncidentRecord, ...]:
    """Return what is open as it counts now; with `since`, also what was open after it.

    Raises UnknownRuleError.
    """
    rule_id = None if name is None else find_rule_id(connection, rules, name)
    records = [
        _open_record(entry)
        for entry in list_open_incidents(connection, rules, at)
        if rule_id in (None, entry.incident.rule)
    ]
    if since is not None:
        names = _names(connection, rules) if rule_id is None else {rule_id}
        for incident_rule in sorted(names):
            ended = incidents.of_rule(connection, incident_rule, since)
            records += [_record(incident) for incident in ended if not incident.open]
    return tuple(sorted(records, key=lambda record: (record.opened_at, record.id)))


def _open_record(entry: OpenIncident) -> IncidentRecord:
    return _record(entry.incident, _decision(entry.triage), entry.accepted)


def _record(
    incident: Incident, decision: TriageDecision | None = None, accepted: int = 0
) -> IncidentRecord:
    return IncidentRecord(
        id=incident.id,
        rule=incident.rule,
        source=incident.source,
        cause=incident.cause.value,
        severity=incident.severity.label,
        declared=incident.declared.label,
        violations=incident.violations,
        checked=incident.checked,
        opened_at=incident.opened_at,
        resolved_at=incident.resolved_at,
        systemic=incident.systemic,
        ticket=incident.ticket,
        error=incident.error,
        hint=incident.hint,
        decision=decision,
        accepted=accepted,
    )


def _decision(decision: Triage | None) -> TriageDecision | None:
    if decision is None:
        return None
    return TriageDecision(decision.action.value, decision.author, decision.reason, decision.until)


def events(
    connection: Connection,
    rules: RuleSet,
    name: str | None,
    key: Mapping[str, object] | None,
    at: datetime,
    since: datetime,
) -> tuple[HistoryEvent, ...]:
    """Return what happened to a row, an incident, a rule, or all rules of the file.

    Parameters: `at` is the present time. Raises UnknownRuleError.
    """
    if name is None:
        past = timeline.events_since(connection, None, since, rules.counted)
        names = _names(connection, rules)
        past = [event for event in past if event.rule in names]
    elif key is None:
        past = _events_of(connection, rules, name, at, since)
    else:
        texts = {column: str(value) for column, value in key.items()}
        past = timeline.row_events(connection, find_rule_id(connection, rules, name), texts)
    return tuple(_event(event) for event in past)


def _events_of(
    connection: Connection, rules: RuleSet, name: str, at: datetime, since: datetime
) -> list[Event]:
    """Return what happened to a rule since then, or all that belongs to an incident."""
    rule_id = find_rule_id(connection, rules, name)
    incident = None if name == rule_id else incidents.get(connection, name)
    if incident is not None:
        return timeline.events_of_incident(connection, incident, at, rules.counted)
    return timeline.events_since(connection, rule_id, since, rules.counted)


def _event(event: Event) -> HistoryEvent:
    return HistoryEvent(
        at=event.at,
        rule=event.rule,
        what=event.what,
        who=event.who,
        detail=event.detail,
        kind=event.kind.value,
        incident=event.incident,
    )


def status(connection: Connection, rules: RuleSet, at: datetime) -> StatusReport:
    """Return what is violated, what is not known, and whether sanityd itself works."""
    records = [_open_record(entry) for entry in list_open_incidents(connection, rules, at)]
    violated = {record.rule for record in records if record.cause == Cause.VIOLATED.value}
    enabled = rules.enabled()
    pending = rechecks.of_rules(connection, {rule.id: rule.meaning for rule in enabled}, at)
    ids = [rule.id for rule in enabled]
    last_runs = runs.last_of(connection, ids, at)
    answers = runs.last_answered_of(connection, ids, at)
    meanings = rules_seen.meanings(connection, rules.name, ids)
    states = []
    for rule in enabled:
        word = ""
        if rule.id in violated:
            word = "violated"
        elif rule.id in pending:
            word = "pending"
        last, answer = last_runs.get(rule.id), answers.get(rule.id)
        states.append(_rule_state(rule, last, answer, meanings.get(rule.id), word))
    summary = outbox_summary.summary(connection)
    signs = health.health_signs(connection, rules, at)
    return StatusReport(
        at=at,
        rules=tuple(states),
        incidents=tuple(records),
        complaints=signs.complaints(at),
        waiting=summary.waiting,
        given_up=summary.dead,
        announced=tuple(change.ticket for change in announced_changes.list_active(connection, at)),
    )


def _rule_state(
    rule: Rule, last: Run | None, answer: Run | None, meaning: str | None, word: str
) -> RuleState:
    """Return the state of a rule.

    Parameters: `last` is its last run, `answer` the last one with an answer, and `meaning`
    what the rule meant then; `word` is the state that something open gives it; only without a last
    run that has an answer, and with the present meaning of the rule, it is not known.
    """
    verified_at = answer.at if answer is not None else None
    if last is None or not last.answered:
        error = last.error or "" if last is not None else ""
        return RuleState(rule.id, word or "unverified", verified_at, None, error)
    if meaning != rule.meaning:
        error = "the rule was changed since its last run"
        return RuleState(rule.id, "unverified", verified_at, None, error)
    if not word:
        word = "holds" if last.verdict == "passed" else "violated"
    return RuleState(rule.id, word, verified_at, last.proved_by)


def find_rule_id(connection: Connection, rules: RuleSet, name: str) -> str:
    """Return the rule id for the id of a rule, source or incident. Removed rules are past, too.

    Raises UnknownRuleError.
    """
    names = _names(connection, rules)
    if name in names:
        return name
    incident = incidents.get(connection, name)
    if incident is not None:
        return incident.rule
    raise _unknown(name, names)


def check_name(rules: RuleSet, name: str) -> None:
    """Raise UnknownRuleError when the rules file has no rule or source of that name."""
    names = _names_in_file(rules)
    if name not in names:
        raise _unknown(name, names)


def _names(connection: Connection, rules: RuleSet) -> set[str]:
    return _names_in_file(rules) | set(rules_seen.names(connection, rules.name))


def _names_in_file(rules: RuleSet) -> set[str]:
    names = set(rules.rules) | {source_rule_id(source) for source in rules.sources}
    return names | {file_rule_id(rules.named or rules.path.name)}


def _unknown(name: str, names: set[str]) -> UnknownRuleError:
    return UnknownRuleError(
        f"there is no rule or incident `{name}`", did_you_mean(name, names) or None
    )
