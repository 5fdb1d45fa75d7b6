"""`sanityd silence`: silences rules for a while, as during a deployment."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.act import TimeParam, end_options, in_transaction, new_act
from sanityd.cli.options import rules_option

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sanityd.model import Silence
    from sanityd.notifications.triage import Act
    from sanityd.rules.rule import RuleSet


@click.command("silence")
@click.argument("pattern", required=False, metavar="[RULE]")
@click.option("--tag", default="", help="Only rules with this tag.")
@click.option("--source", default="", help="Only rules of this source, and the source itself.")
@click.option("--from", "starts", type=TimeParam(), help="When it starts (now).")
@end_options()
@click.option("--list", "listing", is_flag=True, help="List the current and future silences.")
@click.option("--end", "number", type=int, metavar="NUMBER", help="End this silence.")
@click.option("--reason", default="", metavar="TEXT", help="Why; others read it.")
@click.option("--by", metavar="NAME", help="Who decides (SANITYD_AUTHOR, else the login name).")
@rules_option
def command(
    pattern: str | None,
    tag: str,
    source: str,
    starts: datetime | None,
    length: timedelta | None,
    until: datetime | None,
    listing: bool,
    number: int | None,
    reason: str,
    by: str | None,
    path: Path,
) -> None:
    """Silence rules for a while: they are checked, but not mailed. RULE may contain `*`. What is
    still violated afterwards is mailed then."""
    act = new_act(by, reason, length, until)
    if listing:
        in_transaction(path, lambda connection, _: _list(connection, act.at))
        return
    if number is not None:
        _end(number, act, path)
        return
    if not (pattern or tag or source):
        raise click.UsageError(
            "say what to silence: a rule (`'mail-*'`, `'*'` for all), --tag or --source"
        )
    begin = starts or act.at
    end = begin + length if length is not None else until
    if end is None:
        raise click.UsageError("say how long, with --for or --until")
    _create(act, begin, end, pattern or "", tag, source, path)


def _end(number: int, act: "Act", path: Path) -> None:
    from sanityd.notifications import triage

    def end_silence(connection: "Connection", rules: "RuleSet") -> Any:
        return triage.end_silence(connection, number, act)

    in_transaction(path, end_silence)
    click.echo(f"Silence {number} is ended.")


def _create(
    act: "Act",
    begin: datetime,
    end: datetime,
    pattern: str,
    tag: str,
    source: str,
    path: Path,
) -> None:
    from sanityd.cli import terminal
    from sanityd.model import Silence
    from sanityd.notifications import triage

    new_silence = Silence(0, act.author, act.reason, act.at, begin, end, pattern, tag, source)

    def create(connection: "Connection", rules: "RuleSet") -> Any:
        return triage.silence(connection, rules, new_silence), _matches_any(rules, new_silence)

    silence, has_rules = in_transaction(path, create)
    start = ""
    if begin != act.at:
        start = f" from {terminal.until_in_zone(silence.starts, act.at)}"
    end_time = terminal.until_in_zone(silence.until, act.at)
    click.echo(f"Silence {silence.id}: {_subject(silence)} silenced{start} until {end_time}.")
    click.echo(f"  Rules are still checked. `sanityd silence --end {silence.id}` ends it.")
    if not has_rules:
        click.echo("  No rule in the file matches it now.", err=True)


def _matches_any(rules: "RuleSet", silence: "Silence") -> bool:
    """Return whether a silence is about any rule of the file, or a source that may be down."""
    from sanityd.notifications import policy

    if silence.source in rules.sources or silence.rule.startswith("source:"):
        return True
    facts = [rule.facts(rules.revision) for rule in rules.rules.values()]
    return any(policy.is_silenced(rule, [silence], silence.starts) for rule in facts)


def _subject(silence: "Silence") -> str:
    from sanityd.alerts.compose.sanitize import display_value

    parts = []
    if silence.rule:
        parts.append(f"`{display_value(silence.rule)}`")
    if silence.tag:
        parts.append(f"rules tagged `{display_value(silence.tag)}`")
    if silence.source:
        parts.append(f"source `{display_value(silence.source)}`")
    return ", ".join(parts)


def _list(connection: "Connection", at: datetime) -> None:
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal
    from sanityd.cli.local_time import zone_name
    from sanityd.store import silences

    current = silences.list_active(connection, at)
    console = terminal.console()
    if not current:
        console.print("There are no silences.")
        return
    start_header, end_header = f"from ({zone_name()})", f"until ({zone_name()})"
    grid = terminal.table("", "about", start_header, end_header, "by", "why")
    for silence in current:
        if silence.starts <= at:
            start = terminal.since(silence.starts, at)
        else:
            start = terminal.until(silence.starts, at)
        grid.add_row(
            str(silence.id),
            _subject(silence),
            start,
            terminal.until(silence.until, at),
            display_value(silence.author),
            display_value(silence.reason),
        )
    console.print(grid)
