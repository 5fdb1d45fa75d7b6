"""Incidents: at most one is open per rule, which a unique index enforces."""

from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from sanityd.model import Fate, Incident, Severity
from sanityd.store.tables import incidents


def open_for(connection: Connection, rule: str) -> Incident | None:
    """The rule's open incident."""
    return _first(connection, select(incidents).where(incidents.c.rule == rule, incidents.c.resolved_at.is_(None)))


def get(connection: Connection, name: str) -> Incident | None:
    """The incident of that id."""
    return _first(connection, select(incidents).where(incidents.c.id == name))


def list_open(connection: Connection) -> list[Incident]:
    """All that is open, oldest first."""
    found = select(incidents).where(incidents.c.resolved_at.is_(None)).order_by(incidents.c.opened_at)
    return [_incident(row) for row in connection.execute(found).mappings()]


def save(connection: Connection, incident: Incident) -> None:
    """Keep an incident as it is now."""
    values = {
        "rule": incident.rule,
        "source": incident.source,
        "opened_at": incident.opened_at,
        "resolved_at": incident.resolved_at,
        "severity": int(incident.severity),
        "violations": incident.violations,
        "checked": incident.checked,
        "fates": {fate.value: count for fate, count in incident.fates.items()},
        "meaning": incident.meaning,
    }
    changed = connection.execute(update(incidents).where(incidents.c.id == incident.id).values(**values))
    if not changed.rowcount:
        connection.execute(insert(incidents).values(id=incident.id, **values))


def _first(connection: Connection, found: Any) -> Incident | None:
    row = connection.execute(found).mappings().first()
    return None if row is None else _incident(row)


def _incident(row: RowMapping) -> Incident:
    return Incident(
        id=row["id"],
        rule=row["rule"],
        source=row["source"],
        opened_at=row["opened_at"],
        severity=Severity(row["severity"]),
        violations=row["violations"],
        checked=row["checked"],
        resolved_at=row["resolved_at"],
        fates={Fate(fate): count for fate, count in row["fates"].items()},
        meaning=row["meaning"],
    )
