"""`sanityd silence`: hear nothing of some rules for a while, as during a deployment."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sanityd.cli.act import TimeParam, in_transaction, new_act, end_options
from sanityd.cli.options import rules_option

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sanityd.model import Silence


@click.command("silence")
@click.argument("pattern", required=False, metavar="[RULE]")
@click.option("--tag", default="", help="Only rules with this tag.")
@click.option("--source", default="", help="Only rules of this source, and the source itself.")
@click.option("--from", "starts", type=TimeParam(), help="From when on (now).")
@end_options()
@click.option("--list", "listing", is_flag=True, help="The silences that hold, or will.")
@click.option("--end", "number", type=int, metavar="NUMBER", help="Hear of it again.")
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
    """Hear nothing of some rules for a while. RULE may hold `*`; what is still wrong afterwards is
    told then."""
    from sanityd.cli import terminal
    from sanityd.model import Silence
    from sanityd.notifications import triage as room

    act = new_act(by, reason, length, until)
    if listing:
        in_transaction(path, lambda connection, _: _list(connection, act.at))
        return
    if number is not None:
        in_transaction(path, lambda connection, _: room.end_silence(connection, number, act))
        click.echo(f"Silence {number} is over.")
        return
    if not (pattern or tag or source):
        raise click.UsageError(
            "say what to be quiet about: a rule (`'mail-*'`, `'*'` for all), --tag or --source"
        )
    begin = starts or act.at
    end = begin + length if length is not None else until
    if end is None:
        raise click.UsageError("say how long, with --for or --until")
    wanted = Silence(0, act.author, reason, act.at, begin, end, pattern or "", tag, source)
    kept = in_transaction(path, lambda connection, rules: room.silence(connection, rules, wanted))
    about = _about(kept)
    since = "" if starts is None else f" from {terminal.until(kept.starts, act.at)}"
    click.echo(
        f"Silence {kept.id}: nobody hears of {about}{since} until {terminal.until(kept.until, act.at)}."
    )
    click.echo(f"  It is checked all the same. `sanityd silence --end {kept.id}` ends it.")


def _about(silence: "Silence") -> str:
    from sanityd.alerts.compose.sanitize import visible

    parts = [
        f"`{visible(silence.rule)}`" if silence.rule else "",
        f"rules tagged `{visible(silence.tag)}`" if silence.tag else "",
        f"source `{visible(silence.source)}`" if silence.source else "",
    ]
    return ", ".join(part for part in parts if part)


def _list(connection: "Connection", at: datetime) -> None:
    from sanityd.alerts.compose.sanitize import visible
    from sanityd.cli import terminal
    from sanityd.store import silences

    found = silences.listed(connection, at)
    console = terminal.console()
    if not found:
        console.print("No silence holds.")
        return
    grid = terminal.table("", "about", "from", "until", "by", "why")
    for one in found:
        begin = (
            terminal.since(one.starts, at) if one.starts <= at else terminal.until(one.starts, at)
        )
        grid.add_row(
            str(one.id),
            _about(one),
            begin,
            terminal.until(one.until, at),
            visible(one.author),
            visible(one.reason),
        )
    console.print(grid)
