"""The sentences of a mail: numbers first, singular and plural right, and never more than a run saw. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from sanityd.alerts.compose.sanitize import escaped
from sanityd.alerts.compose.times import brief, day, length, moment
from sanityd.model import (
    Alert,
    Cause,
    Change,
    Incident,
    News,
    Reason,
    Resolution,
    Severity,
    Triage,
    TriageAction,
)

_REPAIRS = {Resolution.FIXED: "repaired", Resolution.ROW_GONE: "deleted"}
_DEPARTURES = {
    Resolution.LEFT_SCOPE: "no longer concerned by the rule",
    Resolution.NOT_RETURNED: "no longer found",
}
_UNSEEN = {
    Resolution.RULE_CHANGED: "the rule was changed",
    Resolution.RULE_REMOVED: "the rule left the rules file",
}
_DECISIONS = {
    TriageAction.ACKNOWLEDGED: "acknowledgement",
    TriageAction.SNOOZED: "snooze",
    TriageAction.ACCEPTED: "acceptance",
    TriageAction.CLOSED: "closing",
}
#: Reasons that are about the rule itself, and the words if nobody said more.
ABOUT_NOISE = {
    Reason.DOWNGRADE_NOTICE: "this rule will become a warning",
    Reason.DOWNGRADED: "this rule counts as less than it is declared as",
    Reason.RESTORED: "this rule counts as it is declared again",
    Reason.FLAPPING_STARTED: "this rule comes and goes",
    Reason.FLAPPING_ENDED: "this rule is calm again",
}
_COUNTABLE = ("error", "warning", "info")
_TOGETHER = {
    Reason.OPENED: ("is violated", "are violated"),
    Reason.ESCALATED: ("got worse", "got worse"),
    Reason.UPDATED: ("found new rows", "found new rows"),
    Reason.REMINDER: ("is still violated", "are still violated"),
    Reason.SOURCE_DOWN: ("does not answer", "do not answer"),
    Reason.ERRORED: ("can't be checked", "can't be checked"),
    Reason.DOWNGRADE_NOTICE: ("will become a warning", "will become warnings"),
    Reason.DOWNGRADED: ("counts for less", "count for less"),
    Reason.RESTORED: ("counts as declared again", "count as declared again"),
    Reason.FLAPPING_STARTED: ("comes and goes", "come and go"),
    Reason.FLAPPING_ENDED: ("is calm again", "are calm again"),
}


@dataclass(frozen=True, slots=True)
class State:
    """What stands in front of everything: a word, the colour that goes with it, and how early it is listed."""

    word: str
    #: `critical`, `error`, `warning`, `info`, `blind` or `resolved`.
    tone: str
    weight: float


def state(news: News) -> State:
    """The state that one piece of news tells of. What is closed unseen, or is only seen again, is never `resolved`."""
    incident = news.incident
    if news.reason in ABOUT_NOISE or incident is None:
        return State(news.reason.value.replace("_", " "), "info", 0.5)
    blind = incident.cause is not Cause.VIOLATED
    if incident.open and blind:
        return State(_BLIND[incident.cause], "blind", 2.5)
    if incident.open:
        return State(incident.severity.label, incident.severity.label, incident.severity)
    if blind:
        return State(_SEEING[incident.cause], "resolved", 0)
    return (
        State("closed", "info", 0)
        if unseen(incident.resolutions)
        else State("resolved", "resolved", 0)
    )


_BLIND = {
    Cause.ERRORED: "not checked",
    Cause.SOURCE_DOWN: "source down",
    Cause.RULES_WRONG: "rules wrong",
}
_SEEING = {
    Cause.ERRORED: "checked again",
    Cause.SOURCE_DOWN: "answers again",
    Cause.RULES_WRONG: "read again",
}


def ordered(news: Sequence[News]) -> list[News]:
    """The worst first, otherwise as they came."""
    return sorted(news, key=lambda one: -state(one).weight)


def is_about_source(news: News) -> bool:
    """Whether it belongs to a source and to no rule."""
    return news.incident is not None and news.incident.cause is Cause.SOURCE_DOWN


def is_about_rules_file(news: News) -> bool:
    """Whether it belongs to the file, and to no rule of it."""
    return news.incident is not None and news.incident.cause is Cause.RULES_WRONG


def title(news: News) -> str:
    """The rule's title, or which source it is."""
    if is_about_source(news):
        return escaped(
            f"Source {news.rule.source or (news.incident.source if news.incident else '')}"
        )
    return escaped(news.rule.title)


