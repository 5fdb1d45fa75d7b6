"""The headline of a mail: numbers first, and never more than a run has verified. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo

from sanityd.alerts.compose.sanitize import escape_hidden
from sanityd.alerts.compose.state import (
    RULE_REASONS,
    UNCHECKED_RESOLUTIONS,
    by_severity,
    is_about_source,
    state,
)
from sanityd.alerts.compose.times import format_rounded, format_time, format_time_briefly
from sanityd.model import Alert, Cause, Incident, News, Outlook, Reason, Resolution, Severity

_REPAIRS = {Resolution.FIXED: "repaired", Resolution.ROW_GONE: "deleted"}
_DEPARTURES = {
    Resolution.LEFT_SCOPE: "no longer in scope",
    Resolution.NOT_RETURNED: "no longer found",
}
#: What became of rows that were checked again.
MANNERS = {**_REPAIRS, **_DEPARTURES}
#: Headlines about a rule that has no sentence of its own.
_RULE_HEADLINES = {
    Reason.DOWNGRADE_NOTICE: "this rule will be downgraded to a warning",
    Reason.DOWNGRADED: "this rule is downgraded",
    Reason.RESTORED: "this rule has its declared severity again",
    Reason.FLAPPING_STARTED: "this rule is flapping",
    Reason.FLAPPING_ENDED: "this rule is no longer flapping",
    Reason.REMEDY_STOPPED: "the remedy of this rule has stopped",
    Reason.REMEDY_FAILED: "a request of the remedy of this rule failed",
}
_SEVERITIES_WITH_PLURAL = ("error", "warning", "info")
#: The verbs of a mail about one incident, and about several.
_VERBS = {
    Reason.OPENED: ("is violated", "are violated"),
    Reason.ESCALATED: ("got worse", "got worse"),
    Reason.UPDATED: ("has new violations", "have new violations"),
    Reason.REMINDER: ("is still violated", "are still violated"),
    Reason.SOURCE_DOWN: ("does not answer", "do not answer"),
    Reason.ERRORED: ("can't be checked", "can't be checked"),
    Reason.DOWNGRADE_NOTICE: ("will be downgraded", "will be downgraded"),
    Reason.DOWNGRADED: ("is downgraded", "are downgraded"),
    Reason.RESTORED: ("has its declared severity again", "have their declared severity again"),
    Reason.FLAPPING_STARTED: ("is flapping", "are flapping"),
    Reason.FLAPPING_ENDED: ("is no longer flapping", "are no longer flapping"),
    Reason.REMEDY_STOPPED: ("is not repaired any more", "are not repaired any more"),
    Reason.REMEDY_FAILED: ("has a failed remedy", "have failed remedies"),
}
_RESOLVED_VERBS = {
    "resolved": ("holds again", "hold again"),
    "answers again": ("answers again", "answer again"),
    "checked again": ("can be checked again", "can be checked again"),
}
_UPDATED = ("has updates", "have updates")
_ENDED = ("is over", "are over")


def count_of_incidents(news: Sequence[News]) -> str:
    """Return `3 rules`, `2 sources`, or `5 incidents` when there are both."""
    sources = sum(is_about_source(item) for item in news)
    noun = "incident"
    if sources == 0:
        noun = "rule"
    elif sources == len(news):
        noun = "source"
    plural = "" if len(news) == 1 else "s"
    return f"{len(news):,} {noun}{plural}"


def headline_of_several(alert: Alert) -> str:
    """Return the headline of a mail about several incidents."""
    verb = verb_of_several(alert)
    return f"{count_of_incidents(alert.news)} {verb}{_counts_by_state(alert.news)}."


def verb_of_several(alert: Alert) -> str:
    """Return the verb for the incidents of a mail: `are violated`."""
    singular, plural = _verbs(alert)
    return singular if len(alert.news) == 1 else plural


def _verbs(alert: Alert) -> tuple[str, str]:
    if alert.reason in _VERBS:
        return _VERBS[alert.reason]
    if alert.reason is not Reason.RESOLVED:
        return _UPDATED
    words = {state(news).word for news in alert.news}
    # When some were resolved and others only closed, the common verb claims no more than that.
    if len(words) > 1:
        return _ENDED
    return _RESOLVED_VERBS.get(words.pop(), _ENDED)


def _counts_by_state(news: Sequence[News]) -> str:
    """Return `: 1 critical, 2 errors`; nothing when all have the same state."""
    counts = Counter(state(item).word for item in by_severity(news))
    if len(counts) < 2:
        return ""
    parts = []
    for word, count in counts.items():
        plural = "s" if count > 1 and word in _SEVERITIES_WITH_PLURAL else ""
        parts.append(f"{count:,} {word}{plural}")
    return f": {', '.join(parts)}"


def headline(news: News, at: datetime, zone: tzinfo) -> str:
    """Return the most important sentence about an incident, with a full stop."""
    incident, reason = news.incident, news.reason
    if reason is Reason.DOWNGRADE_NOTICE and news.due is not None:
        when = time_after_verb(news.due, at, zone)
        return f"This rule will be downgraded to {_downgraded_severity(incident)} {when}."
    if reason in RULE_REASONS or incident is None:
        return _headline_of_rule(news)
    if not incident.open:
        return _headline_when_resolved(incident)
    sentence = as_sentence(news.sentence or f"{incident.violations:,} violations")
    if reason is Reason.REMINDER:
        return f"Still open after {format_rounded(at - incident.opened_at)}: {sentence}"
    if reason is Reason.ESCALATED:
        return _with_last_count(sentence, news, incident)
    return sentence


def _headline_of_rule(news: News) -> str:
    default = _RULE_HEADLINES.get(news.reason, "this rule has updates")
    return as_sentence(news.noise or news.sentence or default)


def _with_last_count(sentence: str, news: News, incident: Incident) -> str:
    """Add the number of violations in the last mail, if there was another one."""
    if news.last_notification is None or incident.cause is not Cause.VIOLATED:
        return sentence
    last_count = news.last_notification.violations
    if last_count == incident.violations:
        return sentence
    return f"{sentence.removesuffix('.')} ({last_count:,} at the last mail)."


def _headline_when_resolved(incident: Incident) -> str:
    match incident.cause:
        case Cause.ERRORED:
            return "The rule can be checked again."
        case Cause.SOURCE_DOWN:
            return f"Source `{escape_hidden(incident.source)}` answers again."
        case Cause.RULES_WRONG:
            return "The rules file can be read again."
    return what_became(incident.resolutions, incident.violations)


def _downgraded_severity(incident: Incident | None) -> str:
    if incident is not None and incident.severity is Severity.CRITICAL:
        return "an error"
    return "a warning"


def time_after_verb(when: datetime, at: datetime, zone: tzinfo) -> str:
    """Return a future time as it follows a verb: `tomorrow 09:05`, `on 26 Nov 09:05`."""
    text = format_time(when, at, zone)
    if text.startswith(("today", "tomorrow")):
        return text
    return f"on {text}"


def next_notification(outlook: Outlook, at: datetime, zone: tzinfo) -> str:
    """Return when the recipient is notified again; empty when that can't be."""
    if outlook.quiet_from is not None and outlook.quiet_from <= at:
        return _when_long_running("You are", outlook)
    occasions = list(_occasions(outlook, at, zone))
    if not occasions:
        return ""
    *others, last = occasions
    listed = f"{', '.join(others)}, or {last}" if others else last
    sentence = f"You are notified again {listed}."
    if outlook.quiet_from is None:
        return sentence
    begin = time_after_verb(outlook.quiet_from, at, zone).removeprefix("on ")
    return f"{sentence} {_when_long_running(f'From {begin} on you are', outlook)}"


