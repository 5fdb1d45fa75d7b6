"""The outbox: one row per message and recipient, from the wish to send it to what became of it.

    pending → leased → sent | uncertain | dead          pending → cancelled | superseded

A row is written in the transaction that changes the incident. It is claimed by a conditional UPDATE that is committed
before anybody talks to a server; the fence tells a worker that lost its lease that the row is no longer its own.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
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
    update,
)

from sanityd.errors import DeliveryError
from sanityd.model import Alert, Claimed, Message, News, Reason
from sanityd.store.open import Store
from sanityd.store.runs import OVERLAP
from sanityd.store.tables import incidents, insert_into, news, outbox

#: How long to wait after the first, second, … failed attempt; after the last, always as long.
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (30, 120, 600, 1800, 3600, 7200))
#: How long a worker may take for one message before others may try it.
LEASE = timedelta(seconds=90)
#: How long after its end it is tried to tell it.
LAST_WORD = timedelta(days=14)
#: Chatter: when the answer to such a message was lost it is not tried again. Losing any other would hide something.
_CHATTER = (Reason.UPDATED.value, Reason.REMINDER.value, Reason.RESOLVED.value, Reason.DIGEST.value)
WAITING = ("pending", "leased")


@dataclass(frozen=True, slots=True)
class Summary:
    """The state of the outbox, for `status` and exit codes. `errors` are the last ones, in words."""

    waiting: int
    dead: int
    uncertain: int
    oldest: datetime | None
    errors: tuple[str, ...]


def enqueue(
    connection: Connection,
    message: Message,
    alert: Alert,
    *,
    at: datetime,
    not_before: datetime,
    expires_at: datetime,
) -> bool:
    """Ask for a message to be sent; False when the same news for the same recipient was asked for before.

    Parameters: `alert` is what the message tells, which is what its recipient will know.
    """
    asked = connection.execute(
        insert_into(connection, outbox)
        .on_conflict_do_nothing(index_elements=[outbox.c.dedup_key])
        .values(
            dedup_key=message.key,
            reason=alert.reason.value,
            severity=max(
                (int(one.incident.severity) for one in alert.news if one.incident), default=0
            ),
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
    if asked is None:
        return False
    if alert.news:
        connection.execute(
            insert(news), [_said(asked.seq, place, one) for place, one in enumerate(alert.news)]
        )
    return True


def _said(message: int, place: int, one: News) -> dict[str, Any]:
    incident = one.incident
    return {
        "message": message,
        "position": place,
        "incident": incident.id if incident else "",
        "rule": one.rule.id,
        "reason": one.reason.value,
        "severity": int(incident.severity) if incident else 0,
        "violations": incident.violations if incident else 0,
    }


def cancel_pending(connection: Connection, incident: str, at: datetime) -> int:
    """Take back what was not begun to be sent and tells only of incidents that are over. Returns how many that were."""
    tells = exists().where(news.c.message == outbox.c.seq, news.c.incident == incident)
    goes_on = exists().where(incidents.c.id == news.c.incident, incidents.c.resolved_at.is_(None))
    other = exists().where(
        news.c.message == outbox.c.seq,
        news.c.incident != incident,
        or_(news.c.incident == "", goes_on),
    )
    waiting = and_(
        outbox.c.state == "pending", outbox.c.reason != Reason.RESOLVED.value, tells, ~other
    )
    return connection.execute(
        update(outbox).where(waiting).values(state="cancelled", ended_at=at)
    ).rowcount


def supersede(connection: Connection, messages: Collection[int], at: datetime) -> None:
    """Newer news takes the place of messages that nobody has begun to send."""
    waiting = and_(outbox.c.state == "pending", outbox.c.seq.in_(messages))
    connection.execute(update(outbox).where(waiting).values(state="superseded", ended_at=at))


def undelivered(connection: Connection, at: datetime) -> int:
    """How many messages a pass that began then leaves behind: those that were tried in vain, or not in its time. What
    somebody else is sending just now, or has only asked for since, is that pass's."""
    ours = or_(outbox.c.attempts > 0, outbox.c.created_at <= at)
    left = select(func.count()).select_from(outbox).where(outbox.c.state == "pending", ours)
    return int(connection.execute(left).scalar_one())


def summary(connection: Connection) -> Summary:
    """What waits, what was given up, and why."""
    by_state = select(outbox.c.state, func.count().label("messages")).group_by(outbox.c.state)
    counts = {row.state: row.messages for row in connection.execute(by_state)}
    waiting = outbox.c.state.in_(WAITING)
    oldest = select(func.min(outbox.c.created_at, type_=outbox.c.created_at.type)).where(waiting)
    failed = select(outbox.c.error).where(
        outbox.c.error.is_not(None), or_(waiting, outbox.c.state == "dead")
    )
    errors = connection.execute(
        failed.group_by(outbox.c.error).order_by(func.max(outbox.c.seq).desc()).limit(5)
    )
    return Summary(
        waiting=sum(counts.get(state, 0) for state in WAITING),
        dead=counts.get("dead", 0),
        uncertain=counts.get("uncertain", 0),
        oldest=connection.execute(oldest).scalar(),
        errors=tuple(errors.scalars()),
    )


