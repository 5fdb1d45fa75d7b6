"""`sanityd history`: what happened, told as one story."""

import json
import sys
from datetime import timedelta
from pathlib import Path

import click

from sanityd.cli.act import DurationParam, parse_key
from sanityd.cli.options import open_store, rules_option

USUAL = timedelta(days=30)


@click.command("history")
@click.argument("name", required=False, metavar="[RULE]")
@click.option("--row", metavar="KEY=VALUE[,…]", help="The life of one row of the rule.")
@click.option(
    "--since", type=DurationParam(), default=USUAL, show_default="30d", help="How far back."
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@rules_option
def command(name: str | None, row: str | None, since: timedelta, form: str, path: Path) -> None:
    """What happened: incidents, what people decided, what was mailed to whom, what became of
    rows."""
    from sanityd import clock
    from sanityd.alerts.compose.sanitize import visible
    from sanityd.cli import terminal
    from sanityd.cli.options import find_rule_id
    from sanityd.notifications import timeline
    from sanityd.rules.load import load

    rules = load(path, need_secrets=False)
    store = open_store(rules)
    try:
        with store.read() as connection:
            rule = find_rule_id(rules, connection, name) if name is not None else None
            if row is not None:
                if rule is None:
                    raise click.UsageError(
                        "name the rule of the row: `sanityd history RULE --row id=7`"
                    )
                events = timeline.life(connection, rule, parse_key(row))
            else:
                events = timeline.story(connection, rule, clock.now() - since, rules.counted)
    finally:
        store.close()
    if form == "json":
        told = [
            {
                "at": one.at.isoformat(),
                "rule": one.rule,
                "what": one.what,
                "who": one.who,
                "detail": one.detail,
            }
            for one in events
        ]
        json.dump(told, sys.stdout)
        sys.stdout.write("\n")
        return
    console = terminal.console()
    if not events:
        console.print("Nothing happened in that time.")
        return
    grid = terminal.table("when", *["rule"] * (rule is None), "what")
    for one in events:
        what = " · ".join(visible(part, 400) for part in (one.what, one.who, one.detail) if part)
        grid.add_row(
            one.at.astimezone().strftime("%Y-%m-%d %H:%M"), *[one.rule] * (rule is None), what
        )
    console.print(grid)
