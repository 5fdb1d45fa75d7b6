"""Incidents: a unique index lets at most one of each cause be open per rule (or source)."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, func, insert, select, update

from sanityd.model import Cause, Incident, Reason, Resolution, Severity
from sanityd.store.name_list import name_list
from sanityd.store.tables import decisions, incidents, insert_into

#: An incident, a channel, and a recipient.
IncidentRecipient = tuple[str, str, str]


def open_for(connection: Connection, rule: str, cause: Cause = Cause.VIOLATED) -> Incident | None:
    """Return the open incident of a rule (or `source:NAME`) and cause; None when none is open."""
    is_open = (
        (incidents.c.cause == cause.value)
        & (incidents.c.rule == rule)
        & incidents.c.resolved_at.is_(None)
    )
    return _first(connection, select(incidents).where(is_open))


def open_of(connection: Connection, rules: Iterable[str]) -> dict[tuple[str, Cause], Incident]:
    """Return the open incidents of these rules, by rule and cause; in one statement."""
    wanted = incidents.c.rule.in_(select(name_list(connection, rules).c.value))
    is_open = select(incidents).where(wanted, incidents.c.resolved_at.is_(None))
    return {(incident.rule, incident.cause): incident for incident in _all(connection, is_open)}


def get(connection: Connection, name: str) -> Incident | None:
    """Return the incident of that id; None when there is none."""
    return _first(connection, select(incidents).where(incidents.c.id == name))


def with_prefix(connection: Connection, prefix: str) -> list[Incident]:
    """Return the incidents whose id begins so, oldest first."""
    begins = incidents.c.id.startswith(prefix, autoescape=True)
    return _all(connection, select(incidents).where(begins).limit(10))


def list_open(connection: Connection) -> list[Incident]:
    """Return all open incidents, oldest first."""
    return _all(connection, select(incidents).where(incidents.c.resolved_at.is_(None)))


def list_unsettled(connection: Connection, rule: str | None = None) -> list[Incident]:
    """Return the open incidents, and the resolved ones whose end is still to be notified.

    Parameters: `rule` limits them to one rule.
    """
    unsettled = select(incidents).where(incidents.c.settled.is_(False))
    if rule is not None:
        unsettled = unsettled.where(incidents.c.rule == rule)
    return _all(connection, unsettled)


def of_rule(connection: Connection, rule: str, since: datetime) -> list[Incident]:
    """Return a rule's incidents that were open at some time since then, oldest first."""
    return of_rules(connection, [rule], since).get(rule, [])


def of_rules(
    connection: Connection, rules: Iterable[str], since: datetime
) -> dict[str, list[Incident]]:
    """Return the incidents that were open at some time since then, by rule, oldest first.

    Rules without one are left out.
    """
    wanted = incidents.c.rule.in_(select(name_list(connection, rules).c.value))
    recent = incidents.c.resolved_at.is_(None) | (incidents.c.resolved_at >= since)
    by_rule: dict[str, list[Incident]] = {}
    for incident in _all(connection, select(incidents).where(wanted, recent)):
        by_rule.setdefault(incident.rule, []).append(incident)
    return by_rule


def rules_with_incidents(connection: Connection, since: datetime) -> list[str]:
    """Return the rules (and `source:NAME`s) with an incident that was open since then."""
    recent = incidents.c.resolved_at.is_(None) | (incidents.c.resolved_at >= since)
    return list(connection.execute(select(incidents.c.rule).where(recent).distinct()).scalars())


def resolved_since(connection: Connection, since: datetime) -> list[Incident]:
    """Return the incidents that were resolved since then."""
    return _all(connection, select(incidents).where(incidents.c.resolved_at >= since))


def last_ends(
    connection: Connection, rules: Collection[str], severity: Severity, latest: datetime
) -> dict[str, datetime]:
    """Return when the last incident of each rule ended that was at least so severe."""
    end = func.max(incidents.c.resolved_at, type_=incidents.c.resolved_at.type).label("end")
    severe = incidents.c.rule.in_(rules) & (incidents.c.severity >= int(severity))
    query = select(incidents.c.rule, end).where(severe, incidents.c.resolved_at <= latest)
    return {row.rule: row.end for row in connection.execute(query.group_by(incidents.c.rule))}


