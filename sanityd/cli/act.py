"""`sanityd ack`, `snooze`, `accept`, `close`: decisions of people about incidents, each with a
reason and an end."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.adopted_rules import rules_and_store
from sanityd.cli.options import rules_option

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sanityd.model import Triage, TriageAction
    from sanityd.notifications.triage import Act
    from sanityd.rules.rule import RuleSet

#: What is printed of a decision.
_DECISIONS = {
    "acknowledged": "is acknowledged by {author} until {until}",
    "snoozed": "is snoozed until {until}, then a reminder is sent",
    "accepted": "is accepted until {until}",
    "closed": "is closed as {resolution}; no mails until {until}",
}
#: How long decisions last by default, as the help says it.
_WEEK = "`alerts.acknowledge.default`, a week unless set"
_ACCEPTED = "`alerts.acknowledge.accepted`, 180 days unless set"


_UNTIL = (
    "Until when, as in `2026-12-01 09:00`, `2026-12-01 09:00+01:00` or"
    " `2026-12-01 09:00 Europe/Berlin`; the time of this machine unless it has a zone."
)


names_argument: Callable[[Any], Any] = click.argument(
    "names", nargs=-1, required=True, metavar="RULE|INCIDENT…"
)


class DurationParam(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has none
    """A duration: `3d`, `4h`."""

    name = "DURATION"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Parse a duration. Raises a usage error that says what to write."""
        from sanityd.model.durations import parse_duration

        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(f"`{value}` is not a duration: {error}", param, ctx)


class TimeParam(click.ParamType):  # type: ignore[type-arg]
    """A time: `2026-12-01`, `2026-12-01 09:00`, `2026-12-01 09:00 Europe/Berlin`.

    It is a time of this machine unless it has an offset or the name of a zone.
    """

    name = "TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Parse a time. Returns it with a time zone."""
        if isinstance(value, datetime):
            return value if value.tzinfo else value.astimezone()
        try:
            return parse_time(str(value))
        except ValueError:
            advice = "write `2026-12-01`, `2026-12-01 09:00` or `2026-12-01 09:00 Europe/Berlin`"
            self.fail(f"`{value}` is not a time: {advice}", param, ctx)


def parse_time(text: str) -> datetime:
    """Return a time with its zone: that after the time, else that of this machine.

    Raises ValueError for a text that is not a time, and for an unknown zone.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    words, _, name = text.strip().rpartition(" ")
    if not words or not name[0].isalpha():
        time = datetime.fromisoformat(text.strip())
        return time if time.tzinfo else time.astimezone()
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError):
        raise ValueError(name) from None
    time = datetime.fromisoformat(words)
    if time.tzinfo:
        raise ValueError(text)
    return time.replace(tzinfo=zone)


def reason_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options `--reason`, `--by` and `--rules` to a command."""
    by = click.option(
        "--by", metavar="NAME", help="Who decides (SANITYD_AUTHOR, else the login name)."
    )
    reason = click.option("--reason", required=True, metavar="TEXT", help="Why; others read it.")
    command: Callable[..., Any] = reason(by(rules_option(function)))
    return command


