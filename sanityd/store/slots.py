"""Slots: the scheduled times of batches of rules. A runner claims a slot before it runs the batch.

A claim is a lease that its runner renews; when the runner dies, another one claims the slot again.
The fence counts the claims of a batch. The results of a run are stored in the transaction that ends
its claim, and not at all when another runner has claimed the slot meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, update

from sanityd.store.tables import insert_into, slots

#: How long a runner counts as alive without renewing its claims, at most and at least.
LEASE, SHORTEST_LEASE = timedelta(seconds=60), timedelta(seconds=11)
#: How often a runner renews its claims, and looks for those of runners that died.
RENEW_EVERY = timedelta(seconds=4)
#: How much the clocks of two machines may differ. A later time was written by a wrong clock.
SKEW = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class SlotClaim:
    """The right to run the rules of a batch at one slot, and to store the results."""

    batch: str
    slot: datetime
    runner: str
    fence: int
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """The newest claimed slot of a batch, and how many were missed while one was running."""

    at: datetime
    running: bool
    late: int


def lease_of(interval: timedelta) -> timedelta:
    """Return how long a claim holds without being renewed, by the interval of the batch.

    With the time until somebody looks for it, that is two intervals, or 15 seconds, until another
    runner takes over.
    """
    return min(max(2 * interval - RENEW_EVERY, SHORTEST_LEASE), LEASE)


def claim(  # noqa: PLR0913 (each is a column)
    connection: Connection,
    file: str,
    batch: str,
    slot: datetime,
    rules: Sequence[str],
    *,
    runner: str,
    at: datetime,
    lease: timedelta = LEASE,
) -> SlotClaim | None:
    """Claim a slot of a batch; None when it, or a later one, was claimed before.

    A slot that comes while an earlier one is still running counts as late.
    Parameters: `lease` is how long the claim holds without being renewed.
    """
    values = {
        "slot": slot,
        "rules": list(rules),
        "runner": runner,
        "running": True,
        "leased_until": at + lease,
        "ended_at": None,
    }
    new = insert_into(connection, slots).values(batch=batch, file=file, fence=1, late=0, **values)
    is_new = or_(slots.c.slot < slot, slots.c.slot > at + SKEW)
    is_free = or_(_is_abandoned(at), and_(~slots.c.running, is_new))
    upsert = new.on_conflict_do_update(
        index_elements=[slots.c.batch],
        set_={**values, "fence": slots.c.fence + 1},
        where=is_free,
    )
    claimed = connection.execute(upsert.returning(slots.c.fence)).first()
    if claimed is not None:
        return SlotClaim(batch, slot, runner, claimed.fence, tuple(rules))
    earlier = select(slots.c.batch).where(slots.c.batch == batch, slots.c.slot < slot)
    if connection.execute(earlier).first() is not None:
        add_late(connection, batch, 1)
    return None


def add_late(connection: Connection, batch: str, times: int) -> None:
    """Add to the number of slots that came while an earlier one was running."""
    connection.execute(
        update(slots)
        .where(slots.c.batch == batch, slots.c.running)
        .values(late=slots.c.late + times)
    )


def remove(connection: Connection, batch: str) -> None:
    """Delete a batch that no longer exists."""
    connection.execute(delete(slots).where(slots.c.batch == batch))


def abandoned(
    connection: Connection, file: str, at: datetime
) -> list[tuple[str, datetime, tuple[str, ...]]]:
    """Return the batches whose runner died while running them: batch, slot and rules."""
    rows = connection.execute(
        select(slots).where(slots.c.file == file, _is_abandoned(at))
    ).mappings()
    return [(row["batch"], row["slot"], tuple(row["rules"])) for row in rows]


def finish(connection: Connection, claimed: SlotClaim, at: datetime) -> bool:
    """End a claim; False when another runner has it now, so that no result may be stored."""
    ended = connection.execute(update(slots).where(_is(claimed)).values(running=False, ended_at=at))
    return ended.rowcount == 1


def give_up(connection: Connection, claimed: SlotClaim, at: datetime) -> None:
    """Release a claim whose results could not be stored: any runner may take it at once."""
    connection.execute(update(slots).where(_is(claimed)).values(leased_until=at - LEASE))


def renew(
    connection: Connection,
    runner: str,
    batches: Sequence[str],
    at: datetime,
    lease: timedelta = LEASE,
) -> None:
    """Renew the claims of a runner that is running these batches."""
    own = and_(slots.c.runner == runner, slots.c.batch.in_(batches), slots.c.running)
    connection.execute(update(slots).where(own).values(leased_until=at + lease))


def release(connection: Connection, runner: str, at: datetime) -> None:
    """Release the claims of a runner that stops."""
    own = and_(slots.c.runner == runner, slots.c.running)
    connection.execute(update(slots).where(own).values(leased_until=at - LEASE))


def release_others(connection: Connection, runner: str, file: str, at: datetime) -> None:
    """Release the claims of all other runners of a file, by a runner that knows that they died."""
    others = and_(slots.c.runner != runner, slots.c.file == file, slots.c.running)
    connection.execute(update(slots).where(others).values(leased_until=at - LEASE))


def newest(connection: Connection, file: str) -> dict[str, Slot]:
    """Return the newest slot of each batch of a rules file."""
    rows = connection.execute(select(slots).where(slots.c.file == file))
    return {row.batch: Slot(row.slot, row.running, row.late) for row in rows}


def _is(claimed: SlotClaim) -> ColumnElement[bool]:
    return and_(
        slots.c.batch == claimed.batch,
        slots.c.runner == claimed.runner,
        slots.c.fence == claimed.fence,
        slots.c.running,
    )


def _is_abandoned(at: datetime) -> ColumnElement[bool]:
    """Return the condition for a claim that expired, or that expires too late (a wrong clock)."""
    return and_(
        slots.c.running, or_(slots.c.leased_until < at, slots.c.leased_until > at + LEASE + SKEW)
    )
