"""`sanityd check`: one pass over the rules, then return. Its exit code is for cron and CI."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sanityd.cli import EXIT_UNKNOWN
from sanityd.cli.options import open_store, rules_option

if TYPE_CHECKING:
    from sanityd.alerts.dispatcher import DispatchSummary
    from sanityd.pipeline import Result
    from sanityd.rules.rule import Rule, RuleSet
    from sanityd.store.open import Store

#: How long a pass waits for the mail server; the rest stays in the outbox for the next pass.
DELIVERY_SECONDS = 30.0


@click.command("check")
@click.argument("names", nargs=-1, metavar="[RULE]…")
@click.option("--tag", multiple=True, help="Only rules with this tag.")
@click.option("--source", multiple=True, help="Only rules of this source.")
@click.option(
    "--due", is_flag=True, help="Only rules whose schedule has come since they were last looked at."
)
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
    tag: Sequence[str],
    source: Sequence[str],
    due: bool,
    dry_run: bool,
    form: str,
    path: Path,
) -> None:
    """Check the rules once: evaluate, record, mail, then return.

    Exit 0: all hold. 1: an error or critical rule is violated. 2: the rules file is wrong. 3:
    something could not be checked, recorded or mailed.
    """
    # Heavy rooms are imported here, so that `--help` needs none of them.
    from sanityd import clock, pipeline, telemetry
    from sanityd.cli import reports
    from sanityd.daemon import rule_changes
    from sanityd.errors import RuleError
    from sanityd.rules.diagnostics import as_json
    from sanityd.rules.load import load

    telemetry.start(ctx.obj["log"])
    if not dry_run and any(
        map(os.environ.get, ("SANITYD_HEARTBEAT_URL", "SANITYD_SENTRY_MONITOR"))
    ):
        # Whatever ends this command: who waits for it is told how it ended.
        ctx.call_on_close(lambda: _beat(ended))
    ended: dict[str, int] = {}
    try:
        rules = load(path)
    except RuleError as error:
        if form == "json":
            # Neither `rules` nor `summary`: whoever counts failures finds none where none was
            # looked for.
            click.echo(as_json(error.problems))
        raise
    at, begun = clock.now(), clock.stopwatch()
    store = None if dry_run else open_store(rules)
    try:
        if store is not None:
            rule_changes.adopt(rules, store, at)
        chosen = _chosen(rules, names, tag, source)
        if due and store is not None:
            chosen = _due(chosen, store, at)
        results = _run(rules, chosen, store, at)
        removed = {}
        if store is not None and not (names or tag or source):
            removed = pipeline.forget_removed(rules, store, at)
        if store is not None:
            pipeline.tell(rules, store, at)
        delivered = (
            pipeline.deliver(rules, store, seconds=DELIVERY_SECONDS) if store is not None else None
        )
        waiting = _undelivered(store, at) if store is not None else 0
        if store is not None:
            _tidy(store, at)
    finally:
        if store is not None:
            store.close()
    code = ended["code"] = exit_code(results, delivered, waiting)
    if due and form == "text" and not results and not any(removed.values()) and code == 0:
        # cron mails whatever is printed.
        ctx.exit(code)
    report = reports.CheckReport(
        rules, tuple(results), at, clock.stopwatch() - begun, delivered, waiting, code, removed
    )
    reports.FORMS[form](report, sys.stdout)
    ctx.exit(code)


def _beat(ended: Mapping[str, int]) -> None:
    """A heartbeat: that data is wrong is not the watchman's business, that something is not known
    is."""
    from sanityd.daemon import heartbeat

    heartbeat.beat(
        [] if ended.get("code", EXIT_UNKNOWN) <= 1 else ["something could not be checked or told"]
    )


def exit_code(
    results: Iterable["Result"], delivered: "DispatchSummary | None", waiting: int
) -> int:
    """What the pass came to: something unknown weighs more than something wrong, as it may hide
    more of it."""
    from sanityd.model import Severity

    verdicts = [(result.run.verdict, result.severity) for result in results]
    undelivered = waiting or (delivered is not None and (delivered.retried or delivered.dead))
    if undelivered or any(verdict in ("errored", "skipped") for verdict, _ in verdicts):
        return EXIT_UNKNOWN
    return int(any(severity is not None and severity >= Severity.ERROR for _, severity in verdicts))


def _chosen(
    rules: "RuleSet", names: Sequence[str], tags: Sequence[str], sources: Sequence[str]
) -> list["Rule"]:
    from sanityd.cli.options import no_such, rule_named

    for name in sources:
        if name not in rules.sources:
            raise no_such(f"there is no source `{name}`", name, rules.sources)
    known = {tag for rule in rules.rules.values() for tag in rule.tags}
    for tag in tags:
        # Nothing looked at is nothing wrong, for whoever reads the exit code.
        if tag not in known:
            raise no_such(f"no rule has the tag `{tag}`", tag, known)
    # A rule that is named is looked at even when it is switched off: that is what naming it is for.
    picked = [rule_named(rules, name) for name in names] or list(rules.enabled())
    return [
        rule
        for rule in picked
        if (not tags or set(tags) & set(rule.tags)) and (not sources or rule.source in sources)
    ]


def _due(chosen: Iterable["Rule"], store: "Store", at: datetime) -> list["Rule"]:
    from sanityd.store import runs

    with store.read() as memory:
        last = runs.newest_at(memory, [rule.id for rule in chosen], at)
    return [
        rule
        for rule in chosen
        if (slot := rule.schedule.slot_before(at)) is not None
        and (rule.id not in last or last[rule.id] < slot)
    ]


def _run(
    rules: "RuleSet", chosen: Sequence["Rule"], store: "Store | None", at: datetime
) -> list["Result"]:
    """All rules, source by source; results in the order of the file."""
    from sanityd import pipeline
    from sanityd.cli.screen import progress

    results: list[Result] = []
    with progress(len(chosen), "checking") as bar:
        [task] = bar.task_ids
        for source, batch in rules.by_source(chosen).items():
            bar.update(task, description=source)
            if store is None:
                by_id = {rule.id: rule for rule in batch}
                for run in pipeline.evaluate(rules, batch, at):
                    results.append(pipeline.Result(by_id[run.rule], run))
                    bar.advance(task)
            else:
                results += pipeline.run_batch(
                    rules, batch, store, at, seen=lambda _: bar.advance(task)
                )
    order = {rule.id: place for place, rule in enumerate(chosen)}
    return sorted(results, key=lambda result: order[result.rule.id])


def _tidy(store: "Store", at: datetime) -> None:
    """What can't be tidied today can be tomorrow; what the pass found is not less true for it."""
    from sanityd.errors import StoreError
    from sanityd.store import retention

    with suppress(StoreError):
        retention.tidy(store, at)


def _undelivered(store: "Store", at: datetime) -> int:
    from sanityd.store import notification_log, outbox

    with store.read() as memory:
        return outbox.undelivered(memory, at) + notification_log.undelivered_recipients(memory)
