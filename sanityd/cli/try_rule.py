"""`sanityd try RULE`: evaluates one rule now. Records and sends nothing."""

import json
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.options import rule_named, rules_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sanityd.authoring.trial import Trial
    from sanityd.model import Message
    from sanityd.rules.rule import Rule, RuleSet


@click.command("try")
@click.argument("name", metavar="RULE")
@click.option("--open", "show_mail", is_flag=True, help="Open the mail it would send in a browser.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="Output format."
)
@rules_option
@click.pass_context
def command(ctx: click.Context, name: str, show_mail: bool, form: str, path: Path) -> None:
    """Evaluate one rule now: rows, SQL, plan, cost, who would be notified, and the mail. Record
    and send nothing.

    Exit 0: it holds. 1: it is violated. 2: the rules file is wrong. 3: it could not be checked.
    """
    import os

    from sanityd import clock, telemetry
    from sanityd.api.one_pass import exit_code
    from sanityd.authoring.trial import run_trial
    from sanityd.cli import terminal, trial_text
    from sanityd.cli.local_time import use_zone
    from sanityd.cli.trial_json import as_json
    from sanityd.pipeline import Result
    from sanityd.rules.load import load

    telemetry.start(ctx.obj["log"])
    rules = load(path)
    use_zone(rules.alerts.zone)
    rule = rule_named(rules, name)
    trial = run_trial(rules, rule, clock.now(), os.environ.get("SANITYD_STATE") or rules.state)
    if form == "json":
        click.echo(json.dumps(as_json(rule, trial, trial_text.ROWS), indent=2))
    else:
        console = terminal.console()
        trial_text.show(console, rule, trial)
        if show_mail:
            _open_mail(console, rules, rule, trial)
        elif trial.foresight is not None:
            _mail_subjects(console, "The mail", trial.foresight.messages, "   (--open to see it)")
        console.print("Nothing was recorded or sent.")
    ctx.exit(exit_code([Result(rule, trial.run)], None, 0))


def _open_mail(console: Any, rules: "RuleSet", rule: "Rule", trial: "Trial") -> None:
    """Print the subjects and open the last mail in a browser.

    If nobody would be mailed now, it is the mail of a rule that is violated for the first time.
    """
    from sanityd.cli import terminal
    from sanityd.pipeline.simulation import forecast

    messages: Sequence[Message] = ()
    label = "The mail"
    if trial.foresight is not None:
        messages = trial.foresight.messages
        if not messages:
            messages = forecast(rules, rule, trial.run, lambda _: None).messages
            label = "Its first mail"
    if not messages:
        terminal.fact(console, label, "there is none to open")
        return
    _mail_subjects(console, label, messages)
    terminal.fact(console, "", _opened(messages[-1].html))


def _mail_subjects(console: Any, label: str, messages: "Sequence[Message]", hint: str = "") -> None:
    """Print each subject with its recipients, and the hint after it."""
    from sanityd.cli import terminal

    recipients: dict[str, list[str]] = {}
    for message in messages:
        recipients.setdefault(message.subject, []).append(message.recipient)
    for subject, names in recipients.items():
        terminal.fact(console, label, f"{subject}  → {', '.join(names)}{hint}")
        label = ""


def _opened(html: str) -> str:
    """Write the mail to a file and open it in a browser. Returns what to print about it."""
    with tempfile.NamedTemporaryFile(
        "w", suffix=".html", prefix="sanityd-", delete=False, encoding="utf-8"
    ) as page:
        page.write(html)
    try:
        opened = webbrowser.open(Path(page.name).as_uri())
    except webbrowser.Error:
        opened = False
    if opened:
        return f"opened in a browser: {page.name}"
    return f"no browser can be opened; the mail is in {page.name}"
