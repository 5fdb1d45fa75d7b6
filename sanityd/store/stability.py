"""Rules that held for long: what their whole record says, runs and what is left of older ones."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, func, select

from sanityd.store import rules_seen
from sanityd.store.tables import days, runs

#: For how long; how often it must have been looked at; and how long ago the last look may be.
LONG = timedelta(days=90)
OFTEN = 12
RECENT = timedelta(days=8)
_ANSWERED = ("complete", "truncated")


@dataclass(frozen=True, slots=True)
class Steadfast:
    """Since when a rule has held, as far as is remembered, and how many looks say so."""

    since: datetime
    looks: int


def steadfast(
    connection: Connection, file: str, rule: str, meaning: str, at: datetime
) -> Steadfast | None:
    """Whether a rule has meant the same for `LONG`, up to `at`, and was never violated; None when that isn't known."""
    begun = rules_seen.since(connection, file, rule)
    if begun is None or begun > at - LONG or rules_seen.meaning(connection, file, rule) != meaning:
        return None
    looked = and_(
        runs.c.rule == rule, runs.c.outcome.in_(_ANSWERED), runs.c.at >= begun, runs.c.at <= at
    )
    first = func.min(runs.c.at, type_=runs.c.at.type)
    last = func.max(runs.c.at, type_=runs.c.at.type)
    new = connection.execute(
        select(func.count(), func.max(runs.c.violations), first, last).where(looked)
    ).one()
    # The day on which it was changed may hold runs from before.
    whole = and_(days.c.rule == rule, days.c.answered > 0, days.c.day > begun, days.c.day <= at)
    oldest = func.min(days.c.day, type_=days.c.day.type)
    old = connection.execute(
        select(func.sum(days.c.answered), func.max(days.c.most), oldest).where(whole)
    ).one()
    looks = int(new[0] or 0) + int(old[0] or 0)
    known = [moment for moment in (new[2], old[2]) if moment is not None]
    if (
        looks < OFTEN
        or new[1]
        or old[1]
        or min(known) > at - LONG
        or new[3] is None
        or new[3] < at - RECENT
    ):
        return None
    return Steadfast(min(known), looks)
