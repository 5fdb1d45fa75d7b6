"""`sanityd status`: prints what is violated, since when, and what is not verified. Problems of
sanityd itself come first."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.adopted_rules import rules_and_store
from sanityd.cli.options import rules_option
from sanityd.cli.selection import filter_options, select_rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from rich.text import Text
    from sqlalchemy import Connection

    from sanityd.daemon.health import HealthSigns
    from sanityd.model import Incident, Run, Severity
    from sanityd.notifications.open_incidents import OpenIncident
    from sanityd.rules.rule import RuleSet
    from sanityd.store.rechecks import Recheck

#: How long it is shown that a rule was removed from the file while it was violated, or that the
#: daemon was stopped.
SHOWN_FOR = timedelta(days=7)
#: The last response of the daemon is shown when it is longer ago than that.
LAST_SIGN = timedelta(seconds=30)
#: The most incidents in the table, unless all are asked for: nobody reads 2,000 lines.
MOST_INCIDENTS = 100


@click.command("status")
@filter_options
@click.option("--all", "is_whole", is_flag=True, help="Print all incidents, not the worst 100.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@rules_option
def command(
    owners: tuple[str, ...],
    tags: tuple[str, ...],
    severity: str | None,
    sources: tuple[str, ...],
    is_whole: bool,
    form: str,
    path: Path,
) -> None:
    """Show what is violated, since when, and what is not verified.

    When more than 100 rules are violated, the worst are printed; JSON has all.
    """
    from sanityd import clock
    from sanityd.cli import held_back, remedy_status, status_json, terminal
    from sanityd.model import Severity
    from sanityd.store import rechecks, runs

    at, console = clock.now(), terminal.console()
    least = Severity[severity.upper()] if severity else Severity.INFO
    with rules_and_store(path, form) as (rules, store), store.read() as connection:
        selected = select_rules(rules, owners, tags, least, sources)
        if form == "json":
            click.echo(status_json.text(connection, rules, selected, least, at))
            return
        _health(console, connection, rules, at)
        _undelivered(console, connection, at)
        meanings = {rule.id: rule.meaning for rule in selected.enabled()}
        last_runs = runs.last_of(connection, list(meanings), at)
        pending = rechecks.of_rules(connection, meanings, at)
        _unverified(console, connection, rules, selected, last_runs, pending, at)
        shown = _open_incidents(connection, rules, selected, least, at)
        _open(console, shown if is_whole else shown[:MOST_INCIDENTS], at)
        _left_out(console, len(shown), is_whole=is_whole)
        remedy_status.print_remedies(console, connection, selected, at)
        if selected is rules:
            _removed(console, connection, rules, at)
        held_back.print_all(console, connection, selected, at)
        verified = {rule: run for rule, run in last_runs.items() if rule not in pending}
        _holding(console, connection, verified, at)


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
    _serve(console, signs, at)
    if signs.wrong_file:
        error = display_value(signs.wrong_file, 400)
        words = f"the rules file is wrong, so the previous rules are in use: {error}"
        console.print(terminal.signed(terminal.UNKNOWN, words), style="bold red")


def _serve(console: Any, signs: "HealthSigns", at: "datetime") -> None:
    """Print whether `sanityd serve` runs or was stopped. A crash is a complaint of its own."""
    from sanityd.cli import terminal
    from sanityd.daemon.health import ServeState, serve_state
    from sanityd.model.durations import format_duration

    daemon = signs.daemon
    if daemon is None or at - daemon.at > SHOWN_FOR:
        return
    match serve_state(daemon, at):
        case ServeState.STOPPED:
            words = f"sanityd serve was stopped {terminal.since(daemon.at, at)}"
            console.print(terminal.signed(terminal.MILD, words))
        case ServeState.RUNNING if signs.waiting is None and not signs.given_up:
            words = f"sanityd serve is running since {terminal.since(daemon.since, at)}"
            ago = at - daemon.at
            if ago > LAST_SIGN:
                words += f"; it last responded {format_duration(ago)} ago"
            console.print(terminal.signed(terminal.PASSED, words))


def _undelivered(console: Any, connection: "Connection", at: "datetime") -> None:
    from sanityd.cli import terminal
    from sanityd.store import outbox_summary

    summary = outbox_summary.summary(connection)
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


def _unverified(
    console: Any,
    connection: "Connection",
    rules: "RuleSet",
    selected: "RuleSet",
    last_runs: "Mapping[str, Run]",
    pending: "Mapping[str, Recheck]",
    at: "datetime",
) -> None:
    """Print the sources that don't answer, the rules that could not be checked, and those that
    found something that must be confirmed."""
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal

    _down_sources(console, connection, None if selected is rules else _sources(selected), at)
    skipped: dict[str, list[str]] = {}
    for rule in selected.enabled():
        last_run = last_runs.get(rule.id)
        if rule.id in pending:
            console.print(_pending_line(rule.id, pending[rule.id]))
        elif last_run is None:
            console.print(terminal.signed(terminal.UNKNOWN, f"{rule.id}: not checked yet"))
        elif last_run.verdict == "skipped":
            skipped.setdefault(rule.source, []).append(rule.id)
        elif last_run.error is not None:
            words = _unverified_words(connection, [rule.id], at)
            error = display_value(last_run.error, limit=400)
            console.print(terminal.signed(terminal.UNKNOWN, f"{rule.id}: {words}: {error}"))
    for source, names in skipped.items():
        subject = names[0] if len(names) == 1 else f"{len(names):,} rules of {source}"
        words = _unverified_words(connection, names, at)
        console.print(terminal.signed(terminal.UNKNOWN, f"{subject}: {words}"))


def _down_sources(
    console: Any, connection: "Connection", sources: set[str | None] | None, at: "datetime"
) -> None:
    """Print the sources that don't answer; all of them if `sources` is None."""
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal
    from sanityd.model import Cause
    from sanityd.store import incidents

    for incident in incidents.list_open(connection):
        is_selected = sources is None or incident.source in sources
        if incident.cause is Cause.SOURCE_DOWN and is_selected:
            since = terminal.since(incident.opened_at, at)
            error = display_value(incident.error, 400)
            line = f"{incident.rule}: does not answer since {since}: {error}"
            console.print(terminal.signed(terminal.UNKNOWN, line))


