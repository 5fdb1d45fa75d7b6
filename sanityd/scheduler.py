"""When things happen: one APScheduler job per batch, one each for the outbox, the house and the watchman; signals.

Knows nothing of checks or mail: it is handed what to call. APScheduler is a clock here, not a store; its jobs are made
anew from the rules at every start and reload. The main thread watches: a scheduler that is silent, a batch that does
not end, a clock that jumps, a file that changes.
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
# What it says of jobs we say ourselves, in words of ours and without what an exception quotes.
logging.getLogger("apscheduler").setLevel(logging.CRITICAL)

#: How often the outbox is looked into, the house is kept, and the watchman looks round.
DELIVER_EVERY = timedelta(seconds=5)
KEEP_EVERY = timedelta(seconds=10)
REPORT_EVERY = timedelta(minutes=1)
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
#: How long running checks get to end after SIGTERM.
GRACE = timedelta(seconds=20)
GRACE_WHEN_BROKEN = timedelta(seconds=3)
#: For how many seconds the scheduler may be silent, and a batch go on after it was stopped, before all is given up.
SILENCE = 60
#: By how much the wall clock may run away from the other within a second.
JUMP = timedelta(seconds=2)
#: Every so many seconds the rules file is looked at.
LOOK_AT_FILE = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """Rules of one source that are due together.

    Parameters: `patience` is how long a look at them may take; `name` is made of source and schedule, unless these are
    only some of the rules; `slot` is the one to be looked at, when it isn't the newest.
    """

    source: str
    schedule: Schedule
    rules: tuple[str, ...]
    patience: timedelta = timedelta(hours=1)
    name: str = ""
    slot: datetime | None = None

    def __post_init__(self) -> None:
        """The same name for the same source and schedule, over restarts."""
        object.__setattr__(self, "name", self.name or f"{self.source} {self.schedule}")

    @property
    def offset(self) -> int:
        """Seconds by which this batch runs after the full mark, so that not all batches begin at once; stable."""
        spread = (
            int(min(self.schedule.interval.total_seconds() / 10, 30))
            if self.schedule.spreads
            else 0
        )
        return int(hashlib.sha256(self.name.encode()).hexdigest(), 16) % spread if spread else 0

    def slot_at(self, at: datetime) -> datetime | None:
        """The slot that a look at this moment is for; None when there is none yet."""
        return self.slot or self.schedule.slot_before(at - timedelta(seconds=self.offset))

    def overdue(self, last: datetime | None, at: datetime) -> bool:
        """Whether a slot has passed since the last run."""
        slot = self.slot_at(at)
        return slot is not None and (last is None or last < slot)

    def some(self, rules: Sequence[str]) -> "Batch":
        """Those of its rules, as a batch of its own."""
        mark = hashlib.sha256(" ".join(sorted(rules)).encode()).hexdigest()[:8]
        return Batch(
            self.source, self.schedule, tuple(rules), self.patience, f"{self.name} + {mark}"
        )


class Slots(BaseTrigger):  # type: ignore[misc]  # APScheduler has no type hints
    """APScheduler's view of our own schedules, which know about daylight saving time."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """The next slot; slots that passed meanwhile are run once, together (`coalesce`)."""
        return self.batch.schedule.next_after(previous or now, self.batch.offset)


class ScheduledJobs(ABC):
    """What the scheduler calls. Nothing of it raises."""

    @abstractmethod
    def evaluate(self, batch: Batch) -> None:
        """Look at a batch, unless another process does."""

    @abstractmethod
    def cut(self, batch: str, why: str) -> None:
        """Stop looking at a batch, if that is looked at."""

    @abstractmethod
    def deliver(self) -> None:
        """Send what is due."""

    @abstractmethod
    def keep(self, late: Mapping[str, int]) -> Sequence[Batch]:
        """Say that we are alive, and find what is to be looked at soon.

        Parameters: `late` tells how many slots of a batch have passed while it was looked at.
        """

    @abstractmethod
    def report(self) -> None:
        """Tell the watchman."""

    @abstractmethod
    def overdue(self, batches: Sequence[Batch], at: datetime) -> Sequence[Batch]:
        """What should have been looked at by now, whether or not anything was running then."""

    @abstractmethod
    def changed(self) -> bool:
        """Whether the rules file isn't what it was, and has come to rest."""

    @abstractmethod
    def reload(self) -> Sequence[Batch]:
        """The batches of the file as it is now, or the old ones if it is wrong."""


