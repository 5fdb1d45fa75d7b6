"""Alert → Letter: all that a template may use, in words that are harmless already. Knows neither HTML nor templates."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from sanityd.alerts.compose import phrases
from sanityd.alerts.compose.rows_table import BUDGET, Chosen, RowsTable, choose, listing
from sanityd.alerts.compose.run_bars import Bar, bars
from sanityd.alerts.compose.sanitize import escaped, paragraphs
from sanityd.model import Alert, Cause, News, Reason

#: How many incidents one mail lists, how many rows of each of several, and how long the words of a rule may be.
MOST_PARTS, FEW_ROWS, WORDS = 12, 3, 2000
#: When reminders come if the rules file says nothing, counted from the news.
REMIND = (timedelta(days=1), timedelta(days=3), timedelta(days=7))
_UNDONE = {Reason.DOWNGRADE_NOTICE: "STOP IT", Reason.DOWNGRADED: "UNDO IT"}


@dataclass(frozen=True, slots=True)
class Form:
    """How a letter is to be written: the zone of its times, who writes it, how many rows it lists, when it reminds."""

    zone: tzinfo
    version: str
    instance: str = ""
    rows: int = 15
    remind: tuple[timedelta, ...] = REMIND
    #: By how much everything must be shorter than usual, so that the mail is not cut.
    tight: int = 1

    @property
    def parts(self) -> int:
        """How many incidents are listed."""
        return max(1, MOST_PARTS // self.tight)


@dataclass(frozen=True, slots=True)
class Part:
    """What a letter says about one incident, or about one rule's noise. What is empty is left out."""

    #: `opened`, `escalated`, …
    reason: str
    #: `error`, `not checked`, `resolved`, …: the word on top.
    state: str
    #: Its colour: `critical`, `error`, `warning`, `info`, `blind` or `resolved`.
    tone: str
    title: str
    headline: str
    facts: list[str]
    why: list[str]
    fix: list[str]
    owner: str
    rows: RowsTable
    #: What stands above the rows.
    rows_title: str
    history: tuple[Bar, ...]
    #: The rule's id, as it is written in commands.
    rule: str
    #: The command to look with.
    look: str
    #: Where the rule stands and at which revision: `rules.yaml:21, revision 4f2c9e1`.
    place: str
    #: The command to act with, and what stands above it.
    act: str
    act_title: str
    #: What the policy of noise did to the rule.
    noise: str
    #: When people hear of it again.
    next: str


@dataclass(frozen=True, slots=True)
class EmailView:
    """A whole message. One about a single incident has one part, and says the same above it."""

    reason: str
    state: str
    tone: str
    title: str
    headline: str
    facts: list[str]
    parts: list[Part]
    #: How many incidents are not listed.
    more: int
    #: Why this mail came, and from where.
    because: str
    #: What went wrong with the team's own template.
    note: str = ""


