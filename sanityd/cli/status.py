"""`sanityd status`: prints what is violated, since when, and what is not verified. Problems of
sanityd itself come first."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.options import open_store, rules_option

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from sanityd.model import NoiseState, Silence
    from sanityd.rules.rule import RuleSet

#: How long a rule is listed that was removed from the file while it was violated.
REMOVED_FOR = timedelta(days=7)


@click.command("status")
@rules_option
def command(path: Path) -> None:
    """Show what is violated, since when, and what is not verified."""
    from sanityd import clock
    from sanityd.cli import terminal
    from sanityd.rules.load import load

    rules = load(path, need_secrets=False)
    store, at, console = open_store(rules), clock.now(), terminal.console()
    try:
        with store.read() as connection:
            _health(console, connection, rules, at)
            _undelivered(console, connection, at)
            _unverified(console, connection, rules, at)
            _open(console, connection, rules, at)
            _removed(console, connection, rules, at)
            _silences(console, connection, at)
            _noise(console, connection, at)
            _holding(console, connection, rules, at)
    finally:
        store.close()


def _health(console: Any, connection: "Connection", rules: "RuleSet", at: "datetime") -> None:
    """Print problems of sanityd itself, and whether the daemon runs."""
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal
    from sanityd.daemon import health

    signs = health.health_signs(connection, rules, at)
    complaints = signs.complaints(at)
    for complaint in complaints:
        line = terminal.signed(terminal.UNKNOWN, f"sanityd itself: {complaint}")
        console.print(line, style="bold red")
    if not complaints and signs.daemon is not None and signs.waiting is None and not signs.given_up:
        since = terminal.since(signs.daemon.since, at)
        console.print(terminal.signed(terminal.PASSED, f"sanityd serve is running since {since}"))
    if signs.wrong_file:
        error = display_value(signs.wrong_file, 400)
        words = f"the rules file is wrong, so the previous rules are in use: {error}"
        console.print(terminal.signed(terminal.UNKNOWN, words), style="bold red")


def _undelivered(console: Any, connection: "Connection", at: "datetime") -> None:
    from sanityd.cli import terminal
    from sanityd.store import outbox

    summary = outbox.summary(connection)
    if summary.waiting and summary.oldest:
        messages = f"{summary.waiting} {terminal.plural(summary.waiting, 'message')}"
        since = terminal.since(summary.oldest, at)
        console.print(f"{messages} not delivered yet, the oldest since {since}.", style="bold red")
    if summary.dead:
        messages = f"{summary.dead} {terminal.plural(summary.dead, 'message')}"
        console.print(f"{messages} given up.", style="bold red")
    for error in summary.errors:
        console.print(f"  {error}")
    if summary.waiting or summary.dead:
        console.print()


def _unverified(console: Any, connection: "Connection", rules: "RuleSet", at: "datetime") -> None:
    """Print the sources that don't answer, and the rules that could not be checked."""
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal
    from sanityd.model import Cause
    from sanityd.store import incidents, runs

    for incident in incidents.list_open(connection):
        if incident.cause is Cause.SOURCE_DOWN:
            since = terminal.since(incident.opened_at, at)
            error = display_value(incident.error, 400)
            line = f"{incident.rule}: does not answer since {since}: {error}"
            console.print(terminal.signed(terminal.UNKNOWN, line))
    for rule in rules.enabled():
        last_run = runs.last(connection, rule.id, at)
        if last_run is None:
            console.print(terminal.signed(terminal.UNKNOWN, f"{rule.id}: not checked yet"))
        elif last_run.error is not None:
            verified_at = runs.last_verified(connection, rule.id)
            state = "never verified"
            if verified_at:
                state = f"not verified since {terminal.since(verified_at, at)}"
            line = f"{rule.id}: {state}: {display_value(last_run.error, limit=400)}"
            console.print(terminal.signed(terminal.UNKNOWN, line))


