"""What `sanityd history` is asked about: all rules, a rule, an incident, or a row of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from sanityd.cli.act import parse_key
from sanityd.cli.options import find_incident, find_rule_id, no_such

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sanityd.checks.invariant import TableName
    from sanityd.model import Incident
    from sanityd.notifications.timeline.event import Event
    from sanityd.rules.rule import RuleSet

#: How far back the history of rules goes, unless the command says it.
DEFAULT_LENGTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """The arguments of the command. `since` is None where they do not say it."""

    name: str | None
    #: The key of a row, if the name is that of a table, and the option `--row`.
    key: str | None
    row: str | None
    since: datetime | None
    every_decision: bool


@dataclass(frozen=True, slots=True)
class History:
    """What happened, with the incidents that it is about. `rule` is None for several rules."""

    title: str
    rule: str | None
    events: "Sequence[Event]"
    incidents: "Sequence[Incident]"


def select_history(
    connection: "Connection", rules: "RuleSet", request: HistoryRequest, at: datetime
) -> History:
    """Read the history that is asked for. Raises a usage error for an unknown name."""
    if request.key is not None:
        return _of_row(connection, rules, request.name or "", request.key)
    if request.name is None:
        return _of_rules(connection, rules, None, request, at)
    rule = find_rule_id(rules, connection, request.name)
    if request.row is not None:
        return _of_row_of_rule(connection, rule, request.row)
    if request.name != rule:
        incident = find_incident(connection, request.name)
        if incident is not None:
            return _of_incident(connection, rules, incident, at)
    return _of_rules(connection, rules, rule, request, at)


def _of_rules(
    connection: "Connection",
    rules: "RuleSet",
    rule: str | None,
    request: HistoryRequest,
    at: datetime,
) -> History:
    from sanityd.notifications import timeline
    from sanityd.store import incidents

    since = request.since or at - DEFAULT_LENGTH
    every = request.every_decision
    events = timeline.events_since(connection, rule, since, rules.counted, every_decision=every)
    names = [rule] if rule is not None else incidents.rules_with_incidents(connection, since)
    by_rule = incidents.of_rules(connection, names, since)
    listed = [incident for group in by_rule.values() for incident in group]
    return History(rule or "all rules", rule, events, listed)


def _of_incident(
    connection: "Connection", rules: "RuleSet", incident: "Incident", at: datetime
) -> History:
    from sanityd.notifications import timeline

    events = timeline.events_of_incident(connection, incident, at, rules.counted)
    title = f"incident {incident.id} of {incident.rule}"
    return History(title, incident.rule, events, [incident])


def _of_row_of_rule(connection: "Connection", rule: str, row: str) -> History:
    from sanityd.notifications import timeline

    events = timeline.row_events(connection, rule, parse_key(row))
    return History(f"{row} of {rule}", rule, events, [])


def _of_row(connection: "Connection", rules: "RuleSet", table: str, key: str) -> History:
    """Read what is known of a row by all rules of its table, also by removed ones."""
    from sanityd.notifications import timeline
    from sanityd.store import incidents

    names = _rules_of_table(connection, rules, table)
    values = parse_key(key)
    events = timeline.everything_of_row(connection, names, values, rules.counted)
    ids = {event.incident for event in events if event.incident}
    listed = [incident for name in sorted(ids) if (incident := incidents.get(connection, name))]
    return History(f"{table} {key}", None, events, listed)


def _rules_of_table(connection: "Connection", rules: "RuleSet", text: str) -> list[str]:
    """Return the rules about rows of a table: those of the file, and removed ones whose text is
    known. Raises a usage error when there is none."""
    from sanityd.checks.invariant import TableName

    try:
        table = TableName.parse(text.removeprefix("sources."), rules.sources)
    except ValueError as error:
        raise click.UsageError(
            f"{error}: write `sanityd history SOURCE.TABLE id=7`, as in `app.people id=7`"
        ) from None
    tables = _tables(connection, rules)
    names = [name for name, other in tables.items() if other == table]
    if not names:
        candidates = {str(other) for other in tables.values()}
        raise no_such(f"no rule is about the rows of `{text}`", str(table), candidates)
    return names


def _tables(connection: "Connection", rules: "RuleSet") -> "Mapping[str, TableName]":
    """Return the table of each rule that has one."""
    from sanityd.notifications.rule_history import last_tables
    from sanityd.store import rules_seen

    tables = {}
    for rule in rules.rules.values():
        if rule.invariant.subject.table is not None:
            tables[rule.id] = rule.invariant.subject.table
    removed = set(rules_seen.names(connection, rules.name)) - rules.rules.keys()
    for name, text in last_tables(connection, sorted(removed)).items():
        table = _parsed(text, rules)
        if table is not None:
            tables[name] = table
    return tables


def _parsed(text: str, rules: "RuleSet") -> "TableName | None":
    from sanityd.checks.invariant import TableName

    try:
        return TableName.parse(text, rules.sources)
    except ValueError:
        # Its source was removed, too.
        return None
