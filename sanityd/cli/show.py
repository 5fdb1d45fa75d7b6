"""`sanityd show`: prints one rule or incident, with its rows and its last runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.adopted_rules import rules_and_store
from sanityd.cli.options import find_incident, find_rule_id, rules_option

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from sanityd.model import Incident, TrackedViolation
    from sanityd.notifications.open_incidents import OpenIncident, RecipientStatus
    from sanityd.rules.rule import Rule, RuleSet

#: How many rows are shown without `--all`.
ROWS = 50
#: Reasons for no notification that need more than their name.
_REASONS = {
    "kept_open": "it holds again, but not for as long as `keep_open` says",
    "not_taken": "the channel does not take it",
}


@click.command("show")
@click.argument("name", metavar="RULE|INCIDENT")
@click.option(
    "--all", "show_all", is_flag=True, help=f"All tracked rows, not only the first {ROWS}."
)
@rules_option
def command(name: str, show_all: bool, path: Path) -> None:
    """Show one rule or incident, with its rows."""
    from sanityd import clock
    from sanityd.cli import terminal

    limit = None if show_all else ROWS
    with rules_and_store(path) as (rules, store), store.read() as connection:
        _show(terminal.console(), connection, rules, name, clock.now(), limit)


def _show(
    console: Any,
    connection: "Connection",
    rules: "RuleSet",
    name: str,
    at: "datetime",
    limit: int | None,
) -> None:
    """Print everything about a rule or incident, with at most `limit` rows."""
    from sanityd.notifications import open_incidents
    from sanityd.store import incidents

    rule_id = find_rule_id(rules, connection, name)
    named_incident = None if name == rule_id else find_incident(connection, name)
    open_incident = incidents.open_for(connection, rule_id)
    current = [
        candidate
        for candidate in open_incidents.list_open_incidents(connection, rules, at)
        if candidate.incident.rule == rule_id
    ]
    incident = named_incident or open_incident
    rule = rules.rules.get(rule_id)
    if rule is not None:
        _rule(console, rule)
    else:
        _removed_rule(console, connection, rules, rule_id)
    if incident is not None:
        # Show the incident as it counts: without accepted rows, and with its downgrade.
        for candidate in current:
            if candidate.incident.id == incident.id:
                incident = candidate.incident
        _incident(console, rules, incident, at)
    elif rule is not None:
        console.print(f"\n{_without_incident(connection, rule_id, at)}")
    _notes(console, connection, rule_id, current, at)
    _rows(console, connection, rule_id, open_incident, at, limit)
    _evidence(console, connection, rule_id, at, limit)
    _runs(console, connection, rule_id, at)


def _without_incident(connection: "Connection", rule: str, at: "datetime") -> str:
    """Return what is known of a rule that is not violated: only a run with an answer knows."""
    from sanityd.cli import terminal
    from sanityd.store import runs

    last = runs.last(connection, rule, at)
    if last is None:
        return "It was never checked, so it is not known whether it is violated."
    if last.answered:
        return "It is not violated, as far as is known."
    when = terminal.since_in_zone(last.at, at)
    return (
        f"Its last run, at {when}, is {last.outcome.value}: "
        "it is not known whether it is violated now."
    )


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
    for label, value in facts.items():
        if value:
            grid.add_row(Text(label, style="dim"), value)
    console.print(terminal.indented(grid))


def _removed_rule(console: Any, connection: "Connection", rules: "RuleSet", rule_id: str) -> None:
    from sanityd.cli import terminal
    from sanityd.store import rules_seen

    if rule_id in rules_seen.names(connection, rules.name):
        words = f"{rule_id} was removed from the rules file; see `sanityd history {rule_id}`."
        console.print(terminal.signed(terminal.UNKNOWN, words))


def _incident(console: Any, rules: "RuleSet", incident: "Incident", at: "datetime") -> None:
    from sanityd.alerts.compose.state import ended_unchecked
    from sanityd.cli import terminal
    from sanityd.model import Cause
    from sanityd.model.durations import format_duration

    if incident.open:
        state = "open"
    elif ended_unchecked(incident.resolutions):
        state = "closed"
    else:
        state = "resolved"
    parts = [state, incident.severity.label]
    if incident.cause is Cause.VIOLATED:
        parts.append(rules.counted(incident.rule, incident.violations))
    since = terminal.since_in_zone(incident.opened_at, at)
    length = format_duration((incident.resolved_at or at) - incident.opened_at)
    words = ", ".join(part for part in parts if part)
    console.print(f"\nIncident {incident.id}: {words}, since {since}, for {length}")


def _notes(
    console: Any,
    connection: "Connection",
    rule: str,
    current: "Iterable[OpenIncident]",
    at: "datetime",
) -> None:
    """Print the decisions of people and of the noise policy, and the notifications."""
    from sanityd.cli import terminal
    from sanityd.store import noise_state

    sentence = noise_state.of_rule(connection, rule).sentence
    if sentence:
        console.print(terminal.signed(terminal.MILD, sentence))
    for open_incident in current:
        if open_incident.incident.error:
            console.print(terminal.signed(terminal.UNKNOWN, open_incident.incident.error))
        for note in open_incident.notes:
            console.print(terminal.signed(terminal.MILD, note))
        if open_incident.triage:
            decision = terminal.triage_text(open_incident.triage, at)
            console.print(terminal.signed(terminal.MILD, decision))
        for status in open_incident.recipients:
            console.print(f"  {_recipient_line(status, at)}", style="dim")


def _recipient_line(status: "RecipientStatus", at: "datetime") -> str:
    """Return the last notification of a recipient, and why none follows or when the next does."""
    from sanityd.cli import terminal
    from sanityd.model import Reason

    name = status.recipient
    if status.recipient != status.channel:
        name = f"{status.recipient} ({status.channel})"
    value = status.reason.value if status.reason else ""
    reason = _REASONS.get(value, value.replace("_", " "))
    last = status.last_notification
    if last is None or last.at is None:
        if reason:
            return f"{name}: not notified: {reason}"
        return f"{name}: not notified yet"
    time = terminal.since_in_zone(last.at, at)
    line = f"{name}: last notification `{last.reason.value}` with {last.violations:,} at {time}"
    # A message that was waiting at the last decision may have been delivered since.
    is_quiet = status.reason not in (None, Reason.UNCHANGED, Reason.WAITING)
    if is_quiet and status.reason and not status.reason.mails:
        return f"{line}; no mails now: {reason}"
    if status.reminder and status.reminder > at:
        return f"{line}; next reminder {terminal.until_in_zone(status.reminder, at)}"
    return line


def _rows(
    console: Any,
    connection: "Connection",
    rule: str,
    incident: "Incident | None",
    at: "datetime",
    limit: int | None,
) -> None:
    """Print the tracked rows, and how many more the open incident counts."""
    from sanityd.store import violations

    rows = violations.open_rows(connection, rule)
    if rows:
        _table(console, connection, rule, rows, at, limit)
    if incident is not None and incident.violations > len(rows):
        more = incident.violations - len(rows)
        console.print(f"  … and {more:,} more that are counted, but not tracked")


def _evidence(
    console: Any, connection: "Connection", rule: str, at: "datetime", limit: int | None
) -> None:
    from sanityd.cli import evidence as printing
    from sanityd.store import evidence, violations

    rows = violations.open_rows(connection, rule)
    stored = evidence.of_rows(connection, rule, [row.fingerprint for row in rows])
    most = None if limit is None else printing.ROWS
    printing.print_stored(console, rows, stored, at, most)


def _table(
    console: Any,
    connection: "Connection",
    rule: str,
    rows: "Sequence[TrackedViolation]",
    at: "datetime",
    limit: int | None,
) -> None:
    from sanityd.alerts.compose.sanitize import display_values
    from sanityd.cli import terminal
    from sanityd.cli.local_time import zone_name
    from sanityd.store import triage

    columns: dict[str, None] = dict.fromkeys(rows[0].key)
    for row in rows[:limit]:
        columns.update(dict.fromkeys(row.key))
    for row in rows[:limit]:
        columns.update(dict.fromkeys(row.shown))
    accepted = {decision.fingerprint for decision in triage.list_active(connection, [rule])}
    details = {row.fingerprint: _detail(row, accepted) for row in rows}
    has_details = any(details.values())
    since = f"since ({zone_name()})"
    headers = [*columns, "what", since] if has_details else [*columns, since]
    grid = terminal.table(*headers)
    for row in rows[:limit]:
        values = list(display_values(list(columns), {**row.key, **row.shown}))
        if has_details:
            values.append(details[row.fingerprint])
        grid.add_row(*values, terminal.since(row.first_seen, at))
    console.print()
    console.print(terminal.indented(grid))
    if limit is not None and len(rows) > limit:
        console.print(f"  … and {len(rows) - limit:,} more: --all shows them")


def _detail(row: "TrackedViolation", accepted: "Container[str | None]") -> str:
    """Return what is wrong with a row, and whether it is accepted."""
    from sanityd.model import extra_detail

    parts = [extra_detail(row)]
    if row.fingerprint in accepted:
        parts.append("accepted")
    return ", ".join(part for part in parts if part)


def _runs(console: Any, connection: "Connection", rule: str, at: "datetime") -> None:
    from sanityd.cli import terminal
    from sanityd.cli.local_time import zone_name
    from sanityd.store import runs

    history = runs.history(connection, rule, 10)
    if not history:
        return
    console.print(f"\nLast runs ({zone_name()})")
    grid = terminal.table("", "", "")
    grid.show_header = False
    for run in reversed(history):
        count = f"{run.violations:,} {terminal.plural(run.violations, 'violation')}"
        grid.add_row(terminal.since(run.at, at), run.outcome.value, count)
    console.print(terminal.indented(grid))
