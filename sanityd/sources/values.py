"""Bound values and times as numbers, for all dialects."""

from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal
from sqlalchemy.types import NullType

#: The limits below which a number means seconds, milliseconds, microseconds, each with its unit in
#: microseconds. Seconds reach to the year 5138.
UNITS = ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
