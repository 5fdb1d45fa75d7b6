"""Rows that a rule found and that do not count before a later run has seen them, too (`confirm: 2 runs`)."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from sanityd.store.tables import pending_confirmations


def of_rule(connection: Connection, rule: str) -> tuple[Mapping[str, int], int]:
    """How many runs in a row have seen each row, by fingerprint, and how many rows there were beyond the cap."""
    found = connection.execute(
        select(pending_confirmations.c.times, pending_confirmations.c.beyond).where(
            pending_confirmations.c.rule == rule
        )
    ).first()
    return (found.times, found.beyond) if found else ({}, 0)


def remember(
    connection: Connection, rule: str, times: Mapping[str, int], beyond: int, at: datetime
) -> None:
    """What the last run leaves to the next one; what was remembered before is forgotten."""
    forget(connection, rule)
    if times or beyond:
        connection.execute(
            insert(pending_confirmations).values(rule=rule, at=at, times=dict(times), beyond=beyond)
        )


def forget(connection: Connection, rule: str) -> None:
    """A rule that changed or went has no suspects."""
    connection.execute(delete(pending_confirmations).where(pending_confirmations.c.rule == rule))