def how_many(news: Sequence[News]) -> str:
    """`3 rules`, `2 sources`, or `5 incidents` when there are both."""
    sources = sum(is_about_source(one) for one in news)
    word = "rule" if not sources else "source" if sources == len(news) else "incident"
    return f"{len(news):,} {word}{'' if len(news) == 1 else 's'}"


def together(alert: Alert) -> str:
    """The one sentence of a mail that tells of several incidents."""
    count, single = how_many(alert.news), len(alert.news) == 1
    if alert.reason in _TOGETHER:
        words = _TOGETHER[alert.reason][not single]
    elif alert.reason is Reason.RESOLVED:
        words = _when_all_over(alert, single)
    else:
        words = "has news" if single else "have news"
    return f"{count} {words}{_tally(alert.news)}."


def _when_all_over(alert: Alert, single: bool) -> str:
    """What can be said of several incidents that are over, which is less when one of them was closed unseen."""
    words = {state(news).word for news in alert.news}
    if words == {"resolved"}:
        return "holds again" if single else "hold again"
    if words == {"answers again"}:
        return "answers again" if single else "answer again"
    if words == {"checked again"}:
        return "can be checked again"
    return "is over" if single else "are over"


def _tally(news: Sequence[News]) -> str:
    words = Counter(state(one).word for one in ordered(news))
    said = [
        f"{count:,} {word}{'s' if count > 1 and word in _COUNTABLE else ''}"
        for word, count in words.items()
    ]
    return f": {', '.join(said)}" if len(said) > 1 else ""


def headline(news: News, at: datetime, zone: tzinfo) -> str:
    """The one sentence that matters, with a full stop."""
    incident, reason = news.incident, news.reason
    if reason is Reason.DOWNGRADE_NOTICE and news.due is not None:
        return f"This rule will become {_lower(incident)} {on(news.due, at, zone)}."
    if reason in ABOUT_NOISE or incident is None:
        return _sentence(
            news.noise or news.sentence or ABOUT_NOISE.get(reason, "this rule has news")
        )
    if not incident.open:
        return _when_over(news, incident)
    said = _sentence(news.sentence or f"{incident.violations:,} violations")
    if reason is Reason.REMINDER:
        return f"Still so after {length(at - incident.opened_at)}: {said}"
    known = (
        news.last_notification.violations
        if reason is Reason.ESCALATED and news.last_notification
        else None
    )
    if known in (None, incident.violations) or incident.cause is not Cause.VIOLATED:
        return said
    return f"{said.removesuffix('.')} ({known:,} at the last mail)."


def _when_over(news: News, incident: Incident) -> str:
    match incident.cause:
        case Cause.ERRORED:
            return "The rule can be checked again."
        case Cause.SOURCE_DOWN:
            return f"Source `{escaped(incident.source)}` answers again."
        case Cause.RULES_WRONG:
            return "The rules file is read again."
    return what_became(incident.resolutions, incident.violations)


def _lower(incident: Incident | None) -> str:
    severity = incident.severity if incident is not None else Severity.ERROR
    return "an error" if severity is Severity.CRITICAL else "a warning"


def on(when: datetime, at: datetime, zone: tzinfo) -> str:
    """A time to come, as it is said after a verb: `tomorrow 09:05`, `on 26 Nov 09:05`."""
    said = moment(when, at, zone)
    return said if said.startswith(("today", "tomorrow")) else f"on {said}"


def _sentence(text: str) -> str:
    """Words as they are said in the middle of something, as a sentence of their own."""
    plain = escaped(" ".join(text.split()), 500).rstrip(".")
    return f"{plain[:1].upper()}{plain[1:]}."


