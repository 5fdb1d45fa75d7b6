"""What people decided about incidents and rows: until when, and how each decision ended."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from sanityd.model import Severity, Triage, TriageAction
from sanityd.store.name_list import name_list
from sanityd.store.tables import triage, violations


def add(connection: Connection, decision: Triage) -> Triage:
    """Store a decision, which replaces the active one for the same incident or row.

    Returns it with its number.
    """
    same = triage.c.fingerprint == decision.fingerprint
    if decision.fingerprint is None:
        same = triage.c.fingerprint.is_(None)
    before = same & (triage.c.rule == decision.rule) & (triage.c.incident == decision.incident)
    _end(connection, before, "replaced", decision.at)
    values = {name: value for name, value in asdict(decision).items() if name != "id"}
    values |= {"action": decision.action.value, "severity": int(decision.severity)}
    number = connection.execute(insert(triage).values(**values).returning(triage.c.id)).scalar_one()
    return replace(decision, id=number)


def list_active(connection: Connection, rules: Sequence[str] | None = None) -> list[Triage]:
    """Return the decisions of these rules, or of all, that were not ended, even if they expired."""
    active = select(triage).where(triage.c.ended_at.is_(None))
    if rules is not None:
        active = active.where(triage.c.rule.in_(rules))
    return _all(connection, active)


def expire(connection: Connection, at: datetime) -> int:
    """End the decisions that have expired; return how many."""
    return _end(connection, triage.c.until <= at, "expired", at)


def count_accepted_rows(connection: Connection, at: datetime) -> dict[str, int]:
    """Return how many open rows of each rule are accepted at that time."""
    open_rows = (violations.c.rule == triage.c.rule) & (
        violations.c.fingerprint == triage.c.fingerprint
    )
    accepted_rows = (
        select(triage.c.rule, func.count().label("rows"))
        .join(violations, open_rows)
        .where(triage.c.ended_at.is_(None), triage.c.until > at, violations.c.open)
    )
    return {row.rule: row.rows for row in connection.execute(accepted_rows.group_by(triage.c.rule))}


def last_ended(connection: Connection, names: Sequence[str]) -> dict[str, Triage]:
    """Return the last decision about each of these incidents that expired or was broken."""
    wanted = triage.c.incident.in_(select(name_list(connection, names).c.value))
    ended = wanted & triage.c.ended.in_(("expired", "broken"))
    return {
        decision.incident: decision for decision in _all(connection, select(triage).where(ended))
    }


def of_rule(connection: Connection, rule: str, since: datetime) -> list[Triage]:
    """Return the decisions about a rule since then, oldest first."""
    return of_rules(connection, [rule], since).get(rule, [])


def of_rules(
    connection: Connection, rules: Iterable[str], since: datetime
) -> dict[str, list[Triage]]:
    """Return the decisions since then, by rule, oldest first."""
    wanted = triage.c.rule.in_(select(name_list(connection, rules).c.value))
    by_rule: dict[str, list[Triage]] = {}
    for decision in _all(connection, select(triage).where(wanted, triage.c.at >= since)):
        by_rule.setdefault(decision.rule, []).append(decision)
    return by_rule


def since(connection: Connection, begin: datetime) -> list[Triage]:
    """Return all decisions since then, oldest first."""
    return _all(connection, select(triage).where(triage.c.at >= begin))


def end(connection: Connection, numbers: Iterable[int], how: str, at: datetime) -> int:
    """End decisions; return how many.

    Parameters: `how` is `expired`, `broken`, `withdrawn` or `resolved`.
    """
    return _end(connection, triage.c.id.in_(list(numbers)), how, at)


def forget_rows(connection: Connection, rule: str, at: datetime) -> None:
    """End the decisions about single rows of a rule, and delete which rows they were about."""
    about_rows = (triage.c.rule == rule) & triage.c.fingerprint.is_not(None)
    _end(connection, about_rows, "resolved", at)
    connection.execute(update(triage).where(about_rows).values(fingerprint=""))


def _end(connection: Connection, which: Any, how: str, at: datetime) -> int:
    active = which & triage.c.ended_at.is_(None)
    return connection.execute(update(triage).where(active).values(ended_at=at, ended=how)).rowcount


def _all(connection: Connection, query: Any) -> list[Triage]:
    return [_triage(row) for row in connection.execute(query.order_by(triage.c.id)).mappings()]


def _triage(row: RowMapping) -> Triage:
    return Triage(
        **{**row, "action": TriageAction(row["action"]), "severity": Severity(row["severity"])}
    )
