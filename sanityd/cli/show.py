"""`sanityd show`: one rule or incident, with its rows and its last runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.options import open_store, rules_option

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from sanityd.model import Incident, Tracked
    from sanityd.notifications.open_incidents import OpenIncident, RecipientStatus
    from sanityd.rules.rule import Rule, RuleSet

#: How many rows are shown unless `--all` asks for every one.
ROWS = 50


@click.command("show")
@click.argument("name", metavar="RULE|INCIDENT")
@click.option(
    "--all", "everything", is_flag=True, help=f"All tracked rows, not just the first {ROWS}."
)
@rules_option
def command(name: str, everything: bool, path: Path) -> None:
    """One rule or incident, with its rows."""
    from sanityd import clock
    from sanityd.cli import terminal
    from sanityd.cli.options import find_rule_id
    from sanityd.notifications import open_incidents
    from sanityd.rules.load import load
    from sanityd.store import incidents, rules_seen

    rules = load(path, need_secrets=False)
    store, at, console = open_store(rules), clock.now(), terminal.console()
    try:
        with store.read() as connection:
            asked = incidents.get(connection, name)
            rule_id = asked.rule if asked else find_rule_id(rules, connection, name)
            rule, opened = rules.rules.get(rule_id), incidents.open_for(connection, rule_id)
            goes_on = [
                one
                for one in open_incidents.open_now(connection, rules, at)
                if one.incident.rule == rule_id
            ]
            incident = asked or opened
            if rule is not None:
                _rule(console, rule)
            elif rule_id in rules_seen.names(connection, rules.name):
                gone = f"{rule_id} has left the rules file; `sanityd history {rule_id}` tells what was."
                console.print(terminal.signed(terminal.UNKNOWN, gone))
            if rule is not None or incident is not None:
                # As it counts: without rows that were accepted, and less severe where it was
                # downgraded.
                counting = {one.incident.id: one.incident for one in goes_on}
                _incident(console, rules, incident and counting.get(incident.id, incident), at)
            _told(console, connection, rule_id, goes_on, at)
            _rows(console, connection, rule_id, opened, at, None if everything else ROWS)
            _runs(console, connection, rule_id, at)
    finally:
        store.close()


def _rule(console: Any, rule: "Rule") -> None:
    from rich.text import Text

    from sanityd.cli import terminal

    console.print(Text(rule.title, style="bold"))
    facts = {
        "rule": f"{rule.id}   ({rule.location})",
        "check": f"{rule.invariant.kind} on {rule.invariant.subject.table or rule.source}",
        "schedule": str(rule.schedule),
        "why": rule.why,
        "fix": rule.fix,
        "owner": rule.owner,
        "notifies": ", ".join(rule.notify),
    }
    grid = terminal.table("", "")
    grid.show_header = False
    for word, text in facts.items():
        if text:
            grid.add_row(Text(word, style="dim"), text)
    console.print(terminal.indented(grid))


def _incident(console: Any, rules: "RuleSet", incident: "Incident | None", at: "datetime") -> None:
    from sanityd.alerts.compose import phrases
    from sanityd.cli import terminal
    from sanityd.model import Cause
    from sanityd.model.durations import format_duration

    if incident is None:
        console.print("\nIt is not violated, as far as is known.")
        return
    lasted = format_duration((incident.resolved_at or at) - incident.opened_at)
    word = (
        "open"
        if incident.open
        else "closed"
        if phrases.unseen(incident.resolutions)
        else "resolved"
    )
    many = (
        rules.counted(incident.rule, incident.violations)
        if incident.cause is Cause.VIOLATED
        else ""
    )
    what = ", ".join(part for part in (word, incident.severity.label, many) if part)
    console.print(
        f"\nIncident {incident.id}: {what}, since {terminal.since(incident.opened_at, at)}, for {lasted}"
    )


def _told(
    console: Any,
    connection: "Connection",
    rule: str,
    goes_on: "Iterable[OpenIncident]",
    at: "datetime",
) -> None:
    """What people decided, what the policies did, and for each recipient why they hear of it or
    don't."""
    from sanityd.cli import terminal
    from sanityd.store import noise_state

    if sentence := noise_state.of_rule(connection, rule).sentence:
        console.print(terminal.signed(terminal.MILD, sentence))
    for one in goes_on:
        if one.incident.error:
            console.print(terminal.signed(terminal.UNKNOWN, one.incident.error))
        for note in [
            *one.notes,
            *([terminal.triage_text(one.triage, at)] if one.triage else []),
        ]:
            console.print(terminal.signed(terminal.MILD, note))
        for ear in one.recipients:
            console.print(f"  {_ear(ear, at)}", style="dim")


