"""The timeline of a rule, an incident or a row: what happened, in the order of time.

`SOURCES` are the functions that know one kind of event each, one file for each. A new kind needs a
function that takes an `EventQuery` and yields events, and its name in `SOURCES`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection

from sanityd.model import Incident, TrackedViolation
from sanityd.notifications.timeline.audit_events import audit_events
from sanityd.notifications.timeline.event import Counted, Event, EventKind, EventQuery
from sanityd.notifications.timeline.evidence_events import evidence_events, evidence_of_rows
from sanityd.notifications.timeline.incident_events import day_events, incident_events
from sanityd.notifications.timeline.message_events import message_events
from sanityd.notifications.timeline.row_events import (
    changes_of_rows,
    events_of_row,
    matching_rows,
)
from sanityd.notifications.timeline.run_events import run_events
from sanityd.store import audit, incidents, violations

#: Yields the events of one kind, or a few.
EventSource = Callable[[EventQuery], Iterator[Event]]
SOURCES: tuple[EventSource, ...] = (
    incident_events,
    changes_of_rows,
    evidence_events,
    day_events,
    run_events,
    message_events,
    audit_events,
)
#: Before everything that happened.
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


def events_since(
    connection: Connection,
    rule: str | None,
    since: datetime,
    counted: Counted,
    *,
    every_decision: bool = False,
) -> list[Event]:
    """Return what happened since then, oldest first.

    Parameters: `rule` is a rule, `source:NAME` or `file:NAME`; None for all. With
    `every_decision`, also those are returned that say nothing new.
    """
    names = [rule] if rule is not None else incidents.rules_with_incidents(connection, since)
    events: list[Event] = []
    for name in names:
        events += _of_rule(EventQuery(connection, name, since, counted, every_decision))
    return in_order(events)


def events_of_incident(
    connection: Connection, incident: Incident, at: datetime, counted: Counted
) -> list[Event]:
    """Return what belongs to an incident, or happened to its rule meanwhile, oldest first.

    Parameters: `at` is the present time.
    """
    query = EventQuery(connection, incident.rule, incident.opened_at, counted, every_decision=True)
    end = incident.resolved_at or at
    events = []
    for event in _of_rule(query):
        is_meanwhile = not event.incident and incident.opened_at <= event.at <= end
        if event.incident == incident.id or is_meanwhile:
            events.append(event)
    return in_order(events)


def row_events(connection: Connection, rule: str, key: Mapping[str, str]) -> list[Event]:
    """Return what is known of one row, by the text of its key.

    Raises IdenticalRowsError when other rows can't be told apart from it.
    """
    rows = matching_rows(violations.all_rows(connection, rule), key)
    query = EventQuery(connection, rule, BEGINNING, _no_number)
    return in_order([*events_of_row(query, rows), *evidence_of_rows(query, rows)])


def everything_of_row(
    connection: Connection, rules: Iterable[str], key: Mapping[str, str], counted: Counted
) -> list[Event]:
    """Return all that is known of one row of a table, oldest first: when it violated which rule,
    the incidents that it was a part of, their mails, and the acts about it and them.

    Parameters: `rules` are those of its table; `key` is the text of its key, or of a part of it.
    Raises IdenticalRowsError when other rows can't be told apart from it.
    """
    events: list[Event] = []
    for rule in rules:
        rows = matching_rows(violations.all_rows(connection, rule), key, whole=False)
        if not rows:
            continue
        query = EventQuery(connection, rule, BEGINNING, counted, every_decision=True)
        own_events = list(events_of_row(query, rows))
        events += own_events
        events += _about_rows(query, rows, own_events)
    return in_order(events)


def _about_rows(
    query: EventQuery, rows: Iterable[TrackedViolation], own_events: Iterable[Event]
) -> Iterator[Event]:
    """Yield the events of the incidents that the rows were a part of, and the acts about them."""
    ids = _incidents_between(query, [event.at for event in own_events])
    fingerprints = {row.fingerprint for row in rows}
    for event in _of_rule(query):
        is_of_incident = event.incident in ids and event.kind is not EventKind.ROW
        if is_of_incident or event.row in fingerprints:
            yield event


def _incidents_between(query: EventQuery, times: Sequence[datetime]) -> set[str]:
    """Return the incidents of the rule that were open at some time between the first and the last
    of these times."""
    first, last = min(times), max(times)
    ids = set()
    for incident in incidents.of_rule(query.connection, query.rule, first):
        if incident.opened_at <= last:
            ids.add(incident.id)
    return ids


def in_order(events: Iterable[Event]) -> list[Event]:
    """Return events in the order of time.

    All events of one pass have the same time; changes of the rules file come first.
    """
    return sorted(events, key=lambda event: (event.at, event.what not in audit.RULE_CHANGES))


def _of_rule(query: EventQuery) -> Iterator[Event]:
    """Yield the events of all sources, without runs of which another event says the same."""
    runs = []
    times = set()
    for source in SOURCES:
        for event in source(query):
            if event.kind is EventKind.RUN:
                runs.append(event)
                continue
            if event.kind in (EventKind.INCIDENT, EventKind.ROW):
                times.add(event.at)
            yield event
    for event in runs:
        if event.at not in times:
            yield event


def _no_number(_rule: str, _violations: int) -> str:
    return ""
