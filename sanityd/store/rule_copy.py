"""Copy the state of one rule into another store, to simulate a run there.

Only what decides about notifications now is copied. The first store is only read, the other only
written.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, insert, or_, select, true

from sanityd.store import tables
from sanityd.store.announced_tables import announced_changes
from sanityd.store.remedy_tables import remedies

#: How far back runs and incidents are copied: a few days more than any policy looks back.
RUNS = timedelta(days=35)
#: The same for rows that ended: when such a row is found again soon, it has regressed.
_ROWS = timedelta(days=8)
_HOUR = timedelta(hours=1)
#: Copied messages are put off by that, so that nothing sends them.
_NEVER = timedelta(days=3650)


def copy_rule(connection: Connection, into: Connection, rule: str, at: datetime) -> None:
    """Copy what decides about one rule.

    That is its own rows, runs, incidents, messages and triage; and what may inhibit it: incidents
    of others that are open, and silences.
    """
    for table, condition in _conditions(rule, at):
        _copy(connection, into, table, condition)
    never = {"not_before": at + _NEVER, "leased_until": at + _NEVER}
    about_rule = select(tables.news.c.message).where(tables.news.c.rule == rule)
    recent = tables.outbox.c.created_at > at - _HOUR
    messages = or_(tables.outbox.c.seq.in_(about_rule), recent)
    # Their text is not needed, only that they were sent.
    _copy(
        connection,
        into,
        tables.outbox,
        messages,
        {"text": "", "html": "", "subject": "", "data": {}, **never},
    )
    copied = select(tables.outbox.c.seq).where(messages)
    _copy(connection, into, tables.news, tables.news.c.message.in_(copied))


def _conditions(rule: str, at: datetime) -> list[tuple[Table, ColumnElement[bool]]]:
    rows, runs, cases = tables.violations, tables.runs, tables.incidents
    own = cases.c.rule == rule
    return [
        (tables.rules_seen, tables.rules_seen.c.rule == rule),
        (runs, and_(runs.c.rule == rule, runs.c.at >= at - RUNS)),
        (rows, and_(rows.c.rule == rule, or_(rows.c.open, rows.c.resolved_at >= at - _ROWS))),
        (tables.pending_confirmations, tables.pending_confirmations.c.rule == rule),
        (tables.watermarks, tables.watermarks.c.rule == rule),
        (cases, or_(cases.c.settled.is_(False), and_(own, cases.c.resolved_at >= at - RUNS))),
        (tables.triage, tables.triage.c.rule == rule),
        (tables.silences, true()),
        (announced_changes, true()),
        (remedies, remedies.c.rule == rule),
        (tables.noise, tables.noise.c.rule == rule),
        (tables.decisions, tables.decisions.c.incident.in_(select(cases.c.id).where(own))),
    ]


def _copy(
    connection: Connection,
    into: Connection,
    table: Table,
    condition: ColumnElement[bool],
    overrides: Mapping[str, Any] | None = None,
) -> None:
    changes = overrides or {}
    selected = connection.execute(select(table).where(condition)).mappings()
    rows = [{**row, **changes} for row in selected]
    if rows:
        into.execute(insert(table), rows)
