"""The traps of a scheduler, each with what is done against it: a real scheduler in a process of its
own."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any

import pytest

from sanityd import clock, scheduler
from sanityd.model.schedule import Schedule, parse_schedule
from sanityd.scheduler import Batch, Scheduler
from tests.support.clockwork import NoWork

_CONTEXT = multiprocessing.get_context("forkserver")


def batch(text: str = "every 1s", name: str = "app", **options: Any) -> Batch:
    """A batch that is due often."""
    return Batch(name, parse_schedule(text), ("r",), **options)


@dataclass
class Tale(NoWork):
    """What a scheduler did, told over a pipe."""

    pipe: Connection
    batches: Sequence[Batch] = ()
    lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, *words: object) -> None:
        with self.lock:
            self.pipe.send(words)

    def evaluate(self, batch: Batch) -> None:
        self.tell("looked", batch.name)

    def cancel(self, batch: str, why: str) -> None:
        self.tell("cut", batch, why)

    def housekeeping(self, late: Mapping[str, int]) -> Sequence[Batch]:
        self.tell("kept", dict(late))
        return ()


def _run(
    tale: type[Tale], pipe: Connection, batches: Sequence[Batch], options: dict[str, Any]
) -> None:
    scheduler.KEEP_EVERY = scheduler.DELIVER_EVERY = timedelta(seconds=1)
    work = tale(pipe, batches)
    tested = Scheduler(work, **options)
    tested.run(batches)
    work.tell("ended", tested.broken, tested.abandoned)
    os._exit(70 if tested.broken else 0)


@dataclass
class Told:
    """The process, and what it has told so far."""

    process: Any
    pipe: Connection
    words: list[tuple[Any, ...]] = field(default_factory=list)

    def until(
        self, true: Callable[[list[tuple[Any, ...]]], object], seconds: float = 20
    ) -> list[tuple[Any, ...]]:
        """Listen until something is true of all that was told."""
        end = time.monotonic() + seconds
        while not true(self.words):
            assert time.monotonic() < end, self.words
            if self.pipe.poll(0.05):
                self.words.append(self.pipe.recv())
        return self.words

    def said(self, *words: object, times: int = 1) -> list[tuple[Any, ...]]:
        """Listen until that was told so often."""
        return self.until(lambda told: sum(one[: len(words)] == words for one in told) >= times)

    def stop(self) -> int:
        """With SIGTERM, if it goes on; its exit code."""
        if self.process.is_alive():
            os.kill(self.process.pid, signal.SIGTERM)
        self.process.join(30)
        assert self.process.exitcode is not None
        return int(self.process.exitcode)


@pytest.fixture
def begin() -> Any:
    """Starts a scheduler of batches, with what each of its jobs does."""
    begun: list[Told] = []

    def start(tale: type[Tale], *batches: Batch, **options: Any) -> Told:
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_run, args=(tale, theirs, batches, options))
        process.start()
        begun.append(Told(process, ours))
        return begun[-1]

    yield start
    for one in begun:
        one.process.kill()
        one.process.join()


class Slow(Tale):
    """Its first look takes three slots."""

    looks = 0

    def evaluate(self, batch: Batch) -> None:
        self.looks += 1
        super().evaluate(batch)
        time.sleep(3.2 if self.looks == 1 else 0)


def test_slots_that_pass_during_a_look_are_told_and_run_once(begin: Any) -> None:
    """APScheduler would drop them with a line in a log that nobody reads."""
    told = begin(Slow, batch())
    told.until(lambda words: sum(sum(one[1].values()) for one in words if one[0] == "kept") >= 2)
    told.said("looked", "app every 1s", times=2)
    assert told.stop() == 0


class Crowd(Tale):
    """All are overdue, and each look takes so long that four threads need five seconds for all."""

    def evaluate(self, batch: Batch) -> None:
        time.sleep(0.02)
        super().evaluate(batch)

    def overdue(self, batches: Sequence[Batch], at: datetime) -> Sequence[Batch]:
        return batches


def test_a_thousand_batches_on_four_threads_are_all_looked_at(begin: Any) -> None:
    """With APScheduler's own limit of one second, those that wait for longer would be
    dropped."""
    names = [f"source{number}" for number in range(1000)]
    told = begin(Crowd, *(batch("every 24h", name) for name in names))
    wanted = {f"{name} every 24h" for name in names}
    told.until(lambda words: wanted <= {one[1] for one in words if one[0] == "looked"}, 60)
    assert told.stop() == 0


@dataclass(frozen=True, slots=True)
class Broken(Schedule):
    """A schedule that fails when it is asked for the second time."""

    def next_after(self, at: datetime, offset_seconds: int = 0) -> datetime | None:
        if sys.modules.get("broken_schedule"):
            raise ValueError("no more")
        return Schedule.next_after(self, at, offset_seconds)


class Fatal(Tale):
    """Breaks the schedule, and with it the scheduler's thread."""

    def evaluate(self, batch: Batch) -> None:
        super().evaluate(batch)
        sys.modules["broken_schedule"] = sys


