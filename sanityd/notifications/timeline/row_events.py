"""Rows that came or went while an incident was open, and all that is known of one row."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from sanityd.alerts.compose.sanitize import display_value
from sanityd.errors import IdenticalRowsError
from sanityd.model import Incident, Key, TrackedViolation
from sanityd.model.identical_rows import has_number, key_of_row
from sanityd.notifications.timeline.event import Event, EventKind, EventQuery, cut
from sanityd.notifications.timeline.incident_events import CLOSED, RESOLUTIONS, resolution_counts
from sanityd.store import incidents, runs, violations

#: The most keys that one event names.
_KEYS = 5


def changes_of_rows(query: EventQuery) -> Iterator[Event]:
    """Yield the rows that came or went, except at the beginning or the end of an incident."""
    rule = query.rule
    rule_incidents = incidents.of_rule(query.connection, rule, query.since)
    reported = set()
    for incident in rule_incidents:
        reported |= {incident.opened_at, incident.resolved_at}
    begun = violations.count_first_seen(query.connection, rule, query.since)
    for at, rows in begun.items():
        number = query.counted(rule, rows)
        if at not in reported and number:
            keys = violations.keys_first_seen(query.connection, rule, at, _KEYS)
            yield _row_event(query, at, f"{number} more", keys, rows, rule_incidents)
    ended = violations.count_resolved(query.connection, rule, query.since)
    for at, resolutions in ended.items():
        words = resolution_counts(resolutions)
        if at not in reported and words:
            keys = violations.keys_resolved(query.connection, rule, at, _KEYS)
            count = sum(resolutions.values())
            yield _row_event(query, at, words, keys, count, rule_incidents)


def _row_event(
    query: EventQuery,
    at: datetime,
    words: str,
    keys: Iterable[Key],
    count: int,
    rule_incidents: Iterable[Incident],
) -> Event:
    names = [key_text(key) for key in keys]
    names += [""] * (count - len(names))
    incident = ""
    for candidate in rule_incidents:
        if candidate.opened_at <= at <= (candidate.resolved_at or at):
            incident = candidate.id
    detail = cut(names, _KEYS)
    return Event(at, query.rule, words, "", detail, EventKind.ROW, incident)


def key_text(key: Key) -> str:
    """Return a key as `id 7`, or `a 1, b 2`, without hidden characters."""
    return ", ".join(f"{display_value(name)} {display_value(value)}" for name, value in key.items())


def events_of_row(query: EventQuery, rows: Iterable[TrackedViolation]) -> Iterator[Event]:
    """Yield when rows began and ended to violate the rule, with their earlier episodes."""
    for row in rows:
        for episode in violations.earlier_episodes(query.connection, row, query.rule):
            yield from _episode_events(query, episode)
        yield from _episode_events(query, row)


def _episode_events(query: EventQuery, row: TrackedViolation) -> Iterator[Event]:
    rule = query.rule
    begin = "was first seen to violate the rule"
    yield Event(row.first_seen, rule, begin, detail=row.detail, kind=EventKind.ROW)
    if row.resolved_at is not None:
        yield Event(row.resolved_at, rule, _row_end(row), kind=EventKind.ROW)
        return
    # Rows are only written when something about them changes: the last run saw it, too.
    verified = runs.last_verified(query.connection, rule)
    seen_at = max(filter(None, (verified, row.last_seen)))
    yield Event(seen_at, rule, "is still there", kind=EventKind.ROW)


def matching_rows(
    rows: Iterable[TrackedViolation], key: Mapping[str, str], *, whole: bool = True
) -> list[TrackedViolation]:
    """Return the rows with a key, by the text of its values.

    Parameters: unless `whole`, the rows may have more columns in their key.
    Raises IdenticalRowsError when other rows can't be told apart from one.
    """
    all_rows = list(rows)
    _check_is_single(all_rows, key)
    matching = [row for row in all_rows if _has_values(row.key, key)]
    if whole:
        return [row for row in matching if len(row.key) == len(key)]
    return matching


def _has_values(row_key: Key, key: Key) -> bool:
    for name, text in key.items():
        if name not in row_key:
            return False
        value = row_key[name]
        if text not in (str(value), display_value(value)):
            return False
    return True


def _check_is_single(rows: Iterable[TrackedViolation], key: Mapping[str, str]) -> None:
    """Raise IdenticalRowsError when other rows were identical to the row in all columns."""
    plain = key_of_row(key)
    for row in rows:
        if has_number(row.key) and _has_values(key_of_row(row.key), plain):
            raise IdenticalRowsError(
                "other rows are, or were, identical to this one in all columns, so it has no "
                "history of its own"
            )


def _row_end(row: TrackedViolation) -> str:
    if row.resolution in CLOSED:
        return f"is {CLOSED[row.resolution]}"
    if row.resolution:
        return f"is no longer a violation: {RESOLUTIONS[row.resolution]}"
    return "is no longer a violation"