def rows_of(alert: Alert, form: Form) -> list[tuple[Chosen, ...]]:
    """The rows that are listed of each of the alert's news."""
    most = max(1, form.rows // form.tight)
    few = most if len(alert.news) == 1 else min(most, FEW_ROWS)
    shown = {id(news) for news in phrases.ordered(alert.news)[: form.parts]}
    return [
        choose(
            news.rows,
            few,
            news.last_notification.at
            if news.last_notification and news.reason is Reason.UPDATED
            else None,
        )
        if id(news) in shown
        else ()
        for news in alert.news
    ]


def email_view(alert: Alert, chosen: Sequence[Sequence[Chosen]], form: Form) -> EmailView:
    """The words of a message. Parameters: `chosen` are the rows to list, for each of the alert's news."""
    rows = {id(news): listed for news, listed in zip(alert.news, chosen, strict=True)}
    ordered = phrases.ordered(alert.news)
    listed = ordered[: form.parts]
    budget = BUDGET // form.tight // len(listed)
    parts = [_part(news, rows[id(news)], alert.at, form, budget) for news in listed]
    first = parts[0]
    is_single = len(parts) == 1 and alert.reason is not Reason.SUMMARY
    return EmailView(
        reason=alert.reason.value,
        state=first.state,
        tone=first.tone,
        title=first.title if is_single else phrases.how_many(alert.news),
        headline=first.headline if is_single else phrases.together(alert),
        facts=first.facts if is_single else _why_one_mail(alert),
        parts=parts,
        more=len(ordered) - len(listed),
        because=because(alert, form),
    )


def sender(form: Form) -> str:
    """Who wrote the letter: `sanityd prod, 0.1.0, Europe/Berlin`."""
    name = " ".join(part for part in ("sanityd", escaped(form.instance)) if part)
    return f"{name}, {escaped(form.version)}, {form.zone}"


def because(alert: Alert, form: Form) -> str:
    """Why this mail came, and from where."""
    is_one = len(alert.news) == 1 and not phrases.is_about_source(alert.news[0])
    who = (
        "the rule notifies"
        if is_one
        else "these rules notify"
        if len(alert.news) > 1
        else "its rules notify"
    )
    return f"You get this because {who} `{escaped(alert.channel)}`. {sender(form)}."


def _why_one_mail(alert: Alert) -> list[str]:
    if alert.reason is Reason.SUMMARY:
        return [
            "They come as one mail, as there was too much for a mail each or mail could not be sent for a while."
        ]
    return []


def _part(news: News, chosen: Sequence[Chosen], at: datetime, form: Form, budget: int) -> Part:
    rule, incident = news.rule, news.incident
    state = phrases.state(news)
    is_violated = incident is not None and incident.cause is Cause.VIOLATED
    is_open = incident is not None and incident.open
    total = incident.violations if incident is not None else 0
    place = [escaped(rule.location), f"revision {escaped(rule.revision)}" if rule.revision else ""]
    name = shlex.quote(escaped(rule.id))
    act_title, act = _act(news, name)
    is_about_rule = not (phrases.is_about_source(news) or phrases.is_about_rules_file(news))
    return Part(
        reason=news.reason.value,
        state=state.word,
        tone=state.tone,
        title=phrases.title(news),
        headline=phrases.headline(news, at, form.zone),
        facts=phrases.facts(news, at, form.zone),
        why=paragraphs(rule.why, WORDS // form.tight) if is_open and is_violated else [],
        fix=_fix(news, WORDS // form.tight),
        owner=escaped(rule.owner),
        rows=listing(chosen, total, rule.key, at=at, zone=form.zone, budget=budget),
        rows_title="WHICH ONES" if is_open else "STILL THERE",
        history=bars(news.history) if is_about_rule else (),
        rule=name,
        look=_look(news, name),
        place=", ".join(part for part in place if part) if is_about_rule else "",
        act=act,
        act_title=act_title,
        noise=phrases.noise(news, f"sanityd noise undo {name}"),
        next=_next(news, at, form),
    )


def _look(news: News, name: str) -> str:
    """The command that shows it."""
    if phrases.is_about_rules_file(news):
        return "sanityd lint"
    return "sanityd lint --connect" if phrases.is_about_source(news) else f"sanityd try {name}"


def _fix(news: News, limit: int) -> list[str]:
    """What to do: of data the rule's own words, of a failure the words of who found it."""
    incident = news.incident
    if incident is not None and not incident.open:
        return []
    if incident is not None and incident.cause is not Cause.VIOLATED:
        return paragraphs(incident.hint, limit)
    return paragraphs(news.rule.fix, limit)


def _act(news: News, name: str) -> tuple[str, str]:
    incident = news.incident
    if news.reason in _UNDONE:
        return _UNDONE[news.reason], f"sanityd noise undo {name}"
    if incident is not None and incident.open and incident.cause is Cause.VIOLATED:
        return "QUIETEN IT", f'sanityd ack {name} --for 3d --reason "…"'
    return "", ""


def _next(news: News, at: datetime, form: Form) -> str:
    incident = news.incident
    match news.reason:
        case Reason.FLAPPING_STARTED:
            return "You hear again when it is calm, or when it is worse than before."
        case Reason.DOWNGRADE_NOTICE | Reason.DOWNGRADED | Reason.RESTORED | Reason.FLAPPING_ENDED:
            return ""
    if incident is None:
        return ""
    if not incident.open:
        return "" if phrases.unseen(incident.resolutions) else "You hear again if it comes back."
    match incident.cause:
        case Cause.ERRORED:
            return "You hear again when it can be checked."
        case Cause.SOURCE_DOWN:
            return "You hear again when it answers."
        case Cause.RULES_WRONG:
            return "You hear again when it is read."
    return f"You hear again when it doubles, is solved, or {_reminder(news, at, form)}."


def _reminder(news: News, at: datetime, form: Form) -> str:
    """When the next reminder comes, if nothing else does; after an update it depends on the mails before."""
    if news.reason is Reason.UPDATED or not form.remind:
        return "when a reminder is due"
    known = (
        news.last_notification.reminders + 1
        if news.last_notification is not None and news.reason is Reason.REMINDER
        else 0
    )
    steps = form.remind
    # The last step repeats itself, so it is a distance and not a point in time.
    if known >= len(steps) - 1:
        return phrases.on(at + steps[-1], at, form.zone)
    return phrases.on(
        at + steps[known] - (steps[known - 1] if known else timedelta(0)), at, form.zone
    )
