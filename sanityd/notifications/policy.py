"""Why a recipient is notified of an incident, or is not. Pure: no clock, no I/O.

The present is compared with the last *delivered* message, not with the previous run: a lost mail
heals itself, and what is decided twice can't be mailed twice. So `decide_reason` may be asked at
any time.

A decision is made in this order, and the first step that has an answer gives it:

    1. what is over, accepted, or below `error`
    2. what a person decided
    3. flapping, the first mail, what got worse, reminders, new rows
    4. what the noise policy spares: the first mail waits, or mails come ever more rarely
    5. what waits in the outbox already
    6. what the channel does not take, what another incident explains, silences, announced
       changes, quiet hours

More violations never mean less mail, and what is critical passes by the steps 3 (as far as it is
about flapping) and 4.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from sanityd.alerts.settings import WEEKDAYS, QuietHours, Settings
from sanityd.model import (
    Cause,
    HeldBack,
    Incident,
    LastNotification,
    Reason,
    RuleFacts,
    Severity,
    Silence,
    Triage,
    TriageAction,
)

#: An incident escalates when it has so many times the violations of the last notification.
GROWTH = 2
#: An escalation by growth waits until the last message is so old.
PAUSE = timedelta(minutes=10)
#: New rows are worth an update when they are one in so many of the violations last notified.
FRESH = 10
#: An incident older than this, after so many reminders, is long-running: only the digest shows it.
OLD_AFTER, OLD_REMINDERS = timedelta(days=28), 3
#: The number of messages to a recipient is limited within this time.
RATE_LIMIT_WINDOW = timedelta(hours=1)

#: Reasons of messages that are replaced by newer ones while they wait in the outbox.
REPLACEABLE = (Reason.UPDATED, Reason.REMINDER)

_BY_TRIAGE = {
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
#: Reasons of the first message about an incident. The hourly limit never holds these back.
FIRST = frozenset(_FIRST.values())


@dataclass(frozen=True, slots=True)
class PolicyInput:
    """All that decides whether one recipient is notified of one incident now.

    Rows that people accepted are not among the violations of `incident`.
    """

    incident: Incident
    #: The last message that was delivered to the recipient, or may have been.
    last_notification: LastNotification | None = None
    #: The message that is not delivered yet.
    waiting: LastNotification | None = None
    #: Whether nobody has begun to send the waiting message.
    replaceable: bool = False
    #: The number of open rows first seen since the last notification.
    new_rows: int = 0
    #: Whether a measured value got much worse since the last notification.
    got_worse: bool = False
    #: Whether the last run had an answer.
    verified: bool = True
    #: Whether the rule holds again, though the incident is still open (`keep_open`).
    holds: bool = False
    #: The decision of a person that is in force.
    triage: Triage | None = None
    #: The decision of a person that ended since the last notification.
    lapsed: Triage | None = None
    #: What waits for the limit of mails per hour; the recipient is told even if it is better now.
    held_back: HeldBack | None = None
    #: Reasons for which the channel takes no messages.
    refused: Set[Reason] = frozenset()
    #: Whether it belongs to an announced change that still goes on.
    announced: bool = False
    silenced: bool = False
    inhibited: bool = False
    #: The most violations notified of a rule that is flapping; None when it is not.
    peak: int | None = None
    quiet_hours: bool = False
    #: Until when the first mail of the rule waits, as its incidents usually end by then.
    paused_until: datetime | None = None
    #: From when on the next mail about the rule is sent, as nobody acted on the last ones.
    mails_from: datetime | None = None
    #: Whether the rule is worse than usual; then nothing of that holds.
    worse: bool = False


def decide_reason(facts: PolicyInput, settings: Settings, at: datetime) -> Reason:
    """Return why one recipient is notified of the incident, or why not; first match wins."""
    reason = _news(facts, settings, at)
    if reason in facts.refused:
        reason = Reason.NOT_TAKEN
    is_explained = facts.inhibited and facts.incident.open
    if is_explained and (reason.mails or reason is Reason.UNCHANGED):
        return Reason.INHIBITED
    if not reason.mails:
        return reason
    return _reason_to_wait(facts) or reason


def _reason_to_wait(facts: PolicyInput) -> Reason | None:
    """Return why what is to be mailed is not mailed now; None when it is."""
    if facts.silenced:
        return Reason.SILENCED
    if facts.announced and _waits_for_announced(facts):
        return Reason.ANNOUNCED
    if facts.quiet_hours and facts.incident.severity < Severity.CRITICAL:
        return Reason.QUIET_HOURS
    return None


def _waits_for_announced(facts: PolicyInput) -> bool:
    """Return whether the mail about an announced change comes when the change is over.

    Its end comes at once, and so does the first word about what is critical.
    """
    incident, last = facts.incident, facts.last_notification
    if not incident.open:
        return False
    if incident.severity < Severity.CRITICAL:
        return True
    return last is not None and last.severity >= Severity.CRITICAL


def _news(facts: PolicyInput, settings: Settings, at: datetime) -> Reason:
    """Return the reason without regard to inhibition, silences and quiet hours."""
    incident = facts.incident
    if not incident.open:
        return _after_resolution(facts)
    if facts.holds:
        return Reason.KEPT_OPEN
    if incident.violations <= 0 and incident.cause is Cause.VIOLATED:
        return Reason.ACCEPTED
    if incident.severity < Severity.ERROR:
        if facts.last_notification is None:
            return Reason.BELOW_THRESHOLD
        return _unless_held_back(facts, Reason.UNCHANGED)
    if facts.triage is not None:
        return _BY_TRIAGE[facts.triage.action]
    reason = _spared(facts, _unless_held_back(facts, _while_open(facts, settings, at)), at)
    if reason.mails and _is_on_its_way(facts, reason):
        return Reason.WAITING
    return reason


def may_be_spared(facts: PolicyInput) -> bool:
    """Return whether a mail may come later because of how the rule usually behaves.

    Never what is critical, worse than usual, or no violation at all: a rule that can't be checked
    and a source that is down are always notified at once.
    """
    incident = facts.incident
    is_critical = max(incident.severity, incident.declared) >= Severity.CRITICAL
    is_about_rows = incident.cause is Cause.VIOLATED
    return all((is_about_rows, not is_critical, not facts.worse))


def _spared(facts: PolicyInput, reason: Reason, at: datetime) -> Reason:
    """Return why the mail comes later; the same reason when it comes now."""
    if not reason.mails or not may_be_spared(facts):
        return reason
    is_first = facts.last_notification is None
    if is_first and at < (facts.paused_until or at):
        return Reason.AUTO_PAUSED
    if at < (facts.mails_from or at):
        return Reason.NOT_ACTED_ON
    return reason


def _unless_held_back(facts: PolicyInput, reason: Reason) -> Reason:
    """Return the reason of what the hourly limit held back, when there is nothing else."""
    if reason is Reason.UNCHANGED and facts.held_back is not None:
        return facts.held_back.reason
    return reason


def _is_on_its_way(facts: PolicyInput, reason: Reason) -> bool:
    """Return whether the waiting message says enough, or else is replaced by this one."""
    waiting = facts.waiting
    if waiting is None:
        return False
    if not facts.replaceable or waiting.reason not in REPLACEABLE:
        return True
    return waiting.reason is reason and waiting.violations == facts.incident.violations


def _while_open(facts: PolicyInput, settings: Settings, at: datetime) -> Reason:
    """Return the reason for an open incident that nobody has decided about."""
    incident, last = facts.incident, facts.last_notification
    if _is_flapping_as_usual(facts):
        return Reason.FLAPPING
    if last is None:
        return _FIRST[incident.cause]
    if incident.cause is not Cause.VIOLATED:
        # A fault is notified once, and when it is over.
        return Reason.UNCHANGED
    if not facts.verified:
        return Reason.NOT_VERIFIED
    # What the channel does not take must not hide what it takes.
    due = list(_due(facts, last, settings, at))
    taken = [reason for reason in due if reason not in facts.refused]
    return next(iter(taken or due), Reason.UNCHANGED)


def _due(
    facts: PolicyInput, last: LastNotification, settings: Settings, at: datetime
) -> Iterator[Reason]:
    """Yield the reasons for a message about something that is still violated; the first counts."""
    incident = facts.incident
    if facts.lapsed is not None:
        yield Reason.ESCALATED if facts.lapsed.ended == "broken" else Reason.REMINDER
    if at - incident.opened_at > OLD_AFTER and last.reminders >= OLD_REMINDERS:
        yield _when_long_running(facts, last)
        return
    since = at - last.at if last.at else timedelta.max
    yield from _compared(facts, last, settings, since)


def _when_long_running(facts: PolicyInput, last: LastNotification) -> Reason:
    """Return the reason for an incident that only the digest shows, unless it has grown."""
    incident = facts.incident
    has_grown = incident.violations > quiet_limit(last.violations) or facts.got_worse
    if has_grown or incident.severity > last.severity:
        return Reason.ESCALATED
    return Reason.LONG_RUNNING


def _compared(
    facts: PolicyInput, last: LastNotification, settings: Settings, since: timedelta
) -> Iterator[Reason]:
    """Compare with the last notification; `since` is how long ago that was."""
    incident = facts.incident
    has_grown = _has_doubled(incident.violations, last.violations) or facts.got_worse
    if incident.severity > last.severity or (has_grown and since >= PAUSE):
        yield Reason.ESCALATED
    if since >= reminder_after(last.reminders, settings):
        yield Reason.REMINDER
    has_fresh_rows = facts.new_rows >= rows_for_update(last.violations)
    if has_fresh_rows and since >= settings.update_every:
        yield Reason.UPDATED


def _after_resolution(facts: PolicyInput) -> Reason:
    """Return the reason for an incident that is over: its end is notified once."""
    last = facts.last_notification
    if last is None:
        # A message about several incidents still goes out when only some of them are over.
        return Reason.NEVER_NOTIFIED if facts.waiting is None else Reason.WAITING
    if last.reason in (Reason.RESOLVED, Reason.FLAPPING_ENDED):
        return Reason.UNCHANGED
    if facts.waiting is not None and facts.waiting.reason is Reason.RESOLVED:
        return Reason.WAITING
    return Reason.FLAPPING if facts.peak is not None else Reason.RESOLVED


def _is_flapping_as_usual(facts: PolicyInput) -> bool:
    """Return whether the rule is flapping, and not worse than ever while it was."""
    if facts.peak is None or not may_be_spared(facts):
        return False
    return not _is_above_peak(facts, facts.peak)


def _is_above_peak(facts: PolicyInput, peak: int) -> bool:
    """Return whether it is worse than ever while the rule was flapping; that is always notified."""
    last = facts.last_notification
    if last is None:
        return _has_doubled(facts.incident.violations, peak)
    if _has_doubled(facts.incident.violations, max(peak, last.violations)):
        return True
    return facts.incident.severity > last.severity or facts.got_worse


def _has_doubled(violations: int, before: int) -> bool:
    # Without the floor, a message about no violations would be followed by one every run.
    return violations >= GROWTH * max(before, 1)


def rows_for_update(violations: int) -> int:
    """Return how many new rows are worth an update after a message about so many violations."""
    return max(math.ceil(violations / FRESH), 1)


def quiet_limit(baseline: int) -> float:
    """Return above how many violations something that is quiet is notified again."""
    return max(1.5 * baseline, baseline + 5)


def reminder_after(reminders: int, settings: Settings) -> timedelta:
    """Return how long after the last message the next reminder is due.

    The settings count from the opening on, except for the last step, which repeats itself.
    """
    steps = settings.remind
    last_step = len(steps) - 1
    if reminders >= last_step:
        return steps[-1]
    before = steps[reminders - 1] if reminders else timedelta(0)
    return steps[reminders] - before


def breaks(decision: Triage, violations: int, severity: Severity) -> bool:
    """Return whether it got so much worse that the decision of a person is void."""
    return _has_doubled(violations, decision.violations) or severity > decision.severity


def is_silenced(rule: RuleFacts, silences: Iterable[Silence], at: datetime) -> bool:
    """Return whether a silence matches the rule (or source) at this time."""
    return any(_matches(silence, rule, at) for silence in silences)


def _matches(silence: Silence, rule: RuleFacts, at: datetime) -> bool:
    if not silence.starts <= at < silence.until:
        return False
    if silence.rule and not fnmatchcase(rule.id, silence.rule):
        return False
    if silence.tag and silence.tag not in rule.tags:
        return False
    return not silence.source or silence.source == rule.source


def in_quiet_hours(quiet: QuietHours, settings: Settings, at: datetime) -> bool:
    """Return whether only critical incidents are notified at this time."""
    local = at.astimezone(quiet.zone or settings.zone)
    if WEEKDAYS[local.weekday()] in quiet.days:
        return True
    if quiet.start is None or quiet.end is None:
        return False
    clock = local.time()
    if quiet.start <= quiet.end:
        return quiet.start <= clock < quiet.end
    # They go past midnight.
    return clock >= quiet.start or clock < quiet.end


def dedup_key(reason: Reason, channel: str, address: str, identities: Iterable[object]) -> str:
    """Return the identity of a message: the same news for the same recipient is queued once.

    Parameters: `identities` are those of its incidents, from `news_identity`. The present number
    of violations is not in them: while a message waits, later runs add no second one.
    """
    parts = sorted(json.dumps(identity, default=str) for identity in identities)
    text = json.dumps([reason.value, channel, address, parts])
    return hashlib.sha256(text.encode()).hexdigest()


def news_identity(
    incident: Incident, reason: Reason, last: LastNotification | None, lost: int
) -> list[object]:
    """Return what one incident adds to the identity of a message.

    Parameters: `lost` is the number of messages about it that were never delivered; after one, the
    same news is new again.
    """
    last_identity = None
    if last is not None:
        last_identity = [last.reason.value, last.violations, last.severity.label, last.sequence]
    return [incident.id, reason.value, last_identity, lost]
