"""The outbox: one row per message and recipient, with its delivery state.

    pending → leased → sent | uncertain | dead          pending → cancelled | superseded

A row is written in the transaction that changes the incident. A worker claims it with a conditional
UPDATE, which is committed before it connects to a server. The fence is a counter of claims: a
worker that lost its lease has an old number, and can't change the row any more.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from sanityd.errors import DeliveryError
from sanityd.model import Alert, ClaimedMessage, Message, News, Reason
from sanityd.store.name_list import number_list
from sanityd.store.open import Store
from sanityd.store.runs import OVERLAP
from sanityd.store.tables import incidents, insert_into, news, outbox

#: How long to wait after the first, second, … failed attempt; after the last, always as long.
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (30, 120, 600, 1800, 3600, 7200))
#: How long to wait, always, for a server that does not answer; so that its return is noticed soon.
RECONNECT = timedelta(seconds=20)
#: The stage of an error of such a server; no message was offered to it.
_CONNECT = "connect"
#: How long a worker may take for one message before other workers may claim it.
LEASE = timedelta(seconds=90)
#: How long after its end recipients are notified that an incident is resolved.
RESOLVED_RETRY = timedelta(days=14)
#: Reasons of less important messages: they are not sent again when the answer of the server was
#: lost. Losing any other message would hide something.
_NOT_REPEATED = (
    Reason.UPDATED.value,
    Reason.REMINDER.value,
    Reason.RESOLVED.value,
    Reason.DIGEST.value,
)
WAITING = ("pending", "leased")


def enqueue(
    connection: Connection,
    message: Message,
    alert: Alert,
    *,
    at: datetime,
    not_before: datetime,
    expires_at: datetime,
) -> bool:
    """Add a message; return False when one with the same key was added before.

    Parameters: `alert` is the content of the message, from which it is known later what the
    recipient was notified of.
    """
    severities = [int(item.incident.severity) for item in alert.news if item.incident]
    row = connection.execute(
        insert_into(connection, outbox)
        .on_conflict_do_nothing(index_elements=[outbox.c.dedup_key])
        .values(
            dedup_key=message.key,
            reason=alert.reason.value,
            severity=max(severities, default=0),
            channel=message.channel,
            recipient=message.recipient,
            message_id=message.message_id,
            subject=message.subject,
            text=message.text,
            html=message.html,
            headers=dict(message.headers),
            data=dict(message.data),
            state="pending",
            created_at=at,
            not_before=not_before,
            expires_at=expires_at,
            attempts=0,
            fence=0,
        )
        .returning(outbox.c.seq)
    ).first()
    if row is None:
        return False
    if alert.news:
        rows = [_news_row(row.seq, position, item) for position, item in enumerate(alert.news)]
        connection.execute(insert(news), rows)
    return True


def _news_row(message: int, position: int, item: News) -> dict[str, Any]:
    row = {
        "message": message,
        "position": position,
        "incident": "",
        "rule": item.rule.id,
        "reason": item.reason.value,
        "severity": 0,
        "violations": 0,
        "measured": dict(item.measured) or None,
    }
    if item.incident is not None:
        row["incident"] = item.incident.id
        row["severity"] = int(item.incident.severity)
        row["violations"] = item.incident.violations
    return row


def cancel_pending(connection: Connection, incident: str, at: datetime) -> int:
    """Cancel the pending messages about an incident, where their other incidents are resolved, too.

    Returns how many were cancelled.
    """
    about_it = outbox.c.seq.in_(select(news.c.message).where(news.c.incident == incident))
    return _cancel(connection, about_it, news.c.incident != incident, at)


def cancel_resolved(connection: Connection, at: datetime) -> int:
    """Cancel the pending messages whose incidents are resolved, and were not settled yet.

    Returns how many were cancelled. One statement, as thousands may be resolved at once and share
    a message.
    """
    resolved = (
        select(news.c.message)
        .join(incidents, incidents.c.id == news.c.incident)
        .where(incidents.c.settled.is_(False), incidents.c.resolved_at.is_not(None))
    )
    return _cancel(connection, outbox.c.seq.in_(resolved), true(), at)


def _cancel(
    connection: Connection, about: ColumnElement[bool], others: ColumnElement[bool], at: datetime
) -> int:
    """Cancel pending messages, except where something in them is still worth to be known.

    Parameters: `others` are the news that may keep a message.
    """
    is_open = exists().where(incidents.c.id == news.c.incident, incidents.c.resolved_at.is_(None))
    is_end = news.c.reason == Reason.RESOLVED.value
    needed = exists().where(
        news.c.message == outbox.c.seq, others, or_(news.c.incident == "", is_open, is_end)
    )
    waiting = and_(
        outbox.c.state == "pending", outbox.c.reason != Reason.RESOLVED.value, about, ~needed
    )
    return connection.execute(
        update(outbox).where(waiting).values(state="cancelled", ended_at=at)
    ).rowcount


def mark_superseded(connection: Connection, messages: Collection[int], at: datetime) -> None:
    """Mark pending messages as replaced by a newer one."""
    if not messages:
        return
    replaced = outbox.c.seq.in_(select(number_list(connection, messages).c.value))
    waiting = and_(outbox.c.state == "pending", replaced)
    connection.execute(update(outbox).where(waiting).values(state="superseded", ended_at=at))


def make_due(connection: Connection, at: datetime) -> None:
    """Let all pending messages be due at that time."""
    put_off = and_(outbox.c.state == "pending", outbox.c.not_before > at)
    connection.execute(update(outbox).where(put_off).values(not_before=at))


class Outbox:
    """The outbox for the dispatcher: every call is a transaction.

    Parameters: only messages that were due at `due_at` are claimed; None for those due now.
    """

    def __init__(self, store: Store, due_at: datetime | None = None) -> None:
        self.store = store
        self._due_at = due_at

    def claim(self, at: datetime) -> ClaimedMessage | None:
        """Claim the next message that is due; None when there is none.

        Messages about one incident to one recipient are sent in their order.
        """
        with self.store.write() as connection:
            _give_up(connection, at)
            next_message = (
                select(outbox)
                .where(_due(at, self._due_at or at))
                .order_by(outbox.c.seq)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            row = connection.execute(next_message).mappings().first()
            if row is None:
                return None
            unchanged = and_(outbox.c.seq == row["seq"], outbox.c.fence == row["fence"])
            lease = {"state": "leased", "fence": row["fence"] + 1, "leased_until": at + LEASE}
            claimed = connection.execute(
                update(outbox).where(unchanged).values(attempts=row["attempts"] + 1, **lease)
            )
            return _claimed(row) if claimed.rowcount == 1 else None

    def sent(self, claimed: ClaimedMessage, at: datetime) -> None:
        """Record that the message was delivered."""
        self._end(claimed, {"state": "sent", "ended_at": at, "error": None})

    def retry(self, claimed: ClaimedMessage, error: DeliveryError, at: datetime) -> None:
        """Record a failed attempt; the next one follows after a pause that grows.

        The pause does not grow while the server does not answer. Then the other messages of the
        channel wait, too: each would take as long to fail.
        """
        if error.stage == _CONNECT:
            self._wait_for_server(claimed, error, at + RECONNECT)
            return
        pause = PAUSES[min(claimed.attempts, len(PAUSES)) - 1]
        self._end(claimed, {"state": "pending", "not_before": at + pause, **_why(error)})

    def _wait_for_server(
        self, claimed: ClaimedMessage, error: DeliveryError, until: datetime
    ) -> None:
        # An attempt without an answer is not counted, but a message that was tried has at least 1.
        attempts = max(1, claimed.attempts - 1)
        values = {"state": "pending", "not_before": until, "attempts": attempts, **_why(error)}
        if not self._end(claimed, values):
            return
        of_channel = and_(outbox.c.state == "pending", outbox.c.channel == claimed.message.channel)
        # Those that failed in the same way were perhaps put off for longer by an earlier version.
        waiting = and_(of_channel, or_(outbox.c.not_before < until, outbox.c.stage == _CONNECT))
        with self.store.write() as connection:
            connection.execute(update(outbox).where(waiting).values(not_before=until))

    def uncertain(self, claimed: ClaimedMessage, error: DeliveryError, at: datetime) -> None:
        """Record that the message may have been delivered.

        An important message is sent once more, under the same Message-ID.
        """
        first_time = and_(outbox.c.uncertain_at.is_(None), outbox.c.reason.not_in(_NOT_REPEATED))
        doubt = {"uncertain_at": at, **_why(error)}
        again = {"state": "pending", "not_before": at + PAUSES[0], **doubt}
        if not self._end(claimed, again, first_time):
            self._end(claimed, {"state": "uncertain", "ended_at": at, **doubt})

    def dead(self, claimed: ClaimedMessage, error: DeliveryError, at: datetime) -> None:
        """Record that the message was refused for good."""
        self._end(claimed, {"state": "dead", "ended_at": at, **_why(error)})

    def _end(
        self,
        claimed: ClaimedMessage,
        values: Mapping[str, Any],
        only_if: ColumnElement[bool] | None = None,
    ) -> bool:
        """Write the result; return False when the lease was lost to another worker."""
        own = and_(
            outbox.c.seq == int(claimed.id),
            outbox.c.fence == claimed.fence,
            outbox.c.state == "leased",
        )
        if only_if is not None:
            own = and_(own, only_if)
        with self.store.write() as connection:
            if values["state"] == "dead":
                _notify_again(connection, own, values["ended_at"])
            ended = connection.execute(
                update(outbox).where(own).values(leased_until=None, **values)
            )
            return ended.rowcount == 1


def _notify_again(connection: Connection, died: ColumnElement[bool], at: datetime) -> None:
    """Mark incidents as unsettled whose message of resolution is given up.

    Otherwise a recipient who was notified of the beginning would never learn of the end.
    """
    resolution_lost = exists().where(
        news.c.message == outbox.c.seq,
        news.c.incident == incidents.c.id,
        news.c.reason == Reason.RESOLVED.value,
        died,
    )
    recent = incidents.c.resolved_at > at - RESOLVED_RETRY
    connection.execute(update(incidents).where(recent, resolution_lost).values(settled=False))


def _why(error: DeliveryError) -> dict[str, Any]:
    return {"stage": error.stage, "code": error.code, "error": error.message}


def _earlier() -> tuple[Any, ColumnElement[bool]]:
    """Return an alias and a condition for earlier messages to the same recipient and incident."""
    before, news_before = outbox.alias("before"), news.alias("news_before")
    return before, and_(
        before.c.channel == outbox.c.channel,
        before.c.recipient == outbox.c.recipient,
        before.c.seq < outbox.c.seq,
        news_before.c.message == before.c.seq,
        news_before.c.incident != "",
        news.c.message == outbox.c.seq,
        news.c.incident == news_before.c.incident,
    )


def _due(at: datetime, due_at: datetime) -> ColumnElement[bool]:
    """Return the condition for messages that may be claimed now and were due at `due_at`."""
    before, earlier = _earlier()
    blocked = exists().where(earlier, before.c.state.in_(WAITING))
    # A message that is due after more than the longest pause was put off by a wrong clock.
    put_off = and_(
        or_(outbox.c.created_at > at + OVERLAP, outbox.c.attempts > 0),
        outbox.c.not_before > at + PAUSES[-1] + OVERLAP,
    )
    waiting = and_(outbox.c.state == "pending", or_(outbox.c.not_before <= due_at, put_off))
    # The worker of an expired lease has died, and so has one whose lease expires too late, as the
    # clock was wrong. Whether it sent the message can't be known, so the message is sent again.
    expired = or_(outbox.c.leased_until < at, outbox.c.leased_until > at + LEASE + OVERLAP)
    abandoned = and_(outbox.c.state == "leased", expired)
    return and_(or_(waiting, abandoned), ~blocked)


def _give_up(connection: Connection, at: datetime) -> None:
    """Give up messages that have expired, and cancel resolutions of which no beginning was sent."""
    idle = or_(
        outbox.c.state == "pending", and_(outbox.c.state == "leased", outbox.c.leased_until < at)
    )
    expired = and_(idle, outbox.c.expires_at <= at)
    _notify_again(connection, expired, at)
    too_late = {"state": "dead", "ended_at": at, "stage": "expired", "leased_until": None}
    connection.execute(
        update(outbox)
        .where(expired)
        .values(**too_late, error=func.coalesce(outbox.c.error, "expired"))
    )
    before, earlier = _earlier()
    reached = or_(
        before.c.state.in_((*WAITING, "sent", "uncertain")), before.c.uncertain_at.is_not(None)
    )
    needless = and_(
        outbox.c.state == "pending",
        outbox.c.reason == Reason.RESOLVED.value,
        ~exists().where(earlier, reached),
    )
    connection.execute(update(outbox).where(needless).values(state="cancelled", ended_at=at))


def pending_at(connection: Connection, at: datetime) -> list[ClaimedMessage]:
    """Return the pending messages that were added at exactly that time, as a claim returns them."""
    messages = (
        select(outbox)
        .where(outbox.c.created_at == at, outbox.c.state == "pending")
        .order_by(outbox.c.seq)
    )
    return [_claimed(row) for row in connection.execute(messages).mappings()]


def _claimed(row: RowMapping) -> ClaimedMessage:
    message = Message(
        message_id=row["message_id"],
        channel=row["channel"],
        recipient=row["recipient"],
        subject=row["subject"],
        text=row["text"],
        html=row["html"],
        headers=row["headers"],
        data=row["data"],
        key=row["dedup_key"],
    )
    return ClaimedMessage(
        str(row["seq"]), row["fence"] + 1, message, Reason(row["reason"]), row["attempts"] + 1
    )
