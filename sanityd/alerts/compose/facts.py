"""The facts below the headline of a mail: since when, what changed, and what was checked. Pure."""

from datetime import datetime, timedelta, tzinfo

from sanityd.alerts.compose.breakdown import breakdown
from sanityd.alerts.compose.phrases import as_sentence
from sanityd.alerts.compose.sanitize import escape_hidden
from sanityd.alerts.compose.state import RULE_REASONS, ended_unchecked
from sanityd.alerts.compose.times import (
    format_date,
    format_rounded,
    format_time,
    format_time_briefly,
)
from sanityd.alerts.compose.worse_values import worse_values
from sanityd.model import Cause, Change, Incident, News, Reason, Triage, TriageAction
from sanityd.model.identical_rows import count_repeated, repeated_rows_note

_DECISIONS = {
    TriageAction.ACKNOWLEDGED: "acknowledgement",
    TriageAction.SNOOZED: "snooze",
    TriageAction.ACCEPTED: "acceptance",
    TriageAction.CLOSED: "closing",
}
_RULE_FACTS = {
    Reason.DOWNGRADE_NOTICE: "It is checked and listed as before; only its severity changes.",
    Reason.DOWNGRADED: "It is checked and listed as before; only its severity changes.",
    Reason.RESTORED: "You are notified as before.",
    Reason.FLAPPING_STARTED: (
        "While it is flapping, you are only notified when it gets worse. Its severity stays."
    ),
    Reason.FLAPPING_ENDED: "You are notified as before.",
    Reason.REMEDY_STOPPED: "Nothing is sent until a person decides. It is checked as before.",
    Reason.REMEDY_FAILED: (
        "It is checked as before; nothing counts as repaired before a run has verified it."
    ),
}
_AFTER_RECOVERY = {
    Cause.SOURCE_DOWN: (
        "Its rules were not checked meanwhile; each is checked again before you are notified of it."
    ),
    Cause.RULES_WRONG: "From now on the rules are checked as the file says.",
    Cause.ERRORED: "You are notified separately if the data violates the rule.",
}


def facts(news: News, at: datetime, zone: tzinfo) -> list[str]:
    """Return the sentences below the headline."""
    incident = news.incident
    if news.reason in RULE_REASONS or incident is None:
        return _about_rule(news)
    if not incident.open:
        return [_duration(incident, at, zone), *_after_resolution(news, incident, at, zone)]
    since = format_time(incident.opened_at, at, zone)
    if incident.cause is not Cause.VIOLATED:
        return [
            f"Since {since}. "
            "This says nothing about the data: no incident is opened or resolved meanwhile."
        ]
    age = at - incident.opened_at
    ago = f", {format_rounded(age)} ago" if age >= timedelta(minutes=1) else ""
    sentences = [
        _systemic(incident),
        f"First seen {since}{ago}.",
        _severity_change(news, incident),
        worse_values(news),
        *_triage(news, incident, at, zone),
        _held_back(news, at, zone),
        _new_rows(news, at, zone),
        _changes(news),
        _checked(news, incident, at, zone),
        *breakdown(news.rows, incident.violations),
        _repeated_rows(news),
    ]
    return [sentence for sentence in sentences if sentence]


def _repeated_rows(news: News) -> str:
    note = repeated_rows_note(count_repeated(news.rows))
    return as_sentence(note) if note else ""


def _about_rule(news: News) -> list[str]:
    sentences = []
    if news.reason is Reason.DOWNGRADE_NOTICE and news.noise:
        sentences.append(as_sentence(news.noise))
    if news.reason in _RULE_FACTS:
        sentences.append(_RULE_FACTS[news.reason])
    if news.sentence and news.incident is not None and news.incident.open:
        sentences.append(f"Now: {as_sentence(news.sentence)}")
    return sentences


def _duration(incident: Incident, at: datetime, zone: tzinfo) -> str:
    end = incident.resolved_at or at
    duration = end - incident.opened_at
    text = "less than a second"
    if duration >= timedelta(seconds=1):
        text = format_rounded(duration)
    begin = format_time(incident.opened_at, at, zone)
    return f"It lasted {text}, from {begin} to {format_time_briefly(end, at, zone)}."


