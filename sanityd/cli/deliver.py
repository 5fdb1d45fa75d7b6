"""`sanityd deliver`: sends what waits in the outbox now."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sanityd.cli import EXIT_UNKNOWN
from sanityd.cli.options import existing_store, rules_option

if TYPE_CHECKING:
    from sanityd.alerts.dispatcher import DispatchSummary


@click.command("deliver")
@rules_option
@click.pass_context
def command(ctx: click.Context, path: Path) -> None:
    """Send the messages that wait in the outbox now, also those that would be tried again later.

    Exit 0: all are delivered. 2: the rules file is wrong. 3: a message is not delivered.
    """
    from sanityd import pipeline, telemetry
    from sanityd.rules.load import load
    from sanityd.store import outbox_summary

    telemetry.start(ctx.obj["log"])
    rules = load(path)
    store = existing_store(rules)
    if store is None:
        click.echo("No message waits: nothing was checked yet.")
        return
    try:
        summary = pipeline.deliver_all(rules, store)
        with store.read() as connection:
            waiting = outbox_summary.summary(connection).waiting
    finally:
        store.close()
    _print_summary(summary, waiting)
    if waiting or summary.undelivered:
        ctx.exit(EXIT_UNKNOWN)


def _print_summary(summary: "DispatchSummary", waiting: int) -> None:
    from sanityd.cli.terminal import plural

    if not (summary.sent or summary.undelivered or waiting):
        click.echo("No message waits.")
        return
    counts = [f"{summary.sent:,} {plural(summary.sent, 'message')} delivered"]
    if waiting:
        counts.append(f"{waiting:,} to be tried again")
    if summary.uncertain:
        counts.append(f"{summary.uncertain:,} may have arrived")
    if summary.dead:
        counts.append(f"{summary.dead:,} given up")
    click.echo(", ".join(counts) + ".")
    for problem in summary.problems:
        click.echo(f"  {problem}")