class Outbox:
    """The outbox as the dispatcher uses it: every call is a transaction of its own."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def claim(self, at: datetime) -> Claimed | None:
        """Lease the message that is due next. Within an incident, one recipient's messages go out in order."""
        with self.store.write() as connection:
            _give_up(connection, at)
            due = _due(at)
            found = (
                select(outbox)
                .where(due)
                .order_by(outbox.c.seq)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            row = connection.execute(found).mappings().first()
            if row is None:
                return None
            ours = and_(outbox.c.seq == row["seq"], outbox.c.fence == row["fence"])
            lease = {"state": "leased", "fence": row["fence"] + 1, "leased_until": at + LEASE}
            claimed = connection.execute(
                update(outbox).where(ours).values(attempts=row["attempts"] + 1, **lease)
            )
            return _claimed(row) if claimed.rowcount == 1 else None

    def sent(self, claimed: Claimed, at: datetime) -> None:
        """It was delivered."""
        self._end(claimed, {"state": "sent", "ended_at": at, "error": None})

    def retry(self, claimed: Claimed, error: DeliveryError, at: datetime) -> None:
        """It was not delivered; it is due again after a pause that grows."""
        pause = PAUSES[min(claimed.attempts, len(PAUSES)) - 1]
        self._end(claimed, {"state": "pending", "not_before": at + pause, **_why(error)})

    def uncertain(self, claimed: Claimed, error: DeliveryError, at: datetime) -> None:
        """It may have been delivered. What must arrive is tried once more, under the same Message-ID."""
        first_time = and_(outbox.c.uncertain_at.is_(None), outbox.c.reason.not_in(_CHATTER))
        doubt = {"uncertain_at": at, **_why(error)}
        again = {"state": "pending", "not_before": at + PAUSES[0], **doubt}
        if not self._end(claimed, again, first_time):
            self._end(claimed, {"state": "uncertain", "ended_at": at, **doubt})

    def dead(self, claimed: Claimed, error: DeliveryError, at: datetime) -> None:
        """It was refused for good."""
        self._end(claimed, {"state": "dead", "ended_at": at, **_why(error)})

    def _end(
        self,
        claimed: Claimed,
        values: Mapping[str, Any],
        only_if: ColumnElement[bool] | None = None,
    ) -> bool:
        """Write what came of it; False when the lease was lost and somebody else has the message now."""
        ours = and_(
            outbox.c.seq == int(claimed.id),
            outbox.c.fence == claimed.fence,
            outbox.c.state == "leased",
        )
        ours = ours if only_if is None else and_(ours, only_if)
        with self.store.write() as connection:
            if values["state"] == "dead":
                _say_again(connection, ours, values["ended_at"])
            ended = connection.execute(
                update(outbox).where(ours).values(leased_until=None, **values)
            )
            return ended.rowcount == 1


def _say_again(connection: Connection, died: ColumnElement[bool], at: datetime) -> None:
    """Whose end was told by a message that came to nothing is to be decided about once more: who heard of the beginning
    would believe for ever that it goes on."""
    told = exists().where(
        news.c.message == outbox.c.seq,
        news.c.incident == incidents.c.id,
        news.c.reason == Reason.RESOLVED.value,
        died,
    )
    late = incidents.c.resolved_at > at - LAST_WORD
    connection.execute(update(incidents).where(late, told).values(settled=False))


def _why(error: DeliveryError) -> dict[str, Any]:
    return {"stage": error.stage, "code": error.code, "error": error.message}


def _earlier() -> tuple[Any, ColumnElement[bool]]:
    """The messages to the same recipient about one of the same incidents that were asked for before."""
    before, told_before = outbox.alias("before"), news.alias("told_before")
    return before, and_(
        before.c.channel == outbox.c.channel,
        before.c.recipient == outbox.c.recipient,
        before.c.seq < outbox.c.seq,
        told_before.c.message == before.c.seq,
        told_before.c.incident != "",
        news.c.message == outbox.c.seq,
        news.c.incident == told_before.c.incident,
    )


def _due(at: datetime) -> ColumnElement[bool]:
    before, earlier = _earlier()
    blocked = exists().where(earlier, before.c.state.in_(WAITING))
    # What is to be tried later than after the longest pause was put off when the clock was wrong.
    put_off = and_(
        or_(outbox.c.created_at > at + OVERLAP, outbox.c.attempts > 0),
        outbox.c.not_before > at + PAUSES[-1] + OVERLAP,
    )
    waiting = and_(outbox.c.state == "pending", or_(outbox.c.not_before <= at, put_off))
    # Whose lease has run out died with it, and so does one that was taken then; at which step can't be known, so the
    # message goes out (again).
    over = or_(outbox.c.leased_until < at, outbox.c.leased_until > at + LEASE + OVERLAP)
    abandoned = and_(outbox.c.state == "leased", over)
    return and_(or_(waiting, abandoned), ~blocked)


def _give_up(connection: Connection, at: datetime) -> None:
    """End what has waited too long, and news that something is over of which nobody was told that it began."""
    idle = or_(
        outbox.c.state == "pending", and_(outbox.c.state == "leased", outbox.c.leased_until < at)
    )
    expired = and_(idle, outbox.c.expires_at <= at)
    _say_again(connection, expired, at)
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
    unheard = and_(
        outbox.c.state == "pending",
        outbox.c.reason == Reason.RESOLVED.value,
        ~exists().where(earlier, reached),
    )
    connection.execute(update(outbox).where(unheard).values(state="cancelled", ended_at=at))


def asked(connection: Connection, at: datetime) -> list[Claimed]:
    """What was asked for at that very moment, as whoever claims it will get it."""
    found = (
        select(outbox)
        .where(outbox.c.created_at == at, outbox.c.state == "pending")
        .order_by(outbox.c.seq)
    )
    return [_claimed(row) for row in connection.execute(found).mappings()]


def _claimed(row: RowMapping) -> Claimed:
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
    return Claimed(
        str(row["seq"]), row["fence"] + 1, message, Reason(row["reason"]), row["attempts"] + 1
    )
