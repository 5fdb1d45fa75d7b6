"""`sanityd check`: runs one pass over the rules. Its exit code is for cron and CI."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sanityd.cli import EXIT_UNKNOWN
from sanityd.cli.local_time import use_zone
from sanityd.cli.options import no_such, open_store, rule_named, rules_option
from sanityd.cli.selection import check_words

if TYPE_CHECKING:
    from sanityd.api.one_pass import Observer
    from sanityd.cli.reports import CheckReport
    from sanityd.rules.rule import Rule, RuleSet
    from sanityd.store.open import Store


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
    from sanityd.api import one_pass
    from sanityd.cli.reports import CheckReport

    results = one_pass.dry(rules, _selected(rules, selection), at, _observer(rules))
    code = one_pass.exit_code(results, None, 0)
    return CheckReport(rules, results, at, clock.stopwatch() - started, None, 0, code)


def _recorded_run(
    rules: "RuleSet", selection: Selection, at: datetime, started: float
) -> "CheckReport":
    from sanityd import clock
    from sanityd.api import one_pass
    from sanityd.cli.reports import CheckReport

    def select(store: "Store") -> "Sequence[Rule]":
        selected = _selected(rules, selection)
        return _due(selected, store, at) if selection.due else selected

    store = open_store(rules)
    try:
        done = one_pass.recorded(
            rules, store, at, _observer(rules), select, is_complete=selection.is_all
        )
    finally:
        store.close()
    return CheckReport(
        rules,
        done.results,
        at,
        clock.stopwatch() - started,
        done.delivered,
        done.waiting,
        done.code,
        done.removed,
        done.unnotified,
        done.daemon,
        done.suggested_renames,
    )


def _observer(rules: "RuleSet") -> "Observer":
    from sanityd.cli.pass_progress import ProgressBar

    return ProgressBar(rules)


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


def _selected(rules: "RuleSet", selection: Selection) -> list["Rule"]:
    """Return the selected rules, without regard to `due`. Raises a usage error for a rule, tag or
    source that does not exist, because a check of no rules would look like success."""
    for source in selection.sources:
        if source not in rules.sources:
            raise no_such(f"there is no source `{source}`", source, rules.sources)
    check_words("tag", selection.tags, rules.tags)
    # A rule that is named is checked even if it is disabled.
    candidates = [rule_named(rules, name) for name in selection.names] or list(rules.enabled())
    return [rule for rule in candidates if rule.is_of(selection.tags, selection.sources)]


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
