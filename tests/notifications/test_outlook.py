"""The line NEXT promises exactly what the policy then does."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanityd.alerts.compose.phrases import next_notification
from sanityd.alerts.settings import Settings
from sanityd.model import Cause, Incident, LastNotification, Outlook, Reason, Severity
from sanityd.notifications.outlook import after_message, outlook
from sanityd.notifications.policy import PolicyInput, decide_reason, quiet_limit
from tests.alerts.samples import AT, BERLIN, incident
from tests.support.scene import Scene
from tests.support.smtp_server import Mailbox

HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)
USUAL = Settings()
NIGHT = Settings.model_validate({"quiet_hours": {"from": "22:00", "to": "07:00"}})


def everything(_: Reason) -> bool:
    """A channel that takes all."""
    return True


def decided(
    now: Incident, last: LastNotification, at: datetime, settings: Settings, **more: Any
) -> Reason:
    """What the policy says then."""
    return decide_reason(PolicyInput(now, last, **more), settings, at)


messages = st.tuples(
    st.integers(1, 5000),
    st.sampled_from([Reason.OPENED, Reason.ESCALATED, Reason.UPDATED, Reason.REMINDER]),
    st.integers(0, 6),
    st.integers(0, 60 * 24).map(lambda hours: hours * HOUR),
    st.sampled_from([USUAL, Settings(remind=[DAY]), Settings(update_every=2 * HOUR)]),
)


@given(messages)
def test_what_is_promised_is_done(
    message: tuple[int, Reason, int, timedelta, Settings],
) -> None:
    count, reason, reminders, age, settings = message
    now = incident(count, opened_at=AT - age, checked=10**6)
    before = LastNotification(
        Reason.OPENED, count, Severity.ERROR, at=AT - DAY, reminders=reminders
    )
    last = after_message(reason, now, before, AT)
    promise = outlook(now, last, settings, everything, follows_rows=True)
    assert promise.grows_to is not None
    assert promise.update is not None
    fresh, begin = promise.update
    # After that, only the digest lists it.
    quiet_from = promise.quiet_from or AT + 1000 * DAY
    soon = AT + 11 * timedelta(minutes=1)
    if soon < quiet_from:
        grown = replace(now, violations=promise.grows_to)
        assert decided(grown, last, soon, settings) is Reason.ESCALATED
        less = replace(now, violations=promise.grows_to - 1)
        assert not decided(less, last, soon, settings).mails
    if begin < quiet_from:
        assert decided(now, last, begin, settings, new_rows=fresh) is Reason.UPDATED
        assert not decided(now, last, begin, settings, new_rows=fresh - 1).mails
        assert not decided(now, last, begin - SECOND, settings, new_rows=fresh).mails
    if promise.reminder is None:
        for days in range(100):
            assert not decided(now, last, AT + days * DAY, settings).mails
    else:
        assert decided(now, last, promise.reminder, settings) is Reason.REMINDER
        assert not decided(now, last, promise.reminder - SECOND, settings).mails
    if promise.quiet_from is not None:
        later = promise.quiet_from + SECOND
        limit = replace(now, violations=promise.quiet_limit)
        assert not decided(limit, last, later, settings).mails or later >= (
            promise.reminder or later + SECOND
        )
        more = replace(now, violations=promise.quiet_limit + 1)
        assert decided(more, last, later, settings) is Reason.ESCALATED


def test_of_all_rows_of_a_table_no_doubling_is_promised() -> None:
    now = incident(1_200_000, checked=1_200_000)
    last = after_message(Reason.OPENED, now, None, AT)
    text = next_notification(outlook(now, last, USUAL, everything, follows_rows=False), AT, BERLIN)
    assert text == "You are notified again when it is resolved, or tomorrow 09:05."


def test_thirteen_rows_are_followed_by_two_more_in_an_hour() -> None:
    now = incident(13)
    last = after_message(Reason.OPENED, now, None, AT)
    text = next_notification(outlook(now, last, USUAL, everything, follows_rows=True), AT, BERLIN)
    assert text == (
        "You are notified again when there are 26 violations or more, when 2 more rows violate it "
        "(not before 10:05), when it is resolved, or tomorrow 09:05."
    )


def test_what_is_open_for_weeks_says_from_when_on_it_is_quiet() -> None:
    now = incident(10, opened_at=AT - 24 * DAY)
    before = LastNotification(Reason.REMINDER, 10, Severity.ERROR, at=AT - 7 * DAY, reminders=4)
    last = after_message(Reason.REMINDER, now, before, AT)
    promise = outlook(now, last, USUAL, everything, follows_rows=True)
    assert promise.reminder is None
    assert next_notification(promise, AT, BERLIN).endswith(
        "or when it is resolved. From 27 Nov 09:05 on you are only notified again when there are "
        "more than 15 violations, or when it is resolved."
    )
    assert quiet_limit(10) == 15


def test_a_reminder_waits_for_the_end_of_quiet_hours_unless_it_is_critical() -> None:
    at = AT.replace(hour=23, minute=0)
    now = incident(3, opened_at=at)
    last = after_message(Reason.OPENED, now, None, at)
    assert outlook(now, last, NIGHT, everything, follows_rows=True).reminder == AT.replace(
        day=25, hour=7, minute=0
    )
    worse = replace(now, severity=Severity.CRITICAL)
    assert outlook(worse, last, NIGHT, everything, follows_rows=True).reminder == at + DAY


@pytest.mark.parametrize("cause", [Cause.ERRORED, Cause.SOURCE_DOWN])
def test_of_a_fault_only_its_end_is_promised(cause: Cause) -> None:
    now = incident(0, cause=cause)
    last = after_message(Reason.ERRORED, now, None, AT)
    assert outlook(now, last, USUAL, everything, follows_rows=False) == Outlook()
    refused = outlook(now, last, USUAL, lambda reason: False, follows_rows=False)
    assert refused == Outlook(resolved=False)


def test_a_channel_that_takes_nothing_more_says_so() -> None:
    now = incident(3)
    last = after_message(Reason.OPENED, now, None, AT)
    promise = outlook(now, last, USUAL, lambda reason: False, follows_rows=True)
    assert next_notification(promise, AT, BERLIN) == ""


def test_a_mail_and_what_follows(scene: Scene, box: Mailbox) -> None:
    scene.children(1, 2, 3)
    scene.tick()
    _, mail = box.mails[-1]
    body = mail.get_body(("plain",))
    assert body is not None
    text = " ".join(body.get_content().split())
    assert "6 violations or more, when 1 more row violates it (not before 09:05)" in text
    assert text.partition("or tomorrow ")[2].startswith("08:05")
    assert scene.wait(minutes=24 * 60 - 1) == 0
    assert scene.wait(minutes=1) == 1
