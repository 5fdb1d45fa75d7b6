"""What happened to a rule, as one story: incidents, decisions of people, mails and to whom, what
became of rows."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from sanityd.model import Cause, Incident, Reason, Resolution, Tracked
from sanityd.store import audit, incidents, notification_log, retention, runs, violations

_BEGINNINGS = {
    Cause.VIOLATED: "violated{many}, {0.declared.label}",
    Cause.ERRORED: "can't be checked: {0.error}",
    Cause.SOURCE_DOWN: "does not answer: {0.error}",
    Cause.RULES_WRONG: "can't be read: {0.error}",
}
_ENDS = {
    Cause.VIOLATED: "holds again{resolutions}",
    Cause.ERRORED: "can be checked again",
    Cause.SOURCE_DOWN: "answers again",
    Cause.RULES_WRONG: "can be read again",
}
_FATES = {
    Resolution.FIXED: "repaired",
    Resolution.ROW_GONE: "deleted",
    Resolution.LEFT_SCOPE: "no longer in scope",
    Resolution.NOT_RETURNED: "no longer found",
}
_STATES = {
    "sent": "delivered",
    "pending": "waits",
    "leased": "is being sent",
    "uncertain": "may have arrived",
    "dead": "given up",
    "cancelled": "taken back, as nobody need hear of it any more",
    "superseded": "replaced by newer news",
}
#: States in which the last error still says something.
_UNSENT = {"pending", "leased", "uncertain", "dead"}
#: How an incident, or a row in it, ends by the rules file, of which nobody knows how it would have
#: gone on.
_ENDS_UNSEEN = {
    Resolution.RULE_REMOVED: "no longer looked at: the rule left the file{open}",
    Resolution.RULE_CHANGED: "looked at anew: the rule means something else now{open}",
}
#: Says so many violations of a rule in the word of its kind.
Counted = Callable[[str, int], str]
#: Decisions that say nothing that the story doesn't say anyway.
_DULL = {
    Reason.UNCHANGED,
    Reason.WAITING,
    Reason.NOT_VERIFIED,
    Reason.NEVER_NOTIFIED,
    Reason.BELOW_THRESHOLD,
}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `who` is a human, a recipient, or nobody."""

    at: datetime
    rule: str
    what: str
    who: str = ""
    detail: str = ""


def story(memory: Connection, rule: str | None, since: datetime, counted: Counted) -> list[Event]:
    """What happened since then, oldest first; of one rule (or `source:NAME`), or of all."""
    names = [rule] if rule is not None else incidents.rules_since(memory, since)
    events: list[Event] = []
    for name in names:
        events += _of(memory, name, since, counted)
    # A pass has one time: what the file says is read before anything is looked at.
    return sorted(events, key=lambda event: (event.at, event.what not in audit.RULE_CHANGES))


def life(memory: Connection, rule: str, key: Mapping[str, str]) -> list[Event]:
    """What is known of one row, by the text of its key."""
    events = []
    for row in violations.all_rows(memory, rule):
        if {name: str(value) for name, value in row.key.items()} != dict(key):
            continue
        events.append(
            Event(row.first_seen, rule, "was first seen to violate the rule", detail=row.detail)
        )
        if row.resolved_at is not None:
            events.append(Event(row.resolved_at, rule, _fate(row)))
        else:
            events.append(Event(row.last_seen, rule, "is still there"))
    return events


def _fate(row: Tracked) -> str:
    if row.resolution in _ENDS_UNSEEN:
        return f"is {_ENDS_UNSEEN[row.resolution].format(open='')}"
    return (
        f"is no violation any more: {_FATES[row.resolution]}"
        if row.resolution
        else "is no violation any more"
    )


