"""The rules of each rules file at the last pass: shows which were removed or changed since then."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, insert, select, update

from sanityd.errors import StoreError
from sanityd.store.name_list import name_list
from sanityd.store.tables import rules_seen


def meaning(connection: Connection, file: str, rule: str) -> str | None:
    """Return the meaning of a rule at its last run; None for a new rule."""
    query = select(rules_seen.c.meaning).where(_is(file, rule), rules_seen.c.removed_at.is_(None))
    return connection.execute(query).scalar()


def since(connection: Connection, file: str, rule: str) -> datetime | None:
    """Return since when a rule has its meaning; None for a new rule."""
    query = select(rules_seen.c.since).where(_is(file, rule), rules_seen.c.removed_at.is_(None))
    return connection.execute(query).scalar()


@dataclass(frozen=True, slots=True)
class SeenRule:
    """What a rule meant, and since when; and when it was removed from the file."""

    meaning: str
    since: datetime
    removed_at: datetime | None


def of_rules(connection: Connection, file: str, rules: Iterable[str]) -> dict[str, SeenRule]:
    """Return what is stored of these rules of the file, by rule; also of those removed."""
    wanted = rules_seen.c.rule.in_(select(name_list(connection, rules).c.value))
    query = select(
        rules_seen.c.rule, rules_seen.c.meaning, rules_seen.c.since, rules_seen.c.removed_at
    ).where(rules_seen.c.file == file, wanted)
    return {
        row.rule: SeenRule(row.meaning, row.since, row.removed_at)
        for row in connection.execute(query)
    }


def meanings(connection: Connection, file: str, rules: Iterable[str]) -> dict[str, str]:
    """Return the meanings of these rules at their last runs, by rule; new rules have none."""
    seen_rules = of_rules(connection, file, rules)
    return {name: seen.meaning for name, seen in seen_rules.items() if seen.removed_at is None}


def save(
    connection: Connection, file: str, meanings: Mapping[str, str], revision: str, at: datetime
) -> None:
    """Store what rules mean from now on; nothing is written of those that are unchanged.

    Raises StoreError when the store has one of them for another rules file: the two would share
    their incidents.
    """
    stored = of_rules(connection, file, meanings)
    present = {rule for rule, seen in stored.items() if seen.removed_at is None}
    _refuse_shared(connection, file, meanings.keys() - present)
    new = []
    changed = []
    for rule, now_means in meanings.items():
        row = {"meaning": now_means, "revision": revision, "since": at, "removed_at": None}
        if rule not in stored:
            new.append(row | {"file": file, "rule": rule})
        elif rule not in present or stored[rule].meaning != now_means:
            changed.append(row | {"of_file": file, "of_rule": rule})
    if new:
        connection.execute(insert(rules_seen), new)
    if changed:
        same = _is(bindparam("of_file"), bindparam("of_rule"))
        connection.execute(update(rules_seen).where(same), changed)


def _refuse_shared(connection: Connection, file: str, rules: Collection[str]) -> None:
    if not rules:
        return
    other = and_(
        rules_seen.c.rule.in_(select(name_list(connection, rules).c.value)),
        rules_seen.c.file != file,
        rules_seen.c.removed_at.is_(None),
    )
    rule = connection.execute(select(func.min(rules_seen.c.rule)).where(other)).scalar()
    if rule is not None:
        raise StoreError(
            f"rule `{rule}` is remembered in this store for another rules file",
            "Give each file its own `state:` or rule ids; or the same `name:`,"
            " if it is one file in two places.",
        )


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
    if removed_rules:
        wanted = rules_seen.c.rule.in_(select(name_list(connection, removed_rules).c.value))
        gone = update(rules_seen).where(rules_seen.c.file == file, wanted)
        connection.execute(gone.values(removed_at=at))
    return removed_rules


def _is(file: Any, rule: Any) -> ColumnElement[bool]:
    return and_(rules_seen.c.file == file, rules_seen.c.rule == rule)
