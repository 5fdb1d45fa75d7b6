"""Rows that count as violations only when later runs find them, too (`confirm: 2 runs`)."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from sanityd.store.tables import pending_confirmations


def of_rule(connection: Connection, rule: str) -> tuple[Mapping[str, int | str], int]:
    """Return the pending rows of a rule.

    That is, by fingerprint, how many runs in a row found each row, or since when they do; and how
    many more rows there were beyond the cap.
    """
    stored = connection.execute(
        select(pending_confirmations.c.times, pending_confirmations.c.beyond).where(
            pending_confirmations.c.rule == rule
        )
    ).first()
    if stored is None:
        return {}, 0
    return stored.times, stored.beyond


def save(
    connection: Connection, rule: str, times: Mapping[str, int | str], beyond: int, at: datetime
) -> None:
    """Store the pending rows after a run, in place of those before."""
    remove(connection, rule)
    if times or beyond:
        connection.execute(
            insert(pending_confirmations).values(rule=rule, at=at, times=dict(times), beyond=beyond)
        )


def remove(connection: Connection, rule: str) -> None:
    """Delete the pending rows of a rule that was changed or removed."""
    connection.execute(delete(pending_confirmations).where(pending_confirmations.c.rule == rule))
