"""`sanityd check`: runs one pass over the rules. Its exit code is for cron and CI."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sanityd.cli import EXIT_UNKNOWN
from sanityd.cli.local_time import use_zone
from sanityd.cli.options import no_such, open_store, rule_named, rules_option
from sanityd.cli.rechecks import Rechecks
from sanityd.cli.selection import check_words, is_selected

if TYPE_CHECKING:
    from sanityd.alerts.dispatcher import DispatchSummary
    from sanityd.checks.confirm import Suspects
    from sanityd.cli.reports import CheckReport
    from sanityd.model import Run
    from sanityd.pipeline import Result
    from sanityd.rules.rule import Rule, RuleSet
    from sanityd.store.open import Store

#: How long a pass waits for the mail server; the rest stays in the outbox for the next pass.
DELIVERY_SECONDS = 30.0


@click.command("check")
@click.argument("names", nargs=-1, metavar="[RULE]…")
@click.option("--tag", "tags", multiple=True, help="Only rules with this tag.")
@click.option("--source", "sources", multiple=True, help="Only rules of this source.")
@click.option("--due", is_flag=True, help="Only rules that are due by their schedule.")
@click.option("--dry-run", is_flag=True, help="Record nothing, send nothing.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "junit"]),
    default="text",
    show_default=True,
)
@rules_option
@click.pass_context
def command(
    ctx: click.Context,
    names: Sequence[str],
    tags: Sequence[str],
    sources: Sequence[str],
    due: bool,
    dry_run: bool,
    form: str,
    path: Path,
) -> None:
    """Check the rules once: evaluate, record, mail, then return.

    Exit 0: no error or critical rule is violated. 1: one is. 2: the rules file is wrong. 3:
    something could not be checked, recorded or mailed.
    """
    # Imported here, so that `--help` stays fast.
    from sanityd import clock, telemetry

    telemetry.start(ctx.obj["log"])
    ended: dict[str, int] = {}
    if not dry_run and _has_heartbeat():
        # Send the heartbeat also when this command fails.
        ctx.call_on_close(lambda: _beat(ended))
    rules = _load(path, form)
    use_zone(rules.alerts.zone)
    selection = Selection(names, tags, sources, due)
    at, started = clock.now(), clock.stopwatch()
    if dry_run:
        report = _dry_run(rules, selection, at, started)
    else:
        report = _recorded_run(rules, selection, at, started)
    ended["code"] = report.code
    if not (due and form == "text" and _is_empty(report)):
        _write(report, form)
    ctx.exit(report.code)


@dataclass(frozen=True, slots=True)
class Selection:
    """The rules to check: all enabled ones unless there are names, tags or sources; of these, with
    `due`, those that are due."""

    names: Sequence[str]
    tags: Sequence[str]
    sources: Sequence[str]
    due: bool

    @property
    def is_all(self) -> bool:
        """Whether no rule is left out by its name, tag or source."""
        return not (self.names or self.tags or self.sources)


def _has_heartbeat() -> bool:
    return bool(os.environ.get("SANITYD_HEARTBEAT_URL") or os.environ.get("SANITYD_SENTRY_MONITOR"))


def _load(path: Path, form: str) -> "RuleSet":
    """Load the rules. With `--format json`, mistakes are printed as JSON, too."""
    from sanityd.errors import RuleError
    from sanityd.rules.diagnostics import as_json
    from sanityd.rules.load import load

    try:
        return load(path)
    except RuleError as error:
        if form == "json":
            # The object has neither `rules` nor `summary`, so that nobody reads 0 failures.
            click.echo(as_json(error.problems))
        raise


def _dry_run(rules: "RuleSet", selection: Selection, at: datetime, started: float) -> "CheckReport":
    from sanityd import clock
    from sanityd.cli.reports import CheckReport

    selected = _selected(rules, selection)
    rechecks = Rechecks()
    results = _run(rules, selected, None, at, rechecks)
    results += _recheck(rules, None, rechecks)
    results = _in_order(results, selected)
    code = exit_code(results, None, 0)
    return CheckReport(rules, tuple(results), at, clock.stopwatch() - started, None, 0, code)


def _recorded_run(
    rules: "RuleSet", selection: Selection, at: datetime, started: float
) -> "CheckReport":
    """Evaluate, record and notify; then remove data that is past its retention."""
    from sanityd import clock, pipeline
    from sanityd.alerts.dispatcher import DispatchSummary
    from sanityd.cli import remedy_status
    from sanityd.cli.reports import CheckReport
    from sanityd.daemon import rule_changes
    from sanityd.store import leases

    store = open_store(rules)
    try:
        with store.read() as connection:
            suggested = pipeline.suggested_renames(connection, rules)
        rule_changes.adopt(rules, store, at)
        selected = _selected(rules, selection)
        if selection.due:
            selected = _due(selected, store, at)
        rechecks = Rechecks()
        results = _run(rules, selected, store, at, rechecks)
        delivered = DispatchSummary()
        if rechecks.rules:
            # What needs no confirmation is mailed before the wait. What could not be delivered is
            # tried again, or counted as waiting, after it.
            early = pipeline.deliver(rules, store, seconds=DELIVERY_SECONDS)
            delivered = replace(early, retried=0)
            results += _recheck(rules, store, rechecks)
        # What follows must not be judged by a time before the rechecks.
        now = clock.now() if rechecks.rules else at
        results = _in_order(results, selected)
        removed: Mapping[str, int] = {}
        if selection.is_all:
            removed = pipeline.forget_removed(rules, store, now)
        pipeline.notify_due(rules, store, now)
        delivered += pipeline.deliver(rules, store, seconds=DELIVERY_SECONDS)
        if remedy_status.run_in_pass(rules, store, seconds=DELIVERY_SECONDS):
            # They may have news for the recipients.
            delivered += pipeline.deliver(rules, store, seconds=DELIVERY_SECONDS)
        waiting, unnotified = _undelivered(store, now)
        with store.read() as connection:
            daemon = leases.get(connection, rules.name)
        _apply_retention(store, now)
    finally:
        store.close()
    code = exit_code(results, delivered, waiting + unnotified)
    seconds = clock.stopwatch() - started
    return CheckReport(
        rules,
        tuple(results),
        at,
        seconds,
        delivered,
        waiting,
        code,
        removed,
        unnotified,
        daemon,
        {new: old for old, new in suggested},
    )


def _is_empty(report: "CheckReport") -> bool:
    """Whether there is nothing to report. Then `--due` prints nothing, because cron mails every
    output."""
    return not report.results and not any(report.removed.values()) and report.code == 0


def _write(report: "CheckReport", form: str) -> None:
    from sanityd.cli import check_text, reports

    forms = {"text": check_text.write, "json": reports.as_json, "junit": reports.as_junit}
    forms[form](report, sys.stdout)


def _beat(ended: Mapping[str, int]) -> None:
    """Send a heartbeat. Violated rules count as success, rules that could not be checked don't."""
    from sanityd.daemon import heartbeat

    problems = []
    if ended.get("code", EXIT_UNKNOWN) > 1:
        problems.append("something could not be checked or delivered")
    heartbeat.beat(problems)


