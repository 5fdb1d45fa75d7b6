"""Notify the recipients of a rule of what became of its remedy, and write it into the audit."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from sanityd.model import Alert, Cause, Incident, News, Reason
from sanityd.notifications import policy
from sanityd.notifications.context import counted_incidents, sentence
from sanityd.notifications.notify import enqueue
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import audit, runs, silences


def open_incident(
    connection: Connection, rules: RuleSet, rule: Rule, at: datetime
) -> Incident | None:
    """Return the open incident of a rule, without the rows that people accepted."""
    for incident in counted_incidents(connection, rules, at, rule.id):
        if incident.open and incident.cause is Cause.VIOLATED:
            return incident
    return None


def record(  # noqa: PLR0913 (each is a column)
    connection: Connection,
    rule: Rule,
    at: datetime,
    action: str,
    words: str,
    *,
    author: str = "sanityd",
    incident: Incident | None = None,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Append to the audit what was done or decided. `words` hold no value of a row."""
    audit.append(
        connection,
        at,
        author,
        action,
        words,
        rule=rule.id,
        incident=incident.id if incident is not None else None,
        detail=detail,
    )


def notify_recipients(
    connection: Connection,
    rules: RuleSet,
    rule: Rule,
    reason: Reason,
    words: str,
    at: datetime,
    *,
    occasion: str,
) -> int:
    """Put a message to each recipient of the rule into the outbox; return how many.

    Who is not notified is in the audit, with the reason.

    Parameters: `words` is a sentence without a value of a row; of one `occasion` each recipient is
    notified once.
    """
    incident = open_incident(connection, rules, rule, at)
    summary = ""
    if incident is not None:
        summary = sentence(rules, incident, runs.last_answered(connection, rule.id, at))
    news = News(
        reason=reason,
        rule=rule.facts(rules.revision),
        incident=incident,
        sentence=summary,
        looked_at=at,
        noise=words,
    )
    queued = 0
    is_silenced = policy.is_silenced(news.rule, silences.list_active(connection, at), at)
    for channel, address in rules.recipients(rule.notify):
        if is_silenced or not rules.channels[channel].takes(reason):
            why_not = Reason.SILENCED if is_silenced else Reason.NOT_TAKEN
            detail = {"channel": channel, "recipient": address}
            record(connection, rule, at, "not notified", why_not, incident=incident, detail=detail)
            continue
        key = policy.dedup_key(reason, channel, address, [[rule.id, occasion]])
        alert = Alert(reason, at, (news,), channel, key)
        queued += enqueue(connection, rules, alert, address)
    return queued
