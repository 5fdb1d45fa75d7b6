"""The audit: every decision with its reason. Entries are added and never changed, which
`audit_check` verifies."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select

from sanityd.errors import StoreError
from sanityd.store import audit_chain
from sanityd.store.incidents import IncidentRecipient
from sanityd.store.tables import audit

#: The actions for changes of the rules file.
RULE_CHANGES = ("rule added", "rule changed", "rule removed", "rule renamed")
RULE_REMOVED, RULE_RENAMED = RULE_CHANGES[2:]
#: The action of the entry that repeats the last change of a rule, as retention removes that one.
RULE_KEPT = "rule kept"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One decision; the fields are columns of the table."""

    actor: str
    action: str
    reason: str
    rule: str | None = None
    incident: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def append(  # noqa: PLR0913 (each is a column)
    connection: Connection,
    at: datetime,
    actor: str,
    action: str,
    reason: str,
    *,
    rule: str | None = None,
    incident: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add an entry. `detail` holds numbers and names, never the value of a row."""
    entry = AuditEntry(actor, action, reason, rule, incident, detail or {})
    append_all(connection, at, [entry])


def append_all(connection: Connection, at: datetime, entries: Sequence[AuditEntry]) -> None:
    """Add entries in their order, in three statements, however many there are."""
    rows = [{**asdict(entry), "at": at, "detail": dict(entry.detail)} for entry in entries]
    if rows:
        connection.execute(insert(audit), audit_chain.linked(connection, rows))


def last_rule_changes(connection: Connection, file: str) -> dict[str, tuple[str, str]]:
    """Return the last change of each rule of a file: the action, and the hash of the rule since."""
    actions = (*RULE_CHANGES, RULE_KEPT)
    newest = select(func.max(audit.c.id)).where(audit.c.action.in_(actions)).group_by(audit.c.rule)
    entries = connection.execute(select(audit).where(audit.c.id.in_(newest))).mappings()
    return {
        entry["rule"]: (entry["action"], entry["detail"]["print"])
        for entry in entries
        if entry["detail"]["file"] == file
    }


def of_rule(connection: Connection, rule: str) -> list[RowMapping]:
    """Return the entries of a rule, oldest first, also those of the ids that it had before."""
    names: list[str] = []
    pending = [rule]
    while pending:
        name = pending.pop()
        if name not in names:
            names.append(name)
            pending += _former_names(connection, name)
    entries = select(audit).where(audit.c.rule.in_(names)).order_by(audit.c.id)
    try:
        return list(connection.execute(entries).mappings())
    except (ValueError, TypeError):
        raise StoreError(
            "an entry of the audit can't be read: somebody altered it",
            "`sanityd history --verify` names it.",
        ) from None


def _former_names(connection: Connection, rule: str) -> list[str]:
    renames = select(audit.c.detail).where(audit.c.rule == rule, audit.c.action == RULE_RENAMED)
    return [detail["formerly"] for detail in connection.execute(renames).scalars()]


def last_not_notified(
    connection: Connection, reason: str, keys: Collection[IncidentRecipient]
) -> dict[IncidentRecipient, RowMapping]:
    """Return the last entry that each of these was not notified for this reason."""
    if not keys:
        return {}
    names = {incident for incident, _, _ in keys}
    entries = select(audit).where(
        audit.c.action == "not notified", audit.c.reason == reason, audit.c.incident.in_(names)
    )
    last = {}
    for entry in connection.execute(entries.order_by(audit.c.id)).mappings():
        key = (entry["incident"], entry["detail"]["channel"], entry["detail"]["recipient"])
        if key in keys:
            last[key] = entry
    return last
