"""`sanityd explain`: shows how the rules will be evaluated, and why. Reads no row."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.options import rule_named, rules_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from sanityd.authoring.explain import Explanation
    from sanityd.checks.explain import PlanStep

#: How many rules of one step are named.
RULES = 12


@click.command("explain")
@click.argument("name", metavar="[RULE]", required=False)
@click.option("--sql", is_flag=True, help="Show the SQL. For a single RULE it is always shown.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="Output format."
)
@rules_option
@click.pass_context
def command(ctx: click.Context, name: str | None, sql: bool, form: str, path: Path) -> None:
    """Show how the rules will be evaluated: what is read together, what is proved, what it costs.
    Read no row."""
    from sanityd import telemetry
    from sanityd.authoring import explain
    from sanityd.rules.load import load

    telemetry.start(ctx.obj["log"])
    rules = load(path)
    selected = rules.enabled() if name is None else [rule_named(rules, name)]
    explanations = explain.explain(rules, selected)
    if form == "json":
        click.echo(json.dumps(explain.as_json(explanations), indent=2))
    else:
        _print(explanations, sql=sql or name is not None)
    if any(explanation.down for explanation in explanations):
        ctx.exit(3)
    ctx.exit(0)


def _print(explanations: "Sequence[Explanation]", *, sql: bool) -> None:
    from sanityd.cli import terminal

    console = terminal.console()
    has_costs = False
    for explanation in explanations:
        _print_source(console, explanation, sql=sql)
        if any(step.cost is not None for step in explanation.steps):
            has_costs = True
    end = " Costs are estimates of the database, in its own unit." if has_costs else ""
    console.print(f"No row was read.{end}")


def _print_source(console: Any, explanation: "Explanation", *, sql: bool) -> None:
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal

    console.print(_heading(explanation))
    if explanation.down is not None:
        error, hint = explanation.down
        words = f"{display_value(error, limit=1000)}\n    {hint}"
        console.print(terminal.signed(terminal.UNKNOWN, words))
    width = max((len(_step_title(step)) for step in explanation.steps), default=0)
    # Steps with the same reason are printed together, below their reason.
    by_reason: dict[str, list[PlanStep]] = {}
    for step in explanation.steps:
        by_reason.setdefault(step.reason, []).append(step)
    for reason, steps in by_reason.items():
        console.print()
        terminal.fact(console, "", display_value(reason, limit=300), width=2)
        for number, step in enumerate(steps):
            if sql and number > 0:
                console.print()
            _print_step(console, step, width)
            if sql:
                _print_sql(console, step, explanation.database)
    for rule, (error, hint) in explanation.refused.items():
        words = f"{rule}: {display_value(error, limit=1000)}\n    {hint}"
        console.print(terminal.signed(terminal.UNKNOWN, words))
    console.print()


def _heading(explanation: "Explanation") -> "Text":
    """Return the source, its database, the numbers of rules and of statements."""
    from rich.text import Text

    from sanityd.cli.terminal import plural

    rules = f"{explanation.rules} {plural(explanation.rules, 'rule')}"
    words = f"   {explanation.database}   {rules}"
    counts = [step.statements for step in explanation.steps if step.statements is not None]
    if counts:
        total = sum(counts)
        words += f" in {total} {plural(total, 'statement')} while all rules hold"
    return Text(explanation.source, style="bold").append(words, style="not bold")


def _step_title(step: "PlanStep") -> str:
    from sanityd.alerts.compose.sanitize import display_value

    return f"{step.form} of {display_value(step.table)}"


def _print_step(console: Any, step: "PlanStep", width: int) -> None:
    """Print a step with its estimates in columns, and its rules.

    Parameters: `width` is the width of the widest title, in characters.
    """
    from rich.text import Text

    from sanityd.cli import terminal

    title = _step_title(step)
    line = Text(title, style="bold").append(
        " " * (width - len(title)) + _estimates(step), style="not bold"
    )
    line.rstrip()
    sign = terminal.PASSED if step.form == "proved" else ("•", "cyan")
    console.print(terminal.signed(sign, line), soft_wrap=True)
    terminal.fact(console, "", Text(_rule_names(step.rules), style="dim"), width=4)


def _estimates(step: "PlanStep") -> str:
    rows = "" if step.rows is None else f"about {step.rows:,} rows"
    cost = "" if step.cost is None else f"cost {step.cost:,.0f}"
    if not rows and not cost:
        return ""
    return f"   {rows:>20}   {cost:>14}"


def _print_sql(console: Any, step: "PlanStep", database: str) -> None:
    from sanityd.cli import sqltext

    for statement in step.sql:
        console.print()
        console.print(sqltext.shown(console, statement, database, by=6), soft_wrap=True)


def _rule_names(rules: "Sequence[str]") -> str:
    names = ", ".join(rules[:RULES])
    more = len(rules) - RULES
    if more > 0:
        names += f" and {more} more"
    return names
