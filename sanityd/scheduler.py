"""When things happen: one APScheduler job per batch, one for the outbox, and the signals of the process.

Knows nothing of checks or mail: it is handed what to call. APScheduler is a clock here, not a store; its jobs are made
anew from the rules at every start and reload.
"""

import hashlib
import logging
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from sanityd import clock
from sanityd.schedule import Schedule

log = logging.getLogger(__name__)

#: How often the outbox is looked into.
DELIVER_EVERY = timedelta(seconds=5)
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
#: How long running checks get to end after SIGTERM.
GRACE = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rules of one source that are due together."""

    source: str
    schedule: Schedule
    rules: tuple[str, ...]

    @property
    def name(self) -> str:
        """The same for the same source and schedule, over restarts."""
        return f"{self.source} {self.schedule}"

    @property
    def offset(self) -> int:
        """Seconds by which this batch runs after the full mark, so that not all batches begin at once; stable."""
        spread = int(min(self.schedule.interval.total_seconds() / 10, 30)) if self.schedule.spreads else 0
        return int(hashlib.sha256(self.name.encode()).hexdigest(), 16) % spread if spread else 0

    def overdue(self, last: datetime | None, at: datetime) -> bool:
        """Whether a slot has passed since the last run."""
        slot = self.schedule.slot_before(at)
        return slot is not None and (last is None or last < slot)


class Slots(BaseTrigger):  # type: ignore[misc]  # APScheduler has no type hints
    """APScheduler's view of our own schedules, which know about daylight saving time."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """The next slot; slots that passed meanwhile are run once, together (`coalesce`)."""
        return self.batch.schedule.next_after(previous or now, self.batch.offset)


@dataclass(frozen=True, slots=True)
class Work:
    """What the scheduler calls. `reload` gives the new batches, or raises nothing and gives the old ones."""

    evaluate: Callable[[Batch], Any]
    deliver: Callable[[], Any]
    reload: Callable[[], Sequence[Batch]]


def hold_signals() -> None:
    """Keep the signals until `Timetable.run` fetches them; before any thread starts, and before a SIGHUP could kill."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


class Timetable:
    """Runs batches at their times, in threads, until stopped."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._stop = threading.Event()
        #: Whether a check went on for longer than the patience at the end; its thread may never end by itself.
        self.abandoned = False
        self._scheduler = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"checks": ThreadPoolExecutor(4), "delivery": ThreadPoolExecutor(1)},
            # A busy pool must delay a job, never drop it: APScheduler's own default is one second of patience.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=UTC,
        )
        self._scheduler.add_listener(_tell, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES | EVENT_JOB_ERROR)

    @property
    def stopping(self) -> bool:
        """Whether it has been told to stop."""
        return self._stop.is_set()

    def run(self, batches: Sequence[Batch], last: Callable[[str], datetime | None]) -> None:
        """Work until SIGTERM or SIGINT. Must be called in the main thread.

        Parameters: `last` tells when a rule was last looked at; what is overdue is looked at first.
        """
        at = clock.now()
        self._plan(batches, [batch for batch in batches if any(batch.overdue(last(rule), at) for rule in batch.rules)])
        self._scheduler.add_job(
            self.work.deliver, "interval", seconds=DELIVER_EVERY.total_seconds(), executor="delivery", id="delivery"
        )
        # Fetched by the main thread, so that no handler can interrupt a lock.
        hold_signals()
        self._scheduler.start()
        try:
            self._wait()
        finally:
            self._end()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def stop(self) -> None:
        """Ask it to end, within a second."""
        self._stop.set()

    def _wait(self) -> None:
        while not self._stop.is_set():
            received = signal.sigtimedwait(SIGNALS, 1)
            if received is None:
                continue
            if received.si_signo == signal.SIGHUP:
                self._plan(self.work.reload(), [])
            else:
                self.stop()

    def _plan(self, batches: Sequence[Batch], now: Sequence[Batch]) -> None:
        """Make the jobs those of the batches; a batch that stays keeps its next time."""
        wanted = {batch.name: batch for batch in batches if batch.schedule.next_after(clock.now()) is not None}
        for job in self._scheduler.get_jobs():
            if job.id != "delivery" and job.id not in wanted:
                job.remove()
        for name, batch in wanted.items():
            first = {"next_run_time": clock.now()} if batch in now else {}
            self._scheduler.add_job(
                self.work.evaluate, Slots(batch), [batch], id=name, replace_existing=True, executor="checks", **first
            )

    def _end(self) -> None:
        log.info("stopping: running checks have %d s to end", GRACE.total_seconds())
        self._scheduler.pause()
        ended = threading.Thread(target=self._scheduler.shutdown, daemon=True)
        ended.start()
        ended.join(GRACE.total_seconds())
        if ended.is_alive():
            self.abandoned = True
            log.warning("a check did not end in time; what it saw is not recorded, and will be looked at again")


def _tell(event: JobEvent) -> None:
    """APScheduler says what went wrong only to listeners; without this a failing job would be silent."""
    if event.code == EVENT_JOB_ERROR:
        log.error("job %s failed: %s", event.job_id, type(event.exception).__name__)
    else:
        log.warning("job %s is late: its last run is not over yet", event.job_id)
