"""`sanityd ack`, `snooze`, `accept`, `close`: people decide about what is open, with a reason and
an end."""

import getpass
import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.options import open_store, rules_option

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sanityd.model import Triage, TriageAction
    from sanityd.notifications.triage import Act
    from sanityd.rules.rule import RuleSet

_QUIET = {
    "acknowledged": "is acknowledged by {author} until {until}",
    "snoozed": "is snoozed until {until}; you are reminded then",
    "accepted": "is accepted until {until}",
    "closed": "is closed as {resolution}, and quiet until {until}",
}
#: How long decisions last when nobody says.
_WEEK = "`alerts.acknowledge.default`, a week unless set"
_ACCEPTED = "`alerts.acknowledge.accepted`, 180 days unless set"


class DurationParam(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has none
    """`3d`, `4h`."""

    name = "DURATION"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """The length of time, or a usage error with what to write."""
        from sanityd.model.durations import duration

        try:
            return value if isinstance(value, timedelta) else duration(str(value))
        except ValueError as error:
            self.fail(f"`{value}` is not a duration: {error}", param, ctx)


class TimeParam(click.ParamType):  # type: ignore[type-arg]
    """`2026-12-01`, `2026-12-01 09:00`, in the zone of the machine unless it says another."""

    name = "TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The moment, with its zone."""
        try:
            read = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(
                f"`{value}` is not a time: write `2026-12-01` or `2026-12-01 09:00`", param, ctx
            )
        return read if read.tzinfo else read.astimezone()


def who(name: str | None) -> str:
    """Who acts: as they say, else SANITYD_AUTHOR, else the login name."""
    try:
        return name or os.environ.get("SANITYD_AUTHOR") or getpass.getuser()
    except (OSError, KeyError):
        return "somebody"


def reasoned(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every decision: why, and who."""
    by = click.option(
        "--by", metavar="NAME", help="Who decides (SANITYD_AUTHOR, else the login name)."
    )
    why = click.option("--reason", required=True, metavar="TEXT", help="Why; others read it.")
    decided: Callable[..., Any] = why(by(rules_option(function)))
    return decided


def timed(usual: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options for an end. `usual` is how long it lasts when nobody says, where that may be left
    out."""
    otherwise = f"; else {usual}" if usual else ""

    def limited(function: Callable[..., Any]) -> Callable[..., Any]:
        length = click.option(
            "--for", "length", type=DurationParam(), help=f"For how long, as in `3d`{otherwise}."
        )
        end = click.option(
            "--until", type=TimeParam(), help="Until when, as in `2026-12-01 09:00`."
        )
        both: Callable[..., Any] = length(end(function))
        return both

    return limited


def made(
    author: str | None, reason: str, length: timedelta | None = None, until: datetime | None = None
) -> "Act":
    """What every decision has."""
    from sanityd import clock
    from sanityd.notifications.triage import Act

    if length is not None and until is not None:
        raise click.UsageError("say either --for or --until")
    at = clock.now()
    return Act(who(author), reason, at, at + length if length is not None else until)


def acting(path: Path, work: "Callable[[Connection, RuleSet], Any]") -> Any:
    """Do something in one transaction of the store."""
    from sanityd.rules.load import load

    rules = load(path, need_secrets=False)
    store = open_store(rules)
    try:
        with store.write() as connection:
            return work(connection, rules)
    finally:
        store.close()


def _say(decisions: "Sequence[Triage]", act: "Act") -> None:
    from sanityd.alerts.compose.sanitize import visible
    from sanityd.cli import terminal

    for one in decisions:
        words = _QUIET[one.action.value].format(
            author=visible(one.author),
            until=terminal.until(one.until, act.at),
            resolution=one.resolution.replace("_", " "),
        )
        click.echo(f"{one.rule} {words}.")
        click.echo(
            f"  It ends at once when there are twice as many as now ({one.violations:,}), or a higher severity."
        )
    _say_usual(decisions, act)


def _say_usual(decisions: "Sequence[Triage]", act: "Act") -> None:
    """An end that nobody named is told as such."""
    from sanityd.model.durations import format_duration

    if act.until is None and decisions:
        usual = format_duration(decisions[0].until - act.at)
        click.echo(
            f"  Nobody said for how long, so it is {usual}; `--for` and `--until` say another end."
        )


def _decide(
    name: str, stance: "TriageAction", act: "Act", path: Path, resolution: str = ""
) -> None:
    from sanityd.notifications import triage as room

    found = acting(
        path,
        lambda connection, rules: room.decide(connection, rules, name, stance, act, resolution),
    )
    _say(found, act)


@click.command("ack")
@click.argument("name", metavar="RULE|INCIDENT")
@timed(_WEEK)
@click.option(
    "--end", is_flag=True, help="Take back what was decided about it: ack, snooze, accept or close."
)
@reasoned
def ack(
    name: str,
    length: timedelta | None,
    until: datetime | None,
    end: bool,
    reason: str,
    by: str | None,
    path: Path,
) -> None:
    """Say that somebody is at it: no reminders until then, unless it gets much worse."""
    from sanityd.model import TriageAction
    from sanityd.notifications import triage as room

    act = made(by, reason, length, until)
    if not end:
        _decide(name, TriageAction.ACKNOWLEDGED, act, path)
        return
    taken = acting(path, lambda connection, rules: room.withdraw(connection, rules, name, act))
    click.echo(
        f"{name} is not {taken[0].action.value} any more; you hear of it as if nothing had been said."
    )


@click.command("snooze")
@click.argument("name", metavar="RULE|INCIDENT")
@click.option("--for", "length", type=DurationParam(), help="For how long, as in `4h`.")
@click.option("--until", type=TimeParam(), help="Until when, as in `2026-12-01 09:00`.")
@reasoned
def snooze(
    name: str,
    length: timedelta | None,
    until: datetime | None,
    reason: str,
    by: str | None,
    path: Path,
) -> None:
    """Don't hear of it until then; be reminded if it is still so."""
    from sanityd.model import TriageAction

    if length is None and until is None:
        raise click.UsageError("say how long, with --for or --until")
    _decide(name, TriageAction.SNOOZED, made(by, reason, length, until), path)


@click.command("accept")
@click.argument("name", metavar="RULE|INCIDENT")
@click.option(
    "--row",
    "rows",
    multiple=True,
    metavar="KEY=VALUE[,…]",
    help="Only this row; may be given again.",
)
@timed(_ACCEPTED)
@reasoned
def accept(
    name: str,
    rows: Sequence[str],
    length: timedelta | None,
    until: datetime | None,
    reason: str,
    by: str | None,
    path: Path,
) -> None:
    """Say that it may stay so: an incident, or single rows, which then count no longer."""
    from sanityd.cli import terminal
    from sanityd.model import TriageAction
    from sanityd.notifications import triage as room

    act = made(by, reason, length, until)
    if not rows:
        _decide(name, TriageAction.ACCEPTED, act, path)
        return
    keys = [key_of(row) for row in rows]
    found = acting(
        path, lambda connection, rules: room.accept_rows(connection, rules, name, keys, act)
    )
    for row, one in found:
        click.echo(
            f"{name}: {terminal.key_text(row.key)} is accepted until {terminal.until(one.until, act.at)}."
        )
    _say_usual([one for _, one in found], act)


@click.command("close")
@click.argument("name", metavar="RULE|INCIDENT")
@click.option(
    "--as",
    "resolution",
    required=True,
    type=click.Choice(["fixed", "false_positive", "wont_fix", "duplicate"]),
    help="What it was.",
)
@timed(_WEEK)
@reasoned
def close(
    name: str,
    resolution: str,
    length: timedelta | None,
    until: datetime | None,
    reason: str,
    by: str | None,
    path: Path,
) -> None:
    """Say how it was dealt with. It is over when a run says so; until then it is quiet."""
    from sanityd.model import TriageAction

    _decide(name, TriageAction.CLOSED, made(by, reason, length, until), path, resolution)


def key_of(text: str) -> dict[str, str]:
    """`id=7`, `a=1,b=2`, or a usage error."""
    parts = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and sign for name, sign, _ in parts):
        raise click.UsageError(f"`{text}` is not a key: write `--row id=7`, or `--row a=1,b=2`")
    return {name.strip(): value.strip() for name, _, value in parts}