def test_a_dead_scheduler_is_noticed_and_ends_the_process_with_70(begin: Any) -> None:
    """An exception in a trigger kills APScheduler's thread, and its `running` stays true."""
    told = begin(
        Fatal, Batch("app", Broken("every 1s", every=timedelta(seconds=1)), ("r",)), hang_timeout=4
    )
    told.said("ended", "the scheduler has been silent for 4 s")
    assert told.stop() == 70


class Hung(Tale):
    """Never ends by itself; `cancel` does not help."""

    def evaluate(self, batch: Batch) -> None:
        super().evaluate(batch)
        if batch.source == "hangs":
            time.sleep(600)


def test_a_hung_check_leaves_the_others_alone_and_ends_the_process_when_nothing_helps(
    begin: Any,
) -> None:
    told = begin(
        Hung,
        batch(name="hangs", time_limit=timedelta(seconds=2)),
        batch(name="other"),
        hang_timeout=3,
    )
    told.said("cut", "hangs every 1s", "evaluating its batch took more than 2 s")
    told.said("looked", "other every 1s", times=4)
    told.said("ended", "batch hangs every 1s does not end")
    assert told.stop() == 70


class Obedient(Tale):
    """Ends when it is cut."""

    def evaluate(self, batch: Batch) -> None:
        super().evaluate(batch)
        self.cut_off = threading.Event()
        self.cut_off.wait(600)

    def cancel(self, batch: str, why: str) -> None:
        super().cancel(batch, why)
        self.cut_off.set()


def test_a_stop_cuts_off_what_runs_and_ends_within_seconds(begin: Any) -> None:
    told = begin(Obedient, batch())
    told.said("looked")
    began = time.monotonic()
    assert told.stop() == 0
    assert time.monotonic() - began < scheduler.GRACE.total_seconds() / 2
    told.said("cut", "app every 1s", "sanityd is being stopped")
    told.said("ended", "", False)


class Outlived(Obedient):
    """Housekeeping runs the batch again while it is still running; the second time ends at once."""

    def evaluate(self, batch: Batch) -> None:
        if hasattr(self, "cut_off"):
            self.tell("again", batch.name)
            return
        super().evaluate(batch)

    def housekeeping(self, late: Mapping[str, int]) -> Sequence[Batch]:
        return self.batches


def test_a_stop_cuts_off_what_has_outlived_its_slot(begin: Any) -> None:
    told = begin(Outlived, batch())
    told.said("again", times=2)
    began = time.monotonic()
    assert told.stop() == 0
    assert time.monotonic() - began < scheduler.GRACE.total_seconds() / 2
    told.said("cut", "app every 1s", "sanityd is being stopped")