def save(connection: Connection, incident: Incident) -> None:
    """Insert or update an incident; a new one is not settled."""
    save_all(connection, [incident])


def save_all(connection: Connection, changed: Collection[Incident]) -> None:
    """Insert or update incidents, in three statements at most; new ones are not settled."""
    if not changed:
        return
    ids = name_list(connection, [incident.id for incident in changed])
    query = select(incidents.c.id).where(incidents.c.id.in_(select(ids.c.value)))
    stored = set(connection.execute(query).scalars())
    old = []
    new = []
    for incident in changed:
        if incident.id in stored:
            old.append({"which": incident.id, **_values(incident)})
        else:
            new.append({"id": incident.id, "settled": False, **_values(incident)})
    # Those that ended are first, as one incident of a rule and cause may be open.
    if old:
        connection.execute(update(incidents).where(incidents.c.id == bindparam("which")), old)
    if new:
        connection.execute(insert(incidents), new)


def _values(incident: Incident) -> dict[str, Any]:
    return {
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
        "ticket": incident.ticket,
        "resolutions": {key.value: count for key, count in incident.resolutions.items()},
        "meaning": incident.meaning,
        "error": incident.error,
        "hint": incident.hint,
    }


def mark_settled(connection: Connection, name: str) -> None:
    """Mark a resolved incident as settled: nobody needs another notification."""
    mark_all_settled(connection, [name])


def mark_all_settled(connection: Connection, names: Collection[str]) -> None:
    """Mark the resolved ones of these incidents as settled."""
    if not names:
        return
    wanted = incidents.c.id.in_(select(name_list(connection, names).c.value))
    resolved = wanted & incidents.c.resolved_at.is_not(None)
    connection.execute(update(incidents).where(resolved).values(settled=True))


def mark_unsettled(connection: Connection, names: Collection[str]) -> None:
    """Mark incidents as unsettled, as their messages were taken back."""
    wanted = incidents.c.id.in_(select(name_list(connection, names).c.value))
    connection.execute(update(incidents).where(wanted).values(settled=False))


def last_decisions(
    connection: Connection, names: Collection[str]
) -> Mapping[IncidentRecipient, Reason]:
    """Return the last decision for each recipient of these incidents."""
    wanted = decisions.c.incident.in_(select(name_list(connection, names).c.value))
    rows = connection.execute(
        select(
            decisions.c.incident, decisions.c.channel, decisions.c.recipient, decisions.c.reason
        ).where(wanted)
    )
    return {(row.incident, row.channel, row.recipient): Reason(row.reason) for row in rows}


def save_decision(
    connection: Connection, recipient_key: IncidentRecipient, reason: Reason, at: datetime
) -> None:
    """Store the last decision for a recipient."""
    save_decisions(connection, {recipient_key: reason}, at)


def save_decisions(
    connection: Connection, reasons: Mapping[IncidentRecipient, Reason], at: datetime
) -> None:
    """Store the last decisions for recipients, in one statement."""
    if not reasons:
        return
    new = insert_into(connection, decisions)
    keys = [decisions.c.incident, decisions.c.channel, decisions.c.recipient]
    latest = {"reason": new.excluded.reason, "at": new.excluded.at}
    rows = []
    for (incident, channel, recipient), reason in reasons.items():
        row: dict[str, Any] = {"incident": incident, "channel": channel, "recipient": recipient}
        rows.append(row | {"reason": reason.value, "at": at})
    connection.execute(new.on_conflict_do_update(index_elements=keys, set_=latest), rows)


def _all(connection: Connection, query: Any) -> list[Incident]:
    ordered = query.order_by(incidents.c.opened_at, incidents.c.id)
    return [_incident(row) for row in connection.execute(ordered).mappings()]


def _first(connection: Connection, query: Any) -> Incident | None:
    row = connection.execute(query).mappings().first()
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
        ticket=row["ticket"],
        resolved_at=row["resolved_at"],
        resolutions={Resolution(key): count for key, count in row["resolutions"].items()},
        meaning=row["meaning"],
        error=row["error"],
        hint=row["hint"],
    )
