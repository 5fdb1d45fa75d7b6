"""`sanityd history`: prints what happened, in the order of time, or verifies the audit."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.act import DurationParam
from sanityd.cli.adopted_rules import rules_and_store
from sanityd.cli.history_targets import History, HistoryRequest, select_history
from sanityd.cli.options import rules_option

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sanityd.notifications.timeline.event import Event
    from sanityd.rules.rule import RuleSet
    from sanityd.store.audit_chain import Link
    from sanityd.store.audit_check import ChainReport


@click.command("history")
@click.argument("name", required=False, metavar="[RULE|INCIDENT|TABLE]")
@click.argument("key", required=False, metavar="[KEY=VALUE[,…]]")
@click.option("--row", metavar="KEY=VALUE[,…]", help="Only what happened to one row of the rule.")
@click.option(
    "--since",
    type=DurationParam(),
    show_default="30d",
    help="How far back; an incident and a row are shown whole.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="`markdown` is a post-mortem.",
)
@click.option("--all", "every", is_flag=True, help="Also decisions that say nothing new.")
@click.option("--verify", is_flag=True, help="Verify that no entry of the audit was changed.")
@click.option(
    "--head", metavar="SEQ:DIGEST", help="With --verify: the end of the audit in a digest mail."
)
@rules_option
def command(
    name: str | None,
    key: str | None,
    row: str | None,
    since: timedelta | None,
    form: str,
    every: bool,
    verify: bool,
    head: str | None,
    path: Path,
) -> None:
    """Show what happened: incidents, decisions of people, mails and their recipients, changes of
    rows and rules.

    Of a rule, an incident, or a row of a table by all its rules: `sanityd history app.people id=7`.

    With --verify, exits 1 and names the first entry of the audit that was altered, removed,
    inserted or moved; exits 3 when the head of the mail can't be compared.
    """
    from sanityd import clock

    _check_usage(name, key, row, form, verify, head)
    at = clock.now()
    begin = at - since if since is not None else None
    if verify:
        _verify(path, form, head)
        return
    request = HistoryRequest(name, key, row, begin, every or form == "markdown")
    with rules_and_store(path, form) as (rules, store), store.read() as connection:
        history = select_history(connection, rules, request, at)
        if form == "markdown":
            click.echo(_markdown(connection, rules, history, at))
    if form == "json":
        _print_json(history.events)
    elif form == "text":
        _print_table(history.events, with_rule=history.rule is None)


def _check_usage(
    name: str | None,
    key: str | None,
    row: str | None,
    form: str,
    verify: bool,
    head: str | None,
) -> None:
    """Raise a usage error for options that do not go together."""
    if row is not None and (name is None or key is not None):
        raise click.UsageError("name the rule of the row: `sanityd history RULE --row id=7`")
    if head is not None and not verify:
        raise click.UsageError("`--head` belongs to `--verify`")
    if verify and (name is not None or form == "markdown"):
        raise click.UsageError("`--verify` reads the whole audit; it takes no name and no Markdown")


def _verify(path: Path, form: str, head: str | None) -> None:
    """Verify the audit, print the result, and exit with 1 for a fault."""
    from sanityd.store import audit_check

    anchor = _anchor(head)
    with rules_and_store(path, form) as (_, store), store.read() as connection:
        report = audit_check.verify(connection, anchor)
    if form == "json":
        json.dump(audit_check.as_json(report), sys.stdout)
        sys.stdout.write("\n")
    else:
        _print_report(report, head)
    if report.fault is not None:
        raise click.exceptions.Exit(1)
    if report.not_compared:
        raise click.exceptions.Exit(3)


def _anchor(head: str | None) -> "Link | None":
    """Return the head that the option names. Raises a usage error."""
    from sanityd.store import audit_check

    if head is None:
        return None
    try:
        return audit_check.parse_anchor(head)
    except ValueError:
        raise click.UsageError(
            f"`{head}` is not the end of an audit: write it as the digest mail does, as in"
            " `--head 1234:0a1b2c3d4e5f`"
        ) from None


def _print_report(report: "ChainReport", head: str | None) -> None:
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli.local_time import local_time, zone_name

    fault = report.fault
    if fault is None:
        words = f"The audit is whole: {report.entries:,} entries, the last is {report.last}."
        if report.checkpoint.seq:
            words += f" Retention removed entries 1 to {report.checkpoint.seq}."
        click.echo(words)
        if report.not_compared:
            click.echo(f"Not compared with the mail: {report.not_compared}.")
        elif head is not None:
            click.echo("It contains what the mail says.")
        return
    click.echo(f"The audit was changed: {fault.sentence}.")
    if fault.at is not None:
        time = local_time(fault.at).strftime("%Y-%m-%d %H:%M")
        who, what = display_value(fault.actor, 80), display_value(fault.action, 80)
        click.echo(f"  It is of {time} {zone_name()}, by {who}: {what}.")
    click.echo(f"  The last entry before it that is as it was written: {report.last.seq}.")


def _markdown(connection: "Connection", rules: "RuleSet", history: History, at: datetime) -> str:
    from sanityd.authoring.migrate.yaml_dump import dump_block
    from sanityd.cli.local_time import local_time, zone_name
    from sanityd.notifications import post_mortem

    show = post_mortem.Presentation(local_time, zone_name(), rules.counted, dump_block)
    facts = [post_mortem.load_facts(connection, incident, at) for incident in history.incidents]
    current = _current_texts(rules, history)
    return post_mortem.markdown(history.title, at, history.events, facts, current, show)


def _current_texts(rules: "RuleSet", history: History) -> Mapping[str, Any]:
    from sanityd.rules import adopted

    texts = {}
    for incident in history.incidents:
        if incident.rule in rules.rules:
            texts[incident.rule] = adopted.rule_text(rules, incident.rule)
    return texts


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
        "kind": event.kind.value,
        "incident": event.incident or None,
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
