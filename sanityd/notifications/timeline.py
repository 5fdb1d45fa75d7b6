"""The timeline of a rule: incidents, decisions of people, messages and their recipients, rows."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping

from sanityd.errors import IdenticalRowsError
from sanityd.model import Cause, Incident, Key, Reason, Resolution, TrackedViolation
from sanityd.model.identical_rows import has_number, key_of_row
from sanityd.store import audit, incidents, notification_log, retention, runs, violations

_RESOLVED = {
    Cause.VIOLATED: "holds again",
    Cause.ERRORED: "can be checked again",
    Cause.SOURCE_DOWN: "answers again",
    Cause.RULES_WRONG: "can be read again",
}
_RESOLUTIONS = {
    Resolution.FIXED: "repaired",
    Resolution.ROW_GONE: "deleted",
    Resolution.LEFT_SCOPE: "no longer in scope",
    Resolution.NOT_RETURNED: "no longer found",
}
_DELIVERY = {
    "sent": "delivered",
    "pending": "waits",
    "leased": "is being sent",
    "uncertain": "may have arrived",
    "dead": "given up",
    "cancelled": "cancelled, as nobody needs it any more",
    "superseded": "replaced by a newer message",
}
#: States in which the last error is shown.
_UNDELIVERED = {"pending", "leased", "uncertain", "dead"}
#: How an incident, or a row of it, ends by the rules file; nobody checked that it is resolved.
_CLOSED = {
    Resolution.RULE_REMOVED: "no longer checked: the rule was removed from the file",
    Resolution.RULE_CHANGED: "checked anew: the meaning of the rule changed",
}
#: Reasons for no notification that say nothing that the timeline does not say anyway.
_DULL = {
    Reason.UNCHANGED,
    Reason.WAITING,
    Reason.NOT_VERIFIED,
    Reason.NEVER_NOTIFIED,
    Reason.BELOW_THRESHOLD,
}
#: Returns the number of violations of a rule in the word of its kind; empty for none.
Counted = Callable[[str, int], str]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `who` is a person, a recipient, or nobody."""

    at: datetime
    rule: str
    what: str
    who: str = ""
    detail: str = ""


def events_since(
    connection: Connection, rule: str | None, since: datetime, counted: Counted
) -> list[Event]:
    """Return what happened since then, oldest first.

    Parameters: `rule` is a rule or `source:NAME`; None for all.
    """
    names = [rule] if rule is not None else incidents.rules_with_incidents(connection, since)
    events: list[Event] = []
    for name in names:
        events += _incident_events(connection, name, since, counted)
        events += _day_events(connection, name, since, counted)
        events += _message_events(connection, name, since)
        events += _audit_events(connection, name, since)
    # All events of one pass have the same time; changes of the rules file come first.
    return sorted(events, key=lambda event: (event.at, event.what not in audit.RULE_CHANGES))


def row_events(connection: Connection, rule: str, key: Mapping[str, str]) -> list[Event]:
    """Return what is known of one row, by the text of its key.

    Raises IdenticalRowsError when other rows can't be told apart from it.
    """
    events = []
    all_rows = violations.all_rows(connection, rule)
    _check_is_single(all_rows, key)
    for row in all_rows:
        if not _has_key(row.key, key):
            continue
        seen = "was first seen to violate the rule"
        events.append(Event(row.first_seen, rule, seen, detail=row.detail))
        if row.resolved_at is not None:
            events.append(Event(row.resolved_at, rule, _row_end(row)))
        else:
            # Rows are only written when something about them changes: the last run saw it, too.
            verified = runs.last_verified(connection, rule)
            seen_at = max(filter(None, (verified, row.last_seen)))
            events.append(Event(seen_at, rule, "is still there"))
    return events


def _has_key(row_key: Key, key: Key) -> bool:
    return {name: str(value) for name, value in row_key.items()} == dict(key)


def _check_is_single(rows: Iterable[TrackedViolation], key: Mapping[str, str]) -> None:
    """Raise IdenticalRowsError when other rows were identical to the row in all columns."""
    for row in rows:
        if has_number(row.key) and _has_key(key_of_row(row.key), key_of_row(key)):
            raise IdenticalRowsError(
                "other rows are, or were, identical to this one in all columns, so it has no "
                "history of its own"
            )


