"""A post-mortem in Markdown: summary, impact, timeline, who did what, who was mailed, the rule."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping

from sanityd.model import Cause, Incident, TrackedViolation
from sanityd.model.durations import format_duration
from sanityd.notifications.markdown import code, code_block, words
from sanityd.notifications.rule_history import RuleVersion, texts_between
from sanityd.notifications.timeline.event import Counted, Event, EventKind
from sanityd.notifications.timeline.incident_events import RESOLUTIONS, incident_end
from sanityd.notifications.timeline.message_events import DELIVERY, UNDELIVERED
from sanityd.notifications.timeline.row_events import key_text
from sanityd.store import notification_log, runs, violations

#: The most rows that are listed for each incident.
ROWS = 50


@dataclass(frozen=True, slots=True)
class IncidentFacts:
    """An incident with its rows, its messages, and the texts of its rule meanwhile."""

    incident: Incident
    #: The highest number of violations that a run found.
    peak: int
    rows: Sequence[TrackedViolation]
    messages: Sequence[RowMapping]
    texts: Sequence[RuleVersion]


@dataclass(frozen=True, slots=True)
class Presentation:
    """How times, numbers of rows and texts of rules are written."""

    #: Converts a time to the zone that is shown, which has the name `zone`.
    local: Callable[[datetime], datetime]
    zone: str
    counted: Counted
    #: Writes plain data as YAML.
    dump: Callable[[Any], str]

    def time(self, at: datetime) -> str:
        """Return a time to the minute."""
        return self.local(at).strftime("%Y-%m-%d %H:%M")


def load_facts(connection: Connection, incident: Incident, at: datetime) -> IncidentFacts:
    """Read what a post-mortem says of an incident. Parameters: `at` is the present time."""
    begin, end = incident.opened_at, incident.resolved_at or at
    messages = notification_log.of_rule(connection, incident.rule, begin - timedelta(days=1))
    own_messages = [message for message in messages if message["incident"] == incident.id]
    rows = _rows_between(connection, incident, begin, end)
    peak = max(incident.violations, runs.most_violations(connection, incident.rule, begin, end))
    texts = texts_between(connection, incident.rule, begin, end)
    return IncidentFacts(incident, peak, rows, own_messages, texts)


def _rows_between(
    connection: Connection, incident: Incident, begin: datetime, end: datetime
) -> list[TrackedViolation]:
    if incident.cause is not Cause.VIOLATED:
        return []
    rows = violations.all_episodes(connection, incident.rule)
    begun = [row for row in rows if row.first_seen <= end]
    return [row for row in begun if row.resolved_at is None or row.resolved_at >= begin]


def markdown(
    title: str,
    at: datetime,
    events: Sequence[Event],
    facts: Sequence[IncidentFacts],
    current: Mapping[str, Any],
    show: Presentation,
) -> str:
    """Return a post-mortem.

    Parameters: `title` is what it is about, and `at` the present time; `events` is the timeline,
    and `facts` are those of its incidents; `current` has the texts of rules as they are now, by
    rule, as plain data.
    """
    lines = [f"# Post-mortem: {code(title)}", ""]
    lines += [f"Written by sanityd at {show.time(at)}. Times are in {words(show.zone)}.", ""]
    sections = {
        "Summary": _summary(facts, at, show),
        "Impact": _impact(facts, events, at, show),
        "Timeline": _timeline(events, show),
        "Who did what": _acts(events, show),
        "Mails": _mails(facts, events, show),
        "The rule at that time": _rules(facts, current, show),
    }
    for heading, section in sections.items():
        lines += [f"## {heading}", "", *section, ""]
    return "\n".join(lines)


def _summary(facts: Sequence[IncidentFacts], at: datetime, show: Presentation) -> Iterator[str]:
    if not facts:
        yield "There was no incident in that time."
    for fact in facts:
        incident = fact.incident
        yield f"- Incident {code(incident.id)} of {code(incident.rule)}: {_state(incident, show)}"
        severity = incident.declared.label
        if incident.severity != incident.declared:
            severity += f", lowered to {incident.severity.label}"
        yield f"  - Severity: {severity}"
        begin = show.time(incident.opened_at)
        if incident.resolved_at is None:
            lasted = format_duration(at - incident.opened_at)
            yield f"  - Since {begin}, for {lasted}; it is open"
            continue
        lasted = format_duration(incident.resolved_at - incident.opened_at)
        yield f"  - From {begin} to {show.time(incident.resolved_at)}, for {lasted}"


def _state(incident: Incident, show: Presentation) -> str:
    if incident.resolved_at is not None:
        return words(incident_end(incident, show.counted))
    if incident.error:
        return f"can't be checked: {code(incident.error)}"
    return words(f"{show.counted(incident.rule, incident.violations) or 'violated'} open")


def _impact(
    facts: Sequence[IncidentFacts], events: Sequence[Event], at: datetime, show: Presentation
) -> Iterator[str]:
    for fact in facts:
        incident = fact.incident
        duration = (incident.resolved_at or at) - incident.opened_at
        yield f"- Incident {code(incident.id)}"
        yield f"  - Duration: {format_duration(duration)}"
        if incident.cause is Cause.VIOLATED:
            most = show.counted(incident.rule, fact.peak) or f"{fact.peak:,}"
            yield f"  - At most {words(most)} at once"
        yield from _delays(fact, events)
        yield from _row_lines(fact.rows, show)
    if not facts:
        yield "None."


def _delays(fact: IncidentFacts, events: Iterable[Event]) -> Iterator[str]:
    """Yield how long it took until somebody was mailed, and until somebody acted."""
    incident = fact.incident
    delivered = [message["ended_at"] for message in fact.messages if message["state"] == "sent"]
    if delivered:
        delay = format_duration(min(delivered) - incident.opened_at)
        yield f"  - First mail delivered after {delay}"
    acts = [event.at for event in events if _is_act_about(event, incident)]
    if acts:
        delay = format_duration(min(acts) - incident.opened_at)
        yield f"  - First act of a person after {delay}"


def _is_act_about(event: Event, incident: Incident) -> bool:
    return event.incident == incident.id and (
        event.kind is EventKind.ACT or _is_remedy_of_person(event)
    )


def _is_remedy_of_person(event: Event) -> bool:
    """Return whether a person approved a remedy, or let it go on; the rest sanityd did."""
    return event.kind is EventKind.REMEDY and event.who != "sanityd"


def _row_lines(rows: Sequence[TrackedViolation], show: Presentation) -> Iterator[str]:
    if not rows:
        return
    yield f"  - {len(rows):,} tracked {'row' if len(rows) == 1 else 'rows'}:"
    for row in rows[:ROWS]:
        line = f"    - {code(key_text(row.key))} from {show.time(row.first_seen)}"
        if row.resolved_at is None:
            line += ", still there"
        else:
            line += f" to {show.time(row.resolved_at)}"
        if row.resolution in RESOLUTIONS:
            line += f": {RESOLUTIONS[row.resolution]}"
        yield line
    if len(rows) > ROWS:
        yield f"    - and {len(rows) - ROWS:,} more"


def _timeline(events: Sequence[Event], show: Presentation) -> Iterator[str]:
    if not events:
        yield "Nothing happened."
    several = len({event.rule for event in events}) > 1
    for event in events:
        parts = [f"**{show.time(event.at)}**"]
        if several:
            parts.append(code(event.rule))
        parts.append(words(event.what))
        parts += [code(part) for part in (event.who, event.detail) if part]
        yield f"- {' · '.join(parts)}"


def _acts(events: Iterable[Event], show: Presentation) -> Iterator[str]:
    """Yield what each person did, in the order of their first act."""
    by_person: dict[str, list[Event]] = {}
    for event in events:
        is_act = event.kind in (EventKind.ACT, EventKind.RULE) or _is_remedy_of_person(event)
        if event.who and is_act:
            by_person.setdefault(event.who, []).append(event)
    if not by_person:
        yield "Nobody acted."
    for person, acts in by_person.items():
        yield f"- {code(person)}"
        for act in acts:
            reason = f": {code(act.detail)}" if act.detail else ""
            yield f"  - {show.time(act.at)} {words(act.what)}{reason}"


def _mails(
    facts: Iterable[IncidentFacts], events: Iterable[Event], show: Presentation
) -> Iterator[str]:
    count = 0
    for fact in facts:
        for message in fact.messages:
            count += 1
            yield _mail(message, show)
    for event in events:
        if event.kind is EventKind.DECISION and event.who:
            count += 1
            yield f"- {show.time(event.at)} {words(event.what)}: {code(event.who)}"
    if not count:
        yield "Nobody was mailed."


def _mail(message: RowMapping, show: Presentation) -> str:
    line = (
        f"- {show.time(message['created_at'])} {words(message['news_reason'])} to"
        f" {code(message['recipient'])} ({code(message['channel'])}), subject"
        f" {code(message['subject'])}: {DELIVERY[message['state']]}"
    )
    if message["ended_at"] is not None:
        line += f" at {show.time(message['ended_at'])}"
    if message["state"] in UNDELIVERED and message["error"]:
        line += f": {code(message['error'])}"
    return line


def _rules(
    facts: Iterable[IncidentFacts], current: Mapping[str, Any], show: Presentation
) -> Iterator[str]:
    shown: set[tuple[str, datetime]] = set()
    missing = set()
    for fact in facts:
        if not fact.texts:
            missing.add(fact.incident.rule)
        for text in fact.texts:
            if (text.rule, text.since) in shown:
                continue
            shown.add((text.rule, text.since))
            author, reason = code(text.author), code(text.reason)
            change = f"{words(text.action)} by {author}, {reason}"
            yield f"{code(text.rule)} since {show.time(text.since)}: {change}"
            yield ""
            yield from code_block(show.dump(text.content), "yaml")
            yield ""
    for rule in sorted(missing):
        yield from _current_rule(rule, current, show)


def _current_rule(rule: str, current: Mapping[str, Any], show: Presentation) -> Iterator[str]:
    if rule not in current:
        yield f"What the file said of {code(rule)} at that time is not recorded."
        return
    yield f"What the file said of {code(rule)} at that time is not recorded. It says now:"
    yield ""
    yield from code_block(show.dump(current[rule]), "yaml")
