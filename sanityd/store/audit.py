"""The audit: every decision with its reason, appended and never changed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select

from sanityd.store.tables import audit

#: What may happen to a rule of a file.
RULE_CHANGES = ("rule added", "rule changed", "rule removed")


def append(
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
    """Keep a decision. `detail` holds numbers and names, never a row's value."""
    values = {
        "at": at,
        "actor": actor,
        "action": action,
        "reason": reason,
        "rule": rule,
        "incident": incident,
    }
    connection.execute(insert(audit).values(**values, detail=dict(detail or {})))


def of_file(connection: Connection, file: str) -> dict[str, tuple[str, str]]:
    """What happened last to each rule of a file, and how the rule is to be recognised since."""
    newest = (
        select(func.max(audit.c.id)).where(audit.c.action.in_(RULE_CHANGES)).group_by(audit.c.rule)
    )
    found = connection.execute(select(audit).where(audit.c.id.in_(newest))).mappings()
    return {
        row["rule"]: (row["action"], row["detail"]["print"])
        for row in found
        if row["detail"]["file"] == file
    }


def of_rule(connection: Connection, rule: str) -> list[RowMapping]:
    """What was decided about a rule, oldest first."""
    found = select(audit).where(audit.c.rule == rule).order_by(audit.c.id)
    return list(connection.execute(found).mappings())
