"""When batches are due, spread and overdue. The signals of a real process are tested with `sanityd
serve`."""

from datetime import UTC, datetime, timedelta

import pytest

from sanityd.model.schedule import parse_schedule
from sanityd.scheduler import Batch, SlotTrigger

AT = datetime(2026, 11, 23, 8, 2, 30, tzinfo=UTC)


def batch(text: str, source: str = "app") -> Batch:
    """Rules of one source with that schedule."""
    return Batch(source, parse_schedule(text), ("r",))


def test_a_batch_that_was_never_looked_at_is_overdue() -> None:
    assert batch("every 5m").overdue(None, AT)


@pytest.mark.parametrize(
    ("ago", "overdue"), [(timedelta(minutes=1), False), (timedelta(minutes=3), True)]
)
def test_a_batch_is_overdue_when_a_slot_has_passed_since(ago: timedelta, overdue: bool) -> None:
    assert batch("every 5m").overdue(AT - ago, AT) is overdue


def test_a_manual_batch_is_never_overdue() -> None:
    assert not batch("manual").overdue(None, AT)


def test_intervals_are_spread_and_wall_clock_times_are_not() -> None:
    """Two hundred sources must not all be asked in the same second; 07:30 is 07:30."""
    offsets = {batch("every 5m", f"source{n}").offset for n in range(50)}
    assert len(offsets) > 10
    assert max(offsets) < 30
    assert batch("daily at 07:30").offset == 0
    assert batch("every 5m").offset == batch("every 5m").offset


def test_slots_that_were_missed_are_one() -> None:
    """After a day's sleep the next slot is the next one, not the first of 288."""
    slots = SlotTrigger(batch("daily at 07:30"))
    assert slots.get_next_fire_time(None, AT) == datetime(2026, 11, 24, 7, 30, tzinfo=UTC)
    assert slots.get_next_fire_time(AT, AT) == datetime(2026, 11, 24, 7, 30, tzinfo=UTC)
