"""Bound values and times as numbers, for all dialects."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal
from sqlalchemy.types import NullType

#: The limits below which a number means seconds, milliseconds, microseconds, each with its unit in
#: microseconds. Seconds reach to the year 5138.
UNITS = ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


#: `9:30`, `-10:00:00`, `2 days 03:04:05.5`: a time of day, or an interval without months.
_INTERVAL = re.compile(
    r"(?:(-?)(\d+) days? ?)?(?:([+-]?)(\d+):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?"
)


def bound(value: object) -> ColumnElement[Any]:
    """Return a bound value without a type and a cast, so that the database infers its type."""
    return literal(value, NullType())


def epoch_seconds(at: datetime) -> Decimal:
    """Return the exact seconds since 1970 of an aware time."""
    return Decimal(epoch_microseconds(at)) / 1_000_000


def epoch_microseconds(at: datetime) -> int:
    """Return the microseconds since 1970 of an aware time."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def seconds_since_1970(element: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column of seconds, milliseconds or microseconds since 1970 as seconds."""
    size = func.abs(element)
    units = [(size < limit, element * Decimal(factor) / 1_000_000) for limit, factor in UNITS]
    return case(*((condition, seconds) for condition, seconds in units))


def wall_clock(at: datetime, zone: tzinfo) -> datetime:
    """Return the local time in a zone at an aware time."""
    return at.astimezone(zone).replace(tzinfo=None)


def read_instant(value: object, zone: tzinfo) -> int | None:
    """Return the microseconds since 1970 of a stored time; None for what is no time.

    A number means seconds, milliseconds or microseconds by its size; a text is ISO 8601.

    Parameters: `zone` is the time zone of a text without an offset.
    """
    match value:
        case int() | float():
            for limit, factor in UNITS:
                if abs(value) < limit:
                    return round(value * factor)
            return None
        case str():
            return _read_text(value.strip(), zone)
        case _:
            return None


def _read_text(value: str, zone: tzinfo) -> int | None:
    if value.isdecimal() and 8 < len(value) < 18:
        return read_instant(int(value), zone)
    try:
        at = datetime.fromisoformat(value)
        return epoch_microseconds(at if at.tzinfo else at.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        return None


def read_interval(text: str) -> timedelta | None:
    """Return an interval, or the time since midnight, as databases write it; None for others."""
    match = _INTERVAL.fullmatch(text)
    if not text or match is None:
        return None
    minus, days, sign, hours, minutes, seconds, fraction = match.groups()
    microseconds = int((fraction or "").ljust(6, "0"))
    clock = timedelta(
        hours=int(hours or 0),
        minutes=int(minutes or 0),
        seconds=int(seconds or 0),
        microseconds=microseconds,
    )
    whole_days = timedelta(days=int(days or 0))
    return (-whole_days if minus else whole_days) + (-clock if sign == "-" else clock)


def interval_text(value: timedelta) -> str:
    """Return an interval as people write it: `-10:00:00`, `2 days 03:04:05`."""
    size = abs(value)
    minutes, seconds = divmod(size.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{size.microseconds:06}".rstrip("0").rstrip(".")
    sign = "-" if value < timedelta(0) else ""
    clock = f"{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}"
    if not size.days:
        return clock
    days = f"{sign}{size.days} {'day' if size.days == 1 else 'days'}"
    return f"{days} {clock}" if size.seconds or size.microseconds else days
