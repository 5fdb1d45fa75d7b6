"""The rules of each file as they were last seen: which have gone, and which mean something else now."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, insert, select, update

from sanityd.errors import StoreError
from sanityd.store.tables import rules_seen


def meaning(connection: Connection, file: str, rule: str) -> str | None:
    """What the rule meant when it was last looked at; None for a new one."""
    found = select(rules_seen.c.meaning).where(_is(file, rule), rules_seen.c.removed_at.is_(None))
    return connection.execute(found).scalar()


def since(connection: Connection, file: str, rule: str) -> datetime | None:
    """Since when the rule has meant what it means."""
    found = select(rules_seen.c.since).where(_is(file, rule), rules_seen.c.removed_at.is_(None))
    return connection.execute(found).scalar()


def remember(
    connection: Connection, file: str, rule: str, now_means: str, revision: str, at: datetime
) -> None:
    """Keep what the rule means from now on; nothing is written when that is known already.

    Raises StoreError when the rule is remembered for another file: what is known of one would be told of the other.
    """
    values = {"meaning": now_means, "revision": revision, "since": at, "removed_at": None}
    known = connection.execute(
        select(rules_seen.c.meaning, rules_seen.c.removed_at).where(_is(file, rule))
    ).first()
    if known is None or known.removed_at is not None:
        other = and_(
            rules_seen.c.rule == rule, rules_seen.c.file != file, rules_seen.c.removed_at.is_(None)
        )
        if connection.execute(select(rules_seen.c.file).where(other)).first() is not None:
            raise StoreError(
                f"rule `{rule}` is remembered in this store for another rules file",
                "Give each file its own `state:` or rule ids; or the same `name:`, if it is one file in two places.",
            )
    if known is None:
        connection.execute(insert(rules_seen).values(file=file, rule=rule, **values))
    elif (known.meaning, known.removed_at) != (now_means, None):
        connection.execute(update(rules_seen).where(_is(file, rule)).values(**values))


def names(connection: Connection, file: str) -> list[str]:
    """All rules that were ever looked at, also those that have left the file."""
    return list(
        connection.execute(select(rules_seen.c.rule).where(rules_seen.c.file == file)).scalars()
    )


def removed_since(connection: Connection, file: str, since: datetime) -> dict[str, datetime]:
    """The rules that have left the file since then, with when."""
    gone = select(rules_seen.c.rule, rules_seen.c.removed_at).where(
        rules_seen.c.file == file, rules_seen.c.removed_at >= since
    )
    return {row.rule: row.removed_at for row in connection.execute(gone)}


def removed(
    connection: Connection, file: str, present: Mapping[str, object], at: datetime
) -> list[str]:
    """The rules that have left the file since they were last looked at; each is told once."""
    known = select(rules_seen.c.rule).where(
        rules_seen.c.file == file, rules_seen.c.removed_at.is_(None)
    )
    gone = [rule for rule in connection.execute(known).scalars() if rule not in present]
    for rule in gone:
        connection.execute(update(rules_seen).where(_is(file, rule)).values(removed_at=at))
    return gone


def _is(file: str, rule: str) -> ColumnElement[bool]:
    return and_(rules_seen.c.file == file, rules_seen.c.rule == rule)
