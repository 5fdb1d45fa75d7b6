"""`sanityd status`: what is wrong, since when, and what is not known. What sanityd itself can't do
comes first."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.options import open_store, rules_option

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from sanityd.rules.rule import RuleSet

#: How long it is told that a rule has left the file while it was violated.
LATELY = timedelta(days=7)


@click.command("status")
@rules_option
def command(path: Path) -> None:
    """What is wrong, since when, and what is not known."""
    from sanityd import clock
    from sanityd.cli import terminal
    from sanityd.rules.load import load

    rules = load(path, need_secrets=False)
    store, at, console = open_store(rules), clock.now(), terminal.console()
    try:
        with store.read() as connection:
            _watchman(console, connection, rules, at)
            _undelivered(console, connection, at)
            _unverified(console, connection, rules, at)
            _open(console, connection, rules, at)
            _removed(console, connection, rules, at)
            _quiet(console, connection, rules, at)
            _holding(console, connection, rules, at)
    finally:
        store.close()


def _watchman(console: Any, connection: "Connection", rules: "RuleSet", at: "datetime") -> None:
    """Whether what follows is to be believed."""
    from sanityd.alerts.compose.sanitize import visible
    from sanityd.cli import terminal
    from sanityd.daemon import health

    signs = health.health_signs(connection, rules, at)
    complaints = signs.complaints(at)
    for complaint in complaints:
        console.print(
            terminal.signed(terminal.UNKNOWN, f"sanityd itself: {complaint}"), style="bold red"
        )
    if not complaints and signs.daemon is not None and signs.waiting is None and not signs.given_up:
        alive = f"sanityd serve is alive, since {terminal.since(signs.daemon.since, at)}"
        console.print(terminal.signed(terminal.PASSED, alive))
    if signs.wrong_file:
        wrong = f"the rules file is wrong, so older rules are in force: {visible(signs.wrong_file, 400)}"
        console.print(terminal.signed(terminal.UNKNOWN, wrong), style="bold red")


def _undelivered(console: Any, connection: "Connection", at: "datetime") -> None:
    from sanityd.cli import terminal
    from sanityd.store import outbox

    summary = outbox.summary(connection)
    if summary.waiting and summary.oldest:
        waiting = f"{summary.waiting} message{'s' * (summary.waiting != 1)} not delivered yet"
        console.print(
            f"{waiting}, the oldest since {terminal.since(summary.oldest, at)}.", style="bold red"
        )
    if summary.dead:
        console.print(
            f"{summary.dead} message{'s' * (summary.dead != 1)} given up.", style="bold red"
        )
    for error in summary.errors:
        console.print(f"  {error}")
    if summary.waiting or summary.dead:
        console.print()


def _unverified(console: Any, connection: "Connection", rules: "RuleSet", at: "datetime") -> None:
    from sanityd.alerts.compose.sanitize import visible
    from sanityd.cli import terminal
    from sanityd.model import Cause
    from sanityd.store import incidents, runs

    for incident in incidents.list_open(connection):
        if incident.cause is Cause.SOURCE_DOWN:
            since = f"does not answer since {terminal.since(incident.opened_at, at)}"
            console.print(
                terminal.signed(
                    terminal.UNKNOWN, f"{incident.rule}: {since}: {visible(incident.error, 400)}"
                )
            )
    for rule in rules.enabled():
        last = runs.last(connection, rule.id, at)
        if last is None:
            console.print(terminal.signed(terminal.UNKNOWN, f"{rule.id}: never looked at"))
        elif last.error is not None:
            good = runs.last_verified(connection, rule.id)
            known = f"not verified since {terminal.since(good, at)}" if good else "never verified"
            console.print(
                terminal.signed(
                    terminal.UNKNOWN, f"{rule.id}: {known}: {visible(last.error, limit=400)}"
                )
            )


def _open(console: Any, connection: "Connection", rules: "RuleSet", at: "datetime") -> None:
    from rich.text import Text

    from sanityd.cli import terminal
    from sanityd.model import Cause
    from sanityd.model.durations import format_duration
    from sanityd.notifications import open_incidents

    found = [
        one
        for one in open_incidents.open_now(connection, rules, at)
        if one.incident.cause is Cause.VIOLATED
    ]
    if not found:
        console.print("No rule is violated, as far as is known.")
        return
    grid = terminal.table("rule", "severity", "violations", "since", "for", "incident", "")
    for one in sorted(found, key=lambda one: (-one.incident.severity, one.incident.opened_at)):
        incident = one.incident
        grid.add_row(
            incident.rule,
            Text(incident.severity.label, style=terminal.STYLES[incident.severity]),
            f"{incident.violations:,}",
            terminal.since(incident.opened_at, at),
            format_duration(at - incident.opened_at),
            incident.id,
            terminal.triage_text(one.triage, at) if one.triage else "",
        )
    console.print(grid)
    for one in found:
        for sentence in one.notes:
            console.print(terminal.signed(terminal.MILD, f"{one.incident.rule}: {sentence}"))


def _removed(console: Any, connection: "Connection", rules: "RuleSet", at: "datetime") -> None:
    """Rules that left the file of late while something was open, which nobody sees any more."""
    from sanityd.cli import terminal
    from sanityd.model import Resolution
    from sanityd.store import incidents, rules_seen

    for rule, gone in rules_seen.removed_since(connection, rules.name, at - LATELY).items():
        for incident in incidents.of_rule(connection, rule, gone):
            if Resolution.RULE_REMOVED in incident.resolutions and incident.violations:
                told = f"{rule}: left the rules file {terminal.since(gone, at)}, with {incident.violations:,} open"
                console.print(
                    terminal.signed(terminal.MILD, f"{told}; `sanityd history {rule}` tells more")
                )


def _quiet(console: Any, connection: "Connection", rules: "RuleSet", at: "datetime") -> None:
    """What keeps mails away: silences, what comes and goes, what is downgraded or will be."""
    from sanityd.alerts.compose.sanitize import visible
    from sanityd.cli import terminal
    from sanityd.store import noise_state, silences

    for one in silences.listed(connection, at):
        about = (
            " ".join(part for part in (one.rule, one.tag and f"tag {one.tag}", one.source) if part)
            or "everything"
        )
        until = (
            f"until {terminal.until(one.until, at)} by {visible(one.author)}: {visible(one.reason)}"
        )
        console.print(terminal.signed(terminal.MILD, f"silenced: {visible(about)} {until}"))
    for rule, standing in noise_state.all_of(connection).items():
        if standing.flapping_since:
            comes = f"comes and goes since {terminal.since(standing.flapping_since, at)}, so it is quiet"
            console.print(terminal.signed(terminal.MILD, f"{rule}: {comes}"))
        if standing.due:
            undo = f"`sanityd noise undo {rule}` stops it"
            console.print(
                terminal.signed(
                    terminal.MILD, f"{rule}: downgraded {terminal.until(standing.due, at)}; {undo}"
                )
            )
        elif standing.steps:
            console.print(terminal.signed(terminal.MILD, f"{rule}: {standing.sentence}"))


def _holding(console: Any, connection: "Connection", rules: "RuleSet", at: "datetime") -> None:
    from sanityd.cli import terminal
    from sanityd.store import runs

    last = [
        run for rule in rules.enabled() if (run := runs.last(connection, rule.id, at)) is not None
    ]
    holding = [run for run in last if run.verdict == "passed"]
    if holding:
        newest = max(run.at for run in holding)
        hold = "rule holds" if len(holding) == 1 else "rules hold"
        console.print(f"\n{len(holding)} {hold}, last looked at {terminal.since(newest, at)}.")
