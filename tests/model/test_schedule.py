"""When a rule is due, also in the nights when clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanityd.model.schedule import Schedule, parse_schedule

TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC)
)
TEXTS = st.sampled_from(
    [
        "every 5m",
        "every 7h",
        "hourly",
        "daily at 02:30 Europe/Berlin",
        "daily at 07:30",
        "0 7 * * 1-5",
        "30 1 29 2 *",
    ]
)


def local(schedule: Schedule, start: str, count: int) -> list[str]:
    """The next slots in the schedule's own zone."""
    at, found = datetime.fromisoformat(start).replace(tzinfo=schedule.zone), []
    for _ in range(count):
        at = schedule.next_after(at) or at
        found.append(at.astimezone(schedule.zone).strftime("%a %d %H:%M"))
    return found


@given(TEXTS, TIMES)
def test_slots_only_go_forward_and_are_found_again(text: str, at: datetime) -> None:
    schedule = parse_schedule(text)
    slot = schedule.next_after(at)
    assert slot is not None
    assert slot > at
    assert schedule.slot_before(slot) == slot
    before = schedule.slot_before(at)
    assert before is not None
    assert before <= at


def test_an_interval_is_counted_from_the_epoch_and_not_from_the_start() -> None:
    """A restart doesn't move a slot, and an offset shifts all of them alike."""
    schedule = parse_schedule("every 1h")
    at = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
    assert schedule.next_after(at) == datetime(2026, 3, 1, 13, tzinfo=UTC)
    assert schedule.next_after(at, 120) == datetime(2026, 3, 1, 13, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "start", "expected"),
    [
        ("Europe/Berlin", "2026-03-28T12:00", ["Sun 29 03:00", "Mon 30 02:30"]),
        ("Europe/Berlin", "2026-10-24T12:00", ["Sun 25 02:30", "Mon 26 02:30"]),
        ("America/New_York", "2026-03-07T12:00", ["Sun 08 03:00", "Mon 09 02:30"]),
        ("America/New_York", "2026-10-31T12:00", ["Sun 01 02:30", "Mon 02 02:30"]),
        ("Australia/Lord_Howe", "2026-10-03T12:00", ["Sun 04 02:30", "Mon 05 02:30"]),
    ],
)
def test_a_daily_rule_runs_once_in_the_nights_when_clocks_change(
    zone: str, start: str, expected: list[str]
) -> None:
    assert local(parse_schedule(f"daily at 02:30 {zone}"), start, 2) == expected


def test_cron_counts_sunday_as_0_and_as_7() -> None:
    assert local(parse_schedule("0 9 * * 0"), "2026-11-23T00:00", 1) == ["Sun 29 09:00"]
    assert local(parse_schedule("0 9 * * 7"), "2026-11-23T00:00", 1) == ["Sun 29 09:00"]
    assert local(parse_schedule("0 9 * * 1"), "2026-11-23T00:00", 1) == ["Mon 23 09:00"]


def test_a_leap_day_comes_every_four_years() -> None:
    assert parse_schedule("0 0 29 2 *").next_after(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(
        2028, 2, 29, tzinfo=UTC
    )


def test_a_cron_line_may_name_its_zone_or_be_a_nickname() -> None:
    assert parse_schedule("30 7 * * 1-5 Europe/Berlin").zone == ZoneInfo("Europe/Berlin")
    assert parse_schedule("@daily").cron == "0 0 * * *"


@pytest.mark.parametrize(
    ("text", "minutes", "missed"),
    [
        ("every 5m", 15, False),
        ("every 5m", 16, True),
        ("every 1s", 3, False),
        ("every 1s", 4, True),
        ("daily at 07:30", 2 * 24 * 60, False),
        ("daily at 07:30", 4 * 24 * 60, True),
        ("manual", 10**6, False),
    ],
)
def test_a_rule_is_overdue_after_three_intervals(text: str, minutes: int, missed: bool) -> None:
    at = datetime(2026, 1, 10, 12, tzinfo=UTC)
    assert parse_schedule(text).is_missed(at - timedelta(minutes=minutes), at) is missed


def test_manual_never_comes() -> None:
    schedule = parse_schedule("manual")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert (schedule.next_after(at), schedule.slot_before(at), schedule.interval) == (
        None,
        None,
        timedelta(0),
    )


@pytest.mark.parametrize(
    "text",
    ["", "sometimes", "every", "every 0s", "every 5", "every 99999d", "daily at 25:00", "daily at 7", "* * * *",
     "61 * * * *", "daily at 07:30 Mars/Base", "* * * * * Mars/Base", "0 0 30 2 *"],
)  # fmt: skip
def test_what_is_no_schedule_is_refused_with_advice(text: str) -> None:
    with pytest.raises(ValueError, match="write "):
        parse_schedule(text)
