"""Silences: what nobody wants to hear of for a while, who said so, and why."""

from dataclasses import asdict, replace
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from sanityd.model import Silence
from sanityd.store.tables import silences


def add(connection: Connection, silence: Silence) -> Silence:
    """Keep one; gives it back with its number."""
    values = {name: value for name, value in asdict(silence).items() if name != "id"}
    number = connection.execute(
        insert(silences).values(**values).returning(silences.c.id)
    ).scalar_one()
    return replace(silence, id=number)


def listed(connection: Connection, at: datetime) -> list[Silence]:
    """Those that hold, or will, oldest first."""
    found = (
        select(silences)
        .where(silences.c.ended_at.is_(None), silences.c.until > at)
        .order_by(silences.c.id)
    )
    return [Silence(**row) for row in connection.execute(found).mappings()]


def end(connection: Connection, number: int, at: datetime) -> bool:
    """It holds no longer; False when there was none."""
    holds = (silences.c.id == number) & silences.c.ended_at.is_(None) & (silences.c.until > at)
    return connection.execute(update(silences).where(holds).values(ended_at=at)).rowcount == 1