def _occasions(outlook: Outlook, at: datetime, zone: tzinfo) -> Iterator[str]:
    """Yield each occasion to notify again, in words."""
    if outlook.grows_to is not None:
        yield f"when there are {outlook.grows_to:,} violations or more"
    if outlook.measures:
        yield "when a measured value is ten times as far off"
    if outlook.update is not None:
        new_rows, begin = outlook.update
        rows = "row violates" if new_rows == 1 else "rows violate"
        when = format_time_briefly(begin, at, zone)
        yield f"when {new_rows:,} more {rows} it (not before {when})"
    if outlook.resolved:
        yield "when it is resolved"
    if outlook.reminder is not None:
        yield time_after_verb(outlook.reminder, at, zone)


def _when_long_running(subject: str, outlook: Outlook) -> str:
    """Return what is notified of an incident that is open for weeks."""
    end = ", or when it is resolved" if outlook.resolved else ""
    limit = f"{outlook.quiet_limit:,}"
    return f"{subject} only notified again when there are more than {limit} violations{end}."


def as_sentence(text: str) -> str:
    """Return the text with a capital letter, a full stop, and no hidden characters."""
    plain = escape_hidden(" ".join(text.split()), 500).rstrip(".")
    return f"{plain[:1].upper()}{plain[1:]}."


def noise(news: News, undo_command: str) -> str:
    """Return the line about a downgrade, for every mail of a downgraded rule.

    Empty when the headline says it already.
    """
    if not news.noise or news.reason in RULE_REASONS:
        return ""
    sentence = as_sentence(news.noise)
    if "noise undo" in sentence:
        return sentence
    return f"{sentence.removesuffix('.')}; undo: `{undo_command}`."


def what_became(resolutions: Mapping[Resolution, int], remaining: int) -> str:
    """Return what became of the rows of a resolved incident: `3 were repaired (2) or deleted (1)`.

    Rows that were not checked again are never called repaired. `remaining` is the number of rows
    that still violate the rule, below its threshold.
    """
    sentences = [
        _counted(resolutions, _REPAIRS, "was", "were"),
        _counted(resolutions, _DEPARTURES, "is", "are"),
    ]
    for resolution, cause in UNCHECKED_RESOLUTIONS.items():
        count = resolutions.get(resolution, 0)
        if count:
            verb = "was" if count == 1 else "were"
            sentences.append(f"{count:,} {verb} not checked again, because {cause}.")
    if remaining:
        verb = "remains" if remaining == 1 else "remain"
        sentences.append(f"{remaining:,} {verb}, below the rule's threshold.")
    return " ".join(sentence for sentence in sentences if sentence) or "The rule holds again."


def _counted(
    resolutions: Mapping[Resolution, int],
    participles: Mapping[Resolution, str],
    singular: str,
    plural: str,
) -> str:
    counts: dict[str, int] = {}
    for resolution, participle in participles.items():
        if resolutions.get(resolution, 0):
            counts[participle] = resolutions[resolution]
    if not counts:
        return ""
    total = sum(counts.values())
    verb = singular if total == 1 else plural
    if len(counts) == 1:
        return f"{total:,} {verb} {next(iter(counts))}."
    parts = [f"{participle} ({count:,})" for participle, count in counts.items()]
    return f"{total:,} {verb} {' or '.join(parts)}."
