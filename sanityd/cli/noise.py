"""`sanityd noise`: shows which rules mail too often, which are downgraded and why, and what other
settings would have done."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.act import DurationParam, in_transaction, new_act
from sanityd.cli.adopted_rules import rules_and_store
from sanityd.cli.options import open_store, rule_named, rules_option

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sanityd.notifications.noise_review import Profile
    from sanityd.pipeline.replay import Replay
    from sanityd.rules.rule import RuleSet

#: How far `replay` goes back by default.
REPLAYED = timedelta(days=90)
#: How many decisions of the policy are shown for a rule.
VERDICTS = 3


@click.group("noise", invoke_without_command=True)
@rules_option
@click.pass_context
def command(ctx: click.Context, path: Path) -> None:
    """Show which rules mail too often, what is done about it, and what they cost in 28 days.

    `spared` are the incidents about which no mail was sent.
    """
    if ctx.invoked_subcommand is not None:
        return
    from sanityd.cli import terminal

    profiles = [profile for profile in _profiles(path) if _is_noisy(profile)]
    console = terminal.console()
    if not profiles:
        console.print("No rule sent mails recently, and none is downgraded.")
        return
    _print_profiles(console, profiles)


def _is_noisy(profile: "Profile") -> bool:
    """Return whether there is anything to say of the rule."""
    state = profile.noise_state
    return any((profile.sent, profile.spared, state.steps, state.flapping_since))


def _print_profiles(console: Any, profiles: "list[Profile]") -> None:
    """Print a table with the noisiest rules first, and what was decided about them."""
    from rich.text import Text

    from sanityd.cli import terminal

    names = ("rule", "declared", "counts as", "mails, 28 d", "acted on", "spared", "flapping")
    grid = terminal.table(*names)
    noisiest_first = sorted(
        profiles, key=lambda profile: (profile.acted - profile.sent, profile.rule)
    )
    for profile in noisiest_first:
        flapping = f"{profile.score:.0f}"
        if profile.noise_state.flapping_since:
            flapping += " · is flapping"
        grid.add_row(
            profile.rule,
            profile.declared.label,
            Text(profile.effective.label, style=terminal.STYLES[profile.effective]),
            f"{profile.sent:,}",
            f"{profile.acted:,}",
            f"{profile.spared:,}",
            flapping,
        )
    console.print(grid)
    for profile in profiles:
        for sentence in profile.sentences:
            console.print(terminal.signed(terminal.MILD, f"{profile.rule}: {sentence}"))


@command.command("explain")
@click.argument("rule")
@rules_option
def explain(rule: str, path: Path) -> None:
    """Show every number that the noise policy uses, with its threshold."""
    from sanityd.cli import terminal

    console = terminal.console()
    [profile] = _profiles(path, rule)
    for line in profile.explained:
        console.print(line)


@command.command("undo")
@click.argument("rule")
@click.option(
    "--reason", default="it matters", show_default=True, metavar="TEXT", help="Why; others read it."
)
@click.option("--by", metavar="NAME", help="Who decides (SANITYD_AUTHOR, else the login name).")
@rules_option
def undo(rule: str, reason: str, by: str | None, path: Path) -> None:
    """Undo a downgrade, cancel one that was announced, or get every mail of a rule again.

    The rule is not downgraded again, and none of its mails is spared, for a while.
    """
    from sanityd.cli import terminal
    from sanityd.notifications import triage

    act = new_act(by, reason)

    def undo_downgrade(connection: "Connection", rules: "RuleSet") -> Any:
        return triage.undo(connection, rules, rule, act)

    until = in_transaction(path, undo_downgrade)
    end = terminal.until_in_zone(until, act.at)
    click.echo(f"{rule} has its declared severity again. It is not downgraded before {end}.")


@command.command("replay")
@click.option(
    "--since", type=DurationParam(), default=REPLAYED, show_default="90d", help="How far back."
)
@rules_option
def replay(since: timedelta, path: Path) -> None:
    """Show what the settings of the rules file would have mailed and downgraded, over the recorded
    history."""
    from sanityd import clock
    from sanityd.cli import terminal
    from sanityd.pipeline.replay import replay as replay_runs
    from sanityd.rules.load import load
    from sanityd.store import runs

    rules = load(path, need_secrets=False)
    store, at = open_store(rules), clock.now()
    start = at - since
    try:
        with store.read() as connection:
            run_count = runs.count(connection, list(rules.rules), start)
        # Every run is replayed twice: with and without the policies of noise.
        with terminal.progress(2 * run_count, "replaying") as bar:
            [task] = bar.task_ids
            replays = replay_runs(rules, store, start, lambda runs: bar.advance(task, runs))
    finally:
        store.close()
    _print_replays(replays, at)


def _print_replays(replays: "Iterable[Replay]", at: datetime) -> None:
    """Print a line for each rule, the one with the most mails without the policies first."""
    from sanityd.cli import terminal

    console = terminal.console()
    by_mails = sorted(replays, key=lambda replay: -replay.without)
    if not by_mails:
        console.print("Nothing was recorded in that time.")
        return
    grid = terminal.table("rule", "runs", "mails", "without", "")
    for replay in by_mails:
        verdicts = ", ".join(
            f"{reason} {terminal.since(time, at)}"
            for time, reason, _ in replay.verdicts[-VERDICTS:]
        )
        grid.add_row(
            replay.rule,
            f"{replay.runs:,}",
            f"{replay.mails:,}",
            f"{replay.without:,}",
            verdicts,
        )
    console.print(grid)
    mails = sum(replay.mails for replay in by_mails)
    without = sum(replay.without for replay in by_mails)
    console.print(
        f"\n{mails:,} mails to each recipient; {without:,} without the policies of noise."
    )


def _profiles(path: Path, name: str | None = None) -> "list[Profile]":
    """Return the profile of the named rule, or those of all enabled rules."""
    from sanityd import clock
    from sanityd.notifications import noise_review

    at = clock.now()
    with rules_and_store(path) as (rules, store), store.read() as connection:
        if name is None:
            selected = list(rules.enabled())
        else:
            selected = [rule_named(rules, name)]
        return [noise_review.profile(connection, rules, rule, at) for rule in selected]
