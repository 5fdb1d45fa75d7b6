"""What is open as it counts now, with what people decided and what the policies did: for people who ask."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from sanityd.alerts import policy
from sanityd.model import Disposition, Incident, Reason, Told
from sanityd.rules.rule import RuleSet
from sanityd.store import dispositions, hearing
from sanityd.telling.moment import Moment
from sanityd.telling.tell import ears


@dataclass(frozen=True, slots=True)
class Ear:
    """One recipient of an incident: what they were told last, why they hear no more just now, and when they will."""

    channel: str
    recipient: str
    told: Told | None
    reason: Reason | None
    reminder: datetime | None = None


@dataclass(frozen=True, slots=True)
class Open:
    """One incident that goes on, as it counts now."""

    incident: Incident
    disposition: Disposition | None
    #: How many of its rows a human accepted.
    accepted: int
    #: Sentences about it that matter.
    notes: tuple[str, ...]
    ears: tuple[Ear, ...]


def open_now(memory: Connection, rules: RuleSet, at: datetime) -> list[Open]:
    """Everything that is open; nothing is decided or changed."""
    moment = Moment(memory, rules, at, asking=True)
    found = [incident for incident in moment.incidents if incident.open]
    accepted = dispositions.accepted(memory)
    return [_open(moment, incident, accepted.get(incident.rule, 0)) for incident in found]


def _open(moment: Moment, incident: Incident, accepted: int) -> Open:
    notes = []
    if accepted:
        rows = "row is" if accepted == 1 else "rows are"
        notes.append(f"{accepted:,} more {rows} accepted")
    if incident.systemic:
        notes.append("so many rows are broken that it is taken for one fault, not for so many cases")
    rule = moment.rules.rules.get(incident.rule)
    if rule is not None and not rule.enabled:
        notes.append("the rule is switched off, so nobody looks at it")
    return Open(
        incident=incident,
        disposition=moment.disposition(incident),
        accepted=accepted,
        notes=tuple(notes),
        ears=tuple(_ear(moment, incident, *who) for who in ears(moment.rules, incident)),
    )


def _ear(moment: Moment, incident: Incident, channel: str, recipient: str) -> Ear:
    ear = (incident.id, channel, recipient)
    heard = moment.heard.get(ear, hearing.Heard())
    reminder = None
    if heard.told and heard.told.at and moment.disposition(incident) is None:
        reminder = heard.told.at + policy.reminder_after(heard.told.reminders, moment.rules.alerts)
    return Ear(channel, recipient, heard.told, moment.decided.get(ear), reminder)
