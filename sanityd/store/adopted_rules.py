"""The rules of each rules file as they were adopted last: for commands that need only the store,
while the file has errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from sanityd.store.tables import adopted_rules, insert_into


@dataclass(frozen=True, slots=True)
class AdoptedRules:
    """What a rules file said when it was adopted last; `file` is its name in the store."""

    file: str
    path: str
    revision: str
    content: Mapping[str, Any]
    adopted_at: datetime


def save(connection: Connection, adopted: AdoptedRules) -> None:
    """Store the adopted rules in place of the earlier ones of the file."""
    values = {
        "path": adopted.path,
        "revision": adopted.revision,
        "content": dict(adopted.content),
        "adopted_at": adopted.adopted_at,
    }
    new = insert_into(connection, adopted_rules).values(file=adopted.file, **values)
    connection.execute(
        new.on_conflict_do_update(index_elements=[adopted_rules.c.file], set_=values)
    )


def revision(connection: Connection, file: str) -> str | None:
    """Return the revision of the file that was adopted last; None if none was."""
    query = select(adopted_rules.c.revision).where(adopted_rules.c.file == file)
    return connection.execute(query).scalar()


def find(connection: Connection, file: str | None, path: str) -> AdoptedRules | None:
    """Return the adopted rules of a file by its name in the store, or else by its path.

    Returns None if there are none, or several with that path.
    """
    if file is not None:
        by_name = _select(connection, adopted_rules.c.file == file)
        if by_name:
            return by_name[0]
    by_path = _select(connection, adopted_rules.c.path == path)
    return by_path[0] if len(by_path) == 1 else None


def _select(connection: Connection, condition: ColumnElement[bool]) -> list[AdoptedRules]:
    rows = connection.execute(select(adopted_rules).where(condition)).mappings()
    return [AdoptedRules(**row) for row in rows]