def _after_resolution(news: News, incident: Incident, at: datetime, zone: tzinfo) -> list[str]:
    if incident.cause in _AFTER_RECOVERY:
        return [_AFTER_RECOVERY[incident.cause]]
    if ended_unchecked(incident.resolutions):
        return []
    return [_checked(news, incident, at, zone)]


def _systemic(incident: Incident) -> str:
    if incident.ticket:
        ticket = escape_hidden(incident.ticket, 100)
        return f"It belongs to {ticket}, a change that was announced: look there for the cause."
    if not incident.systemic:
        return ""
    return (
        f"This looks like one fault, not {incident.violations:,} separate ones: "
        "look for the common cause."
    )


def _severity_change(news: News, incident: Incident) -> str:
    last = news.last_notification
    if last is None or last.severity == incident.severity:
        return ""
    article = "an" if last.severity.label[0] in "aeiou" else "a"
    return (
        f"It was {article} {last.severity.label} at the last mail "
        f"and is {incident.severity.label} now."
    )


def _triage(news: News, incident: Incident, at: datetime, zone: tzinfo) -> list[str]:
    """Return which decision of a person has ended, and why."""
    triage = news.triage
    if triage is None:
        return []
    decision = f"The {_DECISIONS[triage.action]} by {escape_hidden(triage.author, 60)}"
    if news.reason is Reason.REMINDER:
        verb = "was withdrawn" if triage.ended == "withdrawn" else "ended"
        sentence = f"{decision} {verb} {format_time(triage.ended_at or triage.until, at, zone)}."
    else:
        date = format_date(triage.at, at, zone)
        sentence = f"{decision} of {date} has ended: {_growth(triage, incident)}."
    if not triage.reason.strip():
        return [sentence]
    return [sentence, f"It was given for this reason: {as_sentence(triage.reason)}"]


def _growth(triage: Triage, incident: Incident) -> str:
    if incident.severity > triage.severity:
        return f"the severity is {incident.severity.label} now"
    if incident.violations >= 2 * max(triage.violations, 1):
        return "the count has doubled since"
    return "the count has grown since"


def _held_back(news: News, at: datetime, zone: tzinfo) -> str:
    """Return how many violations there were when the limit of mails held this message back."""
    held_back = news.held_back
    if held_back is None:
        return ""
    when = format_time_briefly(held_back.at, at, zone)
    return (
        "This message had to wait for the limit of mails per hour: "
        f"the count was {held_back.violations:,} at {when}."
    )


def _new_rows(news: News, at: datetime, zone: tzinfo) -> str:
    """Return how many rows are new since the last mail, for a mail about new rows."""
    last = news.last_notification
    if news.reason is not Reason.UPDATED or last is None or last.at is None:
        return ""
    count = sum(row.first_seen > last.at for row in news.rows)
    if not count:
        return ""
    minimum = "" if news.complete else "At least "
    return (
        f"{minimum}{count:,} new since the last mail of {format_time_briefly(last.at, at, zone)}."
    )


def _changes(news: News) -> str:
    """Return what changed since the previous run."""
    if news.reason is Reason.UPDATED:
        return ""
    returned = news.changes.get(Change.REGRESSED, 0)
    if news.reason is Reason.OPENED:
        if not returned:
            return ""
        if returned == 1:
            return "1 was resolved within the last week and came back."
        return f"{returned:,} were resolved within the last week and came back."
    counts = {
        "new": news.changes.get(Change.NEW, 0),
        "came back": returned,
        "resolved": news.changes.get(Change.RESOLVED, 0),
    }
    parts = [f"{count:,} {word}" for word, count in counts.items() if count]
    if not parts:
        return ""
    return f"Since the previous run: {', '.join(parts)}."


def _checked(news: News, incident: Incident, at: datetime, zone: tzinfo) -> str:
    """Return when the rule was checked and how many rows were read."""
    when = format_time_briefly(news.looked_at or at, at, zone)
    if news.stale_since is not None:
        since = format_time(news.stale_since, at, zone)
        return f"Not verified since {since}: this is the result of the check at {when}."
    if not news.complete:
        return f"Checked {when}: the count is exact, but too many rows violate it to track each."
    match incident.checked:
        case None | 0:
            return f"Checked {when}, complete."
        case 1:
            return f"Checked {when}, the one row in scope was read."
        case count:
            population = escape_hidden(news.rule.population, 60)
            return f"Checked {when}, all {count:,} {population} in scope were read."