def end_options(default: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the options `--for` and `--until` to a command.

    Parameters: `default` is the help text about the default; empty where one must be given.
    """
    otherwise = f"; else {default}" if default else ""

    def with_end(function: Callable[..., Any]) -> Callable[..., Any]:
        length = click.option(
            "--for", "length", type=DurationParam(), help=f"For how long, as in `3d`{otherwise}."
        )
        until = click.option("--until", type=TimeParam(), help=_UNTIL)
        command: Callable[..., Any] = length(until(function))
        return command

    return with_end


def new_act(
    author: str | None, reason: str, length: timedelta | None = None, until: datetime | None = None
) -> "Act":
    """Return an action of a person: who, why, when, until when. Raises a usage error when both
    `length` and `until` are given."""
    from sanityd import clock
    from sanityd.notifications.author import author_name
    from sanityd.notifications.triage import Act

    if length is not None and until is not None:
        raise click.UsageError("give either --for or --until")
    at = clock.now()
    if length is not None:
        until = at + length
    return Act(author_name(author), reason, at, until)


def in_transaction(path: Path, work: "Callable[[Connection, RuleSet], Any]") -> Any:
    """Call `work` in one transaction of the store. Returns its result. Raises a usage error for
    the name of something that does not exist."""
    from sanityd.notifications.triage import UnknownNameError

    with rules_and_store(path) as (rules, store), store.write() as connection:
        try:
            return work(connection, rules)
        except UnknownNameError as error:
            hint = f"; {error.hint}" if error.hint.startswith("did you mean") else ""
            raise click.UsageError(error.message + hint) from None


def _print_decisions(decisions: "Sequence[Triage]", act: "Act") -> None:
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal

    for decision in decisions:
        words = _DECISIONS[decision.action.value].format(
            author=display_value(decision.author),
            until=terminal.until_in_zone(decision.until, act.at),
            resolution=decision.resolution.replace("_", " "),
        )
        click.echo(f"{decision.rule} {words}.")
        click.echo(
            f"  It ends early when there are twice as many violations as now "
            f"({decision.violations:,}), or at a higher severity."
        )
    _print_default_end(decisions, act)


def _print_default_end(decisions: "Sequence[Triage]", act: "Act") -> None:
    """Print how long the decisions last, if that is the default."""
    from sanityd.model.durations import format_duration

    if act.until is None and decisions:
        length = format_duration(decisions[0].until - act.at)
        click.echo(f"  This is the default, {length}; set another end with `--for` or `--until`.")


def _decide(
    words: Sequence[str], action: "TriageAction", act: "Act", path: Path, resolution: str = ""
) -> None:
    from sanityd.cli.selection import select_open
    from sanityd.notifications import triage

    def decide(connection: "Connection", rules: "RuleSet") -> "list[Triage]":
        decisions = []
        for name in select_open(connection, rules, words):
            decisions += triage.decide(connection, rules, name, action, act, resolution)
        return decisions

    _print_decisions(in_transaction(path, decide), act)


@click.command("ack")
@names_argument
@end_options(_WEEK)
@click.option("--end", is_flag=True, help="Withdraw an ack, snooze, accept or close.")
@reason_options
def ack(
    names: Sequence[str],
    length: timedelta | None,
    until: datetime | None,
    end: bool,
    reason: str,
    by: str | None,
    path: Path,
) -> None:
    """Acknowledge incidents: no reminders until the end, unless they get much worse.

    RULE may contain `*`; INCIDENT may be the beginning of an id.
    """
    from sanityd.cli.selection import select_open
    from sanityd.model import TriageAction
    from sanityd.notifications import triage

    act = new_act(by, reason, length, until)
    if not end:
        _decide(names, TriageAction.ACKNOWLEDGED, act, path)
        return

    def withdraw(connection: "Connection", rules: "RuleSet") -> "list[tuple[str, Triage]]":
        withdrawn = []
        for name in select_open(connection, rules, names):
            decisions = triage.withdraw(connection, rules, name, act)
            withdrawn.append((name, decisions[0]))
        return withdrawn

    for name, decision in in_transaction(path, withdraw):
        action = decision.action.value
        click.echo(f"{name} is not {action} any more; notifications are sent as usual.")


@click.command("snooze")
@names_argument
@end_options()
@reason_options
def snooze(
    names: Sequence[str],
    length: timedelta | None,
    until: datetime | None,
    reason: str,
    by: str | None,
    path: Path,
) -> None:
    """Snooze incidents: no mails until the end; then a reminder, if they are still open.

    RULE may contain `*`; INCIDENT may be the beginning of an id.
    """
    from sanityd.model import TriageAction

    if length is None and until is None:
        raise click.UsageError("say how long, with --for or --until")
    _decide(names, TriageAction.SNOOZED, new_act(by, reason, length, until), path)


@click.command("accept")
@names_argument
@click.option(
    "--row",
    "rows",
    multiple=True,
    metavar="KEY=VALUE[,…]",
    help="Only this row. May be repeated.",
)
@end_options(_ACCEPTED)
@reason_options
def accept(
    names: Sequence[str],
    rows: Sequence[str],
    length: timedelta | None,
    until: datetime | None,
    reason: str,
    by: str | None,
    path: Path,
) -> None:
    """Accept incidents, or single rows, as they are.

    With --row, these rows don't count as violations any more. Without it, only the mails stop:
    `check` still counts the rows. RULE may contain `*`; INCIDENT may be the beginning of an id.
    """
    from sanityd.cli import terminal
    from sanityd.model import TriageAction
    from sanityd.notifications import triage

    act = new_act(by, reason, length, until)
    if not rows:
        _decide(names, TriageAction.ACCEPTED, act, path)
        return
    if len(names) > 1:
        raise click.UsageError("name only the rule of the rows")
    [name] = names
    keys = [parse_key(row) for row in rows]

    def accept_rows(connection: "Connection", rules: "RuleSet") -> Any:
        return triage.accept_rows(connection, rules, name, keys, act)

    accepted = in_transaction(path, accept_rows)
    for row, decision in accepted:
        end = terminal.until_in_zone(decision.until, act.at)
        click.echo(f"{name}: {terminal.key_text(row.key)} is accepted until {end}.")
    _print_default_end([decision for _, decision in accepted], act)


@click.command("close")
@names_argument
@click.option(
    "--as",
    "resolution",
    required=True,
    type=click.Choice(["fixed", "false_positive", "wont_fix", "duplicate"]),
    help="The resolution.",
)
@end_options(_WEEK)
@reason_options
def close(
    names: Sequence[str],
    resolution: str,
    length: timedelta | None,
    until: datetime | None,
    reason: str,
    by: str | None,
    path: Path,
) -> None:
    """Close incidents with a resolution: no mails until a run verifies that the rule holds, or
    until the end.

    RULE may contain `*`; INCIDENT may be the beginning of an id.
    """
    from sanityd.model import TriageAction

    _decide(names, TriageAction.CLOSED, new_act(by, reason, length, until), path, resolution)


def parse_key(text: str) -> dict[str, str]:
    """Parse `id=7` or `a=1,b=2`. Raises a usage error."""
    key = {}
    for part in text.split(","):
        name, sign, value = part.partition("=")
        if not name.strip() or not sign:
            raise click.UsageError(f"`{text}` is not a key: write `--row id=7`, or `--row a=1,b=2`")
        key[name.strip()] = value.strip()
    return key
