"""Values of two databases as texts that are equal for equal values, whatever the driver returns.

Pure. `1`, `1.0` and `'1'` are one value where one side is a number, a UUID is the same in every
form, a time is an instant, `9:30` and `09:30:00` are one time of day, JSON is what it says.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any
from uuid import UUID

from sanityd.sources.catalog import Family
from sanityd.sources.values import (
    epoch_microseconds,
    interval_text,
    read_instant,
    read_interval,
)

Canonical = Callable[[Any], str]

#: Bytes of a digest: of a trillion keys, two share one with a chance of one in 10^15.
SIZE = 16
#: Bytes of the digest of one value, which is compared with one other only.
SHORT = 8
_NUMBERS = frozenset({Family.INTEGER, Family.NUMBER, Family.BOOLEAN})
_TIMES = frozenset({Family.TIMESTAMP, Family.TIMESTAMPTZ})
#: MariaDB has one type for times of day and intervals.
_TIMES_OF_DAY = frozenset({Family.TIME, Family.INTERVAL})


def canonicals(
    family: Family, zone: tzinfo, other_family: Family, other_zone: tzinfo
) -> tuple[Canonical, Canonical]:
    """How to write a value of each side, so that equal values are equal texts.

    Parameters: the families of the two columns, and the zones in which times without one are meant.
    """
    # A query doesn't say what it returns: then the other side does, or each value by itself.
    if family is Family.OTHER:
        family = other_family
    elif other_family is Family.OTHER:
        other_family = family
    both = (family, other_family)
    if family is Family.OTHER:
        return _by_itself(zone), _by_itself(other_zone)
    if Family.UUID in both:
        return _uuid, _uuid
    if not _TIMES.isdisjoint(both):
        return _instant(family, zone), _instant(other_family, other_zone)
    if Family.DATE in both:
        return _date, _date
    if not _TIMES_OF_DAY.isdisjoint(both):
        return _time_of_day, _time_of_day
    if not _NUMBERS.isdisjoint(both):
        return _number, _number
    if Family.JSON in both:
        return _json, _json
    return _text, _text


def digest(values: Sequence[Any], canonical: Sequence[Canonical]) -> bytes:
    """The identity of a key, in `SIZE` bytes."""
    parts = [write(value) for write, value in zip(canonical, values, strict=True)]
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=SIZE).digest()


def short_digest(value: Any, canonical: Canonical) -> bytes:
    """The identity of one value of a row, in `SHORT` bytes. NULL is a value, too."""
    text = "" if value is None else f"={canonical(value)}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=SHORT).digest()


def _text(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return value.hex()
    if isinstance(value, dict | list):
        return _json_text(value)
    return interval_text(value) if isinstance(value, timedelta) else str(value)


def _json(value: Any) -> str:
    written = value if isinstance(value, str | bytes) else json.dumps(value, default=str)
    try:
        # Numbers as they are written: a fraction would lose digits.
        return _json_text(json.loads(written, parse_float=Decimal, parse_int=Decimal))
    except ValueError:
        return f"text {_text(value)}"


def _json_text(value: Any) -> str:
    # `1` and `1.0` are one number.
    return json.dumps(value, sort_keys=True, default=lambda part: f"={_number(part)}")


def _time_of_day(value: Any) -> str:
    match value:
        case time():
            seconds = value.hour * 3600 + value.minute * 60 + value.second
            microseconds = seconds * 1_000_000 + value.microsecond
            return f"{microseconds}{value.strftime('%z')}"
        case timedelta():
            return str(value // timedelta(microseconds=1))
        case _:
            interval = read_interval(str(value))
            return f"text {value}" if interval is None else _time_of_day(interval)


def _number(value: Any) -> str:
    if isinstance(value, int):
        return str(int(value))
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(str(value).strip())
    except InvalidOperation:
        return f"text {value}"
    if not number.is_finite():
        return str(number)
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _uuid(value: Any) -> str:
    if isinstance(value, UUID):
        return value.hex
    try:
        raw = bytes(value) if isinstance(value, bytes | bytearray | memoryview) else None
        return (UUID(str(value)) if raw is None else UUID(bytes=raw)).hex
    except ValueError:
        return f"text {_text(value)}"


def _by_itself(zone: tzinfo) -> Canonical:
    instant = _instant(Family.TIMESTAMP, zone)

    def write(value: Any) -> str:
        if isinstance(value, int | float | Decimal):
            return _number(value)
        if isinstance(value, UUID):
            return value.hex
        if isinstance(value, time | timedelta):
            return _time_of_day(value)
        return instant(value) if isinstance(value, datetime) else _text(value)

    return write


def _date(value: Any) -> str:
    return value.date().isoformat() if isinstance(value, datetime) else str(value)


def _instant(family: Family, zone: tzinfo) -> Canonical:
    # MariaDB gives the instants of TIMESTAMP bare, in the session's zone, which is UTC.
    meant = UTC if family is Family.TIMESTAMPTZ else zone

    def write(value: Any) -> str:
        if isinstance(value, datetime):
            return str(epoch_microseconds(value if value.tzinfo else value.replace(tzinfo=meant)))
        if isinstance(value, date):
            return str(
                epoch_microseconds(datetime(value.year, value.month, value.day, tzinfo=meant))
            )
        microseconds = read_instant(value, meant)
        return f"text {value}" if microseconds is None else str(microseconds)

    return write
