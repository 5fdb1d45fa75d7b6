"""The background process: the rules in force, and the jobs that the scheduler calls.

The scheduler knows when each job is due; this module does not.
"""

import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from sanityd import clock, pipeline, telemetry
from sanityd.daemon import health, heartbeat, rule_changes
from sanityd.daemon.batches import batch_of, batches_of, due_part
from sanityd.daemon.rechecks import due_rechecks, rules_to_evaluate
from sanityd.daemon.remedies import RemedyWorker
from sanityd.daemon.run_log import log_result
from sanityd.errors import CheckError, Problem, RuleError, StoreError
from sanityd.model import Run
from sanityd.pipeline import Result
from sanityd.rules.diagnostics import format_problems
from sanityd.rules.file_watch import FileWatch
from sanityd.rules.load import load
from sanityd.rules.rule import Rule, RuleSet
from sanityd.scheduler import Batch, ScheduledJobs, Scheduler
from sanityd.sources import privileges
from sanityd.sources.snapshot_pool import CancelToken
from sanityd.store import leases, retention, runs, slots
from sanityd.store.open import Store
from sanityd.store.slots import Slot, SlotClaim

log = logging.getLogger(__name__)

#: How often reminders and missed slots are looked for.
NOTIFY_EVERY = timedelta(minutes=1)
#: A slot that no process has claimed by then was missed.
CLAIMED_WITHIN = timedelta(seconds=30)
#: The most rule ids in one log line.
_MOST_NAMES = 10


