"""What humans decided about incidents and rows: until when, and how each decision ended. Knows no policy."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from sanityd.model import Severity, Triage, TriageAction
from sanityd.store.tables import triage, violations


def add(connection: Connection, disposition: Triage) -> Triage:
    """Keep a decision; it replaces what held for the same incident or row before. Gives it back with its number."""
    same = triage.c.fingerprint == disposition.fingerprint
    if disposition.fingerprint is None:
        same = triage.c.fingerprint.is_(None)
    before = (
        same & (triage.c.rule == disposition.rule) & (triage.c.incident == disposition.incident)
    )
    _end(connection, before, "replaced", disposition.at)
    values = {name: value for name, value in asdict(disposition).items() if name != "id"}
    values |= {"action": disposition.action.value, "severity": int(disposition.severity)}
    number = connection.execute(insert(triage).values(**values).returning(triage.c.id)).scalar_one()
    return replace(disposition, id=number)


def in_force(connection: Connection, rules: Sequence[str] | None = None) -> list[Triage]:
    """What holds, also what has run out and was not ended yet; of these rules, or of all."""
    found = select(triage).where(triage.c.ended_at.is_(None))
    if rules is not None:
        found = found.where(triage.c.rule.in_(rules))
    return _all(connection, found)


def expire(connection: Connection, at: datetime) -> int:
    """End what has run out. Returns how many did."""
    return _end(connection, triage.c.until <= at, "expired", at)


def accepted(connection: Connection) -> dict[str, int]:
    """How many open rows of each rule a human accepted."""
    open_rows = (violations.c.rule == triage.c.rule) & (
        violations.c.fingerprint == triage.c.fingerprint
    )
    found = (
        select(triage.c.rule, func.count().label("rows"))
        .join(violations, open_rows)
        .where(triage.c.ended_at.is_(None), violations.c.open)
    )
    return {row.rule: row.rows for row in connection.execute(found.group_by(triage.c.rule))}


def lapsed(connection: Connection, names: Sequence[str]) -> dict[str, Triage]:
    """The last decision about each of these incidents that ran out or was broken."""
    over = triage.c.incident.in_(names) & triage.c.ended.in_(("expired", "broken"))
    return {one.incident: one for one in _all(connection, select(triage).where(over))}


def of_rule(connection: Connection, rule: str, since: datetime) -> list[Triage]:
    """All that was decided about a rule since then, oldest first."""
    return _all(
        connection,
        select(triage).where(triage.c.rule == rule, triage.c.at >= since),
    )


def since(connection: Connection, begin: datetime) -> list[Triage]:
    """All that was decided since then, oldest first."""
    return _all(connection, select(triage).where(triage.c.at >= begin))


def end(connection: Connection, numbers: Iterable[int], how: str, at: datetime) -> int:
    """They hold no longer: `expired`, `broken`, `withdrawn`, `resolved`. Returns how many did."""
    return _end(connection, triage.c.id.in_(list(numbers)), how, at)


def forget_rows(connection: Connection, rule: str, at: datetime) -> None:
    """What was decided about single rows of a rule holds no longer, and doesn't tell which rows these were."""
    about_rows = (triage.c.rule == rule) & triage.c.fingerprint.is_not(None)
    _end(connection, about_rows, "resolved", at)
    connection.execute(update(triage).where(about_rows).values(fingerprint=""))


def _end(connection: Connection, which: Any, how: str, at: datetime) -> int:
    holds = which & triage.c.ended_at.is_(None)
    return connection.execute(update(triage).where(holds).values(ended_at=at, ended=how)).rowcount


def _all(connection: Connection, found: Any) -> list[Triage]:
    return [_disposition(row) for row in connection.execute(found.order_by(triage.c.id)).mappings()]


def _disposition(row: RowMapping) -> Triage:
    return Triage(
        **{**row, "action": TriageAction(row["action"]), "severity": Severity(row["severity"])}
    )
