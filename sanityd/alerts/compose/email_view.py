"""The view of a mail: all texts that a template may use, sanitized. Knows no HTML."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from sanityd.alerts.compose import phrases
from sanityd.alerts.compose.evidence_lines import mail_lines
from sanityd.alerts.compose.facts import facts
from sanityd.alerts.compose.rows_table import (
    BUDGET,
    ListedRow,
    RowsTable,
    rows_table,
    select_rows,
    with_worst_row,
)
from sanityd.alerts.compose.run_bars import Bar, bars
from sanityd.alerts.compose.sanitize import escape_hidden, sanitized_lines
from sanityd.alerts.compose.state import (
    by_severity,
    ended_unchecked,
    is_about_rules_file,
    is_about_source,
    state,
    title,
)
from sanityd.model import Alert, Cause, News, Reason

#: The most incidents that a mail lists.
MOST_PARTS = 12
#: The most rows of each incident when a mail lists several.
FEW_ROWS = 3
#: The most characters of the rule's texts `why` and `fix`.
MOST_CHARACTERS = 2000
_UNDO_TITLES = {Reason.DOWNGRADE_NOTICE: "STOP IT", Reason.DOWNGRADED: "UNDO IT"}
_NEXT_WHEN_FAILED = {
    Cause.ERRORED: "You are notified again when it can be checked.",
    Cause.SOURCE_DOWN: "You are notified again when it answers.",
    Cause.RULES_WRONG: "You are notified again when it can be read.",
}
_NOT_AGAIN = "You are not notified of it again."
_REMEDY_COMMANDS = {
    Reason.REMEDY_STOPPED: 'sanityd remedy {} --resume --reason "…"',
    Reason.REMEDY_FAILED: 'sanityd remedy {} --reason "…"',
}
_REASONS_WITHOUT_NEXT = {
    Reason.REMEDY_STOPPED,
    Reason.REMEDY_FAILED,
    Reason.DOWNGRADE_NOTICE,
    Reason.DOWNGRADED,
    Reason.RESTORED,
    Reason.FLAPPING_ENDED,
}


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How a mail is rendered.

    `zone` is the time zone of its times, `version` and `instance` identify this sanityd, `rows` is
    the most rows of an incident.
    """

    zone: tzinfo
    version: str
    instance: str = ""
    rows: int = 15
    #: The divisor of all limits, greater than 1 when the mail would be too large otherwise.
    shrink: int = 1

    @property
    def parts(self) -> int:
        """The most incidents that are listed."""
        return max(1, MOST_PARTS // self.shrink)

    @property
    def characters(self) -> int:
        """The most characters of each text of a rule."""
        return MOST_CHARACTERS // self.shrink


@dataclass(frozen=True, slots=True)
class Part:
    """The texts about one incident, or about one downgraded or flapping rule.

    Templates leave out what is empty.
    """

    #: `opened`, `escalated`, …
    reason: str
    #: The state word: `error`, `not checked`, `resolved`, …
    state: str
    #: The colour of the state: `critical`, `error`, `warning`, `info`, `blind` or `resolved`.
    tone: str
    title: str
    headline: str
    facts: list[str]
    why: list[str]
    fix: list[str]
    owner: str
    rows: RowsTable
    #: What other tables knew about the rows.
    evidence: list[str]
    #: The heading of the rows.
    rows_title: str
    history: tuple[Bar, ...]
    #: The rule's id, quoted for a shell.
    rule: str
    #: The command that checks it by hand.
    look: str
    #: The location and the revision of the rule: `rules.yaml:21, revision 4f2c9e1`.
    location: str
    #: The command that acknowledges the incident or undoes a downgrade, and its heading.
    act: str
    act_title: str
    #: The line about a downgrade of the rule.
    noise: str
    #: When the recipient is notified again.
    next: str

    @property
    def place(self) -> str:
        """The former name of `location`, for templates of users."""
        return self.location


@dataclass(frozen=True, slots=True)
class EmailView:
    """The texts of a whole mail.

    A mail about a single incident has one part, and the same state, title and headline as that.
    """

    reason: str
    state: str
    tone: str
    title: str
    headline: str
    facts: list[str]
    parts: list[Part]
    #: How many incidents are not listed.
    more: int
    #: Why the recipient gets this mail, and which sanityd sent it.
    because: str
    #: The note that a user's own template failed.
    note: str = ""


def listed_rows(alert: Alert, options: RenderOptions) -> list[tuple[ListedRow, ...]]:
    """Return the rows to list for each of the alert's news; none for news that are not listed."""
    limit = max(1, options.rows // options.shrink)
    if len(alert.news) > 1:
        limit = min(limit, FEW_ROWS)
    listed_news = {id(news) for news in by_severity(alert.news)[: options.parts]}
    rows: list[tuple[ListedRow, ...]] = []
    for news in alert.news:
        if id(news) not in listed_news:
            rows.append(())
            continue
        new_since = None
        if news.reason is Reason.UPDATED and news.last_notification is not None:
            new_since = news.last_notification.at
        # "and 1 more" takes as much room as the row.
        most = limit + 1 if len(news.rows) == limit + 1 else limit
        rows.append(with_worst_row(select_rows(news.rows, most, new_since), news.rows))
    return rows


def email_view(
    alert: Alert, listed: Sequence[Sequence[ListedRow]], options: RenderOptions
) -> EmailView:
    """Return the texts of a mail. `listed` are the rows to list for each of the alert's news."""
    rows = {id(news): news_rows for news, news_rows in zip(alert.news, listed, strict=True)}
    ordered = by_severity(alert.news)
    listed_news = ordered[: options.parts]
    budget = BUDGET // options.shrink // len(listed_news)
    parts = [_part(news, rows[id(news)], alert.at, options, budget) for news in listed_news]
    first = parts[0]
    view = EmailView(
        reason=alert.reason.value,
        state=first.state,
        tone=first.tone,
        title=first.title,
        headline=first.headline,
        facts=first.facts,
        parts=parts,
        more=len(ordered) - len(listed_news),
        because=because(alert, options),
    )
    if len(parts) == 1 and alert.reason is not Reason.SUMMARY:
        return view
    return replace(
        view,
        title=phrases.count_of_incidents(alert.news),
        headline=phrases.headline_of_several(alert),
        facts=_why_grouped(alert),
    )


def signature(options: RenderOptions) -> str:
    """Return which sanityd sent the mail, and its zone: `sanityd prod, 0.1.0. Times are …`."""
    name = f"sanityd {escape_hidden(options.instance)}" if options.instance else "sanityd"
    return f"{name}, {escape_hidden(options.version)}. Times are in {options.zone}"


def because(alert: Alert, options: RenderOptions) -> str:
    """Return why the recipient gets this mail, and which sanityd sent it."""
    if len(alert.news) > 1:
        subject = "these rules notify"
    elif len(alert.news) == 1 and not is_about_source(alert.news[0]):
        subject = "the rule notifies"
    else:
        subject = "its rules notify"
    return f"You get this because {subject} `{escape_hidden(alert.channel)}`. {signature(options)}."


def _why_grouped(alert: Alert) -> list[str]:
    if alert.reason is not Reason.SUMMARY:
        return []
    return [
        "They are grouped into one mail because of the limit of mails per hour, "
        "or because mail could not be sent for a while."
    ]


def _part(
    news: News,
    listed: Sequence[ListedRow],
    at: datetime,
    options: RenderOptions,
    budget: int,
) -> Part:
    rule, incident = news.rule, news.incident
    is_over = incident is not None and not incident.open
    total = len(news.rows)
    if incident is not None and not is_over:
        total = incident.violations
    rule_name = shlex.quote(escape_hidden(rule.id))
    act_title, act = _act(news, rule_name)
    news_state = state(news)
    return Part(
        reason=news.reason.value,
        state=news_state.word,
        tone=news_state.tone,
        title=title(news),
        headline=phrases.headline(news, at, options.zone),
        facts=facts(news, at, options.zone),
        why=sanitized_lines(rule.why, options.characters) if _is_violated(news) else [],
        fix=_fix(news, options.characters),
        owner=escape_hidden(rule.owner),
        rows=rows_table(
            listed, total, rule.key, at=at, zone=options.zone, budget=budget, ended=is_over
        ),
        evidence=_evidence(news, listed, options),
        rows_title="ROWS" if is_over else "VIOLATIONS",
        history=bars(news.history) if _is_about_rule(news) else (),
        rule=rule_name,
        look=_check_command(news, rule_name),
        location=_location(news),
        act=act,
        act_title=act_title,
        noise=phrases.noise(news, f"sanityd noise undo {rule_name}"),
        next=_next(news, at, options),
    )


def _evidence(news: News, listed: Sequence[ListedRow], options: RenderOptions) -> list[str]:
    """Return the evidence of the first listed rows that have some."""
    rows = [item.row for item in listed if news.evidence.get(item.row.fingerprint)]
    rows = rows[:FEW_ROWS]
    evidence = [news.evidence[row.fingerprint] for row in rows]
    return mail_lines([row.key for row in rows], evidence, options.characters)


def _is_about_rule(news: News) -> bool:
    return not is_about_source(news) and not is_about_rules_file(news)


def _is_violated(news: News) -> bool:
    """Return whether the incident is open because the data violates the rule."""
    incident = news.incident
    return incident is not None and incident.open and incident.cause is Cause.VIOLATED


def _location(news: News) -> str:
    if not _is_about_rule(news):
        return ""
    parts = []
    if news.rule.location:
        parts.append(escape_hidden(news.rule.location))
    if news.rule.revision:
        parts.append(f"revision {escape_hidden(news.rule.revision)}")
    return ", ".join(parts)


def _check_command(news: News, rule_name: str) -> str:
    if is_about_rules_file(news):
        return "sanityd lint"
    if is_about_source(news):
        return "sanityd lint --connect"
    return f"sanityd try {rule_name}"


def _fix(news: News, limit: int) -> list[str]:
    """Return what to do: the rule's `fix` for a violation, the hint of the error for a failure."""
    incident = news.incident
    if incident is None:
        return sanitized_lines(news.rule.fix, limit)
    if not incident.open:
        return []
    if incident.cause is not Cause.VIOLATED:
        return sanitized_lines(incident.hint, limit)
    return sanitized_lines(news.rule.fix, limit)


def _act(news: News, rule_name: str) -> tuple[str, str]:
    """Return the heading and the command to act with; both empty when there is nothing to do."""
    if news.reason in _UNDO_TITLES:
        return _UNDO_TITLES[news.reason], f"sanityd noise undo {rule_name}"
    if news.reason in _REMEDY_COMMANDS:
        return "REPAIR", _REMEDY_COMMANDS[news.reason].format(rule_name)
    if _is_violated(news):
        return "ACKNOWLEDGE", f'sanityd ack {rule_name} --for 3d --reason "…"'
    return "", ""


def _next(news: News, at: datetime, options: RenderOptions) -> str:
    """Return when the recipient is notified again; empty when nothing can be said."""
    incident = news.incident
    if news.reason is Reason.FLAPPING_STARTED:
        return "You are notified again when it stops flapping, or when it gets worse."
    if news.reason in _REASONS_WITHOUT_NEXT or incident is None:
        return ""
    if not incident.open:
        if ended_unchecked(incident.resolutions):
            return ""
        return "You are notified again if it comes back."
    if incident.cause in _NEXT_WHEN_FAILED:
        if not news.outlook.resolved:
            return _NOT_AGAIN
        return _NEXT_WHEN_FAILED[incident.cause]
    return phrases.next_notification(news.outlook, at, options.zone) or _NOT_AGAIN
