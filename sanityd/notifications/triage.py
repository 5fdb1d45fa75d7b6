"""Triage: people acknowledge, snooze, accept and close incidents, and silence rules.

Each decision has an author, a reason and an end, and is kept in the audit. None of them changes
what is known of the data: only a run does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from sanityd.alerts.compose.sanitize import display_value
from sanityd.errors import SanitydError
from sanityd.model import (
    Incident,
    Silence,
    TrackedViolation,
    Triage,
    TriageAction,
    source_rule_id,
)
from sanityd.model.did_you_mean import did_you_mean
from sanityd.model.durations import format_duration
from sanityd.model.identical_rows import key_of_row
from sanityd.notifications import noise
from sanityd.notifications.context import counted_incidents, end_of_triage
from sanityd.rules.rule import RuleSet
from sanityd.store import audit, incidents, noise_state, silences, triage, violations
from sanityd.store.audit import AuditEntry

#: How a person may say that an incident is over.
RESOLUTIONS = ("fixed", "false_positive", "wont_fix", "duplicate")
#: The most characters of a reason.
LONGEST = 1000


class ActError(SanitydError):
    """A decision that can't be made; nothing was changed."""

    hint = "`sanityd status` lists what is open, with its incidents."


class UnknownNameError(ActError):
    """A rule, source or tag that does not exist; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Act:
    """Who decides, why, and until when."""

    author: str
    reason: str
    at: datetime
    #: None for the default of the settings.
    until: datetime | None = None


def expire_triage(
    connection: Connection, rules: RuleSet, at: datetime, rule: str | None = None
) -> None:
    """End the decisions that ran out by then, that are broken, or whose incident is resolved.

    Parameters: `rule` limits it to the incidents of one rule.
    """
    triage.expire(connection, at)
    decisions = triage.list_active(connection, None if rule is None else [rule])
    if not decisions:
        return
    by_id = {incident.id: incident for incident in counted_incidents(connection, rules, at, rule)}
    for decision in decisions:
        incident = by_id.get(decision.incident)
        if incident is None:
            continue
        end = end_of_triage(decision, incident, at)
        if end is not None:
            triage.end(connection, [decision.id], end, at)


def decide(
    connection: Connection,
    rules: RuleSet,
    name: str,
    action: TriageAction,
    act: Act,
    resolution: str = "",
) -> list[Triage]:
    """Decide about all that is open of a rule, a source (`source:NAME`) or one incident.

    Returns the decisions. Raises ActError when nothing of that name is open, or when the end is in
    the past or too far away.
    """
    until = _until(rules, action, act)
    decisions = []
    entries = []
    for incident in _open(connection, rules, name, act.at):
        decision = Triage(
            id=0,
            action=action,
            rule=incident.rule,
            incident=incident.id,
            author=required(act.author, "author"),
            reason=required(act.reason, "reason"),
            at=act.at,
            until=until,
            violations=incident.violations,
            severity=incident.severity,
            resolution=resolution,
        )
        decisions.append(triage.add(connection, decision))
        entry = _audit_entry(
            act, action.value, incident.rule, incident.id, until=until, resolution=resolution
        )
        entries.append(entry)
    audit.append_all(connection, act.at, entries)
    return decisions


def accept_rows(
    connection: Connection, rules: RuleSet, rule: str, keys: Sequence[Mapping[str, str]], act: Act
) -> list[tuple[TrackedViolation, Triage]]:
    """Accept single rows, by the text of their keys: they count no longer.

    Returns the rows with the decisions. Raises ActError when a row is not open.
    """
    _check_name(rules, rule)
    until = _until(rules, TriageAction.ACCEPTED, act)
    rows = violations.open_rows(connection, rule)
    accepted = []
    entries = []
    for key in keys:
        row = _row(rows, key, rule)
        _check_is_single(rows, row, rule)
        decision = Triage(
            id=0,
            action=TriageAction.ACCEPTED,
            rule=rule,
            incident="",
            author=required(act.author, "author"),
            reason=required(act.reason, "reason"),
            at=act.at,
            until=until,
            violations=1,
            severity=rules.rules[rule].severity,
            fingerprint=row.fingerprint,
        )
        accepted.append((row, triage.add(connection, decision)))
        mark = row.fingerprint
        entries.append(
            _audit_entry(act, "accepted a row", rule, None, until=until, fingerprint=mark)
        )
    audit.append_all(connection, act.at, entries)
    return accepted


def withdraw(connection: Connection, rules: RuleSet, name: str, act: Act) -> list[Triage]:
    """Withdraw the decisions about a rule, a source, an incident, or rows of the rule.

    Returns the withdrawn decisions. Raises ActError when there is none.
    """
    decisions = [
        decision
        for decision in triage.list_active(connection)
        if name in (decision.rule, decision.incident)
    ]
    if not decisions:
        if incidents.get(connection, name) is None:
            _check_name(rules, name)
        raise ActError(f"`{name}` has no decision to withdraw")
    triage.end(connection, [decision.id for decision in decisions], "withdrawn", act.at)
    entries = []
    for decision in decisions:
        entry = _audit_entry(
            act,
            "withdrew",
            decision.rule,
            decision.incident or None,
            decision=decision.action.value,
            fingerprint=decision.fingerprint,
        )
        entries.append(entry)
    audit.append_all(connection, act.at, entries)
    return decisions


def silence(connection: Connection, rules: RuleSet, requested: Silence) -> Silence:
    """Add a silence. Returns it with its number.

    Raises ActError when its rule, tag or source does not exist, or when its end is in the past or
    too far away.
    """
    _check_matchers(rules, requested)
    begin = max(requested.at, requested.starts)
    check_end(requested.until, begin, rules.alerts.acknowledge.max, "a silence")
    checked = replace(
        requested,
        author=required(requested.author, "author"),
        reason=required(requested.reason, "reason"),
    )
    added = silences.add(connection, checked)
    _write_audit(
        connection,
        Act(requested.author, requested.reason, requested.at),
        "silenced",
        requested.rule or None,
        None,
        until=requested.until,
        tag=requested.tag,
        source=requested.source,
    )
    return added


def end_silence(connection: Connection, number: int, act: Act) -> None:
    """End a silence. Raises ActError when there is none of that number."""
    if not silences.end(connection, number, act.at):
        raise ActError(
            f"there is no silence {number}", "`sanityd silence --list` lists those that hold."
        )
    _write_audit(connection, act, "unsilenced", None, None, silence=number)


def undo(connection: Connection, rules: RuleSet, rule: str, act: Act) -> datetime:
    """Undo a downgrade, the notice of one, or that mails of a rule are spared.

    Returns until when no other can follow. Raises ActError when there is nothing to undo.
    """
    _check_name(rules, rule)
    state = noise_state.of_rule(connection, rule)
    is_spared = state.mails_from is not None or state.pause > 0
    if not state.steps and state.noticed_at is None and not is_spared:
        raise ActError(
            f"`{rule}` counts as it is declared: there is nothing to undo",
            "`sanityd noise` lists the rest.",
        )
    restored = noise.undo(state, rules.alerts, act.at)
    noise_state.save(connection, rule, restored, act.at)
    incident = incidents.open_for(connection, rule)
    if incident is not None:
        incidents.save(connection, replace(incident, severity=incident.declared))
    _write_audit(connection, act, "undid", rule, None, was=state.sentence)
    return restored.locked_until or act.at


def _open(connection: Connection, rules: RuleSet, name: str, at: datetime) -> list[Incident]:
    """Return what is open of that name, as it counts now. Raises ActError when nothing is."""
    # A decision that ran out must be ended as such before a new one replaces it.
    expire_triage(connection, rules, at)
    open_incidents = [
        incident
        for incident in counted_incidents(connection, rules, at)
        if incident.open and name in (incident.rule, incident.id)
    ]
    if open_incidents:
        return open_incidents
    resolved = incidents.get(connection, name)
    if resolved is not None:
        raise ActError(f"incident {name} is over since {resolved.resolved_at:%Y-%m-%d %H:%M} UTC")
    _check_name(rules, name)
    raise ActError(f"`{name}` has no open incident")


def _check_name(rules: RuleSet, name: str) -> None:
    """Raise ActError when there is no rule or source of that name."""
    names = {*rules.rules, *map(source_rule_id, rules.sources)}
    if name not in names:
        hint = did_you_mean(name, names) or None
        raise UnknownNameError(f"there is no rule or incident `{name}`", hint)


def _check_matchers(rules: RuleSet, requested: Silence) -> None:
    """Raise ActError when the rule, the tag or the source of a silence does not exist."""
    source, tag, rule = requested.source, requested.tag, requested.rule
    if source and source not in rules.sources:
        hint = did_you_mean(source, rules.sources)
        raise UnknownNameError(f"there is no source `{source}`", hint or None)
    if tag and tag not in rules.tags:
        hint = did_you_mean(tag, rules.tags)
        raise UnknownNameError(f"no rule has the tag `{tag}`", hint or None)
    is_rule = rule and "*" not in rule and not rule.startswith("source:")
    if is_rule:
        _check_name(rules, rule)


def _until(rules: RuleSet, action: TriageAction, act: Act) -> datetime:
    """Return when a decision ends. Raises ActError when that is in the past or too far away."""
    limits = rules.alerts.acknowledge
    if action is TriageAction.ACCEPTED:
        longest, default = limits.accepted, limits.accepted
    else:
        longest, default = limits.max, limits.default
    until = act.until or act.at + default
    check_end(until, act.at, longest, f"what is {action.value}")
    return until


def check_end(until: datetime, begin: datetime, longest: timedelta, subject: str) -> None:
    """Raise ActError when `until` is not after `begin`, or too long after it."""
    if until <= begin:
        raise ActError(
            "the end is in the past",
            "Say for how long with `--for 3d`, or name a later time.",
        )
    if until - begin > longest:
        raise ActError(
            f"{subject} may last {format_duration(longest)} at most",
            "Settings: `alerts.acknowledge` in the rules file.",
        )


def _row(rows: Iterable[TrackedViolation], key: Mapping[str, str], rule: str) -> TrackedViolation:
    """Return the one open row with that key. Raises ActError when there is none."""
    requested = {name: text.strip() for name, text in key.items()}
    matching = []
    columns: list[str] = []
    for row in rows:
        columns = columns or list(row.key)
        row_key = {name: display_value(value) for name, value in row.key.items()}
        if row_key == requested:
            matching.append(row)
    if len(matching) == 1:
        return matching[0]
    names = ", ".join(f"{name} {text}" for name, text in requested.items())
    if requested.keys() < set(columns):
        whole = ",".join(f"{name}=…" for name in columns)
        raise ActError(
            f"{display_value(names)} is a part of the key only", f"Name all of it: `--row {whole}`."
        )
    raise ActError(
        f"no tracked row of `{rule}` has {display_value(names)}",
        f"`sanityd show {rule} --all` lists those that are followed; "
        "others can't be accepted one by one.",
    )


def _check_is_single(rows: Iterable[TrackedViolation], row: TrackedViolation, rule: str) -> None:
    """Raise ActError when other open rows are identical to the row in all columns."""
    key = key_of_row(row.key)
    identical = sum(key_of_row(other.key) == key for other in rows)
    if identical > 1:
        raise ActError(
            f"{identical:,} rows of `{rule}` are identical to this one in all columns, so it "
            "can't be accepted on its own",
            f"Accept the whole incident: `sanityd accept {rule} --reason …`.",
        )


def required(text: str, name: str) -> str:
    """Return the text with single spaces. Raises ActError when it is empty or too long."""
    words = " ".join(text.split())
    if not words:
        option = "reason" if name == "reason" else "by"
        raise ActError(f"there is no {name}", f"Say it: `--{option} …`.")
    if len(words) > LONGEST:
        raise ActError(
            f"the {name} has more than {LONGEST:,} characters",
            "Say it in a sentence; a link may say more.",
        )
    return words


def _write_audit(
    connection: Connection,
    act: Act,
    action: str,
    rule: str | None,
    incident: str | None,
    **detail: object,
) -> None:
    """Append the act to the audit, with the details that are not empty."""
    entry = _audit_entry(act, action, rule, incident, **detail)
    audit.append_all(connection, act.at, [entry])


def _audit_entry(
    act: Act, action: str, rule: str | None, incident: str | None, **detail: object
) -> AuditEntry:
    """Return an entry of the audit about the act, with the details that are not empty."""
    details = {}
    for name, value in detail.items():
        if value:
            details[name] = value.isoformat() if isinstance(value, datetime) else value
    reason = " ".join(act.reason.split())
    return AuditEntry(act.author, action, reason, rule, incident, details)
