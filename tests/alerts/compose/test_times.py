"""Points in time and lengths of time, as people say them."""

from datetime import UTC, datetime, timedelta

import pytest

from sanityd.alerts.compose.times import (
    format_date,
    format_rounded,
    format_time,
    format_time_briefly,
)
from tests.alerts.samples import AT, BERLIN


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (AT, "today 09:05"),
        (datetime(2026, 11, 22, 23, 30, tzinfo=UTC), "today 00:30"),
        (datetime(2026, 11, 22, 7, 5, tzinfo=UTC), "Sun 08:05"),
        (datetime(2026, 11, 17, 8, 5, tzinfo=UTC), "Tue 09:05"),
        (datetime(2026, 11, 16, 8, 5, tzinfo=UTC), "16 Nov 09:05"),
        (datetime(2025, 11, 3, 8, 5, tzinfo=UTC), "3 Nov 2025 09:05"),
        (datetime(2026, 7, 1, 8, 5, tzinfo=UTC), "1 Jul 10:05"),
    ],
)
def test_a_moment_is_told_in_the_zone_of_the_reader(when: datetime, text: str) -> None:
    assert format_time(when, AT, BERLIN) == text
    assert format_time_briefly(when, AT, BERLIN) == text.removeprefix("today ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (40.9, "40 s"),
        (119, "1 min"),
        (4200, "1 h 10 min"),
        (3630, "1 h"),
        (90_000, "25 h"),
        (2 * 86_400 + 3 * 3600 + 59, "2 d 3 h"),
        (30 * 86_400, "30 d"),
    ],
)
def test_a_length_is_no_finer_than_anybody_cares(seconds: float, text: str) -> None:
    assert format_rounded(timedelta(seconds=seconds)) == text


def test_a_day_has_its_year_only_when_that_is_another() -> None:
    assert format_date(AT, AT, BERLIN) == "23 Nov"
    assert format_date(datetime(2026, 11, 3, 23, 30, tzinfo=UTC), AT, BERLIN) == "4 Nov"
    assert format_date(datetime(2025, 12, 31, 22, 59, tzinfo=UTC), AT, BERLIN) == "31 Dec 2025"
