"""Values of MariaDB and MySQL that PyMySQL returns in a form that no other database has."""

from datetime import time
from typing import Any


def conversions() -> dict[Any, Any]:
    """Return the conversions of PyMySQL, with bits as numbers and times of day as such."""
    from pymysql.constants import FIELD_TYPE
    from pymysql.converters import conversions as standard

    return {**standard, FIELD_TYPE.BIT: _read_bits, FIELD_TYPE.TIME: read_time}


def _read_bits(value: bytes) -> int:
    return int.from_bytes(value, "big")


def read_time(value: str) -> time | str:
    """Return a time of day; the text itself where it is negative, or longer than a day."""
    try:
        return time.fromisoformat(value)
    except ValueError:
        return value
