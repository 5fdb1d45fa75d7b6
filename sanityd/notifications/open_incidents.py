"""What is open as it counts now, with what people decided and what the policies did: for people who ask."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from sanityd.model import Incident, LastNotification, Reason, Triage
from sanityd.notifications import policy
from sanityd.notifications.context import AlertContext
from sanityd.notifications.notify import recipients
from sanityd.rules.rule import RuleSet
from sanityd.store import notification_log, triage


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """One recipient of an incident: what they were told last, why they hear no more just now, and when they will."""

    channel: str
    recipient: str
    last_notification: LastNotification | None
    reason: Reason | None
    reminder: datetime | None = None


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """One incident that goes on, as it counts now."""

    incident: Incident
    triage: Triage | None
    #: How many of its rows a human accepted.
    accepted: int
    #: Sentences about it that matter.
    notes: tuple[str, ...]
    recipients: tuple[RecipientStatus, ...]


def open_now(memory: Connection, rules: RuleSet, at: datetime) -> list[OpenIncident]:
    """Everything that is open; nothing is decided or changed."""
    moment = AlertContext(memory, rules, at, asking=True)
    found = [incident for incident in moment.incidents if incident.open]
    accepted = triage.accepted(memory)
    return [_open(moment, incident, accepted.get(incident.rule, 0)) for incident in found]


def _open(moment: AlertContext, incident: Incident, accepted: int) -> OpenIncident:
    notes = []
    if accepted:
        rows = "row is" if accepted == 1 else "rows are"
        notes.append(f"{accepted:,} more {rows} accepted")
    if incident.systemic:
        notes.append(
            "so many rows are broken that it is taken for one fault, not for so many cases"
        )
    rule = moment.rules.rules.get(incident.rule)
    if rule is not None and not rule.enabled:
        notes.append("the rule is switched off, so nobody looks at it")
    return OpenIncident(
        incident=incident,
        triage=moment.triage(incident),
        accepted=accepted,
        notes=tuple(notes),
        recipients=tuple(
            _ear(moment, incident, *who) for who in recipients(moment.rules, incident)
        ),
    )


def _ear(moment: AlertContext, incident: Incident, channel: str, recipient: str) -> RecipientStatus:
    ear = (incident.id, channel, recipient)
    heard = moment.delivery_states.get(ear, notification_log.DeliveryState())
    reminder = None
    if heard.last_notification and heard.last_notification.at and moment.triage(incident) is None:
        reminder = heard.last_notification.at + policy.reminder_after(
            heard.last_notification.reminders, moment.rules.alerts
        )
    return RecipientStatus(
        channel, recipient, heard.last_notification, moment.decided.get(ear), reminder
    )
