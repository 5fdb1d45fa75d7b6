"""`sanityd try RULE`: look at one rule now. Records and sends nothing."""

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
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print it."
)
@rules_option
@click.pass_context
def command(ctx: click.Context, name: str, show_mail: bool, form: str, path: Path) -> None:
    """Look at one rule now: rows, SQL, plan, cost, what would come of it, and the mail. Records and
    sends nothing.

    Exit 0: it holds. 1: it is violated. 2: the rules file is wrong. 3: it could not be checked.
    """
    import os

    from sanityd import clock, telemetry
    from sanityd.authoring.trial import attempt
    from sanityd.cli import screen, trial_text
    from sanityd.cli.check import exit_code
    from sanityd.cli.trial_json import as_json
    from sanityd.pipeline import Result
    from sanityd.rules.load import load

    telemetry.start(ctx.obj["log"])
    rules = load(path)
    rule = rule_named(rules, name)
    trial = attempt(rules, rule, clock.now(), os.environ.get("SANITYD_STATE") or rules.state)
    if form == "json":
        click.echo(json.dumps(as_json(rule, trial, trial_text.ROWS), indent=2))
    else:
        console = screen.console()
        trial_text.show(console, rule, trial)
        _mail(console, rules, rule, trial, show=show_mail)
        console.print("Nothing was recorded or sent.")
    ctx.exit(exit_code([Result(rule, trial.run)], None, 0))


def _mail(console: Any, rules: "RuleSet", rule: "Rule", trial: "Trial", *, show: bool) -> None:
    from sanityd.cli import screen
    from sanityd.pipeline.simulation import forecast

    messages: Sequence[Message] = trial.foresight.messages if trial.foresight else ()
    word = "The mail"
    if show and not messages and trial.foresight is not None:
        # Whoever asks to see it wants to know what it looks like.
        messages, word = forecast(rules, rule, trial.run, lambda _: None).messages, "Its first mail"
    if not messages:
        if show:
            screen.fact(console, word, "there is none to open")
        return
    # What is new of the rule itself (it is restored, say) is a mail of its own.
    subjects = dict.fromkeys(message.subject for message in messages)
    for subject in subjects:
        to = ", ".join(message.recipient for message in messages if message.subject == subject)
        screen.fact(console, word, f"{subject}  → {to}{'' if show else '   (--open to see it)'}")
        word = ""
    if show:
        screen.fact(console, "", _opened(messages[-1].html))


def _opened(html: str) -> str:
    """Show it in a browser; where there is none, say where it is."""
    with tempfile.NamedTemporaryFile(
        "w", suffix=".html", prefix="sanityd-", delete=False, encoding="utf-8"
    ) as page:
        page.write(html)
    try:
        opened = webbrowser.open(Path(page.name).as_uri())
    except webbrowser.Error:
        opened = False
    return (
        f"opened in a browser: {page.name}"
        if opened
        else f"there is no browser here; it is in {page.name}"
    )
