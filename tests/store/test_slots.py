"""Every slot is claimed once, or again when its runner died; who lost it records nothing."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from sanityd.scheduler import KEEP_EVERY
from sanityd.store import leases, slots
from sanityd.store.open import Store
from sanityd.store.slots import LEASE, SlotClaim

SLOT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
AT = SLOT + timedelta(seconds=3)
STEP = timedelta(minutes=5)


def claim(
    memory: Connection, runner: str, slot: datetime = SLOT, at: datetime = AT
) -> SlotClaim | None:
    """A claim of the only batch."""
    return slots.claim(memory, "rules.yaml", "app every 5m", slot, ("a", "b"), runner=runner, at=at)


def test_a_slot_is_claimed_once_and_the_next_one_again(store: Store) -> None:
    with store.write() as memory:
        first = claim(memory, "one")
        assert first is not None
        assert claim(memory, "two") is None
        assert slots.finish(memory, first, AT)
        assert claim(memory, "two") is None
        second = claim(memory, "two", SLOT + STEP, AT + STEP)
        assert second is not None
        assert second.fence == 2


def test_a_later_slot_closes_earlier_ones(store: Store) -> None:
    """A replica whose clock is slow comes too late for what was looked at since."""
    with store.write() as memory:
        done = claim(memory, "one", SLOT + STEP, AT + STEP)
        assert done is not None
        slots.finish(memory, done, AT + STEP)
        assert claim(memory, "two", SLOT, AT + STEP) is None


def test_who_is_alive_keeps_its_claim_and_who_died_loses_it_and_records_nothing(
    store: Store,
) -> None:
    with store.write() as memory:
        first = claim(memory, "one")
        assert first is not None
        slots.renew(memory, "one", ["app every 5m"], AT + LEASE)
        assert slots.abandoned(memory, "rules.yaml", AT + 1.5 * LEASE) == []
        assert slots.abandoned(memory, "another.yaml", AT + 3 * LEASE) == []
        later = AT + 3 * LEASE
        assert slots.abandoned(memory, "rules.yaml", later) == [("app every 5m", SLOT, ("a", "b"))]
        second = claim(memory, "two", at=later)
        assert second is not None
        slots.renew(memory, "one", ["app every 5m"], later)
        assert not slots.finish(memory, first, later)
        assert slots.finish(memory, second, later)
        assert not slots.finish(memory, second, later)


def test_a_slot_that_passes_while_its_batch_is_looked_at_counts_as_late(store: Store) -> None:
    with store.write() as memory:
        claim(memory, "one")
        assert claim(memory, "one", SLOT + STEP, AT + LEASE / 2) is None
        assert slots.newest(memory, "rules.yaml")["app every 5m"].late == 1


def test_a_slot_of_a_future_that_never_was_stops_nobody(store: Store) -> None:
    """The clock was a year ahead, and has been put right."""
    year = timedelta(days=365)
    with store.write() as memory:
        assert claim(memory, "one", SLOT + year, AT + year) is not None
        assert slots.abandoned(memory, "rules.yaml", AT) != []
        again = claim(memory, "one")
        assert again is not None
        slots.finish(memory, again, AT)
        assert leases.acquire(memory, "all", "one", AT + year)
        assert leases.acquire(memory, "all", "two", AT)


def test_who_stops_lets_others_go_on_at_once(store: Store) -> None:
    with store.write() as memory:
        claim(memory, "one")
        leases.acquire(memory, "all", "one", AT)
        slots.release(memory, "one", AT)
        leases.release(memory, "one", AT)
        assert claim(memory, "two", at=AT + timedelta(seconds=1)) is not None
        assert leases.acquire(memory, "all", "two", AT + timedelta(seconds=1))


def test_the_only_one_alive_need_not_wait_for_the_dead(store: Store) -> None:
    with store.write() as memory:
        claim(memory, "dead")
        slots.release_others(memory, "one", "rules.yaml", AT)
        assert slots.abandoned(memory, "rules.yaml", AT) == [("app every 5m", SLOT, ("a", "b"))]


def test_a_lease_has_one_holder_and_another_when_that_is_silent(store: Store) -> None:
    with store.write() as memory:
        assert leases.get(memory, "all") is None
        assert leases.acquire(memory, "all", "one", AT)
        assert not leases.acquire(memory, "all", "two", AT)
        assert leases.acquire(memory, "all", "one", AT + leases.LEASE)
        assert leases.acquire(memory, "all", "two", AT + 3 * leases.LEASE)
        held = leases.get(memory, "all")
        assert held is not None
        assert (held.runner, held.fence, held.since) == ("two", 2, AT + 3 * leases.LEASE)


RACER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from sanityd.store import slots
from sanityd.store.open import Store

store = Store.open(sys.argv[1], Path("."))
print("ready", flush=True)
sys.stdin.readline()
at = datetime(2026, 11, 23, 8, 5, 3, tzinfo=UTC)
won = 0
for number in range(40):
    with store.write() as memory:
        got = slots.claim(memory, "f", f"batch{number}", at, ["r"], runner="me", at=at)
    won += got is not None
print(won)
"""


def test_of_many_who_claim_at_once_one_gets_it(
    url: str, race: Callable[..., list[str]], tmp_path: Path
) -> None:
    Store.open(url, tmp_path).close()
    assert sum(int(won) for won in race(RACER, 3, url)) == 40


@pytest.mark.parametrize("seconds", [1, 5, 8, 10, 30, 300])
def test_another_runner_takes_over_within_two_intervals_or_15_seconds(
    store: Store, seconds: int
) -> None:
    """Housekeeping looks for what was abandoned every few seconds."""
    interval = timedelta(seconds=seconds)
    lease = slots.lease_of(interval)
    assert lease >= 2 * slots.RENEW_EVERY
    assert KEEP_EVERY == slots.RENEW_EVERY
    with store.write() as memory:
        slots.claim(memory, "f", "b", SLOT, ("a",), runner="one", at=AT, lease=lease)
        assert slots.abandoned(memory, "f", AT + slots.RENEW_EVERY) == []
        slots.renew(memory, "one", ["b"], AT + slots.RENEW_EVERY, lease)
        died = AT + slots.RENEW_EVERY
        limit = max(2 * interval, timedelta(seconds=15))
        assert slots.abandoned(memory, "f", died + limit - slots.RENEW_EVERY + TICK)


def test_a_claim_that_is_given_up_is_free_at_once(store: Store) -> None:
    with store.write() as memory:
        first = claim(memory, "one")
        assert first is not None
        slots.give_up(memory, first, AT)
        second = claim(memory, "two")
        assert second is not None
        slots.give_up(memory, first, AT)
        assert slots.abandoned(memory, "rules.yaml", AT) == []


TICK = timedelta(milliseconds=1)
