"""Times as examples write them, beside a present of their own: `2026-01-01 11:00`, `11:00`, `10m ago`, `in 5m`."""

import re
from datetime import date, datetime, time
from typing import Any

from sanityd.durations import duration

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?( ?(Z|[+-]\d\d:?\d\d))?")
_CLOCK = re.compile(r"[0-2]?\d:\d\d(:\d\d)?")
_AGO = re.compile(r"(\S+) ago|in (\S+)")

#: What to write instead of something that is no time.
ADVICE = "write `11:00` (of the day of `now`), `10m ago`, `in 5m` or `2026-01-01 11:00`"


def is_stamp(value: Any) -> bool:
    """Whether it looks like a date, or a date with a time."""
    return isinstance(value, str) and (_DATE.fullmatch(value) or _STAMP.fullmatch(value)) is not None


def is_date(value: Any) -> bool:
    """Whether it is a date without a time."""
    return isinstance(value, str) and _DATE.fullmatch(value) is not None


def is_distance(value: Any) -> bool:
    """Whether it looks like a time told by its distance from the present, or the present itself."""
    return isinstance(value, str) and (value == "now" or _AGO.fullmatch(value) is not None)


def is_clock(value: Any) -> bool:
    """Whether it looks like a time of the day."""
    return isinstance(value, str) and _CLOCK.fullmatch(value) is not None


def moment(text: Any, now: datetime) -> datetime:
    """The time that a text means, in the zone of `now` where it names none. Raises ValueError when it means none."""
    if not isinstance(text, str):
        raise ValueError(text)
    if _CLOCK.fullmatch(text):
        hour, _, rest = text.partition(":")
        return datetime.combine(now.date(), time.fromisoformat(f"{int(hour):02}:{rest}"), now.tzinfo)
    if text == "now":
        return now
    if found := _AGO.fullmatch(text):
        return now - duration(found[1]) if found[1] else now + duration(found[2])
    if _DATE.fullmatch(text):
        return datetime.combine(date.fromisoformat(text), time(), now.tzinfo)
    if not _STAMP.fullmatch(text):
        raise ValueError(text)
    # Python takes no blank before the zone.
    read = datetime.fromisoformat(re.sub(r"(?<=\d) (?=[Z+-])", "", text))
    return read if read.tzinfo else read.replace(tzinfo=now.tzinfo)
