"""Announced changes: rules whose tables are changed on purpose for some time."""

from dataclasses import asdict, replace
from datetime import datetime

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from sanityd.model import AnnouncedChange
from sanityd.store.announced_tables import announced_changes


def add(connection: Connection, change: AnnouncedChange) -> AnnouncedChange:
    """Store an announced change and return it with its number."""
    values = {name: value for name, value in asdict(change).items() if name != "id"}
    number = connection.execute(
        insert(announced_changes).values(**values).returning(announced_changes.c.id)
    ).scalar_one()
    return replace(change, id=number)


def get(connection: Connection, number: int) -> AnnouncedChange | None:
    """Return an announced change by its number, also one that is over; None if there is none."""
    query = select(announced_changes).where(announced_changes.c.id == number)
    row = connection.execute(query).mappings().first()
    return None if row is None else _change(row)


def list_active(connection: Connection, at: datetime) -> list[AnnouncedChange]:
    """Return the announced changes that are not over, oldest first."""
    active = (
        select(announced_changes)
        .where(announced_changes.c.ended_at.is_(None), announced_changes.c.until > at)
        .order_by(announced_changes.c.id)
    )
    return [_change(row) for row in connection.execute(active).mappings()]


def end(connection: Connection, number: int, at: datetime) -> bool:
    """End an announced change; return False when there is none of that number, or it is over."""
    is_active = announced_changes.c.ended_at.is_(None) & (announced_changes.c.until > at)
    ended = update(announced_changes).where(announced_changes.c.id == number, is_active)
    return connection.execute(ended.values(ended_at=at)).rowcount == 1


def delete_over(connection: Connection, until: datetime) -> None:
    """Delete the announced changes whose time was over before then."""
    connection.execute(delete(announced_changes).where(announced_changes.c.until < until))


def _change(row: RowMapping) -> AnnouncedChange:
    values = {**row, "rules": tuple(row["rules"]), "tables": tuple(row["tables"])}
    return AnnouncedChange(**values)