def facts(news: News, at: datetime, zone: tzinfo) -> list[str]:
    """The sentences below it: since when, how it changed, and what the look at it covered."""
    incident = news.incident
    if news.reason in ABOUT_NOISE or incident is None:
        return _about_noise(news)
    if not incident.open:
        return [_duration(incident, at, zone), *_last_look(news, incident, at, zone)]
    since = moment(incident.opened_at, at, zone)
    if incident.cause is not Cause.VIOLATED:
        return [
            f"Since {since}. That says nothing about the data: nothing is opened or resolved meanwhile."
        ]
    age = at - incident.opened_at
    ago = f", {length(age)} ago" if age >= timedelta(minutes=1) else ""
    return [
        *_systemic(incident),
        f"First seen {since}{ago}.",
        *_worse(news, incident),
        *_decided(news, incident, at, zone),
        *_fresh(news, at, zone),
        *(() if news.reason is Reason.UPDATED else _changes(news)),
        _checked(news, incident, at, zone),
    ]


def noise(news: News, command: str) -> str:
    """The line that every mail of a rule has whose severity was changed; empty when it is said above already."""
    if not news.noise or news.reason in ABOUT_NOISE:
        return ""
    said = _sentence(news.noise)
    return said if "noise undo" in said else f"{said.removesuffix('.')}; undo: `{command}`."


def what_became(fates: Mapping[Resolution, int], remaining: int) -> str:
    """What became of the rows of an incident that is over, as in `3 were repaired (2) or deleted (1)`.

    What nobody looked at again is never called repaired. `remaining` is how many still violate, below the threshold.
    """
    sentences = [
        _counted(fates, _REPAIRS, "was", "were"),
        _counted(fates, _DEPARTURES, "is", "are"),
        *(
            f"{count:,} {'was' if count == 1 else 'were'} not looked at again, because {why}."
            for fate, why in _UNSEEN.items()
            if (count := fates.get(fate, 0))
        ),
    ]
    if remaining:
        sentences.append(
            f"{remaining:,} {'remains' if remaining == 1 else 'remain'}, fewer than the rule minds."
        )
    return " ".join(sentence for sentence in sentences if sentence) or "The rule holds again."


def unseen(fates: Mapping[Resolution, int]) -> bool:
    """Whether it is over because of the rules file, not because of the data."""
    return any(fates.get(fate, 0) for fate in _UNSEEN)


def _counted(
    fates: Mapping[Resolution, int], words: Mapping[Resolution, str], one: str, many: str
) -> str:
    counts = {word: fates.get(fate, 0) for fate, word in words.items() if fates.get(fate, 0)}
    total = sum(counts.values())
    if not counts:
        return ""
    parts = [word if len(counts) == 1 else f"{word} ({count:,})" for word, count in counts.items()]
    return f"{total:,} {one if total == 1 else many} {' or '.join(parts)}."


def _about_noise(news: News) -> list[str]:
    said = [_sentence(news.noise)] if news.reason is Reason.DOWNGRADE_NOTICE and news.noise else []
    match news.reason:
        case Reason.DOWNGRADE_NOTICE | Reason.DOWNGRADED:
            said.append("It is checked and listed as before; only what it counts as changes.")
        case Reason.RESTORED:
            said.append("You are mailed of it as before.")
        case Reason.FLAPPING_STARTED:
            said.append(
                "It is quiet until it is calm. Its severity stays, and what is worse than before is told at once."
            )
        case Reason.FLAPPING_ENDED:
            said.append("You are mailed of it as before.")
    if news.sentence and news.incident is not None and news.incident.open:
        said.append(f"Now: {_sentence(news.sentence)}")
    return said


def _duration(incident: Incident, at: datetime, zone: tzinfo) -> str:
    end = incident.resolved_at or at
    span = f"from {moment(incident.opened_at, at, zone)} to {brief(end, at, zone)}"
    lasted = end - incident.opened_at
    return f"It lasted {length(lasted) if lasted >= timedelta(seconds=1) else 'less than a second'}, {span}."


