"""The values in the requests of remedies, and how they leave the store."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from sanityd.model.remedies import RemedyState
from sanityd.store.remedy_tables import remedies

_WAITING = [state.value for state in RemedyState if state.is_waiting]
#: A column as placeholders name it: `key` or `show`, and its name.
Column = tuple[str, str]


def keep_columns(connection: Connection, rule: str, allowed: Collection[Column]) -> None:
    """Delete the values of all other columns from the requests of a rule."""
    query = select(remedies.c.id, remedies.c.content).where(remedies.c.rule == rule)
    for row in connection.execute(query).all():
        content = [only_columns(item, allowed) for item in row.content]
        if content != row.content:
            this = remedies.c.id == row.id
            connection.execute(update(remedies).where(this).values(content=content))


def only_columns(item: Mapping[str, Any], allowed: Collection[Column]) -> dict[str, Any]:
    """Return one entry of `content` with the values of these columns only."""
    key = {name: value for name, value in item["key"].items() if ("key", name) in allowed}
    shown = {name: value for name, value in item["shown"].items() if ("show", name) in allowed}
    return {**item, "key": key, "shown": shown}


def cancel_waiting(connection: Connection, rule: str, at: datetime) -> int:
    """Cancel the requests of a rule that wait; return how many did."""
    waiting = (remedies.c.rule == rule) & remedies.c.state.in_(_WAITING)
    values = {"state": RemedyState.CANCELLED.value, "leased_until": None, "ended_at": at}
    return connection.execute(update(remedies).where(waiting).values(**values)).rowcount