def _row_end(row: TrackedViolation) -> str:
    if row.resolution in _CLOSED:
        return f"is {_CLOSED[row.resolution]}"
    if row.resolution:
        return f"is no longer a violation: {_RESOLUTIONS[row.resolution]}"
    return "is no longer a violation"


def _incident_events(
    connection: Connection, rule: str, since: datetime, counted: Counted
) -> Iterator[Event]:
    """Yield the beginnings and ends of incidents, and the rows that came or went between."""
    rule_incidents = incidents.of_rule(connection, rule, since)
    for incident in rule_incidents:
        rows = runs.violations_at(connection, rule, incident.opened_at)
        number = counted(rule, rows) if rows is not None else ""
        yield Event(incident.opened_at, rule, _beginning(incident, number), detail=incident.id)
        if incident.resolved_at is not None:
            yield Event(incident.resolved_at, rule, _end(incident, counted), detail=incident.id)
    yield from _row_events(connection, rule, since, rule_incidents, counted)


def _row_events(
    connection: Connection,
    rule: str,
    since: datetime,
    rule_incidents: Iterable[Incident],
    counted: Counted,
) -> Iterator[Event]:
    """Yield the rows that came or went, except at the beginning or the end of an incident."""
    reported = set()
    for incident in rule_incidents:
        reported |= {incident.opened_at, incident.resolved_at}
    for at, rows in violations.count_first_seen(connection, rule, since).items():
        number = counted(rule, rows)
        if at not in reported and number:
            yield Event(at, rule, f"{number} more")
    for at, resolutions in violations.count_resolved(connection, rule, since).items():
        words = _resolution_counts(resolutions)
        if at not in reported and words:
            yield Event(at, rule, words)


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


def _end(incident: Incident, counted: Counted) -> str:
    for resolution, words in _CLOSED.items():
        if resolution not in incident.resolutions:
            continue
        number = ""
        if incident.cause is Cause.VIOLATED:
            number = counted(incident.rule, incident.violations)
        return f"{words}, with {number} open" if number else words
    words = _RESOLVED[incident.cause]
    counts = _resolution_counts(incident.resolutions)
    if incident.cause is Cause.VIOLATED and counts:
        return f"{words}: {counts}"
    return words


def _resolution_counts(resolutions: Mapping[Resolution, int]) -> str:
    return ", ".join(
        f"{count:,} {_RESOLUTIONS[resolution]}"
        for resolution, count in resolutions.items()
        if resolution in _RESOLUTIONS
    )


def _day_events(
    connection: Connection, rule: str, since: datetime, counted: Counted
) -> Iterator[Event]:
    """Yield one event for each past day of which only counts are kept, if not all runs passed."""
    for day in retention.days_of(connection, rule, since):
        unanswered = day.runs - day.answered
        if not day.failed and not unanswered:
            continue
        words = f"checked {day.runs} times: violated in {day.failed}"
        most = counted(rule, day.most)
        if most:
            words += f", at most {most}"
        if unanswered:
            words += f", {unanswered} without an answer"
        yield Event(day.day, rule, words)


def _message_events(connection: Connection, rule: str, since: datetime) -> Iterator[Event]:
    for message in notification_log.of_rule(connection, rule, since):
        at = message["ended_at"] or message["created_at"]
        words = f"mail `{message['news_reason']}` {_DELIVERY[message['state']]}"
        if message["state"] in _UNDELIVERED and message["error"]:
            words += f": {message['error']}"
        yield Event(at, rule, words, message["recipient"])


def _audit_events(connection: Connection, rule: str, since: datetime) -> Iterator[Event]:
    """Yield the decisions of people and of the policies that the other events do not tell."""
    for row in audit.of_rule(connection, rule):
        if row["at"] >= since and not _is_dull(row):
            yield _audit_event(rule, row)


def _is_dull(row: RowMapping) -> bool:
    if row["action"] in ("notified", "closed"):
        return True
    return row["action"] == "not notified" and row["reason"] in _DULL


def _audit_event(rule: str, row: RowMapping) -> Event:
    at, action, reason, detail = row["at"], row["action"], row["reason"], row["detail"]
    if action == "judged":
        return Event(at, rule, str(reason), detail=detail.get("sentence", ""))
    if action == "not notified":
        return Event(at, rule, f"not notified: {reason}", detail.get("recipient", ""))
    what = action
    if "until" in detail:
        what += f" until {detail['until'][:16].replace('T', ' ')}"
    return Event(at, rule, what, row["actor"], reason)
