"""Values on their way into SQL, and points in time as numbers: what the dialects have in common."""

from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal
from sqlalchemy.types import NullType

#: Below which size a number means seconds, milliseconds, microseconds; each in microseconds. Seconds end in 5138.
UNITS = ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def bound(value: object) -> ColumnElement[Any]:
    """A bound value without a type, so that no cast is rendered and the database infers what it is."""
    return literal(value, NullType())


def epoch_seconds(at: datetime) -> Decimal:
    """Seconds since 1970 of an aware time, exact."""
    return Decimal(epoch_microseconds(at)) / 1_000_000


def epoch_microseconds(at: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def seconds_since_1970(element: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column of numbers that mean seconds, milliseconds or microseconds since 1970, as seconds."""
    size = func.abs(element)
    units = [(size < limit, element * Decimal(factor) / 1_000_000) for limit, factor in UNITS]
    return case(*((condition, seconds) for condition, seconds in units))


def wall_clock(at: datetime, zone: tzinfo) -> datetime:
    """What a clock on the wall of that zone shows at an aware time."""
    return at.astimezone(zone).replace(tzinfo=None)


def read_instant(value: object, zone: tzinfo) -> int | None:
    """Microseconds since 1970 of a stored time: a number is seconds, milliseconds or microseconds since 1970, which its
    size tells; a text is ISO 8601.

    A text without an offset is meant in `zone`. None for what is no time.
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
