"""Equal values of two databases are equal texts, and values are written as people write them."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sanityd.checks.comparison import canonicals
from sanityd.checks.keys import value_of
from sanityd.sources.catalog import Family
from sanityd.sources.mysql_values import conversions, read_time
from sanityd.sources.values import read_interval

EQUAL = [
    (Family.TIME, time(9, 30), Family.TEXT, "9:30:00"),
    (Family.TIME, time(9, 30, 0, 500000), Family.TIME, "09:30:00.5"),
    (Family.TIME, "-10:00:00", Family.INTERVAL, timedelta(hours=-10)),
    (Family.TIME, "838:59:59", Family.INTERVAL, timedelta(hours=838, minutes=59, seconds=59)),
    (Family.INTERVAL, timedelta(days=2, hours=3), Family.TEXT, "2 days 03:00:00"),
    (Family.BOOLEAN, 1, Family.BOOLEAN, True),
    (Family.BOOLEAN, True, Family.OTHER, "1"),
    (Family.JSON, '{"b": 1, "a": [1.50]}', Family.TEXT, '{"a":[1.5],"b":1.0}'),
    (Family.JSON, '{"é": null}', Family.JSON, {"é": None}),
    (Family.JSON, "null", Family.TEXT, "null"),
    (Family.JSON, {"a": 1, "b": [2.5]}, Family.TEXT, '{"b": [2.50], "a": 1.0}'),
    (Family.NUMBER, Decimal("1.50"), Family.TEXT, "1.5"),
]
DIFFERENT = [
    (Family.TIME, time(9, 30), Family.TEXT, "9:30:01"),
    (Family.TIME, time(9, 30), Family.TEXT, "half past nine"),
    (Family.JSON, "12345678901234567890.1", Family.TEXT, "12345678901234567890.2"),
    (Family.JSON, '{"a": 1}', Family.TEXT, '{"a": "1"}'),
    (Family.JSON, "{", Family.TEXT, "{}"),
]


def written(family: Family, value: Any, other: Family, other_value: Any) -> tuple[str, str]:
    """Both values as they are compared."""
    write, write_other = canonicals(family, UTC, other, UTC)
    return write(value), write_other(other_value)


@pytest.mark.parametrize("pair", EQUAL)
def test_equal_values_are_equal_texts(pair: tuple[Family, Any, Family, Any]) -> None:
    """Whatever the types of the two columns and their drivers are."""
    own, other = written(*pair)
    assert own == other


@pytest.mark.parametrize("pair", DIFFERENT)
def test_different_values_are_different_texts(pair: tuple[Family, Any, Family, Any]) -> None:
    """Also where one of them can't be read as the other's type."""
    own, other = written(*pair)
    assert own != other


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(hours=-10), "-10:00:00"),
        (timedelta(days=2, hours=3, minutes=4, seconds=5), "2 days 03:04:05"),
        (timedelta(days=-1, hours=-2), "-1 day -02:00:00"),
        (timedelta(microseconds=-500000), "-00:00:00.5"),
        (timedelta(0), "00:00:00"),
        (timedelta(days=30), "30 days"),
    ],
)
def test_an_interval_is_written_as_people_do_and_read_again(value: timedelta, text: str) -> None:
    """Python writes `-1 day, 14:00:00`."""
    assert value_of(value) == text
    assert read_interval(text) == value


def test_structs_and_lists_are_written_as_json() -> None:
    """Not as Python's repr, whatever is in them."""
    value = {"at": datetime(2026, 6, 1, tzinfo=UTC), "raw": b"\xff", "day": date(2026, 6, 1)}
    assert value_of(value) == (
        '{"at": "2026-06-01 00:00:00+00:00", "raw": "ff", "day": "2026-06-01"}'
    )
    assert value_of(["é", None, True, Decimal("1.50")]) == '["é", null, true, "1.50"]'
    assert value_of([timedelta(hours=-1)]) == '["-01:00:00"]'


def test_times_and_bits_of_mariadb_are_those_of_other_databases() -> None:
    """PyMySQL has intervals for times, and bytes for bits."""
    from pymysql.constants import FIELD_TYPE

    assert conversions()[FIELD_TYPE.BIT](b"\x01\x00") == 256
    assert read_time("09:30:00.500000") == time(9, 30, 0, 500000)
    assert (read_time("-10:00:00"), read_time("838:59:59")) == ("-10:00:00", "838:59:59")
