"""What only one of several processes sees to: a lease by name, with the moment at which its holder was last alive."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, or_, select, update

from sanityd.store.slots import SKEW
from sanityd.store.tables import insert_into, leases

LEASE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Lease:
    """Who sees to something since when, and when that was last done."""

    runner: str
    fence: int
    since: datetime
    at: datetime
    until: datetime


def take(connection: Connection, name: str, runner: str, at: datetime) -> bool:
    """Take or renew a lease; False while somebody else holds it."""
    values = {"runner": runner, "leased_until": at + LEASE, "at": at}
    new = insert_into(connection, leases).values(name=name, fence=1, since=at, **values)
    # A lease that lies far ahead was given when the clock was wrong.
    ended = or_(leases.c.leased_until < at, leases.c.leased_until > at + LEASE + SKEW)
    mine = leases.c.runner == runner
    upsert = new.on_conflict_do_update(
        index_elements=[leases.c.name],
        set_={
            **values,
            "fence": case((mine, leases.c.fence), else_=leases.c.fence + 1),
            "since": case((mine, leases.c.since), else_=new.excluded.since),
        },
        where=or_(mine, ended),
    )
    return connection.execute(upsert.returning(leases.c.fence)).first() is not None


def give_up(connection: Connection, runner: str, at: datetime) -> None:
    """Let others have at once what a runner that stops holds."""
    connection.execute(
        update(leases).where(leases.c.runner == runner).values(leased_until=at - LEASE)
    )


def held(connection: Connection, name: str) -> Lease | None:
    """Who has a lease, or had it last; None when nobody ever had."""
    row = connection.execute(select(leases).where(leases.c.name == name)).mappings().first()
    if row is None:
        return None
    return Lease(row["runner"], row["fence"], row["since"], row["at"], row["leased_until"])
