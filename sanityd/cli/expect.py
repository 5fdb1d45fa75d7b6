"""`sanityd expect`: announces a mass change, as an import, so that it is one fault and one mail."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.act import end_options, in_transaction, new_act
from sanityd.cli.options import rules_option

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sanityd.notifications.triage import Act
    from sanityd.rules.rule import RuleSet


@click.command("expect")
@click.argument("ticket", required=False)
@click.option("--rule", "names", multiple=True, help="A rule that it concerns; may contain `*`.")
@click.option("--table", "tables", multiple=True, help="A table that it changes: all its rules.")
@end_options()
@click.option("--list", "listing", is_flag=True, help="List the announced changes that go on.")
@click.option("--end", "number", type=int, metavar="NUMBER", help="End one before its time.")
@click.option("--reason", default="", metavar="TEXT", help="Why; others read it.")
@click.option("--by", metavar="NAME", help="Who decides (SANITYD_AUTHOR, else the login name).")
@rules_option
def command(
    ticket: str | None,
    names: tuple[str, ...],
    tables: tuple[str, ...],
    length: timedelta | None,
    until: datetime | None,
    listing: bool,
    number: int | None,
    reason: str,
    by: str | None,
    path: Path,
) -> None:
    """Announce a mass change, as an import. What its rules find until the end belongs to TICKET and
    is mailed once, when the change is over; what is critical is mailed at once, too."""
    act = new_act(by, reason, length, until)
    if listing:
        in_transaction(path, lambda connection, _: _list(connection, act.at))
        return
    if number is not None:
        _end(number, act, path)
        return
    if not ticket:
        raise click.UsageError("name the ticket, as in `sanityd expect IMPORT-42 --table …`")
    if not (names or tables):
        raise click.UsageError("say what changes: --table or --rule")
    end = act.at + length if length is not None else until
    if end is None:
        raise click.UsageError("say how long, with --for or --until")
    _announce(act, end, ticket, names, tables, path)


def _announce(
    act: "Act",
    end: datetime,
    ticket: str,
    names: tuple[str, ...],
    tables: tuple[str, ...],
    path: Path,
) -> None:
    from sanityd.cli import terminal
    from sanityd.model import AnnouncedChange
    from sanityd.notifications import announcements

    requested = AnnouncedChange(0, ticket, act.author, act.reason, names, tables, act.at, end)

    def announce(connection: "Connection", rules: "RuleSet") -> Any:
        return announcements.announce(connection, rules, requested)

    change = in_transaction(path, announce)
    rules = f"{len(change.rules)} {terminal.plural(len(change.rules), 'rule')}"
    end_time = terminal.until_in_zone(change.until, act.at)
    click.echo(f"Announced change {change.id}: {change.ticket}, {rules}, until {end_time}.")
    click.echo(
        f"  Rules are still checked. `sanityd expect --end {change.id}` ends it,"
        " and mails what it found."
    )


def _end(number: int, act: "Act", path: Path) -> None:
    from sanityd.notifications import announcements

    def end(connection: "Connection", rules: "RuleSet") -> Any:
        return announcements.end(connection, number, act.author, act.reason, act.at)

    change = in_transaction(path, end)
    click.echo(f"Announced change {number} ({change.ticket}) is ended.")


def _list(connection: "Connection", at: datetime) -> None:
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal
    from sanityd.cli.local_time import zone_name
    from sanityd.store import announced_changes

    changes = announced_changes.list_active(connection, at)
    console = terminal.console()
    if not changes:
        console.print("No change is announced.")
        return
    grid = terminal.table("", "ticket", "rules", f"until ({zone_name()})", "by", "why")
    for change in changes:
        grid.add_row(
            str(change.id),
            display_value(change.ticket),
            f"{len(change.rules):,}",
            terminal.until(change.until, at),
            display_value(change.author),
            display_value(change.reason),
        )
    console.print(grid)