def test_what_hangs_and_has_outlived_its_slot_is_cut_off_at_its_limit(begin: Any) -> None:
    told = begin(Outlived, batch(time_limit=timedelta(seconds=3)))
    told.said("again", times=2)
    told.said("cut", "app every 1s", "evaluating its batch took more than 3 s")


def test_a_stopped_process_blames_nobody_when_it_goes_on(begin: Any) -> None:
    """As after a suspend, or a debugger: the seconds that nobody counted are nobody's silence."""
    told = begin(Tale, batch(), hang_timeout=3)
    told.said("looked")
    os.kill(told.process.pid, signal.SIGSTOP)
    time.sleep(5)
    os.kill(told.process.pid, signal.SIGCONT)
    before = len(told.words)
    told.until(lambda words: sum(one[0] == "looked" for one in words[before:]) >= 3)
    assert told.stop() == 0


class Jumping(Tale):
    """Its clock jumps after the first look, as the tale says; what is due then is asked for
    anew."""

    by = timedelta(0)

    def evaluate(self, batch: Batch) -> None:
        super().evaluate(batch)
        if self.by:
            _shift(self.by)
            self.by = timedelta(0)

    def overdue(self, batches: Sequence[Batch], at: datetime) -> Sequence[Batch]:
        self.tell("asked", at)
        return ()


class Ahead(Jumping):
    """An hour ahead."""

    by = timedelta(hours=1)


class Back(Jumping):
    """An hour back."""

    by = -timedelta(hours=1)


def _shift(by: timedelta) -> None:
    """Let all clocks of this process but the monotonic one jump: ours, and APScheduler's own."""
    from apscheduler.schedulers import base
    from apscheduler.triggers import interval

    class Shifted(datetime):
        """A clock that is wrong."""

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + by

    real = clock.now
    clock.now = lambda: real() + by
    base.datetime = interval.datetime = Shifted


@pytest.mark.parametrize("tale", [Ahead, Back])
def test_when_the_clock_jumps_all_is_planned_anew_at_once(begin: Any, tale: type[Tale]) -> None:
    """Else nothing would run for an hour after a clock was set back, and nobody would be told."""
    told = begin(tale, batch())
    told.said("asked", times=2)
    before = len(told.words)
    told.until(lambda words: sum(one[0] == "looked" for one in words[before:]) >= 3)
    told.until(lambda words: sum(one[0] == "kept" for one in words[before:]) >= 2)
    assert told.stop() == 0


class Late(Tale):
    """Something is overdue at the start."""

    def overdue(self, batches: Sequence[Batch], at: datetime) -> Sequence[Batch]:
        return batches


def test_what_is_overdue_at_the_start_is_looked_at_now(begin: Any) -> None:
    """APScheduler's interval of 24 h would begin anew with each deployment."""
    told = begin(Late, batch("every 24h"))
    told.said("looked", "app every 24h")
    assert told.stop() == 0


class Failing(Tale):
    """Every look raises."""

    def evaluate(self, batch: Batch) -> None:
        super().evaluate(batch)
        raise ValueError("what a row said")


def test_a_job_that_fails_comes_again(begin: Any) -> None:
    told = begin(Failing, batch())
    told.said("looked", times=3)
    assert told.stop() == 0


class Reading(Tale):
    """The file was changed once."""

    reads = 0

    def changed(self) -> bool:
        self.reads += 1
        return self.reads == 1

    def reload(self) -> Sequence[Batch]:
        self.tell("read")
        return [batch(name="new")]


def test_a_changed_file_is_read_and_its_batches_take_the_place_of_the_old(begin: Any) -> None:
    told = begin(Reading, batch())
    told.said("read")
    told.said("looked", "new every 1s", times=2)
    before = len(told.words)
    told.until(lambda words: sum(one[0] == "looked" for one in words[before:]) >= 2)
    assert {one[1] for one in told.words[before:] if one[0] == "looked"} == {"new every 1s"}
    assert told.stop() == 0
