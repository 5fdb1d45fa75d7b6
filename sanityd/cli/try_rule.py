"""`sanityd try RULE`: look at one rule now. Records and sends nothing."""

import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.options import rule_named, rules_option

if TYPE_CHECKING:
    from sanityd.model import Run
    from sanityd.rules.rule import Rule, RuleSet

#: How many rows are shown.
ROWS = 20


@click.command("try")
@click.argument("name", metavar="RULE")
@click.option("--open", "show_mail", is_flag=True, help="Open the mail it would send in a browser.")
@rules_option
@click.pass_context
def command(ctx: click.Context, name: str, show_mail: bool, path: Path) -> None:
    """Look at one rule now: rows, SQL, cost, and the mail it would send. Records and sends nothing.

    Exit 0: it holds. 1: it is violated. 2: the rules file is wrong. 3: it could not be checked.
    """
    from rich.text import Text

    from sanityd import clock, telemetry
    from sanityd.alerts.safe import visible
    from sanityd.authoring.trial import attempt
    from sanityd.cli import screen
    from sanityd.cli.check import exit_code
    from sanityd.pipeline import Result
    from sanityd.rules.load import load

    telemetry.start(ctx.obj["log"])
    rules = load(path)
    rule = rule_named(rules, name)
    trial = attempt(rules, rule, clock.now())
    console = screen.console()
    _show_outcome(console, rule, trial.run)
    if trial.statements:
        console.print("\nSQL")
        for sql in trial.statements:
            lines = (line.rstrip() for line in sql.splitlines() if line.strip())
            console.print(Text("\n".join(f"  {line}" for line in lines) + "\n"), soft_wrap=True)
    seconds = f"{trial.run.seconds * 1000:,.0f} ms"
    looks = trial.run.statements
    read = "" if trial.run.checked is None else f", {trial.run.checked:,} rows in scope"
    console.print(f"\nHow it looks     {trial.form}, {looks} statement{'s' * (looks != 1)}, {seconds}{read}")
    if trial.proof is not None:
        needless = "so `check` reads no row of it but once a week"
        console.print(Text(f"Proved by        {visible(trial.proof)}, {needless}"), soft_wrap=True)
    if (age := rule.invariant.subject.within) is not None:
        from sanityd.durations import format_duration

        console.print(f"Judged from      rows older than {format_duration(age.duration)}, by {age.column}")
    _show_mail(console, rules, rule, trial.run, show_mail)
    console.print("Nothing was recorded or sent.")
    ctx.exit(exit_code([Result(rule, trial.run)], None, 0))


def _show_outcome(console: Any, rule: "Rule", run: "Run") -> None:
    from sanityd.alerts.safe import visible
    from sanityd.cli import screen

    if run.verdict in ("errored", "skipped"):
        console.print(f"{rule.id}: not checked: {visible(run.error or '', limit=1000)}\n  {run.hint or ''}")
        return
    if not run.violations:
        console.print(f"{rule.id}: holds.")
        return
    tolerated = "" if run.severity else " That is below the first step of `severity`, so the rule holds."
    console.print(f"{rule.id}: {visible(rule.sentence(run), limit=1000)}.{tolerated}\n")
    columns = [*run.key, *(name for name in rule.invariant.subject.show if name not in run.key)]
    rows = run.tracked[:ROWS]
    says_what = any(violation.detail or violation.rows != 1 for violation in rows)
    grid = screen.table(*columns, *["what"] * says_what)
    for violation in rows:
        values = {**violation.key, **violation.shown}
        what = violation.detail + (f" {violation.rows:,} rows" if violation.rows != 1 else "")
        cells = [visible(values.get(column), limit=60) for column in columns]
        grid.add_row(*cells, *[what.strip()] * says_what)
    console.print(screen.indented(grid))
    if run.violations > ROWS:
        console.print(f"  … and {run.violations - ROWS:,} more")


def _show_mail(console: Any, rules: "RuleSet", rule: "Rule", run: "Run", show: bool) -> None:
    from sanityd.authoring.trial import mails

    messages = mails(rules, run)
    if not messages:
        return
    to = ", ".join(message.recipient for message in messages)
    hint = "" if show else "   (--open to see it)"
    console.print(f"The mail         {messages[0].subject}  → {to}{hint}")
    if show:
        with tempfile.NamedTemporaryFile("w", suffix=".html", prefix="sanityd-", delete=False) as page:
            page.write(messages[0].html)
        click.echo(f"                 {page.name}", err=True)
        webbrowser.open(Path(page.name).as_uri())
