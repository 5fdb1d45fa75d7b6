"""The rules as they are now, and what is done with them when the scheduler says so. Knows the time of nothing."""

import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from sanityd import clock, pipeline, telemetry
from sanityd.daemon import health, heartbeat, rule_changes
from sanityd.errors import CheckError, Problem, RuleError, StoreError
from sanityd.model import Change
from sanityd.pipeline import Order, Result
from sanityd.rules.diagnostics import format_problems
from sanityd.rules.file_watch import Watch
from sanityd.rules.load import load
from sanityd.rules.rule import Rule, RuleSet
from sanityd.scheduler import Batch, ScheduledJobs, Timetable
from sanityd.sources import privileges
from sanityd.sources.snapshot_pool import CancelToken
from sanityd.store import leases, retention, runs, slots
from sanityd.store.open import Store
from sanityd.store.slots import Slot, SlotClaim

log = logging.getLogger(__name__)

#: How often reminders and what was held back are looked for, and what the scheduler should have run.
TELL_EVERY = timedelta(minutes=1)
#: A slot that nobody has claimed by then was missed.
CLAIMED_WITHIN = timedelta(seconds=30)
#: What a batch may take besides its statements.
_BASE = timedelta(minutes=5)
_LONGEST = timedelta(hours=12)


class Daemon(ScheduledJobs):
    """One process among those that serve a rules file.

    Parameters: `alone` says that no other can be: what others have left undone, they have left for ever.
    """

    def __init__(self, rules: RuleSet, store: Store, *, alone: bool = False) -> None:
        self.rules = rules
        self.store = store
        self.timetable = Timetable(self)
        self.runner = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(4)}"
        #: Whether it sees to what only one process must.
        self.leads = False
        self._watch = Watch(rules.path)
        self._brakes: dict[str, CancelToken] = {}
        self._told_at: datetime | None = None
        self._reconciled_at: datetime | None = None
        self._begun = clock.now()
        if alone:
            with store.write() as memory:
                slots.give_up_all_but(memory, self.runner, rules.name, self._begun)

    def run(self) -> None:
        """Work until told to stop, or broken; then let others go on."""
        self._adopt(self.rules, self._begun)
        try:
            self.timetable.run(self.batches())
        finally:
            with (
                self._kept("what it had claimed could not be given up"),
                self.store.write() as memory,
            ):
                at = clock.now()
                slots.give_up(memory, self.runner, at)
                leases.give_up(memory, self.runner, at)

    def rules_now(self) -> RuleSet:
        """The rules in force."""
        return self.rules

    def batches(self) -> list[Batch]:
        """Rules of one source that share a schedule."""
        groups: dict[tuple[str, str], list[Rule]] = {}
        for rule in self.rules.enabled():
            groups.setdefault((rule.source, str(rule.schedule)), []).append(rule)
        return [
            Batch(
                source, rules[0].schedule, tuple(rule.id for rule in rules), self._patience(rules)
            )
            for (source, _), rules in groups.items()
        ]

    def overdue(self, batches: Sequence[Batch], at: datetime) -> list[Batch]:
        """What should have been looked at by now, as our own runs tell; nothing that somebody is looking at."""
        found = []
        with self._kept("what is overdue could not be found"), self.store.read() as memory:
            last = runs.newest_at(memory, [rule for batch in batches for rule in batch.rules], at)
            known = slots.newest(memory, self.rules.name)
            for batch in batches:
                due = [rule for rule in batch.rules if batch.overdue(last.get(rule), at)]
                newest = known.get(self._key(batch))
                if not due or (newest is not None and newest.running):
                    continue
                slot = batch.slot_at(at)
                is_whole = len(due) == len(batch.rules) and (
                    newest is None or (slot and newest.at < slot)
                )
                found.append(batch if is_whole else batch.some(due))
        return found

    def evaluate(self, batch: Batch) -> None:
        """One batch, unless somebody else does; what broke it is said, and the next slot comes all the same."""
        with self._kept(f"batch {batch.name} could not be recorded"):
            rules, at = self.rules, clock.now()
            due = [rules.rules[name] for name in batch.rules if name in rules.rules]
            slot = batch.slot_at(at)
            if slot is None or self.timetable.stopping:
                return
            ids = [rule.id for rule in due]
            with self.store.write() as memory:
                ours = slots.claim(
                    memory, rules.name, self._key(batch), slot, ids, runner=self.runner, at=at
                )
            if ours is not None:
                self._look(rules, due, batch, ours)

    def cut(self, batch: str, why: str) -> None:
        """Stop the statement that is running for a batch; no other begins."""
        if (brake := self._brakes.get(batch)) is not None:
            brake.pull(
                CheckError(
                    why, "Narrow its rules by `where` or `window`, or look at them less often."
                )
            )

    def deliver(self) -> None:
        """Say what time alone makes worth saying, once a minute, and send what is due."""
        with self._kept("the outbox could not be seen to"):
            at = clock.now()
            # Never by the difference alone: a clock that was set back must not keep it quiet.
            if self.leads and (self._told_at is None or abs(at - self._told_at) >= TELL_EVERY):
                self._told_at = at
                pipeline.tell(self.rules, self.store, at)
            summary = pipeline.deliver(self.rules, self.store, stop=lambda: self.timetable.stopping)
            if summary.sent or summary.dead or summary.retried or summary.uncertain:
                log.info(
                    "outbox: %d delivered, %d to be tried again, %d uncertain, %d given up",
                    summary.sent,
                    summary.retried,
                    summary.uncertain,
                    summary.dead,
                )

    def keep(self, late: Mapping[str, int]) -> list[Batch]:
        """Renew what is ours, take what the dead have left, and find what the scheduler has missed."""
        found: list[Batch] = []
        with self._kept("the house could not be kept"):
            at, file = clock.now(), self.rules.name
            with self.store.write() as memory:
                slots.renew(
                    memory, self.runner, [self._prefix + name for name in list(self._brakes)], at
                )
                for name, times in late.items():
                    slots.count_late(memory, self._prefix + name, times)
                self.leads = leases.take(memory, file, self.runner, at)
                left = slots.abandoned(memory, file, at)
                known = slots.newest(memory, file)
            found += [one for batch, slot, ids in left for one in self._left(batch, slot, ids)]
            if self._reconciled_at is None or abs(at - self._reconciled_at) >= TELL_EVERY:
                self._reconciled_at = at
                found += self._missed(known, at)
        return found

    def _warn_of_rights(self) -> None:
        """A login that can write is one guard less; asked in a thread, as a source may take its time to answer."""
        for name in privileges.writable(self.rules.sources):
            log.warning("%s; %s", privileges.warning(name), privileges.ADVICE)

    def report(self) -> None:
        """Send the heartbeat, or say that there is none to send."""
        with self._kept("the watchman could not be told"):
            if not self.leads:
                return
            at = clock.now()
            with self.store.read() as memory:
                complaints = health.health_signs(memory, self.rules, at).complaints(at)
            for complaint in complaints:
                log.warning("no heartbeat: %s", complaint)
            heartbeat.beat(complaints)
            if (tidied := retention.tidy(self.store, at)) is not None:
                log.info(
                    "tidied: %d runs, %d violations, %d messages",
                    tidied.runs,
                    tidied.violations,
                    tidied.messages,
                )

    def changed(self) -> bool:
        """Whether the rules file was saved since it was read."""
        return self._watch.changed()

    def reload(self) -> list[Batch]:
        """Read the rules again; a broken file keeps the old ones running, and its owners are told."""
        at = clock.now()
        try:
            rules = load(self.rules.path)
        except RuleError as error:
            log.error(
                "the rules file is wrong; the old rules keep running\n%s",
                format_problems(error.problems),
            )
            self._say_wrong(error.problems, at)
        except Exception as error:
            telemetry.capture(error)
            log.error(
                "the rules could not be read again (%s); the old rules keep running",
                type(error).__name__,
            )
            self._say_wrong([Problem(f"it can't be read ({type(error).__name__})")], at)
        else:
            if rules.name != self.rules.name or rules.state != self.rules.state:
                wrong = Problem(
                    "`name` and `state` can't change while sanityd runs", "Start sanityd anew."
                )
                log.error("%s; the old rules keep running. %s", wrong.message, wrong.advice)
                self._say_wrong([wrong], at)
            else:
                self._adopt(rules, at)
        return self.batches()

    def _adopt(self, rules: RuleSet, at: datetime) -> None:
        """These are the rules from now on; batches that are looked at end with those of before."""
        self.rules = rules
        with self._kept("the change of the rules could not be recorded"):
            gone = pipeline.forget_removed(rules, self.store, at)
            counts = rule_changes.adopt(rules, self.store, at)
            said = (
                ", ".join(f"{count:,} × {action}" for action, count in counts.items())
                or "no rule changed"
            )
            log.info("%d rules of revision %s: %s", len(rules.enabled()), rules.revision, said)
            threading.Thread(
                target=self._warn_of_rights, name="sanityd-rights", daemon=True
            ).start()
            if gone:
                log.info("closed, as their rules are gone: %s", ", ".join(list(gone)[:10]))

    def _say_wrong(self, problems: Sequence[Problem], at: datetime) -> None:
        with self._kept("that the rules file is wrong could not be recorded"):
            rule_changes.report_wrong_file(self.rules, problems, self.store, at)
            # The owners hear of it now, not within the minute.
            self._told_at = None

    def _look(self, rules: RuleSet, due: Sequence[Rule], batch: Batch, ours: SlotClaim) -> None:
        brake, recorded = CancelToken(), False

        def ends(memory: Connection) -> bool:
            nonlocal recorded
            # What was cut off because we stop would be told as a fault of its rules.
            recorded = not self.timetable.stopping and slots.finish(memory, ours, clock.now())
            return recorded

        def counts(rule: Rule) -> bool:
            now = self.rules.rules.get(rule.id)
            return now is not None and now.enabled and now.meaning == rule.meaning

        self._brakes[batch.name] = brake
        try:
            order = Order(rules.alerts.group_wait, brake, ends, counts)
            results = pipeline.run_batch(rules, due, self.store, clock.now(), order=order)
        finally:
            self._brakes.pop(batch.name, None)
        if not recorded:
            log.warning(
                "batch %s: what was seen is not recorded, and is looked at again", batch.name
            )
        for result in results:
            _log(result)

    def _left(self, key: str, slot: datetime, ids: Sequence[str]) -> Iterator[Batch]:
        """A batch whose runner died, at the slot that it was at; nothing while it is ours after all."""
        name = key.removeprefix(self._prefix)
        rules = [self.rules.rules[rule] for rule in ids if rule in self.rules.rules]
        if name in self._brakes:
            return
        if rules:
            log.warning("batch %s was left undone; it is looked at now", name)
        whole = {batch.name: batch for batch in self.batches()}.get(name)
        if whole is not None:
            yield replace(whole, slot=slot)
        elif rules:
            first = rules[0]
            yield Batch(
                first.source,
                first.schedule,
                tuple(rule.id for rule in rules),
                self._patience(rules),
                name,
                slot,
            )
        else:
            with self.store.write() as memory:
                slots.forget(memory, key)

    def _missed(self, known: Mapping[str, Slot], at: datetime) -> Iterator[Batch]:
        """Batches whose slot has passed, and nobody came."""
        for batch in self.batches():
            slot = batch.slot_at(at - CLAIMED_WITHIN)
            newest = known.get(self._key(batch))
            if slot is None or slot < self._begun or (newest is not None and newest.running):
                continue
            if newest is None or newest.at < slot:
                log.warning("batch %s was missed; it is looked at now", batch.name)
                yield batch

    def _patience(self, rules: Sequence[Rule]) -> timedelta:
        """As long as all its statements may take one after the other, with one to spare for each rule."""
        settings = self.rules.sources[rules[0].source]
        each = settings.statement_timeout * 2 + max(rule.invariant.confirm.after for rule in rules)
        return min(_BASE + each * len(rules), _LONGEST)

    @property
    def _prefix(self) -> str:
        return f"{self.rules.name}: "

    def _key(self, batch: Batch) -> str:
        return self._prefix + batch.name

    @contextmanager
    def _kept(self, what: str) -> Iterator[None]:
        """The edge of a job: the daemon outlives whatever breaks one, and says so."""
        try:
            yield
        except StoreError as error:
            log.error("%s: %s. %s", what, error.message, error.hint)
        except Exception as error:
            telemetry.capture(error)
            log.error("%s (%s)", what, type(error).__name__)


def _log(result: Result) -> None:
    """One line for each rule that changed something, or could not be looked at."""
    run = result.run
    if run.error is not None:
        log.warning("%s: not checked: %s", run.rule, run.error)
    elif result.queued or set(result.changes) - {Change.ONGOING}:
        counts = ", ".join(f"{count} {change.value}" for change, count in result.changes.items())
        log.info(
            "%s: violations: %d (%s); messages queued: %d",
            run.rule,
            run.violations,
            counts,
            result.queued,
        )
