"""The earlier episodes of rows: when they violated a rule before, as the row itself has only the
last time. Written when a row begins to violate its rule again."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, select

from sanityd.model import Resolution
from sanityd.store.history_tables import episodes
from sanityd.store.name_list import name_list, pair_list
from sanityd.store.tables import violations

_COLUMNS = ("rule", "fingerprint", "first_seen", "resolved_at", "resolution", "detail")


def keep(connection: Connection, rows: Iterable[tuple[str, str]]) -> None:
    """Keep the ended episodes of these rows, before they are overwritten; takes one statement.

    Parameters: `rows` are rules and fingerprints.
    """
    pairs = pair_list(connection, rows)
    ended = (
        select(*(violations.c[name] for name in _COLUMNS))
        .join_from(
            pairs,
            violations,
            and_(violations.c.rule == pairs.c.first, violations.c.fingerprint == pairs.c.second),
        )
        .where(violations.c.open.is_(False), violations.c.resolved_at.is_not(None))
    )
    connection.execute(insert(episodes).from_select(list(_COLUMNS), ended))


def of_rows(
    connection: Connection, rule: str, fingerprints: Collection[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the earlier episodes of rows of a rule, by fingerprint, oldest first.

    Each has `first_seen`, `resolved_at`, `resolution` and `detail`.
    """
    marks = name_list(connection, fingerprints)
    query = select(episodes).where(
        episodes.c.rule == rule, episodes.c.fingerprint.in_(select(marks.c.value))
    )
    by_row: dict[str, list[dict[str, Any]]] = {}
    for row in connection.execute(query.order_by(episodes.c.first_seen, episodes.c.id)):
        values = {
            "first_seen": row.first_seen,
            "resolved_at": row.resolved_at,
            "resolution": Resolution(row.resolution) if row.resolution else None,
            "detail": row.detail,
        }
        by_row.setdefault(row.fingerprint, []).append(values)
    return by_row


def delete_ended(connection: Connection, until: datetime, most: int) -> int:
    """Delete episodes that ended before then, `most` at most. Returns how many were deleted."""
    ended = select(episodes.c.id).where(episodes.c.resolved_at < until).limit(most)
    numbers = connection.execute(ended).scalars().all()
    connection.execute(delete(episodes).where(episodes.c.id.in_(numbers)))
    return len(numbers)


def remove(connection: Connection, rule: str) -> None:
    """Delete all earlier episodes of a rule."""
    connection.execute(delete(episodes).where(episodes.c.rule == rule))
