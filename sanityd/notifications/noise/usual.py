"""What is usual for a rule, learned from its runs; what is worse breaks through all that is quiet.

A day counts with the most violations that two runs in a row had: what only one run saw is a jump
and says nothing about what to expect. Pure.

    day        runs             peak   lasting
    Monday     0 3 4 4 0           4         4
    Tuesday    0 0 300 0 2 2 0   300         2     one run saw 300: a jump
    Wednesday  0 0 0               -         -     not violated, so it is no such day

What nine of ten violated days had at most is usual. More than half as much again, and more than
five more, is worse than usual. The day of the open incident does not count, so that what is worse
does not become usual while it goes on; the day after it does, as one day of many.

A weekday that always has more than twice as many as the others is a season: its days are compared
with each other only, and the others without it.
"""

from collections.abc import Iterable, Sequence, Set
from datetime import date, datetime, timedelta
from itertools import groupby, pairwise
from math import ceil
from zoneinfo import ZoneInfo

from sanityd.notifications.noise.types import DayPeak, PastRunResult, Record
from sanityd.notifications.policy import quiet_limit

#: What is usual is what so large a share of the days, or of the incidents, had at most.
SHARE = 0.9
#: A weekday is a season of its own from so many such days on, each with so many times as many
#: violations as the other weekdays usually have.
SEASON_DAYS, SEASON_TIMES = 3, 2
#: A rule is known to jump when on so many days a single run saw more than its limit.
JUMPS = 2
_WEEKDAYS = frozenset(range(7))
#: An incident lasts unusually long after so many times what its predecessors usually lasted.
LONG_TIMES, LONG_AT_LEAST = 3, timedelta(hours=2)


def daily_peaks(runs: Iterable[PastRunResult], zone: ZoneInfo) -> tuple[DayPeak, ...]:
    """Return the most violations of each day on which a rule was violated, oldest first.

    Parameters: `runs` are all runs with an answer, oldest first; `zone` says when a day begins.
    """
    peaks = []
    for day, day_runs in groupby(runs, key=lambda run: run.at.astimezone(zone).date()):
        counts = [run.violations for run in day_runs]
        if any(counts):
            lasting = max((min(pair) for pair in pairwise(counts)), default=0)
            peaks.append(DayPeak(day, max(counts), lasting))
    return tuple(peaks)


def usual_count(days: Sequence[DayPeak], today: date) -> int:
    """Return how many violations are usual on a day; 0 where nothing is known.

    That is what nine of ten such days had at most. Where the same weekday always has many more
    than the others, only the days of that weekday are such days; else they are left out.
    """
    weekday = today.weekday()
    if _is_season(weekday, days):
        return at_most(_counts(days, {weekday}))
    seasons = {other for other in range(7) if _is_season(other, days)}
    return at_most(_counts(days, _WEEKDAYS - seasons))


def _is_season(weekday: int, days: Sequence[DayPeak]) -> bool:
    """Return whether a weekday always has many more violations than the others."""
    counts = _counts(days, {weekday})
    if len(counts) < SEASON_DAYS:
        return False
    return min(counts) > SEASON_TIMES * at_most(_counts(days, _WEEKDAYS - {weekday}))


def _counts(days: Iterable[DayPeak], weekdays: Set[int]) -> list[int]:
    """Return the violations of the days that are such weekdays; Monday is 0."""
    return [day.lasting for day in days if day.day.weekday() in weekdays]


def at_most(values: Sequence[int]) -> int:
    """Return what nine of ten values are at most, one of them; 0 without values.

    Of fewer than ten it is the highest.
    """
    if not values:
        return 0
    return sorted(values)[ceil(SHARE * len(values)) - 1]


def jumps(days: Iterable[DayPeak], limit: float) -> bool:
    """Return whether on several days only a single run saw more violations than the limit.

    Parameters: `days` are the violated days before the open incident; `limit` is a number of
    violations, from `quiet_limit`.
    """
    single = [day for day in days if day.lasting <= limit < day.peak]
    return len(single) >= JUMPS


def usual_of(record: Record, baseline: int, at: datetime, zone: ZoneInfo) -> int:
    """Return how many violations are usual for the rule today.

    Parameters: `baseline` is what counts where nothing was recorded of the days before.
    """
    if not record.days:
        return baseline
    return usual_count(record.days, at.astimezone(zone).date())


def is_worse(record: Record, usual: int, at: datetime) -> bool:
    """Return whether the rule is worse than usual now: more violations, or for much longer.

    One run with more is enough, except where such runs are known to come alone.

    Parameters: `usual` is the number of violations that is usual today, from `usual_of`; `at` is
    the time of the last run.
    """
    if not record.looks or record.looks[-1].severity is None:
        return False
    limit = quiet_limit(usual)
    least_runs = 2 if jumps(record.days, limit) else 1
    last_runs = record.looks[-least_runs:]
    if min(run.violations for run in last_runs) > limit:
        return True
    return lasts_long(record, at)


def lasts_long(record: Record, at: datetime) -> bool:
    """Return whether the open incident lasts much longer than those that ended by themselves.

    False while fewer than two did: nothing is known then of how long they last.
    """
    lasted = self_ended(record)
    episode = record.open_episode
    if episode is None or len(lasted) < JUMPS:
        return False
    longest = timedelta(seconds=at_most(lasted))
    return at - episode.began >= max(LONG_TIMES * longest, LONG_AT_LEAST)


def self_ended(record: Record) -> list[int]:
    """Return for how many seconds each incident lasted that ended without an act of people.

    Only incidents that began since the rule has its present meaning.
    """
    return [episode.seconds for episode in record.ended if episode.by_itself]
