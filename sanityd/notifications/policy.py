"""Who is told what, and why not: pure. Knows an incident and what a recipient knows of it; no clock, no I/O.

The present is compared with the last *delivered* message, not with the previous run: a lost mail heals itself, and what
is decided twice can't be mailed twice. `decide` may be asked at any moment, for whatever reason it is quiet now.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from sanityd.alerts.settings import WEEKDAYS, QuietHours, Settings
from sanityd.model import (
    Cause,
    Incident,
    LastNotification,
    Reason,
    RuleFacts,
    Severity,
    Silence,
    Triage,
    TriageAction,
)

#: From how many times the number that was last told on there is news again.
GROWTH = 2
#: Growth within that time of the last message waits until it is over.
PAUSE = timedelta(minutes=10)
#: From which share of the number that was told on other rows are worth a mail.
FRESH = 0.1
#: How long an incident stays news, when reminders do nothing.
OLD_AFTER, OLD_REMINDERS = timedelta(days=28), 3

#: What newer news takes the place of.
CHATTER = (Reason.UPDATED, Reason.REMINDER)

_STANCES = {
    TriageAction.ACKNOWLEDGED: Reason.ACKNOWLEDGED,
    TriageAction.SNOOZED: Reason.SNOOZED,
    TriageAction.ACCEPTED: Reason.ACCEPTED,
    TriageAction.CLOSED: Reason.CLOSED,
}
_FIRST = {
    Cause.VIOLATED: Reason.OPENED,
    Cause.ERRORED: Reason.ERRORED,
    Cause.SOURCE_DOWN: Reason.SOURCE_DOWN,
    Cause.RULES_WRONG: Reason.ERRORED,
}


@dataclass(frozen=True, slots=True)
class PolicyInput:
    """All that decides whether one recipient hears of one incident now.

    Rows that a human accepted are not among the violations of `incident`. `told` is what was last delivered to the
    recipient (or may have been), `waiting` what is on its way; None for nothing.
    """

    incident: Incident
    last_notification: LastNotification | None = None
    waiting: LastNotification | None = None
    #: Whether nobody has begun to send what waits.
    replaceable: bool = False
    #: How many open rows were first seen since the recipient was told.
    new_rows: int = 0
    #: Whether the last run had an answer.
    verified: bool = True
    #: What a human decided, if it holds.
    triage: Triage | None = None
    #: What a human had decided, if it ended since the recipient was told.
    lapsed: Triage | None = None
    silenced: bool = False
    inhibited: bool = False
    #: Most violations that were told of a rule that comes and goes; None when it doesn't.
    peak: int | None = None
    quiet_hours: bool = False


def decide(now: PolicyInput, settings: Settings, at: datetime) -> Reason:
    """Why one recipient hears of the incident, or why not. The order of the questions is the order of their weight."""
    reason = _news(now, settings, at)
    if not reason.mails:
        return reason
    for quiet, why in (
        (now.inhibited and now.last_notification is None and now.incident.open, Reason.INHIBITED),
        (now.silenced, Reason.SILENCED),
        (now.quiet_hours and now.incident.severity < Severity.CRITICAL, Reason.QUIET_HOURS),
    ):
        if quiet:
            return why
    return reason


def _news(now: PolicyInput, settings: Settings, at: datetime) -> Reason:
    """What there is to tell, were it not for the hour or a silence."""
    if not now.incident.open:
        return _when_over(now)
    if now.incident.violations <= 0 and now.incident.cause is Cause.VIOLATED:
        return Reason.ACCEPTED
    if now.incident.severity < Severity.ERROR:
        return Reason.BELOW_THRESHOLD if now.last_notification is None else Reason.UNCHANGED
    if now.triage is not None:
        return _STANCES[now.triage.action]
    reason = _unquieted(now, settings, at)
    return Reason.WAITING if reason.mails and _is_on_its_way(now, reason) else reason


def _is_on_its_way(now: PolicyInput, reason: Reason) -> bool:
    """Whether a message that waits says enough; newer chatter takes the place of older chatter."""
    if now.waiting is None:
        return False
    stale = now.waiting.reason is not reason or now.waiting.violations != now.incident.violations
    return not (now.replaceable and now.waiting.reason in CHATTER and stale)


def _unquieted(now: PolicyInput, settings: Settings, at: datetime) -> Reason:
    """What there is to tell of what is open and nobody has decided anything about."""
    told = now.last_notification
    if now.peak is not None and not _is_above(now, now.peak):
        return Reason.FLAPPING
    if told is None:
        return _FIRST[now.incident.cause]
    if now.incident.cause is not Cause.VIOLATED:
        # Of a fault people hear once, and when it is over.
        return Reason.UNCHANGED
    if not now.verified:
        return Reason.NOT_VERIFIED
    if now.lapsed is not None:
        return Reason.ESCALATED if now.lapsed.ended == "broken" else Reason.REMINDER
    if at - now.incident.opened_at > OLD_AFTER and told.reminders >= OLD_REMINDERS:
        grew = (
            now.incident.violations > ratchet(told.violations)
            or now.incident.severity > told.severity
        )
        return Reason.ESCALATED if grew else Reason.LONG_RUNNING
    return _compared(now, told, settings, at - told.at if told.at else timedelta.max)


def _compared(
    now: PolicyInput, told: LastNotification, settings: Settings, since: timedelta
) -> Reason:
    """What the recipient doesn't know yet. `since` is how long ago they were told."""
    more = _has_doubled(now.incident.violations, told.violations) and since >= PAUSE
    if now.incident.severity > told.severity or more:
        return Reason.ESCALATED
    if since >= reminder_after(told.reminders, settings):
        return Reason.REMINDER
    is_fresh = (
        now.new_rows and now.new_rows >= FRESH * told.violations and since >= settings.update_every
    )
    return Reason.UPDATED if is_fresh else Reason.UNCHANGED