def _of(memory: Connection, rule: str, since: datetime, counted: Counted) -> Iterator[Event]:
    """Yield the events of one rule, or of one source."""
    rule_incidents = incidents.of_rule(memory, rule, since)
    for incident in rule_incidents:
        rows = runs.violations_at(memory, rule, incident.opened_at)
        yield from _incident(incident, rows, counted)
    yield from _between(memory, rule, since, rule_incidents, counted)
    for day in retention.days_of(memory, rule, since):
        if day.failed or day.answered < day.runs:
            yield _day(day, rule, counted)
    for message in notification_log.of_rule(memory, rule, since):
        yield _message(message, rule)
    for row in audit.of_rule(memory, rule):
        if row["at"] >= since and not _is_left_out(row["action"], row["reason"]):
            yield _decision(row, rule)


def _day(day: Any, rule: str, counted: Counted) -> Event:
    """Return the summary of a day whose runs are deleted."""
    rows = counted(rule, day.most)
    most = f", at most {rows}" if rows else ""
    unanswered = ""
    if day.answered < day.runs:
        unanswered = f", {day.runs - day.answered} without an answer"
    what = f"looked at {day.runs} times: violated in {day.failed}{most}{unanswered}"
    return Event(day.day, rule, what)


def _message(message: RowMapping, rule: str) -> Event:
    when = message["ended_at"] or message["created_at"]
    state = _STATES[message["state"]]
    if message["state"] in _UNSENT and message["error"]:
        state += f": {message['error']}"
    return Event(when, rule, f"mail `{message['said']}` {state}", message["recipient"])


def _decision(row: RowMapping, rule: str) -> Event:
    """Return the event of an entry of the audit log."""
    detail = row["detail"]
    if row["action"] == "judged":
        return Event(row["at"], rule, str(row["reason"]), detail=detail.get("sentence", ""))
    if row["action"] == "not notified":
        return Event(row["at"], rule, f"not mailed: {row['reason']}", detail.get("recipient", ""))
    until = ""
    if "until" in detail:
        until = f" until {detail['until'][:16].replace('T', ' ')}"
    return Event(row["at"], rule, f"{row['action']}{until}", row["actor"], row["reason"])


def _is_left_out(action: str, reason: str) -> bool:
    """Whether an entry of the audit log adds nothing to the other events."""
    return action in ("notified", "closed") or _is_dull(action, reason)


def _is_dull(action: str, reason: str) -> bool:
    return action == "not notified" and reason in _DULL


def _incident(incident: Incident, seen: int | None, counted: Counted) -> Iterator[Event]:
    many = f": {counted(incident.rule, seen)}".rstrip(": ") if seen is not None else ""
    begins = _BEGINNINGS[incident.cause].format(incident, many=many)
    yield Event(incident.opened_at, incident.rule, begins, detail=incident.id)
    if incident.resolved_at is not None:
        yield Event(
            incident.resolved_at, incident.rule, _end(incident, counted), detail=incident.id
        )


def _between(
    memory: Connection,
    rule: str,
    since: datetime,
    rule_incidents: Iterable[Incident],
    counted: Counted,
) -> Iterator[Event]:
    """Yield the rows that were first seen or resolved while an incident was open.

    Those of its beginning and its end belong to the events of the incident.
    """
    incident_times: set[datetime | None] = set()
    for incident in rule_incidents:
        incident_times |= {incident.opened_at, incident.resolved_at}
    for at, rows in violations.begun(memory, rule, since).items():
        more = counted(rule, rows) if at not in incident_times else ""
        if more:
            yield Event(at, rule, f"{more} more")
    for at, fates in violations.ended(memory, rule, since).items():
        counts = _counts(fates) if at not in incident_times else ""
        if counts:
            yield Event(at, rule, counts)


def _counts(fates: Mapping[Resolution, int]) -> str:
    return ", ".join(f"{count:,} {_FATES[fate]}" for fate, count in fates.items() if fate in _FATES)


def _end(incident: Incident, counted: Counted) -> str:
    for fate, words in _ENDS_UNSEEN.items():
        if fate in incident.resolutions:
            many = (
                counted(incident.rule, incident.violations)
                if incident.cause is Cause.VIOLATED
                else ""
            )
            return words.format(open=f", with {many} open" if many else "")
    counts = _counts(incident.resolutions)
    return _ENDS[incident.cause].format(resolutions=f": {counts}" if counts else "")