def exit_code(
    results: Iterable["Result"], delivered: "DispatchSummary | None", waiting: int
) -> int:
    """Return the exit code of a pass. What is unknown outranks a violation, as it may hide more."""
    from sanityd.model import Severity

    if waiting or (delivered is not None and (delivered.retried or delivered.dead)):
        return EXIT_UNKNOWN
    code = 0
    for result in results:
        if result.run.verdict in ("errored", "skipped"):
            return EXIT_UNKNOWN
        if result.severity is not None and result.severity >= Severity.ERROR:
            code = 1
    return code


def _selected(rules: "RuleSet", selection: Selection) -> list["Rule"]:
    """Return the selected rules, without regard to `due`. Raises a usage error for a rule, tag or
    source that does not exist, because a check of no rules would look like success."""
    for source in selection.sources:
        if source not in rules.sources:
            raise no_such(f"there is no source `{source}`", source, rules.sources)
    check_words("tag", selection.tags, rules.tags)
    # A rule that is named is checked even if it is disabled.
    candidates = [rule_named(rules, name) for name in selection.names] or list(rules.enabled())
    return [rule for rule in candidates if is_selected(rule, selection.tags, selection.sources)]


def _due(rules: Sequence["Rule"], store: "Store", at: datetime) -> list["Rule"]:
    """Return the rules that did not run since their last scheduled time."""
    from sanityd.store import runs

    with store.read() as connection:
        last_runs = runs.last_run_times(connection, [rule.id for rule in rules], at)
    due = []
    for rule in rules:
        scheduled = rule.schedule.slot_before(at)
        if scheduled is None:
            continue
        if rule.id not in last_runs or last_runs[rule.id] < scheduled:
            due.append(rule)
    return due