def _when_over(now: PolicyInput) -> Reason:
    told = now.last_notification
    if told is None:
        return Reason.NEVER_NOTIFIED
    if told.reason in (Reason.RESOLVED, Reason.FLAPPING_ENDED):
        return Reason.UNCHANGED
    if now.waiting is not None and now.waiting.reason is Reason.RESOLVED:
        return Reason.WAITING
    return Reason.FLAPPING if now.peak is not None else Reason.RESOLVED


def _is_above(now: PolicyInput, peak: int) -> bool:
    """Whether it is worse than it ever was while the rule came and went; that is never kept quiet."""
    told = now.last_notification
    known = max(peak, told.violations if told else 0)
    return _has_doubled(now.incident.violations, known) or (
        told is not None and now.incident.severity > told.severity
    )


def _has_doubled(violations: int, known: int) -> bool:
    # Twice nothing is nothing: without the floor, a mail that told of none would be followed by one every run.
    return violations >= GROWTH * max(known, 1)


def ratchet(baseline: int) -> float:
    """Above how many violations something that is quiet is mailed again."""
    return max(1.5 * baseline, baseline + 5)


def reminder_after(reminders: int, settings: Settings) -> timedelta:
    """How long after the last message the next reminder is due. The settings count from the news on."""
    steps = settings.remind
    if reminders >= len(steps):
        return steps[-1]
    before = steps[reminders - 1] if reminders else timedelta(0)
    # The last step repeats itself, so it is a distance and not a point in time.
    return steps[reminders] if reminders == len(steps) - 1 else steps[reminders] - before


def breaks(disposition: Triage, violations: int, severity: Severity) -> bool:
    """Whether things got so much worse that a human's decision is void."""
    return _has_doubled(violations, disposition.violations) or severity > disposition.severity


def is_silenced(rule: RuleFacts, silences: Iterable[Silence], at: datetime) -> bool:
    """Whether somebody wanted to hear nothing of the rule (or source) at this time."""
    return any(
        silence.starts <= at < silence.until
        and (not silence.rule or fnmatchcase(rule.id, silence.rule))
        and (not silence.tag or silence.tag in rule.tags)
        and (not silence.source or silence.source == rule.source)
        for silence in silences
    )


def in_quiet_hours(quiet: QuietHours, settings: Settings, at: datetime) -> bool:
    """Whether it is a time at which only critical things are told. Hours past midnight belong to the day before."""
    local = at.astimezone(quiet.zone or settings.zone)
    if WEEKDAYS[local.weekday()] in quiet.days:
        return True
    if quiet.start is None or quiet.end is None:
        return False
    clock = local.time()
    if quiet.start <= quiet.end:
        return quiet.start <= clock < quiet.end
    return clock >= quiet.start or clock < quiet.end


def dedup_key(reason: Reason, channel: str, recipient: str, parts: Iterable[object]) -> str:
    """The identity of a message: the same news for the same recipient has the same key, so it is queued once.

    Parameters: `parts` say which incidents it tells of, and what the recipient knew of each. The present number is not
    in it: while a message waits in the outbox, later runs that find more add no second one.
    """
    identity = [
        reason.value,
        channel,
        recipient,
        sorted(json.dumps(part, default=str) for part in parts),
    ]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def news_identity(
    incident: Incident, reason: Reason, told: LastNotification | None, lost: int
) -> list[object]:
    """What one incident adds to the identity of a message.

    Parameters: `lost` is how many messages about it came to nothing; then the same news is new again.
    """
    known = (
        None
        if told is None
        else [told.reason.value, told.violations, told.severity.label, told.sequence]
    )
    return [incident.id, reason.value, known, lost]
