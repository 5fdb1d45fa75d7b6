"""What humans decided about incidents and rows: until when, and how each decision ended. Knows no policy."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from sanityd.model import Disposition, Severity, Stance
from sanityd.store.tables import dispositions, violations


def add(connection: Connection, disposition: Disposition) -> Disposition:
    """Keep a decision; it replaces what held for the same incident or row before. Gives it back with its number."""
    same = dispositions.c.fingerprint == disposition.fingerprint
    if disposition.fingerprint is None:
        same = dispositions.c.fingerprint.is_(None)
    before = same & (dispositions.c.rule == disposition.rule) & (dispositions.c.incident == disposition.incident)
    _end(connection, before, "replaced", disposition.at)
    values = {name: value for name, value in asdict(disposition).items() if name != "id"}
    values |= {"stance": disposition.stance.value, "severity": int(disposition.severity)}
    number = connection.execute(insert(dispositions).values(**values).returning(dispositions.c.id)).scalar_one()
    return replace(disposition, id=number)


def in_force(connection: Connection, rules: Sequence[str] | None = None) -> list[Disposition]:
    """What holds, also what has run out and was not ended yet; of these rules, or of all."""
    found = select(dispositions).where(dispositions.c.ended_at.is_(None))
    if rules is not None:
        found = found.where(dispositions.c.rule.in_(rules))
    return _all(connection, found)


def expire(connection: Connection, at: datetime) -> int:
    """End what has run out. Returns how many did."""
    return _end(connection, dispositions.c.until <= at, "expired", at)


def accepted(connection: Connection) -> dict[str, int]:
    """How many open rows of each rule a human accepted."""
    open_rows = (violations.c.rule == dispositions.c.rule) & (violations.c.fingerprint == dispositions.c.fingerprint)
    found = (
        select(dispositions.c.rule, func.count().label("rows"))
        .join(violations, open_rows)
        .where(dispositions.c.ended_at.is_(None), violations.c.open)
    )
    return {row.rule: row.rows for row in connection.execute(found.group_by(dispositions.c.rule))}


def lapsed(connection: Connection, names: Sequence[str]) -> dict[str, Disposition]:
    """The last decision about each of these incidents that ran out or was broken."""
    over = dispositions.c.incident.in_(names) & dispositions.c.ended.in_(("expired", "broken"))
    return {one.incident: one for one in _all(connection, select(dispositions).where(over))}


def of_rule(connection: Connection, rule: str, since: datetime) -> list[Disposition]:
    """All that was decided about a rule since then, oldest first."""
    return _all(connection, select(dispositions).where(dispositions.c.rule == rule, dispositions.c.at >= since))


def since(connection: Connection, begin: datetime) -> list[Disposition]:
    """All that was decided since then, oldest first."""
    return _all(connection, select(dispositions).where(dispositions.c.at >= begin))


def end(connection: Connection, numbers: Iterable[int], how: str, at: datetime) -> int:
    """They hold no longer: `expired`, `broken`, `withdrawn`, `resolved`. Returns how many did."""
    return _end(connection, dispositions.c.id.in_(list(numbers)), how, at)


def forget_rows(connection: Connection, rule: str, at: datetime) -> None:
    """What was decided about single rows of a rule holds no longer, and doesn't tell which rows these were."""
    about_rows = (dispositions.c.rule == rule) & dispositions.c.fingerprint.is_not(None)
    _end(connection, about_rows, "resolved", at)
    connection.execute(update(dispositions).where(about_rows).values(fingerprint=""))


def _end(connection: Connection, which: Any, how: str, at: datetime) -> int:
    holds = which & dispositions.c.ended_at.is_(None)
    return connection.execute(update(dispositions).where(holds).values(ended_at=at, ended=how)).rowcount


def _all(connection: Connection, found: Any) -> list[Disposition]:
    return [_disposition(row) for row in connection.execute(found.order_by(dispositions.c.id)).mappings()]


def _disposition(row: RowMapping) -> Disposition:
    return Disposition(**{**row, "stance": Stance(row["stance"]), "severity": Severity(row["severity"])})