def _sources(rules: "RuleSet") -> set[str | None]:
    """Return the sources that the rules read."""
    sources: set[str | None] = set()
    for rule in rules.rules.values():
        sources |= {rule.source, rule.invariant.elsewhere}
    return sources


def _unverified_words(connection: "Connection", names: "Sequence[str]", at: "datetime") -> str:
    """Return since when the rules are not verified; for several rules, the longest time."""
    from sanityd.cli import terminal
    from sanityd.store import runs

    times = []
    for name in names:
        verified_at = runs.last_verified(connection, name)
        if verified_at is not None:
            times.append(verified_at)
    if not times:
        return "never verified"
    words = f"not verified since {terminal.since(min(times), at)}"
    never = len(names) - len(times)
    return f"{words}, {never:,} of them never" if never else words


def _open_incidents(
    connection: "Connection",
    rules: "RuleSet",
    selected: "RuleSet",
    least: "Severity",
    at: "datetime",
) -> "list[OpenIncident]":
    """Return the incidents of violated rules, the most severe first, then the oldest."""
    from sanityd.model import Cause
    from sanityd.notifications import open_incidents

    violated = [
        open_incident
        for open_incident in open_incidents.list_open_incidents(connection, rules, at)
        if open_incident.incident.cause is Cause.VIOLATED
        and _is_selected(open_incident.incident, rules, selected, least)
    ]
    return sorted(violated, key=lambda entry: (-entry.incident.severity, entry.incident.opened_at))


def _open(console: Any, violated: "list[OpenIncident]", at: "datetime") -> None:
    """Print a table of the violated rules, and notes about them."""
    from rich.text import Text

    from sanityd.cli import terminal
    from sanityd.cli.local_time import zone_name
    from sanityd.model.durations import format_duration

    if not violated:
        console.print("No rule is violated, as far as is known.")
        return
    grid = terminal.table(
        "rule", "severity", "violations", f"since ({zone_name()})", "for", "incident", ""
    )
    for open_incident in violated:
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


def _left_out(console: Any, count: int, *, is_whole: bool) -> None:
    """Print how many violated rules the table leaves out."""
    more = count - MOST_INCIDENTS
    if more > 0 and not is_whole:
        console.print(
            f"… and {more:,} more violated rules, less severe or newer: `--all` prints them;"
            " --owner, --tag, --source and --severity select some."
        )


def _is_selected(
    incident: "Incident", rules: "RuleSet", selected: "RuleSet", least: "Severity"
) -> bool:
    """Return whether an incident is shown. Without a filter, those of removed rules are, too."""
    return selected is rules or (incident.rule in selected.rules and incident.severity >= least)


def _removed(console: Any, connection: "Connection", rules: "RuleSet", at: "datetime") -> None:
    """Print rules that were removed from the file while they were violated."""
    from sanityd.cli import terminal
    from sanityd.model import Resolution
    from sanityd.store import incidents, rules_seen

    removed = rules_seen.removed_since(connection, rules.name, at - SHOWN_FOR)
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


def _pending_line(rule: str, recheck: "Recheck") -> "Text":
    """Return the line of a rule that is evaluated again before what it found counts."""
    from sanityd.cli import terminal
    from sanityd.cli.local_time import local_time

    rows = f"{recheck.violations:,} {terminal.plural(recheck.violations, 'violation')}"
    words = f"{rule}: {rows} to be confirmed at {local_time(recheck.due_at):%H:%M:%S}"
    return terminal.signed(terminal.UNKNOWN, words)


def _holding(
    console: Any, connection: "Connection", last_runs: "Mapping[str, Run]", at: "datetime"
) -> None:
    """Print how many rules hold, and which of them never had anything to check."""
    from sanityd.cli import terminal
    from sanityd.store import runs

    passed = [run for run in last_runs.values() if run.verdict == "passed"]
    for run in passed:
        if run.checked == 0 and runs.always_empty(connection, run.rule):
            words = f"{run.rule}: holds, but never had a row in scope; `sanityd try {run.rule}`"
            console.print(terminal.signed(terminal.MILD, words))
    if passed:
        newest = max(run.at for run in passed)
        words = "rule holds" if len(passed) == 1 else "rules hold"
        line = f"\n{len(passed)} {words}, last checked {terminal.since(newest, at)}."
        console.print(line + _proved(passed))


def _proved(passed: "Iterable[Run]") -> str:
    """Return the sentence about the rules that constraints prove; nothing without any."""
    proved = sum(run.proved_by is not None for run in passed)
    return f" Constraints prove {proved} of them." if proved else ""