def _last_look(news: News, incident: Incident, at: datetime, zone: tzinfo) -> list[str]:
    match incident.cause:
        case Cause.SOURCE_DOWN:
            return [
                "Its rules were not checked meanwhile; each is looked at anew before anything is told of it."
            ]
        case Cause.RULES_WRONG:
            return ["Since then the rules are looked at as the file says now."]
        case Cause.ERRORED:
            return ["What it says about the data is told on its own, if there is anything to tell."]
    return [] if unseen(incident.resolutions) else [_checked(news, incident, at, zone)]


def _systemic(incident: Incident) -> list[str]:
    if not incident.systemic:
        return []
    return [f"One fault, not {incident.violations:,} cases: look for what broke them all at once."]


def _worse(news: News, incident: Incident) -> list[str]:
    told = news.last_notification
    if told is None or told.severity == incident.severity:
        return []
    article = "an" if told.severity.label[0] in "aeiou" else "a"
    return [
        f"It was {article} {told.severity.label} at the last mail and is {incident.severity.label} now."
    ]


def _decided(news: News, incident: Incident, at: datetime, zone: tzinfo) -> list[str]:
    """What a human had decided, and why that holds no longer."""
    decided = news.triage
    if decided is None:
        return []
    what, who = _DECISIONS[decided.action], escaped(decided.author, 60)
    if news.reason is Reason.REMINDER:
        word = "was taken back" if decided.ended == "withdrawn" else "ended"
        said = f"The {what} by {who} {word} {moment(decided.ended_at or decided.until, at, zone)}."
    else:
        said = f"This ends the {what} of {who} of {day(decided.at, at, zone)}: {_grown(decided, incident)}."
    return (
        [said, f"It was for this reason: {_sentence(decided.reason)}"]
        if decided.reason.strip()
        else [said]
    )


def _grown(decided: Triage, incident: Incident) -> str:
    if incident.severity > decided.severity:
        return f"it is {incident.severity.label} now"
    if incident.violations >= 2 * max(decided.violations, 1):
        return "it has doubled since"
    return "it has grown since"


def _fresh(news: News, at: datetime, zone: tzinfo) -> list[str]:
    """How many rows the reader does not know, for a mail that is about them."""
    told = news.last_notification.at if news.last_notification else None
    if news.reason is not Reason.UPDATED or told is None:
        return []
    count = sum(row.first_seen > told for row in news.rows)
    least = "" if news.complete else "At least "
    return (
        [f"{least}{count:,} new since the last mail of {brief(told, at, zone)}."] if count else []
    )


def _changes(news: News) -> list[str]:
    new, solved = news.changes.get(Change.NEW, 0), news.changes.get(Change.RESOLVED, 0)
    back = news.changes.get(Change.REGRESSED, 0)
    if news.reason is Reason.OPENED:
        return (
            [
                f"{back:,} {'was' if back == 1 else 'were'} solved within the last week and came back."
            ]
            if back
            else []
        )
    parts = [
        f"{new:,} new" if new else "",
        f"{back:,} came back" if back else "",
        f"{solved:,} solved" if solved else "",
    ]
    said = [part for part in parts if part]
    return [f"Since the run before: {', '.join(said)}."] if said else []


def _checked(news: News, incident: Incident, at: datetime, zone: tzinfo) -> str:
    when = brief(news.looked_at or at, at, zone)
    if news.stale_since is not None:
        return f"Not verified since {moment(news.stale_since, at, zone)}: this is what the look of {when} saw."
    if not news.complete:
        return (
            f"Checked {when}: the number is exact, but there are too many to follow each of them."
        )
    match incident.checked:
        case None | 0:
            return f"Checked {when}, complete."
        case 1:
            return f"Checked {when}, the one row in scope was read."
        case count:
            return f"Checked {when}, all {count:,} {_population(news)} in scope were read."


def _population(news: News) -> str:
    """The table's own word, as in `1,000 people`, where there is a table."""
    return escaped(news.rule.table.rpartition(".")[2], 60) or "rows"
