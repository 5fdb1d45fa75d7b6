"""Scheduler: runs batches of rules, the outbox, housekeeping and health reports at their times.

Also handles signals. The scheduler knows nothing of checks or mail; it calls `ScheduledJobs`.

APScheduler is used as a clock, not as a store: its jobs are made again from the rules at each start
and reload. The main thread supervises: it notices a scheduler that hangs, a batch that does not
end, a clock that jumps, and a rules file that changed.
"""

import hashlib
import logging
import queue
import signal
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from sanityd import clock
from sanityd.model.schedule import Schedule

log = logging.getLogger(__name__)
# `_on_job_event` logs what matters of it, without the text of exceptions.
logging.getLogger("apscheduler").setLevel(logging.CRITICAL)

#: How often the outbox is delivered, housekeeping runs, and health is reported.
DELIVER_EVERY = timedelta(seconds=5)
KEEP_EVERY = timedelta(seconds=4)
REPORT_EVERY = timedelta(minutes=1)
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
#: How long running checks may take to end after SIGTERM.
GRACE = timedelta(seconds=20)
GRACE_WHEN_BROKEN = timedelta(seconds=3)
#: For how many seconds housekeeping may not run, or a cancelled batch may go on, before the
#: process gives up.
HANG_TIMEOUT = 60
#: How far the wall clock may move against the monotonic clock within a second.
JUMP = timedelta(seconds=2)
#: How often, in seconds, the rules file is checked for changes.
CHECK_FILE_EVERY = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """Rules of one source that are due together."""

    source: str
    schedule: Schedule
    #: The ids of the rules.
    rules: tuple[str, ...]
    #: How long evaluating them may take.
    time_limit: timedelta = timedelta(hours=1)
    #: Made of source and schedule, unless the batch holds only some of their rules.
    name: str = ""
    #: The slot to evaluate, when it isn't the newest one.
    slot: datetime | None = None

    def __post_init__(self) -> None:
        """Set the name, so that it is the same for the same source and schedule after restarts."""
        object.__setattr__(self, "name", self.name or f"{self.source} {self.schedule}")

    @property
    def offset(self) -> int:
        """Seconds after the slot at which the batch starts, so that not all batches start at once.

        It is the same at each start.
        """
        if not self.schedule.spreads:
            return 0
        spread = int(min(self.schedule.interval.total_seconds() / 10, 30))
        if spread == 0:
            return 0
        return int(hashlib.sha256(self.name.encode()).hexdigest(), 16) % spread

    def slot_at(self, at: datetime) -> datetime | None:
        """Return the slot that an evaluation at this time is for; None before the first one."""
        return self.slot or self.schedule.slot_before(at - timedelta(seconds=self.offset))

    def overdue(self, last: datetime | None, at: datetime) -> bool:
        """Return whether a slot has passed since the last run."""
        slot = self.slot_at(at)
        return slot is not None and (last is None or last < slot)

    def some(self, rules: Sequence[str]) -> "Batch":
        """Return a batch of only these rules, with a name of its own."""
        mark = hashlib.sha256(" ".join(sorted(rules)).encode()).hexdigest()[:8]
        return Batch(
            self.source, self.schedule, tuple(rules), self.time_limit, f"{self.name} + {mark}"
        )


class SlotTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no type hints
    """Trigger of APScheduler for sanityd's schedules, which handle daylight saving time."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """Return the next slot. Missed slots are run once, together (`coalesce`)."""
        return self.batch.schedule.next_after(previous or now, self.batch.offset)


class ScheduledJobs(ABC):
    """The jobs that the scheduler calls. They must not raise."""

    @abstractmethod
    def evaluate(self, batch: Batch) -> None:
        """Evaluate a batch, unless another process does."""

    @abstractmethod
    def cancel(self, batch: str, why: str) -> None:
        """Cancel the evaluation of the batch of that name, if it is running."""

    @abstractmethod
    def deliver(self) -> None:
        """Deliver the messages that are due."""

    @abstractmethod
    def housekeeping(self, late: Mapping[str, int]) -> Sequence[Batch]:
        """Do the housekeeping, and return the batches to evaluate soon.

        Parameters: `late` counts, per batch, the slots that passed while it was still running.
        """

    @abstractmethod
    def report(self) -> None:
        """Report the health of the process."""

    @abstractmethod
    def overdue(self, batches: Sequence[Batch], at: datetime) -> Sequence[Batch]:
        """Return the batches that should have been evaluated by now, also while nothing ran."""

    @abstractmethod
    def changed(self) -> bool:
        """Return whether the rules file was changed and is no longer being written."""

    @abstractmethod
    def reload(self) -> Sequence[Batch]:
        """Load the rules file, and return its batches; the present ones when it has errors."""


def block_signals() -> None:
    """Block the signals that `Scheduler.run` handles.

    Must be called before any thread starts, and before a SIGHUP could end the process.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


