"""`sanityd history`: prints what happened, in the order of time."""

import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sanityd.cli.act import DurationParam, parse_key
from sanityd.cli.adopted_rules import rules_and_store
from sanityd.cli.options import find_rule_id, rules_option

if TYPE_CHECKING:
    from sanityd.notifications.timeline import Event

DEFAULT_LENGTH = timedelta(days=30)


@click.command("history")
@click.argument("name", required=False, metavar="[RULE]")
@click.option("--row", metavar="KEY=VALUE[,…]", help="Only what happened to one row of the rule.")
@click.option(
    "--since",
    type=DurationParam(),
    default=DEFAULT_LENGTH,
    show_default="30d",
    help="How far back.",
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@rules_option
def command(name: str | None, row: str | None, since: timedelta, form: str, path: Path) -> None:
    """Show what happened: incidents, decisions of people, mails and their recipients, changes of
    rows."""
    from sanityd import clock
    from sanityd.notifications import timeline

    if row is not None and name is None:
        raise click.UsageError("name the rule of the row: `sanityd history RULE --row id=7`")
    with rules_and_store(path, form) as (rules, store), store.read() as connection:
        rule = None
        if name is not None:
            rule = find_rule_id(rules, connection, name)
        if rule is not None and row is not None:
            events = timeline.row_events(connection, rule, parse_key(row))
        else:
            events = timeline.events_since(connection, rule, clock.now() - since, rules.counted)
    if form == "json":
        _print_json(events)
    else:
        _print_table(events, with_rule=rule is None)


def _print_json(events: "Sequence[Event]") -> None:
    documents = [_document(event) for event in events]
    json.dump(documents, sys.stdout)
    sys.stdout.write("\n")


def _document(event: "Event") -> dict[str, object]:
    document: dict[str, object] = {
        "at": event.at.isoformat(),
        "rule": event.rule,
        "what": event.what,
        "who": event.who,
        "detail": event.detail,
    }
    if event.evidence is not None:
        from sanityd.cli.evidence import as_json

        document["evidence"] = as_json(event.evidence)
    return document


def _print_table(events: "Sequence[Event]", *, with_rule: bool) -> None:
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal
    from sanityd.cli.local_time import local_time, zone_name

    console = terminal.console()
    if not events:
        console.print("Nothing happened in that time.")
        return
    when = f"when ({zone_name()})"
    headers = [when, "rule", "what"] if with_rule else [when, "what"]
    grid = terminal.table(*headers)
    for event in events:
        time = local_time(event.at).strftime("%Y-%m-%d %H:%M")
        parts = [display_value(part, 400) for part in (event.what, event.who, event.detail) if part]
        what = " · ".join(parts)
        if with_rule:
            grid.add_row(time, event.rule, what)
        else:
            grid.add_row(time, what)
    console.print(grid)
