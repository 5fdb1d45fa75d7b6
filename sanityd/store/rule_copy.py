"""What is remembered of one rule, carried over into another store: to try there what would come of a run.

Only reads the one, only writes the other. What doesn't bear on what would be told now stays behind.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, insert, or_, select, true

from sanityd.store import tables

#: How far back runs and incidents matter: the longest that a policy looks, and some days more.
RUNS = timedelta(days=35)
#: How long after its end a row that is seen again is told to have regressed.
_ROWS = timedelta(days=8)
_HOUR = timedelta(hours=1)
#: In whose time nothing is sent that was carried over.
_NEVER = timedelta(days=3650)


def carry(memory: Connection, into: Connection, rule: str, at: datetime) -> None:
    """Carry over what bears on one rule: its rows, runs, incidents, mails and what people decided; and what explains it
    away: other incidents that are open, and silences."""
    for table, wanted in _wanted(rule, at):
        _copy(memory, into, table, wanted)
    never = {"not_before": at + _NEVER, "leased_until": at + _NEVER}
    told = select(tables.news.c.message).where(tables.news.c.rule == rule)
    late = tables.outbox.c.created_at > at - _HOUR
    messages = or_(tables.outbox.c.seq.in_(told), late)
    # What they say is not needed, only that they were sent.
    _copy(
        memory,
        into,
        tables.outbox,
        messages,
        {"text": "", "html": "", "subject": "", "data": {}, **never},
    )
    carried = select(tables.outbox.c.seq).where(messages)
    _copy(memory, into, tables.news, tables.news.c.message.in_(carried))


def _wanted(rule: str, at: datetime) -> list[tuple[Table, ColumnElement[bool]]]:
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
        (tables.noise, tables.noise.c.rule == rule),
        (tables.decisions, tables.decisions.c.incident.in_(select(cases.c.id).where(own))),
    ]


def _copy(
    memory: Connection,
    into: Connection,
    table: Table,
    wanted: ColumnElement[bool],
    instead: Mapping[str, Any] | None = None,
) -> None:
    rows = [
        {**row, **(instead or {})} for row in memory.execute(select(table).where(wanted)).mappings()
    ]
    if rows:
        into.execute(insert(table), rows)
