"""Rules that held for a long time, by their runs and the daily summaries of older ones."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, func, select

from sanityd.store import rules_seen
from sanityd.store.tables import days, runs

#: For how long a rule must have held, with how many runs, and how old the last one may be.
LONG = timedelta(days=90)
OFTEN = 12
RECENT = timedelta(days=8)
_ANSWERED = ("complete", "truncated")


@dataclass(frozen=True, slots=True)
class StableRule:
    """Since when a rule has held, as far as the store knows, and in how many runs (`looks`)."""

    since: datetime
    looks: int


def stable_rule(
    connection: Connection, file: str, rule: str, meaning: str, at: datetime
) -> StableRule | None:
    """Return since when a rule holds; None unless it held, with the same meaning, for `LONG`."""
    since = rules_seen.since(connection, file, rule)
    if since is None or since > at - LONG:
        return None
    if rules_seen.meaning(connection, file, rule) != meaning:
        return None
    return _record(connection, rule, since, at)


def _record(connection: Connection, rule: str, since: datetime, at: datetime) -> StableRule | None:
    """Return the record of a rule whose meaning is the same since then; None if it is too short."""
    recent = _recent(connection, rule, since, at)
    older = _older(connection, rule, since, at)
    if recent.last is None or recent.last < at - RECENT:
        return None
    first = recent.first if older.first is None else min(recent.first, older.first)
    answered = int(recent.answered or 0) + int(older.answered or 0)
    was_violated = bool(recent.violations or older.violations)
    if was_violated or answered < OFTEN or first > at - LONG:
        return None
    return StableRule(first, answered)


def _recent(connection: Connection, rule: str, since: datetime, at: datetime) -> Any:
    answered = and_(
        runs.c.rule == rule, runs.c.outcome.in_(_ANSWERED), runs.c.at >= since, runs.c.at <= at
    )
    columns = (
        func.count().label("answered"),
        func.max(runs.c.violations).label("violations"),
        func.min(runs.c.at, type_=runs.c.at.type).label("first"),
        func.max(runs.c.at, type_=runs.c.at.type).label("last"),
    )
    return connection.execute(select(*columns).where(answered)).one()


def _older(connection: Connection, rule: str, since: datetime, at: datetime) -> Any:
    # The day on which the rule was changed may hold runs from before.
    whole_days = and_(
        days.c.rule == rule, days.c.answered > 0, days.c.day > since, days.c.day <= at
    )
    columns = (
        func.sum(days.c.answered).label("answered"),
        func.max(days.c.most).label("violations"),
        func.min(days.c.day, type_=days.c.day.type).label("first"),
    )
    return connection.execute(select(*columns).where(whole_days)).one()
