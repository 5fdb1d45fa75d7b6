"""The state of an incident, as it stands in the subject and on top of a mail. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sanityd.alerts.compose.sanitize import escape_hidden
from sanityd.model import Cause, News, Reason, Resolution

#: Reasons that are about the rule itself.
RULE_REASONS = {
    Reason.DOWNGRADE_NOTICE,
    Reason.DOWNGRADED,
    Reason.RESTORED,
    Reason.FLAPPING_STARTED,
    Reason.FLAPPING_ENDED,
    Reason.REMEDY_STOPPED,
    Reason.REMEDY_FAILED,
}
_NOT_CHECKED = {
    Cause.ERRORED: "not checked",
    Cause.SOURCE_DOWN: "source down",
    Cause.RULES_WRONG: "rules wrong",
}
_CHECKED_AGAIN = {
    Cause.ERRORED: "checked again",
    Cause.SOURCE_DOWN: "answers again",
    Cause.RULES_WRONG: "read again",
}
#: Resolutions without a check: they follow from a change of the rules file.
UNCHECKED_RESOLUTIONS = {
    Resolution.RULE_CHANGED: "the rule was changed",
    Resolution.RULE_REMOVED: "the rule was removed from the rules file",
}


@dataclass(frozen=True, slots=True)
class State:
    """The state word, its colour, and its position among others: a higher weight comes first."""

    word: str
    #: `critical`, `error`, `warning`, `info`, `blind` or `resolved`.
    tone: str
    weight: float


def state(news: News) -> State:
    """Return the state of an incident or a rule.

    An incident that was closed without a check, or whose rule can only be checked again, never
    has the word `resolved`.
    """
    incident = news.incident
    if news.reason in RULE_REASONS or incident is None:
        return State(news.reason.value.replace("_", " "), "info", 0.5)
    if incident.open:
        if incident.cause is not Cause.VIOLATED:
            return State(_NOT_CHECKED[incident.cause], "blind", 2.5)
        return State(incident.severity.label, incident.severity.label, incident.severity)
    if incident.cause is not Cause.VIOLATED:
        return State(_CHECKED_AGAIN[incident.cause], "resolved", 0)
    if ended_unchecked(incident.resolutions):
        return State("closed", "info", 0)
    return State("resolved", "resolved", 0)


def ended_unchecked(resolutions: Mapping[Resolution, int]) -> bool:
    """Return whether an incident ended because the rules file changed, and not the data."""
    return any(resolutions.get(resolution, 0) for resolution in UNCHECKED_RESOLUTIONS)


def by_severity(news: Sequence[News]) -> list[News]:
    """Return the news with the worst state first; equal ones keep their order."""
    return sorted(news, key=_negative_weight)


def _negative_weight(news: News) -> float:
    return -state(news).weight


def is_about_source(news: News) -> bool:
    """Return whether the incident belongs to a source and not to a rule."""
    return news.incident is not None and news.incident.cause is Cause.SOURCE_DOWN


def is_about_rules_file(news: News) -> bool:
    """Return whether the incident belongs to the rules file and not to one of its rules."""
    return news.incident is not None and news.incident.cause is Cause.RULES_WRONG


def title(news: News) -> str:
    """Return the rule's title, or the name of the source."""
    if not is_about_source(news):
        return escape_hidden(news.rule.title)
    source = news.rule.source
    if not source and news.incident is not None:
        source = news.incident.source
    return escape_hidden(f"Source {source}")
