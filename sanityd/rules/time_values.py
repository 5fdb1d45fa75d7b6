"""Times as examples write them, beside a present of their own: `2026-01-01 11:00`, `11:00`, `10m ago`, `in 5m`."""

import re
from datetime import UTC, date, datetime, time
from typing import Any

from sanityd.model.durations import duration

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?( ?(Z|[+-]\d\d:?\d\d))?")
_CLOCK = re.compile(r"[0-2]?\d:\d\d(:\d\d)?")
_AGO = re.compile(r"(\S+) ago|in (\S+)")

#: What to write instead of something that is no time.
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
    return is_stamp(value) and _stamp(value).tzinfo is not None  # type: ignore[union-attr]  # as is_stamp says


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
        return datetime.combine(
            now.date(), time.fromisoformat(f"{int(hour):02}:{rest}"), now.tzinfo
        )
    if text == "now":
        return now
    if found := _AGO.fullmatch(text):
        # Not by the zone's own clock, which may have been set in between.
        there = now.astimezone(UTC)
        there = there - duration(found[1]) if found[1] else there + duration(found[2])
        return there.astimezone(now.tzinfo)
    read = _stamp(text)
    if read is None:
        raise ValueError(text)
    return read if read.tzinfo else read.replace(tzinfo=now.tzinfo)


def _stamp(text: Any) -> datetime | None:
    """A date, with or without a time, as it is written; None for anything else. Raises ValueError for none there is."""
    if not isinstance(text, str):
        return None
    if _DATE.fullmatch(text):
        return datetime.combine(date.fromisoformat(text), time())
    # Python takes no blank before the zone.
    return (
        datetime.fromisoformat(re.sub(r"(?<=\d) (?=[Z+-])", "", text))
        if _STAMP.fullmatch(text)
        else None
    )
