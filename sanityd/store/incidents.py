"""Incidents: at most one of each cause is open per rule (or source), which a unique index enforces."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from sanityd.model import Cause, Incident, Reason, Resolution, Severity
from sanityd.store.tables import decisions, incidents, insert_into

#: An incident, and a place that is told of it.
IncidentRecipient = tuple[str, str, str]


def open_for(connection: Connection, rule: str, cause: Cause = Cause.VIOLATED) -> Incident | None:
    """The open incident of a rule (or of `source:NAME`), of one cause."""
    ours = (
        (incidents.c.cause == cause.value)
        & (incidents.c.rule == rule)
        & incidents.c.resolved_at.is_(None)
    )
    return _first(connection, select(incidents).where(ours))


def get(connection: Connection, name: str) -> Incident | None:
    """The incident of that id."""
    return _first(connection, select(incidents).where(incidents.c.id == name))


def list_open(connection: Connection) -> list[Incident]:
    """All that is open, oldest first."""
    return _all(connection, select(incidents).where(incidents.c.resolved_at.is_(None)))


def unsettled(connection: Connection) -> list[Incident]:
    """All of which there may be something to say: what is open, and what is over and was not told yet."""
    return _all(connection, select(incidents).where(incidents.c.settled.is_(False)))


def of_rule(connection: Connection, rule: str, since: datetime) -> list[Incident]:
    """A rule's incidents that were open at some time since then, oldest first."""
    late = incidents.c.resolved_at.is_(None) | (incidents.c.resolved_at >= since)
    return _all(connection, select(incidents).where(incidents.c.rule == rule, late))


def rules_since(connection: Connection, since: datetime) -> list[str]:
    """The rules (and `source:NAME`s) that had an incident at some time since then."""
    late = incidents.c.resolved_at.is_(None) | (incidents.c.resolved_at >= since)
    return list(connection.execute(select(incidents.c.rule).where(late).distinct()).scalars())


def resolved_since(connection: Connection, since: datetime) -> list[Incident]:
    """What ended since then."""
    return _all(connection, select(incidents).where(incidents.c.resolved_at >= since))


def save(connection: Connection, incident: Incident) -> None:
    """Keep an incident as it is now. One that is open (again) is not settled."""
    values = {
        "cause": incident.cause.value,
        "rule": incident.rule,
        "source": incident.source,
        "opened_at": incident.opened_at,
        "resolved_at": incident.resolved_at,
        "severity": int(incident.severity),
        "declared": int(incident.declared),
        "violations": incident.violations,
        "checked": incident.checked,
        "systemic": incident.systemic,
        "resolutions": {fate.value: count for fate, count in incident.resolutions.items()},
        "meaning": incident.meaning,
        "error": incident.error,
        "hint": incident.hint,
    }
    changed = connection.execute(
        update(incidents).where(incidents.c.id == incident.id).values(**values)
    )
    if not changed.rowcount:
        connection.execute(insert(incidents).values(id=incident.id, settled=False, **values))


def settle(connection: Connection, name: str) -> None:
    """There is nothing more to say of an incident that is over."""
    ours = (incidents.c.id == name) & incidents.c.resolved_at.is_not(None)
    connection.execute(update(incidents).where(ours).values(settled=True))


def unsettle(connection: Connection, names: Collection[str]) -> None:
    """What was to be said of them was taken back."""
    connection.execute(update(incidents).where(incidents.c.id.in_(names)).values(settled=False))


def decided(connection: Connection, names: Collection[str]) -> Mapping[IncidentRecipient, Reason]:
    """The last decision about each recipient of these incidents."""
    found = select(decisions).where(decisions.c.incident.in_(names))
    rows = connection.execute(found)
    return {(row.incident, row.channel, row.recipient): Reason(row.reason) for row in rows}


def decide(connection: Connection, ear: IncidentRecipient, reason: Reason, at: datetime) -> None:
    """Keep the newest decision about a recipient."""
    incident, channel, recipient = ear
    new = insert_into(connection, decisions).values(
        incident=incident, channel=channel, recipient=recipient, reason=reason.value, at=at
    )
    keys = [decisions.c.incident, decisions.c.channel, decisions.c.recipient]
    connection.execute(
        new.on_conflict_do_update(index_elements=keys, set_={"reason": reason.value, "at": at})
    )


def _all(connection: Connection, found: Any) -> list[Incident]:
    ordered = found.order_by(incidents.c.opened_at, incidents.c.id)
    return [_incident(row) for row in connection.execute(ordered).mappings()]


def _first(connection: Connection, found: Any) -> Incident | None:
    row = connection.execute(found).mappings().first()
    return None if row is None else _incident(row)


def _incident(row: RowMapping) -> Incident:
    return Incident(
        id=row["id"],
        cause=Cause(row["cause"]),
        rule=row["rule"],
        source=row["source"],
        opened_at=row["opened_at"],
        severity=Severity(row["severity"]),
        declared=Severity(row["declared"]),
        violations=row["violations"],
        checked=row["checked"],
        systemic=row["systemic"],
        resolved_at=row["resolved_at"],
        resolutions={Resolution(fate): count for fate, count in row["resolutions"].items()},
        meaning=row["meaning"],
        error=row["error"],
        hint=row["hint"],
    )
