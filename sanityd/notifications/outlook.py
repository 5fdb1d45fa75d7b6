"""What a recipient will be notified of next, as the policy decides it. Pure.

The line NEXT of a mail and the next reminder in `show` are made of this, so that neither promises
what the policy does not do.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sanityd.alerts.settings import Settings
from sanityd.model import Cause, Incident, LastNotification, Outlook, Reason, Severity
from sanityd.notifications import policy

_MINUTE = timedelta(minutes=1)
#: For how long the end of quiet hours is looked for: each day of the week once.
_WEEK_OF_MINUTES = 8 * 24 * 60
#: What is not promised to a channel that does not take such messages.
_WITHOUT: dict[Reason, dict[str, Any]] = {
    Reason.ESCALATED: {"grows_to": None, "measures": False, "quiet_from": None},
    Reason.UPDATED: {"update": None},
    Reason.REMINDER: {"reminder": None},
    Reason.RESOLVED: {"resolved": False},
}


def after_message(
    reason: Reason, incident: Incident, before: LastNotification | None, at: datetime
) -> LastNotification:
    """Return what the recipient knows after a message that is sent now.

    Parameters: `before` is the last notification before it.
    """
    reminders = 0
    if reason is Reason.REMINDER:
        reminders = before.reminders + 1 if before else 1
    return LastNotification(
        reason, incident.violations, incident.severity, at=at, reminders=reminders
    )


def outlook(
    incident: Incident,
    last: LastNotification,
    settings: Settings,
    takes: Callable[[Reason], bool],
    *,
    follows_rows: bool,
    measures: bool = False,
) -> Outlook:
    """Return when the recipient of the last notification is notified again.

    Parameters: `takes` says which messages the channel takes; `follows_rows` whether every row is
    known, so that new ones are told apart; `measures` whether there are measured values.
    """
    if incident.cause is not Cause.VIOLATED or last.at is None:
        return Outlook(resolved=takes(Reason.RESOLVED))
    quiet_from = None
    if last.reminders >= policy.OLD_REMINDERS:
        quiet_from = max(incident.opened_at + policy.OLD_AFTER, last.at)
    update = (policy.rows_for_update(last.violations), last.at + settings.update_every)
    complete = Outlook(
        grows_to=_grows_to(incident, last),
        measures=measures,
        update=update if follows_rows else None,
        reminder=next_reminder(incident, last, settings),
        quiet_from=quiet_from,
        quiet_limit=int(policy.quiet_limit(last.violations)),
    )
    return _limited_to(complete, takes)


def _limited_to(complete: Outlook, takes: Callable[[Reason], bool]) -> Outlook:
    """Return the outlook without the messages that the channel does not take."""
    limited = complete
    for reason, nothing in _WITHOUT.items():
        if not takes(reason):
            limited = replace(limited, **nothing)
    return limited


def _grows_to(incident: Incident, last: LastNotification) -> int | None:
    """Return from how many violations on it escalates; None when the table has fewer rows."""
    grows_to = policy.GROWTH * max(last.violations, 1)
    checked = incident.checked
    if checked is not None and last.violations <= checked < grows_to:
        return None
    return grows_to


def next_reminder(
    incident: Incident, last: LastNotification, settings: Settings
) -> datetime | None:
    """Return when the next reminder is sent if nothing changes; None when none follows."""
    if incident.cause is not Cause.VIOLATED or incident.severity < Severity.ERROR:
        return None
    if last.at is None:
        return None
    due = last.at + policy.reminder_after(last.reminders, settings)
    is_old = due - incident.opened_at > policy.OLD_AFTER
    if is_old and last.reminders >= policy.OLD_REMINDERS:
        return None
    if incident.severity is Severity.CRITICAL:
        return due
    return _after_quiet_hours(due, settings)


def _after_quiet_hours(due: datetime, settings: Settings) -> datetime | None:
    """Return the time, or the end of the quiet hours in which it lies; None when they never end."""
    for minutes in range(_WEEK_OF_MINUTES):
        end = due + minutes * _MINUTE
        if not policy.in_quiet_hours(settings.quiet_hours, settings, end):
            return end
    return None
