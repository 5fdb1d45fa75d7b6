"""Numbers of the outbox: what waits, was given up or is uncertain. Reads only."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, or_, select

from sanityd.store.outbox import WAITING
from sanityd.store.tables import outbox


@dataclass(frozen=True, slots=True)
class Summary:
    """Numbers of the outbox, for `status` and exit codes; `errors` are the newest messages."""

    waiting: int
    dead: int
    uncertain: int
    oldest: datetime | None
    errors: tuple[str, ...]


def count_undelivered(connection: Connection, at: datetime) -> int:
    """Return how many messages the pass that began at `at` leaves undelivered.

    Those are the pending messages that failed or were added before. What another pass is sending,
    or has added since, is not counted.
    """
    own = or_(outbox.c.attempts > 0, outbox.c.created_at <= at)
    remaining = select(func.count()).select_from(outbox).where(outbox.c.state == "pending", own)
    return int(connection.execute(remaining).scalar_one())


def summary(connection: Connection) -> Summary:
    """Return how many messages wait, failed for good or are uncertain, and the newest errors."""
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