def _open(console: Any, connection: "Connection", rules: "RuleSet", at: "datetime") -> None:
    """Print a table of the violated rules, and notes about them."""
    from rich.text import Text

    from sanityd.cli import terminal
    from sanityd.model import Cause
    from sanityd.model.durations import format_duration
    from sanityd.notifications import open_incidents

    violated = [
        open_incident
        for open_incident in open_incidents.list_open_incidents(connection, rules, at)
        if open_incident.incident.cause is Cause.VIOLATED
    ]
    if not violated:
        console.print("No rule is violated, as far as is known.")
        return
    by_severity = sorted(
        violated, key=lambda entry: (-entry.incident.severity, entry.incident.opened_at)
    )
    grid = terminal.table("rule", "severity", "violations", "since", "for", "incident", "")
    for open_incident in by_severity:
        incident = open_incident.incident
        decision = ""
        if open_incident.triage:
            decision = terminal.triage_text(open_incident.triage, at)
        grid.add_row(
            incident.rule,
            Text(incident.severity.label, style=terminal.STYLES[incident.severity]),
            f"{incident.violations:,}",
            terminal.since(incident.opened_at, at),
            format_duration(at - incident.opened_at),
            incident.id,
            decision,
        )
    console.print(grid)
    for open_incident in violated:
        for note in open_incident.notes:
            line = f"{open_incident.incident.rule}: {note}"
            console.print(terminal.signed(terminal.MILD, line))


def _removed(console: Any, connection: "Connection", rules: "RuleSet", at: "datetime") -> None:
    """Print rules that were removed from the file while they were violated."""
    from sanityd.cli import terminal
    from sanityd.model import Resolution
    from sanityd.store import incidents, rules_seen

    removed = rules_seen.removed_since(connection, rules.name, at - REMOVED_FOR)
    for rule, removed_at in removed.items():
        for incident in incidents.of_rule(connection, rule, removed_at):
            if Resolution.RULE_REMOVED in incident.resolutions and incident.violations:
                since = terminal.since(removed_at, at)
                violations = terminal.plural(incident.violations, "violation")
                line = (
                    f"{rule}: removed from the rules file {since}, with"
                    f" {incident.violations:,} open {violations}; see `sanityd history {rule}`"
                )
                console.print(terminal.signed(terminal.MILD, line))


def _silences(console: Any, connection: "Connection", at: "datetime") -> None:
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal
    from sanityd.store import silences

    for silence in silences.list_active(connection, at):
        subject = display_value(_silence_subject(silence))
        end = terminal.until(silence.until, at)
        decision = (
            f"until {end} by {display_value(silence.author)}: {display_value(silence.reason)}"
        )
        console.print(terminal.signed(terminal.MILD, f"silenced: {subject} {decision}"))


def _silence_subject(silence: "Silence") -> str:
    parts = []
    if silence.rule:
        parts.append(silence.rule)
    if silence.tag:
        parts.append(f"tag {silence.tag}")
    if silence.source:
        parts.append(silence.source)
    return " ".join(parts) or "everything"


def _noise(console: Any, connection: "Connection", at: "datetime") -> None:
    """Print the rules that are flapping or downgraded, or will be downgraded."""
    from sanityd.cli import terminal
    from sanityd.store import noise_state

    for rule, state in noise_state.all_of(connection).items():
        for sentence in _noise_sentences(rule, state, at):
            console.print(terminal.signed(terminal.MILD, f"{rule}: {sentence}"))


def _noise_sentences(rule: str, state: "NoiseState", at: "datetime") -> list[str]:
    from sanityd.cli import terminal

    sentences = []
    if state.flapping_since:
        since = terminal.since(state.flapping_since, at)
        sentences.append(f"flapping since {since}, so it is not mailed")
    if state.due:
        due = terminal.until(state.due, at)
        sentences.append(f"will be downgraded {due}; `sanityd noise undo {rule}` prevents it")
    elif state.steps:
        sentences.append(state.sentence)
    return sentences


def _holding(console: Any, connection: "Connection", rules: "RuleSet", at: "datetime") -> None:
    """Print how many rules hold."""
    from sanityd.cli import terminal
    from sanityd.store import runs

    passed = []
    for rule in rules.enabled():
        last_run = runs.last(connection, rule.id, at)
        if last_run is not None and last_run.verdict == "passed":
            passed.append(last_run)
            if last_run.checked == 0 and runs.always_empty(connection, rule.id):
                words = f"{rule.id}: holds, but never had a row in scope; `sanityd try {rule.id}`"
                console.print(terminal.signed(terminal.MILD, words))
    if passed:
        newest = max(run.at for run in passed)
        words = "rule holds" if len(passed) == 1 else "rules hold"
        console.print(f"\n{len(passed)} {words}, last checked {terminal.since(newest, at)}.")
