"""What is open as it counts now, with the decisions of people and of the policies. Reads only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from sanityd.model import Cause, Incident, LastNotification, Reason, Triage
from sanityd.model.identical_rows import repeated_rows_note
from sanityd.notifications.context import counted_incidents, triage_in_force
from sanityd.notifications.outlook import next_reminder
from sanityd.notifications.recipients import recipients
from sanityd.rules.rule import RuleSet
from sanityd.store import incidents, notification_log, triage, violations
from sanityd.store.incidents import IncidentRecipient
from sanityd.store.notification_log import DeliveryState


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """One recipient of an incident: the last notification, why none follows, the next reminder."""

    channel: str
    recipient: str
    last_notification: LastNotification | None
    reason: Reason | None
    reminder: datetime | None = None


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """One open incident, as it counts now."""

    incident: Incident
    triage: Triage | None
    #: The number of its rows that people accepted.
    accepted: int
    #: Sentences that people should know to judge it.
    notes: tuple[str, ...]
    recipients: tuple[RecipientStatus, ...]


def list_open_incidents(connection: Connection, rules: RuleSet, at: datetime) -> list[OpenIncident]:
    """Return everything that is open at that time. Decides and changes nothing."""
    counted = counted_incidents(connection, rules, at)
    ids = [incident.id for incident in counted]
    delivery_states = notification_log.delivery_states(connection, ids, at)
    last_reasons = incidents.last_decisions(connection, ids)
    decisions = triage_in_force(connection, counted, at)
    accepted_rows = triage.count_accepted_rows(connection, at)
    repeated_rows = violations.count_repeated(connection)
    open_incidents = []
    for incident in counted:
        if not incident.open:
            continue
        decision = decisions.get(incident.id)
        accepted = repeated = 0
        if incident.cause is Cause.VIOLATED:
            accepted = accepted_rows.get(incident.rule, 0)
            repeated = repeated_rows.get(incident.rule, 0)
        statuses = _recipient_statuses(rules, incident, decision, delivery_states, last_reasons)
        open_incidents.append(
            OpenIncident(
                incident=incident,
                triage=decision,
                accepted=accepted,
                notes=tuple(_notes(rules, incident, accepted, repeated)),
                recipients=tuple(statuses),
            )
        )
    return open_incidents


def _notes(rules: RuleSet, incident: Incident, accepted: int, repeated: int) -> list[str]:
    notes = []
    if repeated:
        notes.append(repeated_rows_note(repeated))
    if accepted:
        rows = "row is" if accepted == 1 else "rows are"
        notes.append(f"{accepted:,} more {rows} accepted")
    if incident.ticket:
        notes.append(f"belongs to {incident.ticket}, a change that was announced")
    elif incident.systemic:
        notes.append("systemic: so many rows violate the rule that it counts as one problem")
    rule = rules.rules.get(incident.rule)
    if rule is not None and not rule.enabled:
        notes.append("the rule is disabled, so it is not checked")
    return notes


def _recipient_statuses(
    rules: RuleSet,
    incident: Incident,
    decision: Triage | None,
    delivery_states: Mapping[IncidentRecipient, DeliveryState],
    last_reasons: Mapping[IncidentRecipient, Reason],
) -> list[RecipientStatus]:
    """Return one status for each recipient; a reminder is due while nobody has decided."""
    statuses = []
    for channel, address in recipients(rules, incident):
        key = (incident.id, channel, address)
        last = delivery_states.get(key, DeliveryState()).last_notification
        reminder = None
        is_due = decision is None and rules.channels[channel].takes(Reason.REMINDER)
        if last is not None and is_due:
            reminder = next_reminder(incident, last, rules.alerts)
        statuses.append(RecipientStatus(channel, address, last, last_reasons.get(key), reminder))
    return statuses
