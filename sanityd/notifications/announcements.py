"""Announced changes: a mass change, as an import, is one fault of its ticket, and one mail.

Somebody says which rules it concerns, why, and until when. What these rules find meanwhile belongs
to the ticket, and is mailed once, at the end; what is critical is mailed at once, too. It ends by
itself, so that nothing is kept back when the import dies.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase

from sqlalchemy import Connection

from sanityd.model import AnnouncedChange, Cause, Incident
from sanityd.model.did_you_mean import did_you_mean
from sanityd.notifications.triage import ActError, UnknownNameError, check_end, required
from sanityd.rules import table_readers
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import announced_changes, audit
from sanityd.store.audit import AuditEntry

#: The most characters of a ticket.
LONGEST_TICKET = 80


def announce(connection: Connection, rules: RuleSet, requested: AnnouncedChange) -> AnnouncedChange:
    """Store an announced change, and say so in the audit of each of its rules.

    Parameters: `rules` of `requested` are ids, in which `*` stands for any characters; the rules
    that read one of its `tables` are added. Returns it with its number and the ids of all its
    rules. Raises ActError when it names no rule or an unknown one, or when its end is in the past
    or too far away.
    """
    ids = _concerned(rules, requested)
    if not ids:
        raise ActError(
            "no rule is concerned",
            "Name the tables that are changed, or rules; `sanityd explain` lists them.",
        )
    check_end(
        requested.until, requested.starts, rules.alerts.acknowledge.max, "an announced change"
    )
    checked = replace(
        requested,
        ticket=_ticket(requested.ticket),
        author=required(requested.author, "author"),
        reason=required(requested.reason, "reason"),
        rules=ids,
    )
    added = announced_changes.add(connection, checked)
    _write_audit(connection, added, added.starts, "announced", added.author, added.reason)
    return added


def end(
    connection: Connection, number: int, author: str, reason: str, at: datetime
) -> AnnouncedChange:
    """End an announced change before its time: what it kept back is mailed now.

    Returns it. Raises ActError when there is none of that number, or no author or reason.
    """
    author, reason = required(author, "author"), required(reason, "reason")
    change = announced_changes.get(connection, number)
    if change is None or not announced_changes.end(connection, number, at):
        raise ActError(
            f"no announced change {number} goes on", "`sanityd expect --list` lists those that do."
        )
    _write_audit(connection, change, at, "ended the announced change", author, reason)
    return replace(change, ended_at=at)


def note(connection: Connection, change: AnnouncedChange, at: datetime, action: str) -> None:
    """Say in the audit what became of the work itself: `finished …` or `failed …`."""
    _write_audit(connection, change, at, f"{action} the announced change", change.author, "")


def assign(
    announced: Iterable[AnnouncedChange],
    rule: Rule,
    at: datetime,
    before: Incident | None,
    after: Incident | None,
) -> Incident | None:
    """Return the incident after a run, with the ticket if it opened or grew in an announced change.

    Parameters: `before` is the open incident before the run, at the time `at`.
    """
    if after is None or not after.open or after.cause is not Cause.VIOLATED:
        return after
    if before is not None and after.violations <= before.violations:
        return after
    ids = {rule.id, *rule.formerly}
    for change in announced:
        if _goes_on(change, at) and not ids.isdisjoint(change.rules):
            is_systemic = after.systemic or before is None
            return replace(after, ticket=change.ticket, systemic=is_systemic)
    return after


def goes_on(
    announced: Iterable[AnnouncedChange],
    incident: Incident,
    at: datetime,
    formerly: Iterable[str] = (),
) -> bool:
    """Return whether an incident belongs to an announced change that is not over.

    Parameters: `formerly` are the ids that its rule had before. The same ticket may be announced
    again for other rules, which holds nothing back of this one.
    """
    if not incident.ticket or incident.cause is not Cause.VIOLATED:
        return False
    ids = {incident.rule, *formerly}
    for change in announced:
        is_of_rule = change.ticket == incident.ticket and not ids.isdisjoint(change.rules)
        if is_of_rule and _goes_on(change, at):
            return True
    return False


def _goes_on(change: AnnouncedChange, at: datetime) -> bool:
    return change.ended_at is None and change.starts <= at < change.until


def _ticket(text: str) -> str:
    """Return a ticket with single spaces. Raises ActError when it is empty or too long."""
    ticket = " ".join(text.split())
    if not 0 < len(ticket) <= LONGEST_TICKET:
        raise ActError(
            f"the ticket needs 1 to {LONGEST_TICKET} characters", "Give its id, as in `IMPORT-42`."
        )
    return ticket


def _concerned(rules: RuleSet, requested: AnnouncedChange) -> tuple[str, ...]:
    """Return the ids of the rules that are named, and of those that read a named table."""
    ids: dict[str, None] = {}
    for pattern in requested.rules:
        matching = [rule_id for rule_id in rules.rules if _is_named(rule_id, pattern)]
        if not matching:
            hint = did_you_mean(pattern, rules.rules) or None
            raise UnknownNameError(f"there is no rule `{pattern}`", hint)
        ids.update(dict.fromkeys(matching))
    for table in requested.tables:
        ids.update(dict.fromkeys(_readers(rules, table)))
    return tuple(ids)


def _is_named(rule_id: str, pattern: str) -> bool:
    # The ids of rules that `for_each` makes have brackets.
    return rule_id == pattern or fnmatchcase(rule_id, pattern.replace("[", "[[]"))


def _readers(rules: RuleSet, table: str) -> list[str]:
    """Return the rules that read a table. Raises UnknownNameError when none does."""
    try:
        readers = table_readers.readers_of(rules, table)
    except ValueError as error:
        raise UnknownNameError(str(error)) from None
    if not readers:
        names = table_readers.tables_of(rules)
        hint = did_you_mean(table, names) or f"Rules read {', '.join(names)}."
        raise UnknownNameError(f"no rule reads the table `{table}`", hint)
    return readers


def _write_audit(
    connection: Connection,
    change: AnnouncedChange,
    at: datetime,
    action: str,
    author: str,
    reason: str,
) -> None:
    detail: dict[str, object] = {"ticket": change.ticket, "announced": change.id}
    if action == "announced":
        detail["until"] = change.until.isoformat()
    words = f"{change.ticket}: {reason}" if reason else change.ticket
    entries = [
        AuditEntry(author, action, words, rule_id, detail=detail) for rule_id in change.rules
    ]
    audit.append_all(connection, at, entries)
