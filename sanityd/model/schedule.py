"""Schedules of rules: `every 5m`, `hourly`, `daily at 07:30 Europe/Berlin`, a cron line, `manual`.

A slot is a point in time at which a schedule is due. All times that go in and out are aware and in
UTC. Local times are computed here, so that nothing runs twice or never when clocks change.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from sanityd.model.durations import parse_duration
from sanityd.model.option_types import zone_advice

_ADVICE = (
    "write `every 5m`, `hourly`, `daily at 07:30 Europe/Berlin`, a cron line such as"
    " `0 7 * * 1-5`, or `manual`"
)
_DAILY = re.compile(r"daily at ([01]?[0-9]|2[0-3]):([0-5][0-9])(?: (\S+))?")
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
#: A rule is overdue after so many missed intervals, of which a shorter one counts as this one.
INTERVALS, _SHORTEST = 3, timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ScheduleError(ValueError):
    """A text that is not a schedule.

    `advice` says what to write instead; `word` is the wrong part, None for the whole text.
    """

    def __init__(self, message: str, advice: str, word: str | None = None) -> None:
        super().__init__(f"{message}: {advice}")
        self.message = message
        self.advice = advice
        self.word = word


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule: an interval (`every`), a cron line (`cron`), or neither (`manual`)."""

    #: The schedule as the rules file writes it.
    text: str
    every: timedelta | None = None
    cron: str | None = None
    #: The time zone in which the cron line is meant.
    zone: ZoneInfo = ZoneInfo("UTC")

    def __str__(self) -> str:
        """Return the text of the rules file."""
        return self.text

    @property
    def spreads(self) -> bool:
        """Whether runs may start some seconds after the slot: only without a wall-clock time."""
        return self.every is not None

    @property
    def interval(self) -> timedelta:
        """The time between two slots, for cron lines approximately. Zero for `manual`."""
        if self.every is not None:
            return self.every
        first = self.next_after(_EPOCH + timedelta(days=20_000))
        second = self.next_after(first) if first else None
        if first is None or second is None:
            return timedelta(0)
        return second - first

    def next_after(self, at: datetime, offset_seconds: int = 0) -> datetime | None:
        """Return the first slot after `at`; None when there is none.

        `offset_seconds` shifts the slots of `every`, which are counted from the epoch, so that
        restarts don't move them.
        """
        if self.every is not None:
            start = _EPOCH + timedelta(seconds=offset_seconds)
            return start + self.every * ((at - start) // self.every + 1)
        return self._next_of_cron(at, backwards=False)

    def slot_before(self, at: datetime) -> datetime | None:
        """Return the last slot at or before `at`; None when there is none."""
        if self.every is not None:
            return _EPOCH + self.every * ((at - _EPOCH) // self.every)
        return self._next_of_cron(at + timedelta(microseconds=1), backwards=True)

    def is_missed(self, last: datetime, at: datetime) -> bool:
        """Return whether so many intervals passed since the last run that it is overdue."""
        limit = at
        for _ in range(INTERVALS):
            before = self._interval_before(limit)
            if before is None:
                return False
            limit = before
        return last < limit

    def _interval_before(self, at: datetime) -> datetime | None:
        if self.every is not None:
            return at - max(self.every, _SHORTEST)
        return self.slot_before(at - timedelta(seconds=1))

    def _next_of_cron(self, at: datetime, *, backwards: bool) -> datetime | None:
        if self.cron is None:
            return None
        try:
            slot = next(CronSim(self.cron, at.astimezone(self.zone), reverse=backwards))
        except (StopIteration, CronSimError):
            return None
        return slot.astimezone(UTC)


def parse_schedule(text: str, zone: str = "UTC") -> Schedule:
    """Read a schedule. Raises ScheduleError with what to write instead.

    Parameters: `zone` is the time zone of a text that names none.
    """
    words = text.strip()
    if words == "manual":
        return Schedule(words)
    if words == "hourly":
        return Schedule(words, every=timedelta(hours=1))
    if words.startswith("every "):
        return _interval_schedule(words, words.removeprefix("every ").strip())
    daily = _DAILY.fullmatch(words)
    if daily:
        hour, minute, named_zone = daily.groups()
        cron = f"{int(minute)} {int(hour)} * * *"
        return Schedule(words, cron=cron, zone=_zone(named_zone or zone))
    return _cron_schedule(words, zone)


def _interval_schedule(words: str, length: str) -> Schedule:
    try:
        return Schedule(words, every=parse_duration(length))
    except ValueError as error:
        raise ScheduleError(f"`{length}` is not a duration", str(error), length or None) from None


def _cron_schedule(words: str, zone: str) -> Schedule:
    """Read five fields of cron, or a nickname such as `@daily`; a time zone may follow."""
    fields = words.split()
    zone_name = zone
    if fields and fields[0] in _NICKNAMES:
        fields = [*_NICKNAMES[fields[0]].split(), *fields[1:]]
    if len(fields) == 6:
        zone_name = fields.pop()
    if len(fields) != 5:
        raise ScheduleError(f"`{words}` is not a schedule", _ADVICE)
    line = " ".join(fields)
    try:
        CronSim(line, _EPOCH)
    except CronSimError:
        raise ScheduleError(f"`{words}` is not a schedule", _ADVICE) from None
    return Schedule(words, cron=line, zone=_zone(zone_name))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleError(f"`{name}` is not a time zone", zone_advice(name), name) from None
