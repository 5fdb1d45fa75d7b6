"""Entries of the audit: changes of rules, acts of people, and decisions of sanityd."""

from collections.abc import Iterator

from sqlalchemy import RowMapping

from sanityd.model import Reason
from sanityd.notifications.timeline.event import Event, EventKind, EventQuery
from sanityd.store import audit

#: Reasons for no notification that say nothing that the timeline does not say anyway.
_DULL = {
    Reason.NOT_VERIFIED,
    Reason.NEVER_NOTIFIED,
    Reason.BELOW_THRESHOLD,
}
#: Reasons that never say anything: a mail follows, or came before.
_EMPTY = {Reason.UNCHANGED, Reason.WAITING}


def audit_events(query: EventQuery) -> Iterator[Event]:
    """Yield the decisions of people and of the policies that the other events do not tell."""
    for row in audit.of_rule(query.connection, query.rule):
        if row["at"] >= query.since and not _is_dull(row, query.every_decision):
            yield _audit_event(query.rule, row)


def _is_dull(row: RowMapping, every_decision: bool) -> bool:
    is_closed_by_rule = row["action"] == "closed" and "resolution" not in row["detail"]
    if row["action"] in ("notified", audit.RULE_KEPT) or is_closed_by_rule:
        return True
    if row["action"] != "not notified" or row["reason"] in _EMPTY:
        return bool(row["action"] == "not notified")
    return row["reason"] in _DULL and not every_decision


def _audit_event(rule: str, row: RowMapping) -> Event:
    at, action, reason, detail = row["at"], row["action"], row["reason"], row["detail"]
    incident = row["incident"] or ""
    if action == "judged":
        sentence = detail.get("sentence", "")
        return Event(at, rule, str(reason), "", sentence, EventKind.DECISION, incident)
    if action == "not notified":
        words, recipient = f"not notified: {reason}", detail.get("recipient", "")
        return Event(at, rule, words, recipient, "", EventKind.DECISION, incident)
    kind = EventKind.ACT
    if action in audit.RULE_CHANGES:
        kind = EventKind.RULE
    elif action.startswith("remedy "):
        kind = EventKind.REMEDY
    what = action
    if detail.get("resolution"):
        what += f" as {detail['resolution'].replace('_', ' ')}"
    if "until" in detail:
        what += f" until {detail['until'][:16].replace('T', ' ')}"
    mark = detail.get("fingerprint", "")
    return Event(at, rule, what, row["actor"], reason, kind, incident, mark)
