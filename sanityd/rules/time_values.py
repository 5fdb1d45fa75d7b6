"""Times as rule tests write them: `2026-01-01 11:00`, `11:00`, `10m ago`, `in 5m`."""

import re
from datetime import UTC, date, datetime, time
from typing import Any

from sanityd.model.durations import parse_duration

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?( ?(Z|[+-]\d\d:?\d\d))?")
_CLOCK = re.compile(r"[0-2]?\d:\d\d(:\d\d)?")
_AGO = re.compile(r"(\S+) ago|in (\S+)")

#: The advice for a text that is no time.
ADVICE = "write `11:00` (of the day of `now`), `10m ago`, `in 5m` or `2026-01-01 11:00`"


def is_stamp(value: Any) -> bool:
    """Whether it is a date, or a date with a time."""
    try:
        return _stamp(value) is not None
    except ValueError:
        return False


def is_date(value: Any) -> bool:
    """Whether it is a date without a time."""
    return is_stamp(value) and _DATE.fullmatch(value) is not None


def has_zone(value: Any) -> bool:
    """Whether it is a date with a time and a zone."""
    try:
        stamp = _stamp(value)
    except ValueError:
        return False
    return stamp is not None and stamp.tzinfo is not None


def is_distance(value: Any) -> bool:
    """Whether it looks like `now`, or a time relative to it."""
    return isinstance(value, str) and (value == "now" or _AGO.fullmatch(value) is not None)


def is_clock(value: Any) -> bool:
    """Whether it looks like a time of the day."""
    return isinstance(value, str) and _CLOCK.fullmatch(value) is not None


def parse_time(text: Any, now: datetime) -> datetime:
    """Return the time that a text means, in the zone of `now` where it names none.

    Raises ValueError when it is no time.
    """
    if not isinstance(text, str):
        raise ValueError(text)
    if _CLOCK.fullmatch(text):
        hour, _, rest = text.partition(":")
        time_of_day = time.fromisoformat(f"{int(hour):02}:{rest}")
        return datetime.combine(now.date(), time_of_day, now.tzinfo)
    if text == "now":
        return now
    distance = _AGO.fullmatch(text)
    if distance is not None:
        # In UTC: the clock of the zone may have been set in between.
        utc = now.astimezone(UTC)
        if distance[1]:
            utc -= parse_duration(distance[1])
        else:
            utc += parse_duration(distance[2])
        return utc.astimezone(now.tzinfo)
    stamp = _stamp(text)
    if stamp is None:
        raise ValueError(text)
    return stamp if stamp.tzinfo else stamp.replace(tzinfo=now.tzinfo)


def _stamp(text: Any) -> datetime | None:
    """Return a date, with or without a time, as it is written; None for anything else.

    Raises ValueError for a date that does not exist.
    """
    if not isinstance(text, str):
        return None
    if _DATE.fullmatch(text):
        return datetime.combine(date.fromisoformat(text), time())
    if not _STAMP.fullmatch(text):
        return None
    # Python takes no blank before the zone.
    return datetime.fromisoformat(re.sub(r"(?<=\d) (?=[Z+-])", "", text))
