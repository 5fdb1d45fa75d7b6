"""Convert a value of an example to the type of its column, and infer that type from values.

Pure: reads no database.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from uuid import UUID

from sanityd.model import Value
from sanityd.rules import time_values
from sanityd.rules.cases import Scalar
from sanityd.sources.catalog import Family

#: The families of dates and times.
TIMES = (Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ)
#: Number of different values on one side of zero in an integer of a database.
_INTEGER_LIMIT = 2**63


def stored(value: Scalar, family: Family, now: datetime) -> Value:
    """Return a value of the example as its column stores it. Raises ValueError when it can't.

    Parameters: `now` is the present, in the zone of the table's source.
    """
    convert = _CONVERSIONS.get(family)
    if convert is None:
        return _text(value)
    return convert(value, now)


def _boolean(value: Scalar, _now: datetime) -> Value:
    if not isinstance(value, bool) and value not in (0, 1):
        raise ValueError(value)
    return bool(value)


def _integer(value: Scalar, _now: datetime) -> Value:
    number = int(value or 0)
    has_fraction = isinstance(value, float) and value != number
    if has_fraction or not _is_integer(number):
        raise ValueError(value)
    return number


def _decimal(value: Scalar, _now: datetime) -> Value:
    if isinstance(value, bool):
        return Decimal(int(value))
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError(value) from None


def _date(value: Scalar, now: datetime) -> Value:
    return time_values.parse_time(value, now).date()


def _timestamp(value: Scalar, now: datetime) -> Value:
    return time_values.parse_time(value, now).astimezone(now.tzinfo).replace(tzinfo=None)


def _bytes(value: Scalar, _now: datetime) -> Value:
    return _text(value).encode()


def _uuid(value: Scalar, _now: datetime) -> Value:
    return str(UUID(_text(value)))


def _text(value: Scalar) -> str:
    text = str(value)
    return text.lower() if isinstance(value, bool) else text


_CONVERSIONS: Mapping[Family, Callable[[Scalar, datetime], Value]] = {
    Family.BOOLEAN: _boolean,
    Family.INTEGER: _integer,
    Family.NUMBER: _decimal,
    Family.DATE: _date,
    Family.TIMESTAMP: _timestamp,
    Family.TIMESTAMPTZ: time_values.parse_time,
    Family.BYTES: _bytes,
    Family.UUID: _uuid,
}


def family_of_values(column: str, values: Sequence[Scalar], *, is_time: bool) -> Family | None:
    """Return the type that all values of a column fit into; None without values.

    Parameters: `is_time` is whether the rule reads the column as a time.
    """
    types = {type(value) for value in values}
    if not types:
        return None
    if types == {bool}:
        return Family.BOOLEAN
    if types <= {int, bool}:
        if all(_is_integer(int(value or 0)) for value in values):
            return Family.INTEGER
        return Family.NUMBER
    if types <= {int, float, bool}:
        return Family.NUMBER
    if types != {str}:
        return Family.TEXT
    if is_time or _are_times(column, values):
        return _time_family(values)
    return Family.TEXT


def _is_integer(number: int) -> bool:
    """Whether a number fits into 64 bits."""
    return -_INTEGER_LIMIT <= number < _INTEGER_LIMIT


def _are_times(column: str, values: Sequence[Scalar]) -> bool:
    """Whether all texts are times. `11:00` alone may be opening hours, which are text."""
    has_day = False
    for value in values:
        if time_values.is_stamp(value) or time_values.is_distance(value):
            has_day = True
        elif not time_values.is_clock(value):
            return False
    return has_day or column.endswith("_at")


def _time_family(values: Sequence[Scalar]) -> Family:
    if all(time_values.is_date(value) for value in values):
        return Family.DATE
    if any(time_values.has_zone(value) for value in values):
        return Family.TIMESTAMPTZ
    return Family.TIMESTAMP