def hold_signals() -> None:
    """Keep the signals until `Timetable.run` fetches them; before any thread starts, and before a SIGHUP could kill."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


class Timetable:
    """Runs batches at their times, in threads, until stopped.

    Parameters: `silence` is for how many seconds its own threads may say nothing.
    """

    def __init__(self, work: ScheduledJobs, *, silence: int = SILENCE) -> None:
        self.work = work
        #: Whether a check went on for longer than the patience at the end; its thread may never end by itself.
        self.abandoned = False
        #: Why it can't go on, so that a new process must; empty while it can.
        self.broken = ""
        self._stop = threading.Event()
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._silence = silence
        self._batches: Sequence[Batch] = ()
        #: Seconds as the main thread counts them, so that a process that was stopped itself blames nobody; when the
        #: scheduler's own threads were last heard of, and since when each batch is looked at.
        self._seconds = 0
        self._heard = 0
        self._looking: dict[str, tuple[int, Batch]] = {}
        self._late: Counter[str] = Counter()
        self._apart = _apart()
        self._scheduler = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={
                "checks": ThreadPoolExecutor(4),
                "delivery": ThreadPoolExecutor(1),
                "house": ThreadPoolExecutor(1),
                "watchman": ThreadPoolExecutor(1),
            },
            # A busy pool must delay a job, never drop it: APScheduler's own default is one second of patience.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=UTC,
        )
        self._scheduler.add_listener(
            self._tell, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES | EVENT_JOB_ERROR
        )

    @property
    def stopping(self) -> bool:
        """Whether it has been told to stop."""
        return self._stop.is_set()

    def run(self, batches: Sequence[Batch]) -> None:
        """Work until SIGTERM or SIGINT, or until it is broken. The process should end soon after."""
        self._renew(batches)
        hold_signals()
        threading.Thread(target=self._fetch_signals, name="sanityd-signals", daemon=True).start()
        self._scheduler.start()
        try:
            self._wait()
        finally:
            self._end()

    def stop(self) -> None:
        """Ask it to end, within a second."""
        self._stop.set()

    def _wait(self) -> None:
        while not self._stop.is_set():
            try:
                received = self._signals.get(timeout=1)
            except queue.Empty:
                self._watch()
                if self._seconds % LOOK_AT_FILE == 0 and self.work.changed():
                    self._renew(self.work.reload())
                continue
            if received == signal.SIGHUP:
                self._renew(self.work.reload())
            else:
                self.stop()

    def _fetch_signals(self) -> None:
        """In a thread that does nothing else, so that no handler can interrupt a lock. Not by `sigtimedwait`, which
        makes up a signal when the process is stopped and goes on."""
        while True:
            self._signals.put(signal.sigwait(SIGNALS))

    def _watch(self) -> None:
        """Once a second: who is silent, what does not end, and whether the clock jumped."""
        self._seconds += 1
        if self._seconds - self._heard > self._silence:
            self._break(f"the scheduler has been silent for {self._silence} s")
        for since, batch in list(self._looking.values()):
            patience = int(batch.patience.total_seconds())
            if self._seconds - since > patience + self._silence:
                self._break(f"batch {batch.name} does not end")
            elif self._seconds - since > patience:
                self.work.cut(batch.name, f"looking at its batch took more than {patience:,} s")
        apart = _apart()
        if abs(apart - self._apart) > JUMP:
            log.warning(
                "the clock jumped by %+.0f s: everything is planned anew",
                (apart - self._apart).total_seconds(),
            )
            self._renew(self._batches)
        self._apart = apart

    def _break(self, why: str) -> None:
        log.critical("%s: this process ends, and a new one must begin", why)
        self.broken = why
        self.stop()

    def _renew(self, batches: Sequence[Batch]) -> None:
        self._plan(batches)
        self._soon(self.work.overdue(batches, clock.now()))

    def _plan(self, batches: Sequence[Batch]) -> None:
        """Make the jobs those of the batches, each at its next time from now; and our own jobs, too."""
        self._batches = batches
        wanted = {
            f"at {batch.name}": batch
            for batch in batches
            if batch.schedule.next_after(clock.now()) is not None
        }
        for job in self._scheduler.get_jobs():
            if job.id.startswith("at ") and job.id not in wanted:
                job.remove()
        for name, batch in wanted.items():
            self._scheduler.add_job(
                self._evaluate,
                Slots(batch),
                [batch],
                id=name,
                replace_existing=True,
                executor="checks",
            )
        for work, every, executor in (
            (self.work.deliver, DELIVER_EVERY, "delivery"),
            (self._keep, KEEP_EVERY, "house"),
            (self.work.report, REPORT_EVERY, "watchman"),
        ):
            seconds = every.total_seconds()
            self._scheduler.add_job(
                work,
                "interval",
                seconds=seconds,
                executor=executor,
                id=executor,
                replace_existing=True,
            )

    def _soon(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self._scheduler.add_job(
                self._evaluate,
                args=[batch],
                id=f"soon {batch.name}",
                replace_existing=True,
                executor="checks",
            )

    def _evaluate(self, batch: Batch) -> None:
        self._looking[batch.name] = (self._seconds, batch)
        try:
            self.work.evaluate(batch)
        finally:
            self._looking.pop(batch.name, None)

    def _keep(self) -> None:
        late, self._late = self._late, Counter()
        self._soon(self.work.keep(late))
        self._heard = self._seconds

    def _end(self) -> None:
        grace = GRACE_WHEN_BROKEN if self.broken else GRACE
        log.info("stopping: running checks have %d s to end", grace.total_seconds())
        self._scheduler.pause()
        ended = threading.Thread(target=self._scheduler.shutdown, daemon=True)
        ended.start()
        for _ in range(int(grace.total_seconds())):
            # Again and again: a statement may begin at the very moment at which the one before was cut off.
            for name in list(self._looking):
                self.work.cut(name, "sanityd is being stopped")
            ended.join(1)
            if not ended.is_alive():
                return
        self.abandoned = True
        log.warning(
            "a check did not end in time; what it saw is not recorded, and will be looked at again"
        )

    def _tell(self, event: JobEvent) -> None:
        """APScheduler says what went wrong only to listeners; without this a failing job would be silent."""
        if event.code == EVENT_JOB_ERROR:
            log.error("job %s failed: %s", event.job_id, type(event.exception).__name__)
        elif event.job_id.startswith("at "):
            self._late[event.job_id.removeprefix("at ")] += 1
            log.warning(
                "batch %s is late: its last run is not over yet", event.job_id.removeprefix("at ")
            )


def _apart() -> timedelta:
    """How far the wall clock is from the one that never jumps."""
    return clock.now() - datetime.fromtimestamp(clock.stopwatch(), UTC)