def _run(
    rules: "RuleSet",
    selected: Sequence["Rule"],
    store: "Store | None",
    at: datetime,
    rechecks: Rechecks,
) -> list["Result"]:
    """Run the rules source by source; those that must be confirmed are added to `rechecks`."""
    from sanityd.cli.terminal import progress

    results: list[Result] = []
    with progress(len(selected), "checking") as bar:
        [task] = bar.task_ids

        def seen(run: "Run") -> None:
            if run.unconfirmed:
                rechecks.add(rules.rules[run.rule], run)
            bar.advance(task)

        for source, batch in rules.by_source(selected).items():
            bar.update(task, description=source)
            results += _run_batch(rules, batch, store, at, seen)
    return results


def _recheck(rules: "RuleSet", store: "Store | None", rechecks: Rechecks) -> list["Result"]:
    """Wait, once, until all rechecks are due, and run these rules again."""
    from sanityd import clock

    rechecks.wait()
    at = clock.now()
    results: list[Result] = []
    for batch in rules.by_source(rechecks.rules).values():
        results += _run_batch(rules, batch, store, at, suspects=rechecks.suspects)
    return results


def _run_batch(
    rules: "RuleSet",
    batch: Sequence["Rule"],
    store: "Store | None",
    at: datetime,
    seen: Callable[["Run"], object] = lambda _: None,
    suspects: Mapping[str, "Suspects"] | None = None,
) -> list["Result"]:
    """Run rules of one source; record nothing without a store. Returns the runs that count."""
    from sanityd import pipeline

    if store is not None:
        return pipeline.run_batch(rules, batch, store, at, seen, suspects=suspects)
    results: list[Result] = []
    for run in pipeline.evaluate(rules, batch, at, suspects=suspects or {}):
        seen(run)
        if not run.unconfirmed:
            results.append(pipeline.Result(rules.rules[run.rule], run))
    return results


def _in_order(results: Iterable["Result"], selected: Sequence["Rule"]) -> list["Result"]:
    """Return the results in the order of the rules."""
    order = {rule.id: number for number, rule in enumerate(selected)}
    return sorted(results, key=lambda result: order[result.rule.id])


def _apply_retention(store: "Store", at: datetime) -> None:
    """Remove old data. A failure does not fail the pass; the next pass tries again."""
    from sanityd.errors import StoreError
    from sanityd.store import retention

    with suppress(StoreError):
        retention.apply_retention(store, at)


def _undelivered(store: "Store", at: datetime) -> tuple[int, int]:
    """Count the messages that wait, and the recipients whose last message was given up."""
    from sanityd.store import notification_log, outbox_summary

    with store.read() as connection:
        waiting = outbox_summary.count_undelivered(connection, at)
        return waiting, notification_log.count_undelivered_recipients(connection)
