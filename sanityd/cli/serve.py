"""`sanityd serve`: the daemon. Puts rules, pipeline and scheduler together; knows the time of nothing itself."""

import logging
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sanityd.cli.options import open_store, rules_option

if TYPE_CHECKING:
    from sanityd.pipeline import Result
    from sanityd.rules.rule import RuleSet
    from sanityd.scheduler import Batch, Timetable
    from sanityd.store.open import Store

log = logging.getLogger("sanityd")

#: How often reminders and what was held back are looked for.
TELL_EVERY = timedelta(minutes=1)


@click.command("serve")
@rules_option
@click.pass_context
def command(ctx: click.Context, path: Path) -> None:
    """Check the rules on their schedules and mail what changes, until SIGTERM. SIGHUP reads the rules again."""
    from sanityd import telemetry
    from sanityd.rules.load import load
    from sanityd.scheduler import Timetable, Work, hold_signals

    hold_signals()
    telemetry.start(ctx.obj["log"])
    rules = load(path)
    store = open_store(rules)
    daemon = Daemon(rules, store)
    daemon.timetable = Timetable(Work(daemon.evaluate, daemon.deliver, daemon.reload))
    log.info("serving %d rules of %s, store %s", len(rules.enabled()), path, store.name)
    try:
        daemon.timetable.run(daemon.batches(), daemon.last)
    finally:
        store.close()
    log.info("stopped")
    if daemon.timetable.abandoned:
        # Python would wait for the thread of the check that hangs, and it would record into a closed store.
        logging.shutdown()
        os._exit(0)


class Daemon:
    """The rules as they are now, and what is done with them when the scheduler says so."""

    timetable: "Timetable"

    def __init__(self, rules: "RuleSet", store: "Store") -> None:
        self.rules = rules
        self.store = store
        self._told_at: datetime | None = None

    def batches(self) -> "Sequence[Batch]":
        """Rules of one source that share a schedule."""
        from sanityd.scheduler import Batch

        groups: dict[tuple[str, str], list[str]] = {}
        schedules = {}
        for rule in self.rules.enabled():
            name = (rule.source, str(rule.schedule))
            groups.setdefault(name, []).append(rule.id)
            schedules[name] = rule.schedule
        return [Batch(name[0], schedules[name], tuple(ids)) for name, ids in groups.items()]

    def last(self, rule: str) -> datetime | None:
        """When a rule was last looked at."""
        from sanityd import clock
        from sanityd.store import runs

        with self.store.read() as memory:
            return runs.newest_at(memory, [rule], clock.now()).get(rule)

    def evaluate(self, batch: "Batch") -> None:
        """One batch; what broke it is said, and the next slot comes all the same."""
        from sanityd import clock, pipeline, telemetry

        rules = self.rules
        due = [rules.rules[name] for name in batch.rules if name in rules.rules]
        try:
            results = pipeline.run_batch(rules, due, self.store, clock.now(), wait=rules.alerts.group_wait)
        except Exception as error:  # noqa: BLE001 (the edge of a batch: the daemon outlives whatever breaks one)
            telemetry.capture(error, source=batch.source)
            log.error("batch %s could not be recorded: %s", batch.name, error)
            return
        for result in results:
            _log(result)

    def deliver(self) -> None:
        """Say what time alone makes worth saying, once a minute, and send what is due."""
        from sanityd import clock, pipeline

        at = clock.now()
        # Never by the difference alone: a clock that was set back must not keep it quiet.
        if self._told_at is None or abs(at - self._told_at) >= TELL_EVERY:
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

    def reload(self) -> "Sequence[Batch]":
        """Read the rules again; a broken file keeps the old ones running."""
        from sanityd import clock, pipeline
        from sanityd.errors import RuleError
        from sanityd.problems import format_problems
        from sanityd.rules.load import load

        try:
            rules = load(self.rules.path)
            gone = pipeline.forget_removed(rules, self.store, clock.now())
        except RuleError as error:
            log.error("the rules file is wrong; the old rules keep running\n%s", format_problems(error.problems))
            return self.batches()
        except Exception as error:  # noqa: BLE001 (whatever a reload runs into, the old rules must go on)
            log.error("the rules could not be read again (%s); the old rules keep running", error)
            return self.batches()
        self.rules = rules
        log.info("rules read again: %d rules, revision %s, %d removed", len(rules.enabled()), rules.revision, len(gone))
        return self.batches()


def _log(result: "Result") -> None:
    """One line for each rule that changed something, or could not be looked at."""
    from sanityd.model import Change

    run = result.run
    if run.error is not None:
        log.warning("%s: not checked: %s", run.rule, run.error)
    elif result.queued or set(result.changes) - {Change.ONGOING}:
        counts = ", ".join(f"{count} {change.value}" for change, count in result.changes.items())
        log.info("%s: violations: %d (%s); messages queued: %d", run.rule, run.violations, counts, result.queued)
