"""Leases: a named piece of work that only one of several processes does at a time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, case, or_, select, update

from sanityd.store.slots import SKEW
from sanityd.store.tables import insert_into, leases

LEASE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Lease:
    """The state of a lease: who holds it since when, when it was last renewed, when it expires."""

    runner: str
    fence: int
    since: datetime
    at: datetime
    until: datetime

    @property
    def stopped(self) -> bool:
        """Whether its runner was stopped, at the time `at`; not for one that crashed."""
        return self.until < self.at


def acquire(connection: Connection, name: str, runner: str, at: datetime) -> bool:
    """Acquire or renew a lease; return False while another runner holds it."""
    values = {"runner": runner, "leased_until": at + LEASE, "at": at}
    new = insert_into(connection, leases).values(name=name, fence=1, since=at, **values)
    # A lease that expires too late was acquired while the clock was wrong.
    expired = or_(leases.c.leased_until < at, leases.c.leased_until > at + LEASE + SKEW)
    own = leases.c.runner == runner
    upsert = new.on_conflict_do_update(
        index_elements=[leases.c.name],
        set_={
            **values,
            "fence": case((own, leases.c.fence), else_=leases.c.fence + 1),
            "since": case((own, leases.c.since), else_=new.excluded.since),
        },
        where=or_(own, expired),
    )
    return connection.execute(upsert.returning(leases.c.fence)).first() is not None


def release(connection: Connection, runner: str, at: datetime) -> None:
    """Release all leases of a runner that is stopped."""
    own = leases.c.runner == runner
    connection.execute(update(leases).where(own).values(leased_until=at - LEASE, at=at))


def expire(connection: Connection, runner: str) -> None:
    """Let the leases of a runner end that crashed, or that can't go on."""
    valid = and_(leases.c.runner == runner, leases.c.leased_until > leases.c.at)
    connection.execute(update(leases).where(valid).values(leased_until=leases.c.at))


def get(connection: Connection, name: str) -> Lease | None:
    """Return the state of a lease; None when nobody ever acquired it."""
    row = connection.execute(select(leases).where(leases.c.name == name)).mappings().first()
    if row is None:
        return None
    return Lease(row["runner"], row["fence"], row["since"], row["at"], row["leased_until"])
