"""Who is told what now: every incident is compared with what each of its recipients knows of it.

Nothing here follows from the run that has just ended: `tell` may be called at any time, and says what is to be said
then. So a reminder, the end of a silence or a mail that was lost need no event of their own.

    incidents that aren't settled × their recipients → a Reason each → messages: one per recipient and reason
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from sanityd import __version__
from sanityd.model import Alert, Cause, Change, Incident, News, Outcome, Reason, Severity
from sanityd.notifications import policy
from sanityd.notifications.context import AlertContext, sentence
from sanityd.rules.rule import RuleSet
from sanityd.store import audit, incidents, notification_log, outbox
from sanityd.store.incidents import IncidentRecipient
from sanityd.store.notification_log import DeliveryState

#: How long a message may wait for its mail server before it is given up.
EXPIRES = timedelta(hours=72)
_HOUR = timedelta(hours=1)
#: Decisions after which nothing is left to say of an incident that is over.
_LAST_WORDS = (Reason.RESOLVED, Reason.NEVER_NOTIFIED, Reason.UNCHANGED)
#: What is new, and waits a moment for its like.
_NEW = (Reason.OPENED, Reason.ERRORED, Reason.SOURCE_DOWN)

Recipient = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Decision:
    """Why one recipient hears of one incident, or doesn't, and whether a message was put into the outbox for it.

    `messages` is 1 for the first of those that share a message, so that messages can be counted.
    """

    incident: Incident
    who: Recipient
    reason: Reason
    queued: bool = False
    messages: int = 0

    @property
    def ear(self) -> IncidentRecipient:
        """The incident and who hears of it."""
        return (self.incident.id, *self.who)


def notify(
    memory: Connection,
    rules: RuleSet,
    at: datetime,
    *,
    wait: timedelta = timedelta(0),
    changes: Mapping[str, Mapping[Change, int]] | None = None,
) -> list[Decision]:
    """Decide for every recipient of every incident whether there is news, and put it into the outbox.

    Parameters: `wait` is how long what opens waits for its like; `changes` are what the last runs changed, by rule.
    """
    piled = _take_back_the_backlog(memory, at)
    moment = AlertContext(memory, rules, at)
    decisions = [
        Decision(incident, who, moment.reason(incident, *who))
        for incident in moment.incidents
        for who in recipients(rules, incident)
    ]
    by_who: dict[Recipient, list[Decision]] = {}
    for one in decisions:
        if one.reason.mails:
            by_who.setdefault(one.who, []).append(one)
    mailed = notification_log.mailed_since(memory, at - _HOUR, at)
    sent: dict[IncidentRecipient, Decision] = {}
    for who, news in by_who.items():
        for together in _messages(news, moment, mailed.get(who, []), collapse=who in piled):
            reason = (
                together[0].reason if len({one.reason for one in together}) == 1 else Reason.SUMMARY
            )
            if reason is Reason.RATE_LIMITED:
                sent |= {one.ear: one for one in together}
                continue
            queued = _queue(reason, together, moment, wait, changes or {})
            for place, one in enumerate(together):
                sent[one.ear] = replace(one, queued=queued, messages=int(queued and place == 0))
    told = [sent.get(one.ear, one) for one in decisions]
    _remember(moment, told)
    return told


def recipients(rules: RuleSet, incident: Incident) -> list[Recipient]:
    """Every (channel, recipient) that hears of an incident: for a source those of all its rules that mail, for
    the rules file all owners."""
    if incident.cause is Cause.RULES_WRONG:
        return rules.recipients(name for rule in rules.enabled() for name in rule.on_error)
    if incident.cause is Cause.SOURCE_DOWN:
        below = [
            rule
            for rule in rules.enabled()
            if incident.source in (rule.source, rule.invariant.elsewhere)
        ]
        return rules.recipients(
            name for rule in below if rule.severity >= Severity.ERROR for name in rule.notify
        )
    rule = rules.rules.get(incident.rule)
    if rule is None:
        return []
    return rules.recipients(rule.on_error if incident.cause is Cause.ERRORED else rule.notify)


def enqueue(
    moment: AlertContext, alert: Alert, recipient: str, not_before: datetime | None = None
) -> bool:
    """Render an alert for one recipient and ask for it to be sent; False when that was asked for before."""
    # Most passes have nothing to say, and needn't import how.
    from sanityd.alerts.compose.render import render

    settings = moment.rules.alerts
    message = render(
        alert,
        recipient=recipient,
        zone=settings.zone,
        version=__version__,
        rows=settings.limits.rows_in_mail,
        templates=moment.rules.folder / "alerts",
        remind=settings.remind,
    )
    at = moment.at
    return outbox.enqueue(
        moment.memory, message, alert, at=at, not_before=not_before or at, expires_at=at + EXPIRES
    )


def _take_back_the_backlog(memory: Connection, at: datetime) -> set[Recipient]:
    """What piles up behind a mail server that is down is said anew, in one message. Returns whose backlog that was."""
    piled = notification_log.backlog(memory)
    for messages in piled.values():
        incidents.unsettle(memory, notification_log.incidents_in_messages(memory, messages))
        outbox.supersede(memory, messages, at)
    return set(piled)


def _messages(
    news: Sequence[Decision], moment: AlertContext, mailed: Iterable[int], *, collapse: bool
) -> Iterator[list[Decision]]:
    """What one recipient is told, as messages: one for each reason, or one for all when there are too many this hour.

    Critical news has an hourly limit of its own, so that it never waits behind the rest.
    """
    if collapse and len(news) > 1:
        yield list(news)
        return
    severities = list(mailed)
    for is_critical in (True, False):
        ours = [one for one in news if (one.incident.severity is Severity.CRITICAL) == is_critical]
        sent = sum((severity == Severity.CRITICAL) == is_critical for severity in severities)
        left = moment.rules.alerts.limits.mails_per_hour - sent
        by_reason: dict[Reason, list[Decision]] = {}
        for one in ours:
            by_reason.setdefault(one.reason, []).append(one)
        held = any(moment.decided.get(one.ear) is Reason.RATE_LIMITED for one in ours)
        if ours and left <= 0:
            yield [replace(one, reason=Reason.RATE_LIMITED) for one in ours]
        elif held or len(by_reason) > left:
            yield ours
        else:
            yield from by_reason.values()


def _queue(
    reason: Reason,
    together: Sequence[Decision],
    moment: AlertContext,
    wait: timedelta,
    changes: Mapping[str, Mapping[Change, int]],
) -> bool:
    channel, recipient = together[0].who
    known = [(one, moment.delivery_states.get(one.ear, DeliveryState())) for one in together]
    stale = [
        heard.pending
        for _, heard in known
        if heard.waiting and heard.waiting.reason in policy.CHATTER
    ]
    outbox.supersede(moment.memory, [number for number in stale if number is not None], moment.at)
    parts = [
        policy.news_identity(one.incident, one.reason, heard.last_notification, heard.lost)
        for one, heard in known
    ]
    alert = Alert(
        reason=reason,
        at=moment.at,
        news=tuple(_news(one, heard, moment, changes) for one, heard in known),
        channel=channel,
        key=policy.dedup_key(reason, channel, recipient, parts),
    )
    return enqueue(moment, alert, recipient, moment.at + wait if reason in _NEW else None)


def _news(
    one: Decision,
    heard: DeliveryState,
    moment: AlertContext,
    changes: Mapping[str, Mapping[Change, int]],
) -> News:
    incident = one.incident
    background = moment.background(incident)
    answer = background.answer
    is_about_rows = incident.cause is Cause.VIOLATED
    standing = moment.noise_states.get(incident.rule)
    return News(
        reason=one.reason,
        rule=moment.facts(incident),
        incident=incident,
        sentence=sentence(moment, incident),
        looked_at=answer.at if answer else None,
        complete=answer is None or answer.outcome is Outcome.COMPLETE,
        stale_since=background.stale_since if is_about_rows and incident.open else None,
        rows=background.rows if is_about_rows else (),
        changes=changes.get(incident.rule, {}) if is_about_rows else {},
        last_notification=heard.last_notification,
        history=background.history,
        noise=standing.sentence if standing else "",
        triage=moment.lapsed(incident, heard),
    )


def _remember(moment: AlertContext, told: Iterable[Decision]) -> None:
    """Keep each decision that is not the same as before, with its reason, and settle what is over and said."""
    open_ends = {incident.id for incident in moment.incidents if incident.open}
    for one in told:
        incident = one.incident
        # An end that was told in vain is not told again at once, and not forgotten meanwhile.
        is_put_off = one.reason is Reason.RESOLVED and not one.queued
        if one.reason not in _LAST_WORDS or is_put_off:
            open_ends.add(incident.id)
        if not one.queued and moment.decided.get(one.ear) is one.reason:
            continue
        incidents.decide(moment.memory, one.ear, one.reason, moment.at)
        channel, recipient = one.who
        audit.append(
            moment.memory,
            moment.at,
            "sanityd",
            "notified" if one.queued else "not notified",
            one.reason,
            rule=incident.rule,
            incident=incident.id,
            detail={"channel": channel, "recipient": recipient, "violations": incident.violations},
        )
    for incident in moment.incidents:
        if incident.id not in open_ends:
            incidents.settle(moment.memory, incident.id)
