"""Whose turn it is: every slot of a batch is claimed once, or again when its runner died.

A claim is a lease that its runner renews. The fence counts the claims of a batch: what a runner saw is written in one
transaction with the end of its claim, and not at all when somebody else has claimed the slot meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, update

from sanityd.store.tables import insert_into, slots

#: How long a runner that says nothing counts as alive.
LEASE = timedelta(seconds=60)
#: By how much the clocks of two machines may differ. What is further ahead was written when a clock was wrong.
SKEW = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class SlotClaim:
    """The right to look at the rules of a batch at one slot, and to record what was seen."""

    batch: str
    slot: datetime
    runner: str
    fence: int
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """What is known of a batch: which slot was claimed last, and how many have passed while it was looked at."""

    at: datetime
    running: bool
    late: int


def claim(
    connection: Connection,
    file: str,
    batch: str,
    slot: datetime,
    rules: Sequence[str],
    *,
    runner: str,
    at: datetime,
) -> SlotClaim | None:
    """Claim a slot of a batch of the rules file; None when it, or a later one, is somebody's already.

    A slot that passes while an earlier one is still looked at counts as late.
    """
    values = {
        "slot": slot,
        "rules": list(rules),
        "runner": runner,
        "running": True,
        "leased_until": at + LEASE,
        "ended_at": None,
    }
    new = insert_into(connection, slots).values(batch=batch, file=file, fence=1, late=0, **values)
    is_new = or_(slots.c.slot < slot, slots.c.slot > at + SKEW)
    can_be_had = or_(_is_abandoned(at), and_(~slots.c.running, is_new))
    upsert = new.on_conflict_do_update(
        index_elements=[slots.c.batch],
        set_={**values, "fence": slots.c.fence + 1},
        where=can_be_had,
    )
    got = connection.execute(upsert.returning(slots.c.fence)).first()
    if got is not None:
        return SlotClaim(batch, slot, runner, got.fence, tuple(rules))
    if connection.execute(
        select(slots.c.batch).where(slots.c.batch == batch, slots.c.slot < slot)
    ).first():
        count_late(connection, batch, 1)
    return None


def count_late(connection: Connection, batch: str, times: int) -> None:
    """Keep that slots of a batch have passed while an earlier one was looked at."""
    connection.execute(
        update(slots)
        .where(slots.c.batch == batch, slots.c.running)
        .values(late=slots.c.late + times)
    )


def forget(connection: Connection, batch: str) -> None:
    """A batch is none any more."""
    connection.execute(delete(slots).where(slots.c.batch == batch))


def abandoned(
    connection: Connection, file: str, at: datetime
) -> list[tuple[str, datetime, tuple[str, ...]]]:
    """Batches whose runner died while it looked: each with its slot and rules."""
    found = connection.execute(
        select(slots).where(slots.c.file == file, _is_abandoned(at))
    ).mappings()
    return [(row["batch"], row["slot"], tuple(row["rules"])) for row in found]


def finish(connection: Connection, ours: SlotClaim, at: datetime) -> bool:
    """End a claim; False when it isn't ours any more, and nothing that we saw may be recorded."""
    ended = connection.execute(update(slots).where(_is(ours)).values(running=False, ended_at=at))
    return ended.rowcount == 1


def renew(connection: Connection, runner: str, batches: Sequence[str], at: datetime) -> None:
    """Say that a runner is alive, and looks at these batches: they stay its own."""
    mine = and_(slots.c.runner == runner, slots.c.batch.in_(batches), slots.c.running)
    connection.execute(update(slots).where(mine).values(leased_until=at + LEASE))


def give_up(connection: Connection, runner: str, at: datetime) -> None:
    """Let others have at once what a runner that stops has claimed."""
    mine = and_(slots.c.runner == runner, slots.c.running)
    connection.execute(update(slots).where(mine).values(leased_until=at - LEASE))


def give_up_all_but(connection: Connection, runner: str, file: str, at: datetime) -> None:
    """For a runner that knows that it is the only one alive: what others had claimed was left by the dead."""
    theirs = and_(slots.c.runner != runner, slots.c.file == file, slots.c.running)
    connection.execute(update(slots).where(theirs).values(leased_until=at - LEASE))


def newest(connection: Connection, file: str) -> dict[str, Slot]:
    """The newest slot of each batch of a rules file."""
    found = connection.execute(select(slots).where(slots.c.file == file))
    return {row.batch: Slot(row.slot, row.running, row.late) for row in found}


def _is(ours: SlotClaim) -> ColumnElement[bool]:
    return and_(
        slots.c.batch == ours.batch,
        slots.c.runner == ours.runner,
        slots.c.fence == ours.fence,
        slots.c.running,
    )


def _is_abandoned(at: datetime) -> ColumnElement[bool]:
    """A lease that lies far ahead was given when the clock was wrong."""
    return and_(
        slots.c.running, or_(slots.c.leased_until < at, slots.c.leased_until > at + LEASE + SKEW)
    )