class Scheduler:
    """Runs batches at their times, in threads, until it is stopped.

    Parameters: `hang_timeout` is for how many seconds housekeeping may not run before it gives up.
    """

    def __init__(self, work: ScheduledJobs, *, hang_timeout: int = HANG_TIMEOUT) -> None:
        self.work = work
        #: Whether a check was still running at the end; its thread may never end by itself.
        self.abandoned = False
        #: Why this process can't go on and must be replaced by a new one; empty while it can.
        self.broken = ""
        self._stop = threading.Event()
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._hang_timeout = hang_timeout
        self._batches: Sequence[Batch] = ()
        # Seconds are counted by the main thread, so that a process that was itself suspended does
        # not take the pause for a fault of its threads.
        self._seconds = 0
        #: The second at which housekeeping last ran.
        self._last_housekeeping = 0
        #: The evaluations that are running: the second at which each started, and its batch. Two of
        #: the same batch are two, as a slot that comes meanwhile must not hide the one before.
        self._running: dict[object, tuple[int, Batch]] = {}
        #: Slots that passed while their batch was running, by batch.
        self._late: Counter[str] = Counter()
        self._clock_difference = _clock_difference()
        self._scheduler = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={
                "checks": ThreadPoolExecutor(4),
                "delivery": ThreadPoolExecutor(1),
                "housekeeping": ThreadPoolExecutor(1),
                "health": ThreadPoolExecutor(1),
            },
            # A busy pool must delay a job, never drop it. By default APScheduler drops a job that
            # starts more than one second late.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=UTC,
        )
        self._scheduler.add_listener(
            self._on_job_event, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES | EVENT_JOB_ERROR
        )

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    def run(self, batches: Sequence[Batch]) -> None:
        """Run until SIGTERM or SIGINT, or until it is broken. The process should end soon after."""
        self._replace_batches(batches)
        block_signals()
        threading.Thread(target=self._receive_signals, name="sanityd-signals", daemon=True).start()
        self._scheduler.start()
        try:
            self._supervise()
        finally:
            self._shut_down()

    def stop(self) -> None:
        """Ask it to end, within a second."""
        self._stop.set()

    def _supervise(self) -> None:
        """Handle signals as they come, and check everything once a second, until stopped."""
        while not self._stop.is_set():
            try:
                received = self._signals.get(timeout=1)
            except queue.Empty:
                self._check_every_second()
                continue
            if received == signal.SIGHUP:
                self._replace_batches(self.work.reload())
            else:
                self.stop()

    def _receive_signals(self) -> None:
        """Receive signals in a thread that does nothing else, so that no handler runs in a lock.

        `sigtimedwait` can't be used: it reports a signal when the process is stopped and continued.
        """
        while True:
            self._signals.put(signal.sigwait(SIGNALS))

    def _check_every_second(self) -> None:
        self._seconds += 1
        if self._seconds - self._last_housekeeping > self._hang_timeout:
            self._give_up(f"the scheduler has been silent for {self._hang_timeout} s")
        for since, batch in list(self._running.values()):
            self._check_duration(batch, self._seconds - since)
        self._check_clock()
        if self._seconds % CHECK_FILE_EVERY == 0 and self.work.changed():
            self._replace_batches(self.work.reload())

    def _check_duration(self, batch: Batch, seconds: int) -> None:
        """Cancel a batch that takes too long; give up when it goes on after that."""
        limit = int(batch.time_limit.total_seconds())
        if seconds > limit + self._hang_timeout:
            self._give_up(f"batch {batch.name} does not end")
        elif seconds > limit:
            self.work.cancel(batch.name, f"evaluating its batch took more than {limit:,} s")

    def _check_clock(self) -> None:
        """Plan everything again when the wall clock jumped."""
        difference = _clock_difference()
        jump = difference - self._clock_difference
        if abs(jump) > JUMP:
            log.warning(
                "the clock jumped by %+.0f s; all jobs are scheduled again", jump.total_seconds()
            )
            self._replace_batches(self._batches)
        self._clock_difference = difference

    def _give_up(self, why: str) -> None:
        log.critical("%s: this process exits and must be started again", why)
        self.broken = why
        self.stop()

    def _replace_batches(self, batches: Sequence[Batch]) -> None:
        self._schedule(batches)
        self._run_soon(self.work.overdue(batches, clock.now()))

    def _schedule(self, batches: Sequence[Batch]) -> None:
        """Schedule a job for each batch, starting from now, and the jobs of sanityd itself."""
        self._batches = batches
        due_batches = {
            f"at {batch.name}": batch
            for batch in batches
            if batch.schedule.next_after(clock.now()) is not None
        }
        for job in self._scheduler.get_jobs():
            if job.id.startswith("at ") and job.id not in due_batches:
                job.remove()
        for name, batch in due_batches.items():
            self._scheduler.add_job(
                self._evaluate,
                SlotTrigger(batch),
                [batch],
                id=name,
                replace_existing=True,
                executor="checks",
            )
        for function, every, executor in (
            (self.work.deliver, DELIVER_EVERY, "delivery"),
            (self._housekeeping, KEEP_EVERY, "housekeeping"),
            (self.work.report, REPORT_EVERY, "health"),
        ):
            self._scheduler.add_job(
                function,
                "interval",
                seconds=every.total_seconds(),
                executor=executor,
                id=executor,
                replace_existing=True,
            )

    def _run_soon(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self._scheduler.add_job(
                self._evaluate,
                args=[batch],
                id=f"soon {batch.name}",
                replace_existing=True,
                executor="checks",
            )

    def _evaluate(self, batch: Batch) -> None:
        evaluation = object()
        self._running[evaluation] = (self._seconds, batch)
        try:
            self.work.evaluate(batch)
        finally:
            del self._running[evaluation]

    def _housekeeping(self) -> None:
        late, self._late = self._late, Counter()
        self._run_soon(self.work.housekeeping(late))
        self._last_housekeeping = self._seconds

    def _shut_down(self) -> None:
        """Cancel running checks, and wait for them until the grace period is over."""
        grace = GRACE_WHEN_BROKEN if self.broken else GRACE
        log.info("stopping: running checks have %d s to end", grace.total_seconds())
        self._scheduler.pause()
        shutdown = threading.Thread(target=self._scheduler.shutdown, daemon=True)
        shutdown.start()
        for _ in range(int(grace.total_seconds())):
            # Repeated, because a statement may start just after the one before was cancelled.
            for _, batch in list(self._running.values()):
                self.work.cancel(batch.name, "sanityd is being stopped")
            shutdown.join(1)
            if not shutdown.is_alive():
                return
        self.abandoned = True
        log.warning("a check did not end in time; it is not recorded and will be evaluated again")

    def _on_job_event(self, event: JobEvent) -> None:
        """Log failed and late jobs, which APScheduler reports only to listeners."""
        if event.code == EVENT_JOB_ERROR:
            log.error("job %s failed: %s", event.job_id, type(event.exception).__name__)
        elif event.job_id.startswith("at "):
            name = event.job_id.removeprefix("at ")
            self._late[name] += 1
            log.warning("batch %s is late: its last run is not over yet", name)


def _clock_difference() -> timedelta:
    """Return how far the wall clock is ahead of the monotonic clock."""
    return clock.now() - datetime.fromtimestamp(clock.stopwatch(), UTC)