class Daemon(ScheduledJobs):
    """One of the processes that serve a rules file.

    Parameters: `alone` says that no other process can be running: what others have claimed is
    given up at once.
    """

    def __init__(self, rules: RuleSet, store: Store, *, alone: bool = False) -> None:
        self.rules = rules
        self.store = store
        self.scheduler = Scheduler(self)
        self.runner = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(4)}"
        #: Whether this process does what only one may do.
        self.leads = False
        self._watch = FileWatch(rules.path)
        self.remedies = RemedyWorker(store)
        #: The tokens of the evaluations that are running, with their batches.
        self._cancel_tokens: dict[CancelToken, Batch] = {}
        self._notified_at: datetime | None = None
        self._reconciled_at: datetime | None = None
        self._started_at = clock.now()
        if alone:
            with store.write() as connection:
                slots.release_others(connection, self.runner, rules.name, self._started_at)
                crashed = leases.get(connection, rules.name)
                if crashed is not None:
                    leases.expire(connection, crashed.runner)

    def run(self) -> None:
        """Work until stopped, or broken; then give up all claims, so that others go on."""
        self._adopt(self.rules, self._started_at)
        with self._logging_errors("acquiring the lease failed"), self.store.write() as connection:
            self.leads = leases.acquire(connection, self.rules.name, self.runner, clock.now())
        try:
            self.scheduler.run(self.batches())
        finally:
            with self._logging_errors("giving up claims failed"), self.store.write() as connection:
                at = clock.now()
                slots.release(connection, self.runner, at)
                if self.scheduler.broken or not self.scheduler.stopping:
                    leases.expire(connection, self.runner)
                else:
                    leases.release(connection, self.runner, at)

    def rules_in_force(self) -> RuleSet:
        """Return the rules in force."""
        return self.rules

    def batches(self) -> list[Batch]:
        """Return the enabled rules in batches: those of one source that share a schedule."""
        return batches_of(self.rules)

    def overdue(self, batches: Sequence[Batch], at: datetime) -> list[Batch]:
        """Return the batches whose slot passed without a run, or the rules of them that are due.

        Batches that a process is running now are left out.
        """
        overdue: list[Batch] = []
        with self._logging_errors("finding overdue batches failed"):
            with self.store.read() as connection:
                ids = [rule for batch in batches for rule in batch.rules]
                last_runs = runs.last_run_times(connection, ids, at)
                newest_slots = slots.newest(connection, self.rules.name)
            for batch in batches:
                due = [rule for rule in batch.rules if batch.overdue(last_runs.get(rule), at)]
                to_run = due_part(batch, due, newest_slots.get(self._key(batch)), at)
                if to_run is not None:
                    overdue.append(to_run)
        return overdue

    def evaluate(self, batch: Batch) -> None:
        """Run one batch unless another process does. Logs an error; the next slot comes anyway."""
        with self._logging_errors(f"recording batch {batch.name} failed"):
            rules, at = self.rules, clock.now()
            due = [rules.rules[name] for name in batch.rules if name in rules.rules]
            slot = batch.slot_at(at)
            if slot is None or self.scheduler.stopping:
                return
            ids = [rule.id for rule in due]
            with self.store.write() as connection:
                claim = slots.claim(
                    connection,
                    rules.name,
                    self._key(batch),
                    slot,
                    ids,
                    runner=self.runner,
                    at=at,
                    lease=slots.lease_of(batch.schedule.interval),
                )
                due = rules_to_evaluate(connection, batch, due, at)
            if claim is not None:
                self._run_claimed(rules, due, batch, claim)

    def cancel(self, batch: str, why: str) -> None:
        """Cancel the running statement of a batch; no other begins."""
        advice = "Narrow its rules by `where` or `window`, or check them less often."
        for cancel, running in list(self._cancel_tokens.items()):
            if running.name == batch:
                cancel.cancel(CheckError(why, advice))

    def deliver(self) -> None:
        """Notify of what is due by time alone, once a minute, and send what is in the outbox."""
        with self._logging_errors("delivery failed"):
            at = clock.now()
            if self.leads and _is_due(self._notified_at, at):
                self._notified_at = at
                pipeline.notify_due(self.rules, self.store, at)
            if self.leads:
                self.remedies.start(self.rules, lambda: self.scheduler.stopping)
            summary = pipeline.deliver(self.rules, self.store, stop=lambda: self.scheduler.stopping)
            if summary.sent or summary.dead or summary.retried or summary.uncertain:
                log.info(
                    "outbox: %d delivered, %d to be tried again, %d uncertain, %d given up",
                    summary.sent,
                    summary.retried,
                    summary.uncertain,
                    summary.dead,
                )

    def housekeeping(self, late: Mapping[str, int]) -> list[Batch]:
        """Renew claims and the lease, and return the rechecks that are due, and the batches that
        other processes left or missed.

        Parameters: `late` is how many slots of each batch passed while it was running.
        """
        to_run: list[Batch] = []
        with self._logging_errors("renewing leases failed"):
            at, file = clock.now(), self.rules.name
            running = list(self._cancel_tokens.values())
            with self.store.write() as connection:
                for batch in running:
                    lease = slots.lease_of(batch.schedule.interval)
                    slots.renew(connection, self.runner, [self._key(batch)], at, lease)
                for name, times in late.items():
                    slots.add_late(connection, self._prefix + name, times)
                self.leads = leases.acquire(connection, file, self.runner, at)
                abandoned = slots.abandoned(connection, file, at)
                newest_slots = slots.newest(connection, file)
                rechecks = due_rechecks(connection, self.rules, at)
            for batch in rechecks:
                newest = newest_slots.get(self._key(batch))
                if newest is None or not newest.running:
                    to_run.append(batch)
            for key, slot, ids in abandoned:
                to_run += self._abandoned(key, slot, ids)
            if _is_due(self._reconciled_at, at):
                self._reconciled_at = at
                to_run += self._missed(newest_slots, at)
        return to_run

    def report(self) -> None:
        """Send the heartbeat, a failure when something is wrong; apply the retention."""
        with self._logging_errors("heartbeat or retention failed"):
            if not self.leads:
                return
            at = clock.now()
            with self.store.read() as connection:
                complaints = health.health_signs(connection, self.rules, at).complaints(at)
            for complaint in complaints:
                log.warning("unhealthy: %s", complaint)
            heartbeat.beat(complaints)
            kept = self.rules.alerts.keep_audit
            deleted = retention.apply_retention(self.store, at, kept)
            if deleted is not None:
                log.info(
                    "retention: %d runs, %d violations, %d messages, %d audit entries deleted",
                    deleted.runs,
                    deleted.violations,
                    deleted.messages,
                    deleted.audit_entries,
                )

    def changed(self) -> bool:
        """Return whether the rules file was saved since it was read."""
        return self._watch.changed()

    def reload(self) -> list[Batch]:
        """Read the rules file again, and return the batches of the rules in force.

        A file with errors leaves the rules read before in force, and its owners are notified.
        """
        at = clock.now()
        try:
            rules = load(self.rules.path)
        except RuleError as error:
            log.error(
                "the rules file has errors; the rules read before stay in force\n%s",
                format_problems(error.problems),
            )
            self._report_wrong_file(error.problems, at)
        except Exception as error:  # noqa: BLE001  # the daemon goes on
            telemetry.capture(error)
            log.error(
                "the rules file can't be read (%s); the rules read before stay in force",
                type(error).__name__,
            )
            self._report_wrong_file([Problem(f"it can't be read ({type(error).__name__})")], at)
        else:
            if rules.name != self.rules.name or rules.state != self.rules.state:
                problem = Problem(
                    "`name` and `state` can't change while sanityd runs", "Start sanityd anew."
                )
                log.error(
                    "%s; the rules read before stay in force. %s", problem.message, problem.advice
                )
                self._report_wrong_file([problem], at)
            else:
                self._adopt(rules, at)
        return self.batches()

    def _adopt(self, rules: RuleSet, at: datetime) -> None:
        """Put rules into force; batches that are running end with the rules they began with."""
        self.rules = rules
        with self._logging_errors("recording the change of the rules failed"):
            rule_changes.warn_of_renames(rules, self.store)
            counts = rule_changes.adopt(rules, self.store, at)
            removed = pipeline.forget_removed(rules, self.store, at)
            changes = ", ".join(f"{count:,} × {action}" for action, count in counts.items())
            log.info(
                "%d rules of revision %s: %s",
                len(rules.enabled()),
                rules.revision,
                changes or "no rule changed",
            )
            # In a thread, as a source may take long to answer.
            threading.Thread(
                target=self._warn_of_privileges, name="sanityd-privileges", daemon=True
            ).start()
            if removed:
                log.info("closed, as removed: %s", ", ".join(list(removed)[:_MOST_NAMES]))

    def _warn_of_privileges(self) -> None:
        """Log the sources whose login may write; they have one guard less."""
        for name in privileges.writable(self.rules.sources):
            log.warning("%s; %s", privileges.warning(name), privileges.ADVICE)

    def _report_wrong_file(self, problems: Sequence[Problem], at: datetime) -> None:
        with self._logging_errors("recording the errors of the rules file failed"):
            rule_changes.report_wrong_file(self.rules, problems, self.store, at)
            # Its owners are notified in the next pass, not within the minute.
            self._notified_at = None

    def _run_claimed(
        self, rules: RuleSet, due: Sequence[Rule], batch: Batch, claim: SlotClaim
    ) -> None:
        """Evaluate and record a batch whose slot this process has claimed, and log the results."""
        cancel = CancelToken()
        self._cancel_tokens[cancel] = batch
        at = clock.now()
        try:
            batch_runs = pipeline.evaluate_batch(rules, due, self.store, at, cancel=cancel)
            results = self._record(rules, due, batch_runs, claim, at)
        except BaseException:
            # Otherwise the slot is blocked until the lease expires.
            with self._logging_errors("giving up the claim failed"), self.store.write() as memory:
                slots.give_up(memory, claim, clock.now())
            raise
        finally:
            del self._cancel_tokens[cancel]
        if results is None:
            log.warning("batch %s: the runs are not recorded; it runs again", batch.name)
            return
        for result in results:
            log_result(result)

    def _record(
        self,
        rules: RuleSet,
        due: Sequence[Rule],
        batch_runs: Sequence[Run],
        claim: SlotClaim,
        at: datetime,
    ) -> list[Result] | None:
        """Finish the claim and record the runs, in one transaction.

        Returns None, with nothing recorded, when the claim was lost. Also while the process stops,
        as statements that it cancelled would be recorded as errors of their rules.
        """
        with self.store.write() as connection:
            if self.scheduler.stopping or not slots.finish(connection, claim, clock.now()):
                return None
            return pipeline.record_batch(
                connection,
                rules,
                due,
                batch_runs,
                at,
                group_wait=rules.alerts.group_wait,
                outdated={rule.id for rule in due if not self._is_in_force(rule)},
            )

    def _is_in_force(self, rule: Rule) -> bool:
        """Return whether a rule is enabled, and means the same, in the rules in force now."""
        current = self.rules.rules.get(rule.id)
        return current is not None and current.enabled and current.meaning == rule.meaning

    def _abandoned(self, key: str, slot: datetime, ids: Sequence[str]) -> Iterable[Batch]:
        """Return a batch whose process died, for the slot that it had claimed.

        Nothing when this process is running it after all, or when its rules were removed.
        """
        name = key.removeprefix(self._prefix)
        if any(batch.name == name for batch in list(self._cancel_tokens.values())):
            return []
        rules = [self.rules.rules[rule] for rule in ids if rule in self.rules.rules]
        if rules:
            log.warning("batch %s was abandoned; it runs now", name)
        for batch in self.batches():
            if batch.name == name:
                return [replace(batch, slot=slot)]
        if not rules:
            with self.store.write() as connection:
                slots.remove(connection, key)
            return []
        return [batch_of(self.rules, rules, name=name, slot=slot)]

    def _missed(self, newest_slots: Mapping[str, Slot], at: datetime) -> Iterator[Batch]:
        """Yield the batches whose slot has passed and was claimed by no process."""
        for batch in self.batches():
            slot = batch.slot_at(at - CLAIMED_WITHIN)
            if slot is None or slot < self._started_at:
                continue
            newest = newest_slots.get(self._key(batch))
            if newest is not None:
                was_claimed = newest.at >= slot
                if newest.running or was_claimed:
                    continue
            log.warning("batch %s was missed; it runs now", batch.name)
            yield batch

    @property
    def _prefix(self) -> str:
        return f"{self.rules.name}: "

    def _key(self, batch: Batch) -> str:
        """Return the name of a batch in the store, where batches of several files are."""
        return self._prefix + batch.name

    @contextmanager
    def _logging_errors(self, message: str) -> Iterator[None]:
        """Log an error instead of raising it: the daemon outlives whatever breaks one job."""
        try:
            yield
        except StoreError as error:
            log.error("%s: %s. %s", message, error.message, error.hint)
        except Exception as error:  # noqa: BLE001  # the daemon goes on
            telemetry.capture(error)
            log.error("%s (%s)", message, type(error).__name__)


def _is_due(last: datetime | None, at: datetime) -> bool:
    """Return whether a minute has passed, or the clock was set back by as much."""
    return last is None or abs(at - last) >= NOTIFY_EVERY
