"""The rules of each rules file at the last pass: shows which were removed or changed since then."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, insert, select, update

from sanityd.errors import StoreError
from sanityd.store.tables import rules_seen


def meaning(connection: Connection, file: str, rule: str) -> str | None:
    """Return the meaning of a rule at its last run; None for a new rule."""
    query = select(rules_seen.c.meaning).where(_is(file, rule), rules_seen.c.removed_at.is_(None))
    return connection.execute(query).scalar()


def since(connection: Connection, file: str, rule: str) -> datetime | None:
    """Return since when a rule has its meaning; None for a new rule."""
    query = select(rules_seen.c.since).where(_is(file, rule), rules_seen.c.removed_at.is_(None))
    return connection.execute(query).scalar()


def save(
    connection: Connection, file: str, rule: str, now_means: str, revision: str, at: datetime
) -> None:
    """Store what the rule means from now on; nothing is written when it is unchanged.

    Raises StoreError when the store has that rule for another rules file: the two would share
    their incidents.
    """
    values = {"meaning": now_means, "revision": revision, "since": at, "removed_at": None}
    stored = connection.execute(
        select(rules_seen.c.meaning, rules_seen.c.removed_at).where(_is(file, rule))
    ).first()
    if stored is None or stored.removed_at is not None:
        other = and_(
            rules_seen.c.rule == rule, rules_seen.c.file != file, rules_seen.c.removed_at.is_(None)
        )
        if connection.execute(select(rules_seen.c.file).where(other)).first() is not None:
            raise StoreError(
                f"rule `{rule}` is remembered in this store for another rules file",
                "Give each file its own `state:` or rule ids; or the same `name:`,"
                " if it is one file in two places.",
            )
    if stored is None:
        connection.execute(insert(rules_seen).values(file=file, rule=rule, **values))
    elif (stored.meaning, stored.removed_at) != (now_means, None):
        connection.execute(update(rules_seen).where(_is(file, rule)).values(**values))


def names(connection: Connection, file: str) -> list[str]:
    """Return all rules of the file that ever ran, also those that were removed."""
    return list(
        connection.execute(select(rules_seen.c.rule).where(rules_seen.c.file == file)).scalars()
    )


def names_elsewhere(connection: Connection, file: str) -> set[str]:
    """Return the rules of the other rules files that share the store."""
    present = rules_seen.c.removed_at.is_(None)
    query = select(rules_seen.c.rule).where(rules_seen.c.file != file, present)
    return set(connection.execute(query).scalars())


def meanings_of_missing(
    connection: Connection, file: str, present: Mapping[str, object]
) -> dict[str, list[str]]:
    """Return the rules that are no longer in the file and are not marked as removed, by meaning."""
    stored = select(rules_seen.c.rule, rules_seen.c.meaning).where(
        rules_seen.c.file == file, rules_seen.c.removed_at.is_(None)
    )
    by_meaning: dict[str, list[str]] = {}
    for rule, meaning in connection.execute(stored):
        if rule not in present:
            by_meaning.setdefault(meaning, []).append(rule)
    return by_meaning


def removed_since(connection: Connection, file: str, since: datetime) -> dict[str, datetime]:
    """Return the rules that were removed since then, each with the time."""
    removed_rules = select(rules_seen.c.rule, rules_seen.c.removed_at).where(
        rules_seen.c.file == file, rules_seen.c.removed_at >= since
    )
    return {row.rule: row.removed_at for row in connection.execute(removed_rules)}


def mark_removed(
    connection: Connection, file: str, present: Mapping[str, object], at: datetime
) -> list[str]:
    """Mark the rules that are no longer in the file as removed.

    Returns those that were not marked before.
    """
    stored = select(rules_seen.c.rule).where(
        rules_seen.c.file == file, rules_seen.c.removed_at.is_(None)
    )
    removed_rules = [rule for rule in connection.execute(stored).scalars() if rule not in present]
    for rule in removed_rules:
        connection.execute(update(rules_seen).where(_is(file, rule)).values(removed_at=at))
    return removed_rules


def _is(file: str, rule: str) -> ColumnElement[bool]:
    return and_(rules_seen.c.file == file, rules_seen.c.rule == rule)
