"""`sanityd noise`: which rules cry wolf, what is done about it and why, and what other settings
would have done."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.act import DurationParam, in_transaction, new_act
from sanityd.cli.options import open_store, rule_named, rules_option

if TYPE_CHECKING:
    from sanityd.notifications.noise_review import Profile
    from sanityd.pipeline.simulation import Replay

REPLAYED = timedelta(days=90)


@click.group("noise", invoke_without_command=True)
@rules_option
@click.pass_context
def command(ctx: click.Context, path: Path) -> None:
    """Which rules cry wolf, and what is done about it."""
    if ctx.invoked_subcommand is not None:
        return
    from rich.text import Text

    from sanityd.cli import terminal

    found = [
        one
        for one in _profiles(path)
        if one.sent or one.noise_state.steps or one.noise_state.flapping_since
    ]
    console = terminal.console()
    if not found:
        console.print("No rule has mailed anybody of late, and none is downgraded.")
        return
    grid = terminal.table("rule", "declared", "counts as", "mails, 28 d", "acted on", "flapping")
    for one in sorted(found, key=lambda one: (one.acted - one.sent, one.rule)):
        now = Text(one.effective.label, style=terminal.STYLES[one.effective])
        restless = f"{one.score:.0f}" + (" · is flapping" if one.noise_state.flapping_since else "")
        grid.add_row(one.rule, one.declared.label, now, f"{one.sent:,}", f"{one.acted:,}", restless)
    console.print(grid)
    for one in found:
        for sentence in one.sentences:
            console.print(terminal.signed(terminal.MILD, f"{one.rule}: {sentence}"))


@command.command("explain")
@click.argument("rule")
@rules_option
def explain(rule: str, path: Path) -> None:
    """Every number that the policy looks at, and what it is compared with."""
    from sanityd.cli import terminal

    console = terminal.console()
    [one] = [one for one in _profiles(path, rule) if one.rule == rule]
    for line in one.explained:
        console.print(line)


@command.command("undo")
@click.argument("rule")
@click.option(
    "--reason", default="it matters", show_default=True, metavar="TEXT", help="Why; others read it."
)
@click.option("--by", metavar="NAME", help="Who decides (SANITYD_AUTHOR, else the login name).")
@rules_option
def undo(rule: str, reason: str, by: str | None, path: Path) -> None:
    """Take a downgrade back, or the notice of one; no other comes for a while."""
    from sanityd.cli import terminal
    from sanityd.notifications import triage as room

    act = new_act(by, reason)
    until = in_transaction(path, lambda connection, rules: room.undo(connection, rules, rule, act))
    click.echo(
        f"{rule} counts as it is declared. It is not downgraded before {terminal.until(until, act.at)}."
    )


@command.command("replay")
@click.option(
    "--since", type=DurationParam(), default=REPLAYED, show_default="90d", help="How far back."
)
@rules_option
def replay(since: timedelta, path: Path) -> None:
    """What the settings of the rules file would have mailed and downgraded, over the recorded
    history."""
    from sanityd import clock
    from sanityd.cli import terminal
    from sanityd.pipeline.simulation import replay as rehearse
    from sanityd.rules.load import load
    from sanityd.store import runs

    rules = load(path, need_secrets=False)
    store, at = open_store(rules), clock.now()
    try:
        with store.read() as connection:
            total = runs.count(connection, list(rules.rules), at - since)
        with terminal.progress(2 * total, "replaying") as bar:
            [task] = bar.task_ids
            found = rehearse(rules, store, at - since, lambda more: bar.advance(task, more))
    finally:
        store.close()
    _report(found, at)


def _report(found: "Iterable[Replay]", at: datetime) -> None:
    from sanityd.cli import terminal

    console, listed = terminal.console(), list(found)
    if not listed:
        console.print("Nothing was recorded in that time.")
        return
    grid = terminal.table("rule", "runs", "mails", "without", "")
    for one in sorted(listed, key=lambda one: -one.without):
        said = ", ".join(
            f"{reason} {terminal.since(when, at)}" for when, reason, _ in one.verdicts[-3:]
        )
        grid.add_row(one.rule, f"{one.runs:,}", f"{one.mails:,}", f"{one.without:,}", said)
    console.print(grid)
    mails, without = sum(one.mails for one in listed), sum(one.without for one in listed)
    console.print(
        f"\n{mails:,} mails to each recipient; {without:,} without the policies of noise."
    )


def _profiles(path: Path, rule: str | None = None) -> "list[Profile]":
    from sanityd import clock
    from sanityd.notifications import noise_review
    from sanityd.rules.load import load

    rules = load(path, need_secrets=False)
    chosen: Any = rules.enabled() if rule is None else [rule_named(rules, rule)]
    store, at = open_store(rules), clock.now()
    try:
        with store.read() as connection:
            return [noise_review.profile(connection, rules, one, at) for one in chosen]
    finally:
        store.close()
