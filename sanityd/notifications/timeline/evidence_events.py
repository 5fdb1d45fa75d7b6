"""Evidence: what was read about rows when they began to violate the rule."""

from collections.abc import Iterable, Iterator

from sanityd.alerts.compose.evidence_lines import evidence_rows, evidence_title, values_text
from sanityd.model import Evidence, Key, TrackedViolation
from sanityd.notifications.timeline.event import Event, EventKind, EventQuery
from sanityd.store import evidence, violations

#: The most rows of one query that an event names.
_ROWS = 3


def evidence_events(query: EventQuery) -> Iterator[Event]:
    """Yield what was read about the rows of a rule."""
    stored = evidence.since(query.connection, query.rule, query.since)
    if not stored:
        return
    keys = {row.fingerprint: row.key for row in violations.all_rows(query.connection, query.rule)}
    for fingerprint, item in stored:
        yield _event(query, fingerprint, keys.get(fingerprint, {}), item)


def evidence_of_rows(query: EventQuery, rows: Iterable[TrackedViolation]) -> Iterator[Event]:
    """Yield what was read about these rows, at each time when they began to violate the rule."""
    keys = {row.fingerprint: row.key for row in rows}
    stored = evidence.all_of_rows(query.connection, query.rule, list(keys))
    for fingerprint, items in stored.items():
        for item in items:
            yield _event(query, fingerprint, keys[fingerprint], item)


def _event(query: EventQuery, fingerprint: str, key: Key, item: Evidence) -> Event:
    what = f"evidence of {values_text(key)}: {evidence_title(item)}"
    detail = "; ".join(evidence_rows(item, _ROWS))
    return Event(
        item.at,
        query.rule,
        what,
        detail=detail,
        kind=EventKind.EVIDENCE,
        row=fingerprint,
        evidence=item,
    )
