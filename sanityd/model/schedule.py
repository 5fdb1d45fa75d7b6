"""When a rule is due: `every 5m`, `hourly`, `daily at 07:30 Europe/Berlin`, a cron line, `manual`. UTC in and out.

Local times are computed here, so that nothing runs twice or never when clocks change.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from sanityd.model.durations import duration
from sanityd.model.option_types import zone_advice

_ADVICE = "write `every 5m`, `hourly`, `daily at 07:30 Europe/Berlin`, a cron line such as `0 7 * * 1-5`, or `manual`"
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
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ScheduleError(ValueError):
    """Not a schedule. `advice` says what to write instead, `word` which part of it is to blame, if it isn't all."""

    def __init__(self, message: str, advice: str, word: str | None = None) -> None:
        super().__init__(f"{message}: {advice}")
        self.message = message
        self.advice = advice
        self.word = word


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule: either `every` so long, or a cron line in a zone, or neither (`manual`)."""

    text: str
    every: timedelta | None = None
    cron: str | None = None
    zone: ZoneInfo = ZoneInfo("UTC")

    def __str__(self) -> str:
        """As the rule says it."""
        return self.text

    @property
    def spreads(self) -> bool:
        """Whether it may run a little after the full mark: only where no wall-clock time was asked for."""
        return self.every is not None

    @property
    def interval(self) -> timedelta:
        """About how long it is from one slot to the next; for cron lines, now. Zero for `manual`."""
        if self.every is not None:
            return self.every
        first = self.next_after(_EPOCH + timedelta(days=20_000))
        second = self.next_after(first) if first else None
        return second - first if first and second else timedelta(0)

    def next_after(self, at: datetime, offset_seconds: int = 0) -> datetime | None:
        """The first slot after `at` (aware), in UTC; None when there is none.

        `offset_seconds` shifts the slots of `every`. They are counted from the epoch, so that restarts don't move them.
        """
        if self.every is not None:
            start = _EPOCH + timedelta(seconds=offset_seconds)
            return start + self.every * ((at - start) // self.every + 1)
        return self._cron(at, backwards=False)

    def slot_before(self, at: datetime) -> datetime | None:
        """The last slot at or before `at` (aware), in UTC; None when there is none."""
        if self.every is not None:
            return _EPOCH + self.every * ((at - _EPOCH) // self.every)
        return self._cron(at + timedelta(microseconds=1), backwards=True)

    def _cron(self, at: datetime, *, backwards: bool) -> datetime | None:
        if self.cron is None:
            return None
        try:
            found = next(CronSim(self.cron, at.astimezone(self.zone), reverse=backwards))
        except (StopIteration, CronSimError):
            return None
        return found.astimezone(UTC)


def parse_schedule(text: str, zone: str = "UTC") -> Schedule:
    """Read a schedule; `zone` is meant where the text names none. Raises ScheduleError with what to write instead."""
    words = text.strip()
    if words == "manual":
        return Schedule(words)
    if words == "hourly":
        return Schedule(words, every=timedelta(hours=1))
    if words.startswith("every "):
        return _every(words, words.removeprefix("every ").strip())
    if found := _DAILY.fullmatch(words):
        hour, minute, named = found.groups()
        return Schedule(words, cron=f"{int(minute)} {int(hour)} * * *", zone=_zone(named or zone))
    return _cron_line(words, zone)


def _every(words: str, length: str) -> Schedule:
    try:
        return Schedule(words, every=duration(length))
    except ValueError as error:
        raise ScheduleError(f"`{length}` is not a duration", str(error), length or None) from None


def _cron_line(words: str, zone: str) -> Schedule:
    parts = words.split()
    named = zone
    if parts and parts[0] in _NICKNAMES:
        parts = [*_NICKNAMES[parts[0]].split(), *parts[1:]]
    if len(parts) == 6:
        named = parts.pop()
    if len(parts) != 5:
        raise ScheduleError(f"`{words}` is not a schedule", _ADVICE)
    line = " ".join(parts)
    try:
        CronSim(line, _EPOCH)
    except CronSimError:
        raise ScheduleError(f"`{words}` is not a schedule", _ADVICE) from None
    return Schedule(words, cron=line, zone=_zone(named))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleError(f"`{name}` is not a time zone", zone_advice(name), name) from None
