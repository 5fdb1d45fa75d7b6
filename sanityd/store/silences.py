"""Silences: rules, tags or sources that nobody is notified about for some time."""

from dataclasses import asdict, replace
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from sanityd.model import Silence
from sanityd.store.tables import silences


def add(connection: Connection, silence: Silence) -> Silence:
    """Store a silence and return it with its number."""
    values = {name: value for name, value in asdict(silence).items() if name != "id"}
    number = connection.execute(
        insert(silences).values(**values).returning(silences.c.id)
    ).scalar_one()
    return replace(silence, id=number)


def list_active(connection: Connection, at: datetime) -> list[Silence]:
    """Return the silences that are active or will be, oldest first."""
    active = (
        select(silences)
        .where(silences.c.ended_at.is_(None), silences.c.until > at)
        .order_by(silences.c.id)
    )
    return [Silence(**row) for row in connection.execute(active).mappings()]


def end(connection: Connection, number: int, at: datetime) -> bool:
    """End a silence; return False when there is none of that number."""
    active = (silences.c.id == number) & silences.c.ended_at.is_(None) & (silences.c.until > at)
    return connection.execute(update(silences).where(active).values(ended_at=at)).rowcount == 1
