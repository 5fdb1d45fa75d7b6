"""`sanityd explain`: how the rules will be looked at, and why so. Looks at no row."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.options import rule_named, rules_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sanityd.authoring.explain import Explanation
    from sanityd.checks.explain import PlanStep

#: How many rules of one step are named.
RULES = 12


@click.command("explain")
@click.argument("name", metavar="[RULE]", required=False)
@click.option(
    "--sql", is_flag=True, help="The statements, too; of a single rule they are always shown."
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print it."
)
@rules_option
@click.pass_context
def command(ctx: click.Context, name: str | None, sql: bool, form: str, path: Path) -> None:
    """How the rules will be looked at: what is read together, what is proved, what it costs. Looks
    at no row."""
    from sanityd import telemetry
    from sanityd.authoring import explain
    from sanityd.cli import terminal
    from sanityd.rules.load import load

    telemetry.start(ctx.obj["log"])
    rules = load(path)
    picked = rules.enabled() if name is None else [rule_named(rules, name)]
    found = explain.explain(rules, picked)
    if form == "json":
        click.echo(json.dumps(explain.as_json(found), indent=2))
    else:
        console = terminal.console()
        for one in found:
            _source(console, one, sql=sql or name is not None)
        guessed = any(step.cost is not None for one in found for step in one.steps)
        about = " Costs are the database's own guess, in its own unit." if guessed else ""
        console.print(f"Nothing was looked at.{about}")
    ctx.exit(3 if any(one.down for one in found) else 0)


def _source(console: Any, one: "Explanation", *, sql: bool) -> None:
    from rich.text import Text

    from sanityd.alerts.compose.sanitize import visible
    from sanityd.cli import terminal, sqltext

    known = [step.statements for step in one.steps if step.statements is not None]
    rules = f"{one.rules} rule{'s' * (one.rules != 1)}"
    head = Text(one.source, style="bold").append(f"   {one.database}   {rules}", style="not bold")
    if known:
        head.append(
            f" in {sum(known)} statement{'s' * (sum(known) != 1)} while all is well",
            style="not bold",
        )
    console.print(head)
    if one.down is not None:
        console.print(
            terminal.signed(
                terminal.UNKNOWN, f"{visible(one.down[0], limit=1000)}\n    {one.down[1]}"
            )
        )
    width = max((len(_what(step)) for step in one.steps), default=0)
    # Each reason is said once, where it comes up first.
    by_reason: dict[str, list[PlanStep]] = {}
    for step in one.steps:
        by_reason.setdefault(step.reason, []).append(step)
    for reason, steps in by_reason.items():
        console.print()
        terminal.fact(console, "", visible(reason, limit=300), width=2)
        for place, step in enumerate(steps):
            if sql and place:
                console.print()
            _step(console, step, width)
            for statement in step.sql if sql else ():
                console.print()
                console.print(sqltext.shown(console, statement, one.database, by=6), soft_wrap=True)
    for rule, (message, hint) in one.refused.items():
        console.print(
            terminal.signed(terminal.UNKNOWN, f"{rule}: {visible(message, limit=1000)}\n    {hint}")
        )
    console.print()


def _what(step: "PlanStep") -> str:
    from sanityd.alerts.compose.sanitize import visible

    return f"{step.form} of {visible(step.table)}"


def _step(console: Any, step: "PlanStep", width: int) -> None:
    """One step. Guesses stand below each other."""
    from rich.text import Text

    from sanityd.cli import terminal

    sign = terminal.PASSED if step.form == "proved" else ("•", "cyan")
    rows = "" if step.rows is None else f"about {step.rows:,} rows"
    cost = "" if step.cost is None else f"cost {step.cost:,.0f}"
    guess = f"   {rows:>20}   {cost:>14}" if rows or cost else ""
    what = Text(_what(step), style="bold").append(
        " " * (width - len(_what(step))) + guess, style="not bold"
    )
    what.rstrip()
    console.print(terminal.signed(sign, what), soft_wrap=True)
    terminal.fact(console, "", Text(_named(step.rules), style="dim"), width=4)


def _named(rules: "Sequence[str]") -> str:
    more = len(rules) - RULES
    return ", ".join(rules[:RULES]) + (f" and {more} more" if more > 0 else "")
