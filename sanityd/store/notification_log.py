"""Queries about who was notified of what, by the messages of the outbox."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    exists,
    func,
    or_,
    select,
)

from sanityd.model import LastNotification, Reason, Severity
from sanityd.store.incidents import IncidentRecipient
from sanityd.store.name_list import name_list, number_list
from sanityd.store.outbox import WAITING
from sanityd.store.runs import OVERLAP, clock_correct_since
from sanityd.store.tables import incidents, news, outbox

#: How long after a message failed for good the same news is sent again: at first, and at most.
FIRST_REVIVAL, LAST_REVIVAL = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """What one recipient was notified of about one incident."""

    last_notification: LastNotification | None = None
    #: The message about it that is not delivered yet.
    waiting: LastNotification | None = None
    #: Its number, when nobody has begun to send it.
    pending: int | None = None
    #: How many messages about it failed for good and may be sent again now.
    lost: int = 0


def delivery_states(
    connection: Connection, names: Sequence[str], at: datetime
) -> dict[IncidentRecipient, DeliveryState]:
    """Return what each recipient of these incidents was last notified of.

    A message that is being sent counts as sent: it may arrive, and then the end needs a message,
    too. News that was refused is sent again after growing pauses while its incident is open.
    """
    wanted = select(name_list(connection, names).c.value)
    about = and_(news.c.incident.in_(wanted), news.c.incident != "")
    messages = _messages(connection, about)
    contents = select(
        news.c.message,
        news.c.incident,
        news.c.reason,
        news.c.violations,
        news.c.severity,
        news.c.measured,
    )
    by_recipient: dict[IncidentRecipient, list[_SentNews]] = {}
    for row in connection.execute(contents.where(about).order_by(news.c.message)):
        message = messages[row.message]
        key = (row.incident, message.channel, message.recipient)
        reason, severity = Reason(row.reason), Severity(row.severity)
        sent = _SentNews(message, reason, row.violations, severity, row.measured or {})
        by_recipient.setdefault(key, []).append(sent)
    present = _Present(connection, at)
    return {key: _delivery_state(rows, present) for key, rows in by_recipient.items()}


def _messages(connection: Connection, about: ColumnElement[bool]) -> dict[int, Any]:
    """Return the messages with such news, by number: each once, and without its text.

    A message may be about thousands of incidents, and then its text is long.
    """
    query = select(
        outbox.c.seq,
        outbox.c.channel,
        outbox.c.recipient,
        outbox.c.message_id,
        outbox.c.state,
        outbox.c.created_at,
        outbox.c.ended_at,
        outbox.c.uncertain_at,
    ).where(outbox.c.seq.in_(select(news.c.message).where(about)))
    return {row.seq: row for row in connection.execute(query)}


@dataclass(frozen=True, slots=True)
class _SentNews:
    """What a message says of one incident."""

    message: Any
    reason: Reason
    violations: int
    severity: Severity
    measured: Mapping[str, float]


@dataclass
class _Present:
    """The present time, for reading times that a wrong clock stored.

    A time in the future counts as the time since when the clock is correct. Otherwise nobody
    would be reminded before that future time.
    """

    connection: Connection
    at: datetime

    @cached_property
    def right_since(self) -> datetime:
        """Return since when the clock is correct; queried only for times in the future."""
        return clock_correct_since(self.connection, self.at)

    def passed(self, when: datetime) -> datetime:
        """Return a stored time, or since when the clock is correct if it lies in the future."""
        return when if when <= self.at + OVERLAP else self.right_since


def _delivery_state(rows: Sequence[_SentNews], present: _Present) -> DeliveryState:
    last: LastNotification | None = None
    waiting: _SentNews | None = None
    failures: list[datetime] = []
    superseded = 0
    for row in rows:
        message = row.message
        if _may_have_arrived(message):
            last = _last_notification(row, last, present)
        if message.state in WAITING:
            waiting = row
        elif message.state == "superseded":
            superseded += 1
        elif message.state == "dead":
            failures.append(present.passed(message.ended_at))
    lost = superseded + _failures_to_repeat(failures, present.at)
    if waiting is None:
        return DeliveryState(last, lost=lost)
    return DeliveryState(
        last,
        _last_notification(waiting, None, present),
        waiting.message.seq if waiting.message.state == "pending" else None,
        lost,
    )


def _may_have_arrived(message: Any) -> bool:
    return message.state in ("sent", "uncertain", "leased") or message.uncertain_at is not None


def _failures_to_repeat(failures: Sequence[datetime], at: datetime) -> int:
    """Return how many refused messages count as lost: not the last one before its pause ends."""
    if not failures:
        return 0
    pause = min(FIRST_REVIVAL * 2 ** min(len(failures) - 1, 10), LAST_REVIVAL)
    if at - failures[-1] < pause:
        return len(failures) - 1
    return len(failures)


def _last_notification(
    row: _SentNews, before: LastNotification | None, present: _Present
) -> LastNotification:
    message = row.message
    reminders = 0
    if row.reason is Reason.REMINDER:
        reminders = before.reminders + 1 if before else 1
    return LastNotification(
        reason=row.reason,
        violations=row.violations,
        severity=row.severity,
        sequence=before.sequence + 1 if before else 1,
        at=present.passed(message.ended_at or message.uncertain_at or message.created_at),
        reminders=reminders,
        root=before.root if before else message.message_id,
        measured=row.measured,
    )


def severities_since(
    connection: Connection, since: datetime, at: datetime
) -> dict[tuple[str, str], list[int]]:
    """Return the severities of the messages to each (channel, recipient) since then.

    Messages that wait are counted, digests are not.
    """
    counts = and_(
        outbox.c.created_at > since,
        outbox.c.created_at <= at + OVERLAP,
        outbox.c.state.in_((*WAITING, "sent", "uncertain")),
        outbox.c.reason != Reason.DIGEST.value,
    )
    severities: dict[tuple[str, str], list[int]] = {}
    for row in connection.execute(
        select(outbox.c.channel, outbox.c.recipient, outbox.c.severity).where(counts)
    ):
        severities.setdefault((row.channel, row.recipient), []).append(row.severity)
    return severities


def backlog(connection: Connection) -> dict[tuple[str, str], list[int]]:
    """Return the pending messages of recipients whose mail server is down.

    That is several messages, one of which has failed. Only messages about incidents are returned,
    as they can be written anew.
    """
    about_rules = exists().where(news.c.message == outbox.c.seq, news.c.incident == "")
    about = exists().where(news.c.message == outbox.c.seq)
    piled = and_(outbox.c.state == "pending", outbox.c.uncertain_at.is_(None), about, ~about_rules)
    rows = connection.execute(
        select(outbox.c.seq, outbox.c.channel, outbox.c.recipient, outbox.c.attempts).where(piled)
    ).all()
    messages: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        messages.setdefault((row.channel, row.recipient), []).append(row)
    return {
        who: [row.seq for row in rows]
        for who, rows in messages.items()
        if len(rows) > 1 and any(row.attempts for row in rows)
    }


def incidents_in_messages(connection: Connection, messages: Collection[int]) -> list[str]:
    """Return the incidents that these messages are about."""
    return list(
        connection.execute(
            select(news.c.incident)
            .distinct()
            .where(news.c.message.in_(select(number_list(connection, messages).c.value)))
        ).scalars()
    )


def sent_of_rules(
    connection: Connection, rules: Iterable[str], since: datetime
) -> dict[str, list[tuple[datetime, str]]]:
    """Return when messages were sent, and the incident, by rule; once for all recipients."""
    wanted = news.c.rule.in_(select(name_list(connection, rules).c.value))
    rows = connection.execute(_sent_at_once(since).where(wanted).order_by(outbox.c.created_at))
    by_rule: dict[str, list[tuple[datetime, str]]] = {}
    for row in rows:
        by_rule.setdefault(row.rule, []).append((row.created_at, row.incident))
    return by_rule


def sent_since(connection: Connection, since: datetime) -> list[tuple[str, str]]:
    """Return the rule and incident of each message that was sent since then."""
    return [(row.rule, row.incident) for row in connection.execute(_sent_at_once(since))]


def _sent_at_once(since: datetime) -> Select[tuple[datetime, str, str]]:
    at_once = [
        reason.value
        for reason in (Reason.OPENED, Reason.ESCALATED, Reason.UPDATED, Reason.REMINDER)
    ]
    arrived = or_(outbox.c.state.in_(("sent", "uncertain")), outbox.c.uncertain_at.is_not(None))
    joined = select(outbox.c.created_at, news.c.incident, news.c.rule).join(
        news, news.c.message == outbox.c.seq
    )
    return joined.distinct().where(
        news.c.reason.in_(at_once), outbox.c.created_at >= since, arrived
    )


def of_rule(connection: Connection, rule: str, since: datetime) -> list[RowMapping]:
    """Return the messages about a rule, oldest first, with the reason in each (`news_reason`)."""
    query = (
        select(
            outbox.c.seq,
            outbox.c.channel,
            outbox.c.recipient,
            outbox.c.message_id,
            outbox.c.subject,
            outbox.c.state,
            outbox.c.created_at,
            outbox.c.ended_at,
            outbox.c.error,
            news.c.incident,
            news.c.reason.label("news_reason"),
            news.c.violations,
        )
        .join(news, news.c.message == outbox.c.seq)
        .where(news.c.rule == rule, outbox.c.created_at >= since)
    )
    return list(connection.execute(query.order_by(outbox.c.seq)).mappings())


def count_undelivered_recipients(connection: Connection) -> int:
    """Return how many recipients of open incidents have a last message that failed for good."""
    later, newer = outbox.alias("later"), news.alias("newer")
    same = [later.c[name] == outbox.c[name] for name in ("channel", "recipient")]
    newest = ~exists().where(
        and_(
            *same,
            later.c.seq > outbox.c.seq,
            newer.c.message == later.c.seq,
            newer.c.incident == news.c.incident,
        )
    )
    goes_on = exists().where(incidents.c.id == news.c.incident, incidents.c.resolved_at.is_(None))
    lost = select(func.count()).select_from(outbox).join(news, news.c.message == outbox.c.seq)
    return int(
        connection.execute(lost.where(outbox.c.state == "dead", newest, goes_on)).scalar_one()
    )