def _ear(ear: "RecipientStatus", at: "datetime") -> str:
    from sanityd.cli import terminal

    who = ear.recipient if ear.recipient == ear.channel else f"{ear.recipient} ({ear.channel})"
    if ear.last_notification is None or ear.last_notification.at is None:
        return (
            f"{who}: not told: {ear.reason.value.replace('_', ' ')}"
            if ear.reason
            else f"{who}: not told yet"
        )
    told = f"{who}: `{ear.last_notification.reason.value}` with {ear.last_notification.violations:,} at {terminal.since(ear.last_notification.at, at)}"
    # What waited when it was last decided may have been delivered since.
    if ear.reason and not ear.reason.mails and ear.reason.value not in ("known", "waiting"):
        return f"{told}; quiet now: {ear.reason.value.replace('_', ' ')}"
    return (
        f"{told}; a reminder {terminal.until(ear.reminder, at)}"
        if ear.reminder and ear.reminder > at
        else told
    )


def _rows(
    console: Any,
    connection: "Connection",
    rule: str,
    opened: "Incident | None",
    at: "datetime",
    limit: int | None,
) -> None:
    """The rows that are followed, and how many more the open incident counts."""
    from sanityd.store import violations

    rows = violations.open_rows(connection, rule)
    if rows:
        _table(console, connection, rule, rows, at, limit)
    if opened is not None and (more := opened.violations - len(rows)) > 0:
        console.print(f"  … and {more:,} more that are counted, and not followed one by one")


def _table(
    console: Any,
    connection: "Connection",
    rule: str,
    rows: "Sequence[Tracked]",
    at: "datetime",
    limit: int | None,
) -> None:
    from sanityd.alerts.compose.sanitize import cells
    from sanityd.cli import terminal
    from sanityd.store import triage

    columns = list(
        dict.fromkeys((*rows[0].key, *(name for row in rows[:limit] for name in row.shown)))
    )
    accepted = {one.fingerprint for one in triage.in_force(connection, [rule])}
    whats = {row.fingerprint: _what(row, accepted) for row in rows}
    says_what = any(whats.values())
    grid = terminal.table(*columns, *["what"] * says_what, "since")
    for row in rows[:limit]:
        values = cells(columns, {**row.key, **row.shown})
        grid.add_row(
            *values, *[whats[row.fingerprint]] * says_what, terminal.since(row.first_seen, at)
        )
    console.print()
    console.print(terminal.indented(grid))
    if limit is not None and len(rows) > limit:
        console.print(f"  … and {len(rows) - limit:,} more: --all shows them")


def _what(row: "Tracked", accepted: "Container[str | None]") -> str:
    """What is wrong with a row, and whether somebody said that it may stay."""
    from sanityd.model import beyond_key

    return ", ".join(
        filter(None, (beyond_key(row), "accepted" if row.fingerprint in accepted else ""))
    )


def _runs(console: Any, connection: "Connection", rule: str, at: "datetime") -> None:
    from sanityd.cli import terminal
    from sanityd.store import runs

    history = runs.history(connection, rule, 10)
    if not history:
        return
    console.print("\nLast runs")
    grid = terminal.table("", "", "")
    grid.show_header = False
    for run in reversed(history):
        grid.add_row(
            terminal.since(run.at, at),
            run.outcome.value,
            f"{run.violations:,} {'violation' if run.violations == 1 else 'violations'}",
        )
    console.print(terminal.indented(grid))
