"""Incidents that began and ended, and the days of which only counts are kept."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from sanityd.model import Cause, Incident, Resolution
from sanityd.notifications.timeline.event import Counted, Event, EventKind, EventQuery
from sanityd.store import incidents, retention, runs

_RESOLVED = {
    Cause.VIOLATED: "holds again",
    Cause.ERRORED: "can be checked again",
    Cause.SOURCE_DOWN: "answers again",
    Cause.RULES_WRONG: "can be read again",
}
RESOLUTIONS = {
    Resolution.FIXED: "repaired",
    Resolution.ROW_GONE: "deleted",
    Resolution.LEFT_SCOPE: "no longer in scope",
    Resolution.NOT_RETURNED: "no longer found",
}
#: How an incident, or a row of it, ends by the rules file; nobody checked that it is resolved.
CLOSED = {
    Resolution.RULE_REMOVED: "no longer checked: the rule was removed from the file",
    Resolution.RULE_CHANGED: "checked anew: the meaning of the rule changed",
}


def incident_events(query: EventQuery) -> Iterator[Event]:
    """Yield the beginnings and ends of incidents."""
    for incident in incidents.of_rule(query.connection, query.rule, query.since):
        rows = runs.violations_at(query.connection, query.rule, incident.opened_at)
        number = query.counted(query.rule, rows) if rows is not None else ""
        yield _event(incident, _beginning(incident, number), incident.opened_at)
        if incident.resolved_at is not None:
            yield _event(incident, incident_end(incident, query.counted), incident.resolved_at)


def _event(incident: Incident, what: str, at: datetime) -> Event:
    return Event(at, incident.rule, what, detail=incident.id, incident=incident.id)


def day_events(query: EventQuery) -> Iterator[Event]:
    """Yield one event for each past day of which only counts are kept, if not all runs passed."""
    for day in retention.days_of(query.connection, query.rule, query.since):
        unanswered = day.runs - day.answered
        if not day.failed and not unanswered:
            continue
        words = f"checked {day.runs} times: violated in {day.failed}"
        most = query.counted(query.rule, day.most)
        if most:
            words += f", at most {most}"
        if unanswered:
            words += f", {unanswered} without an answer"
        yield Event(day.day, query.rule, words, kind=EventKind.RUN)


def _beginning(incident: Incident, number: str) -> str:
    """Return how an incident began; `number` is that of its violations in words."""
    match incident.cause:
        case Cause.VIOLATED:
            violated = f"violated: {number}" if number else "violated"
            announced = f", announced as {incident.ticket}" if incident.ticket else ""
            return f"{violated}, {incident.declared.label}{announced}"
        case Cause.ERRORED:
            return f"can't be checked: {incident.error}"
        case Cause.SOURCE_DOWN:
            return f"does not answer: {incident.error}"
        case Cause.RULES_WRONG:
            return f"can't be read: {incident.error}"


def incident_end(incident: Incident, counted: Counted) -> str:
    """Return how an incident that is over ended."""
    for resolution, words in CLOSED.items():
        if resolution not in incident.resolutions:
            continue
        number = ""
        if incident.cause is Cause.VIOLATED:
            number = counted(incident.rule, incident.violations)
        return f"{words}, with {number} open" if number else words
    words = _RESOLVED[incident.cause]
    counts = resolution_counts(incident.resolutions)
    if incident.cause is Cause.VIOLATED and counts:
        return f"{words}: {counts}"
    return words


def resolution_counts(resolutions: Mapping[Resolution, int]) -> str:
    """Return how many rows ended in which way: `2 repaired, 1 deleted`."""
    return ", ".join(
        f"{count:,} {RESOLUTIONS[resolution]}"
        for resolution, count in resolutions.items()
        if resolution in RESOLUTIONS
    )
