"""The subject of a mail: a state word, and the fact with its number. Pure.

The mails of an incident stay in one thread by their headers (`headers`), so the subject may change
with the numbers. The rule's id is in the header `X-Sanityd-Rule` and in the body.
"""

from collections.abc import Mapping

from sanityd.alerts.compose.phrases import MANNERS, count_of_incidents, verb_of_several
from sanityd.alerts.compose.sanitize import ascii_line
from sanityd.alerts.compose.state import (
    RULE_REASONS,
    UNCHECKED_RESOLUTIONS,
    by_severity,
    is_about_source,
    state,
    title,
)
from sanityd.alerts.compose.times import format_rounded
from sanityd.model import Alert, Cause, Incident, News, Reason, Resolution, Severity

#: The most characters of a subject.
LONGEST = 120
# The most characters of a rule's title before a fact.
_LONGEST_TITLE = 70
_LONGEST_TICKET = 30
_MOST_FACTS = 10
_STATE_WORDS = {
    Reason.ESCALATED: "worse",
    Reason.UPDATED: "updated",
    Reason.REMINDER: "still",
}
#: What ended, for incidents that are not about data.
_ENDED = {
    Cause.ERRORED: "not checked for",
    Cause.SOURCE_DOWN: "down for",
    Cause.RULES_WRONG: "wrong for",
}


def subject(alert: Alert) -> str:
    """Return the subject, in ASCII: `[ERROR] 3 people have no sent welcome mail`."""
    ordered = by_severity(alert.news)
    if len(ordered) == 1 and alert.reason is not Reason.SUMMARY:
        return ascii_line(f"[{_state_words(ordered[0])}] {_fact(ordered[0])}", LONGEST)
    if alert.reason is Reason.SUMMARY:
        state_words = f"{state(ordered[0]).word.upper()}, SUMMARY"
        start = count_of_incidents(ordered)
    else:
        state_words = _state_words(ordered[0])
        start = f"{count_of_incidents(ordered)} {verb_of_several(alert)}"
    facts = "; ".join(_fact(news) for news in ordered[:_MOST_FACTS])
    return ascii_line(f"[{state_words}] {start}: {facts}", LONGEST)


def _state_words(news: News) -> str:
    """Return the words in brackets: `ERROR`, `WORSE, CRITICAL`, `ERROR, SYSTEMIC, IMPORT-42`."""
    words = [state(news).word]
    incident = news.incident
    if incident is not None and incident.open and incident.cause is Cause.VIOLATED:
        if news.reason in _STATE_WORDS:
            words = [_STATE_WORDS[news.reason]]
            if incident.severity is Severity.CRITICAL:
                words.append(incident.severity.label)
        if incident.systemic and news.reason not in RULE_REASONS:
            words.append("systemic")
        if incident.ticket and news.reason not in RULE_REASONS:
            words.append(ascii_line(incident.ticket, _LONGEST_TICKET))
    return ", ".join(words).upper()


def _fact(news: News) -> str:
    """Return what is so, with its number. Code is not marked in a subject."""
    return _marked_fact(news).replace("`", "")


def _marked_fact(news: News) -> str:
    incident = news.incident
    if news.reason in RULE_REASONS or incident is None:
        return _after_title(news, news.noise or news.sentence)
    if not incident.open:
        return _ended_fact(news, incident)
    if incident.cause is Cause.ERRORED:
        return _after_title(news, incident.error)
    text = news.fact or news.sentence or f"{incident.violations:,} violations"
    return f"{text[:1].upper()}{text[1:]}"


def _ended_fact(news: News, incident: Incident) -> str:
    """Return the rule's title, which holds again, and what became of its rows."""
    if incident.cause is Cause.VIOLATED:
        return _after_title(news, _resolutions_briefly(incident.resolutions))
    end = incident.resolved_at or incident.opened_at
    duration = format_rounded(end - incident.opened_at)
    return f"{title(news)}, {_ENDED[incident.cause]} {duration}"


def _resolutions_briefly(resolutions: Mapping[Resolution, int]) -> str:
    """Return `2 repaired, 1 deleted`; never `repaired` for rows that were not checked again."""
    parts = []
    for resolution, manner in MANNERS.items():
        if resolutions.get(resolution, 0):
            parts.append(f"{resolutions[resolution]:,} {manner}")
    unchecked = sum(resolutions.get(resolution, 0) for resolution in UNCHECKED_RESOLUTIONS)
    if unchecked:
        parts.append(f"{unchecked:,} not checked again")
    return ", ".join(parts)


def _after_title(news: News, fact: str) -> str:
    if not fact:
        return title(news)
    if is_about_source(news):
        return f"{title(news)}: {fact}"
    return f"{ascii_line(title(news), _LONGEST_TITLE)}: {fact}"
