"""Who is told what, and why not."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanityd.alerts.settings import QuietHours, Settings
from sanityd.model import (
    Cause,
    Incident,
    LastNotification,
    Reason,
    Severity,
    Silence,
    Triage,
    TriageAction,
)
from sanityd.notifications import policy
from sanityd.notifications.policy import (
    PolicyInput,
    decide_reason,
    dedup_key,
    news_identity,
    reminder_after,
)
from tests.alerts.samples import AT, RULE, incident, told

CRITICAL, ERROR, WARNING, INFO = Severity.CRITICAL, Severity.ERROR, Severity.WARNING, Severity.INFO
OVER = {"resolved_at": AT}
USUAL = Settings()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def knows(
    count: int = 3,
    severity: Severity = ERROR,
    reason: Reason = Reason.OPENED,
    *,
    ago: timedelta = HOUR / 2,
    **more: Any,
) -> LastNotification:
    """What the recipient was told so long ago."""
    return replace(told(count, severity, reason), sequence=1, at=AT - ago, **more)


def reason(
    now: Incident,
    before: LastNotification | None = None,
    *,
    settings: Settings = USUAL,
    **more: Any,
) -> Reason:
    """What is decided now."""
    return decide_reason(PolicyInput(now, before, **more), settings, AT)


@pytest.mark.parametrize(
    ("case", "now", "before", "expected"),
    [
        ("a new error", incident(), None, Reason.OPENED),
        ("a new critical", incident(severity=CRITICAL), None, Reason.OPENED),
        (
            "a warning is listed, not mailed",
            incident(severity=WARNING),
            None,
            Reason.BELOW_THRESHOLD,
        ),
        ("so is an info", incident(severity=INFO), None, Reason.BELOW_THRESHOLD),
        ("the same rows again", incident(3), knows(3), Reason.UNCHANGED),
        ("almost twice as many", incident(5), knows(3), Reason.UNCHANGED),
        ("twice as many", incident(6), knows(3), Reason.ESCALATED),
        (
            "twice as many, a minute later",
            incident(6),
            knows(3, ago=timedelta(minutes=1)),
            Reason.UNCHANGED,
        ),
        ("fewer", incident(1), knows(3), Reason.UNCHANGED),
        ("a higher severity", incident(3, severity=CRITICAL), knows(3), Reason.ESCALATED),
        (
            "a higher severity at once",
            incident(2, severity=CRITICAL),
            knows(3, ago=0 * DAY),
            Reason.ESCALATED,
        ),
        ("a lower severity", incident(3), knows(3, CRITICAL), Reason.UNCHANGED),
        (
            "an error that became a warning",
            incident(2, severity=WARNING),
            knows(3),
            Reason.UNCHANGED,
        ),
        (
            "a warning that doubled after an error was told",
            incident(9, severity=WARNING),
            knows(3),
            Reason.UNCHANGED,
        ),
        ("all that is left was accepted", incident(0), knows(3), Reason.ACCEPTED),
        ("over", incident(0, **OVER), knows(3), Reason.RESOLVED),
        (
            "over after it escalated",
            incident(0, **OVER),
            knows(9, reason=Reason.ESCALATED),
            Reason.RESOLVED,
        ),
        ("over, and nobody knew", incident(0, **OVER), None, Reason.NEVER_NOTIFIED),
        (
            "over, and said so already",
            incident(0, **OVER),
            knows(0, reason=Reason.RESOLVED),
            Reason.UNCHANGED,
        ),
        (
            "over, and said to be calm",
            incident(0, **OVER),
            knows(3, reason=Reason.FLAPPING_ENDED),
            Reason.UNCHANGED,
        ),
        ("a rule that can't be checked", incident(0, cause=Cause.ERRORED), None, Reason.ERRORED),
        (
            "it is told once",
            incident(0, cause=Cause.ERRORED),
            knows(0, ago=90 * DAY),
            Reason.UNCHANGED,
        ),
        ("a source that is down", incident(0, cause=Cause.SOURCE_DOWN), None, Reason.SOURCE_DOWN),
        (
            "and is up again",
            incident(0, cause=Cause.SOURCE_DOWN, **OVER),
            knows(0),
            Reason.RESOLVED,
        ),
    ],
)
def test_every_situation_has_one_reason(
    case: str, now: Incident, before: LastNotification | None, expected: Reason
) -> None:
    assert reason(now, before) is expected, case


@pytest.mark.parametrize(
    ("case", "more", "expected"),
    [
        ("a few others", {"new_rows": 9}, Reason.UNCHANGED),
        ("a tenth of others", {"new_rows": 10}, Reason.UPDATED),
        ("not verified of late", {"new_rows": 10, "verified": False}, Reason.NOT_VERIFIED),
        (
            "others, and somebody is at it",
            {"new_rows": 10, "triage": TriageAction.ACKNOWLEDGED},
            Reason.ACKNOWLEDGED,
        ),
        ("snoozed", {"new_rows": 10, "triage": TriageAction.SNOOZED}, Reason.SNOOZED),
        ("accepted", {"new_rows": 10, "triage": TriageAction.ACCEPTED}, Reason.ACCEPTED),
        ("closed", {"new_rows": 10, "triage": TriageAction.CLOSED}, Reason.CLOSED),
        ("silenced", {"new_rows": 10, "silenced": True}, Reason.SILENCED),
        ("at night", {"new_rows": 10, "quiet_hours": True}, Reason.QUIET_HOURS),
        (
            "on its way",
            {"new_rows": 10, "waiting": knows(100, reason=Reason.UPDATED)},
            Reason.WAITING,
        ),
    ],
)
def test_other_rows_are_told_hourly_unless_something_keeps_quiet(
    case: str, more: Mapping[str, Any], expected: Reason
) -> None:
    if "triage" in more:
        more = {**more, "triage": stance(more["triage"])}
    assert reason(incident(100), knows(100, ago=2 * HOUR), **more) is expected, case


def test_other_rows_wait_until_the_hour_is_over() -> None:
    assert reason(incident(100), knows(100, ago=HOUR / 2), new_rows=50) is Reason.UNCHANGED


def stance(kind: TriageAction = TriageAction.ACKNOWLEDGED, **changes: Any) -> Triage:
    """What ana decided yesterday, about three errors."""
    made = Triage(1, kind, RULE.id, "inc-1", "ana", "on it", AT - DAY, AT + DAY, 3, ERROR)
    return replace(made, **changes)


def test_reminders_come_after_a_day_after_three_and_then_weekly() -> None:
    gaps = [reminder_after(count, USUAL) for count in range(5)]
    assert gaps == [1 * DAY, 2 * DAY, 7 * DAY, 7 * DAY, 7 * DAY]
    for reminders, gap in enumerate(gaps):
        before = knows(3, ago=gap - HOUR, reminders=reminders)
        assert reason(incident(3), before) is Reason.UNCHANGED
        assert reason(incident(3), replace(before, at=AT - gap)) is Reason.REMINDER


def test_what_is_open_for_a_month_is_left_to_the_digest_until_it_grows() -> None:
    old = incident(10, opened_at=AT - 29 * DAY)
    reminded = knows(10, reason=Reason.REMINDER, ago=8 * DAY, reminders=3)
    assert reason(old, reminded) is Reason.LONG_RUNNING
    assert reason(replace(old, violations=15), reminded) is Reason.LONG_RUNNING
    assert reason(replace(old, violations=16), reminded) is Reason.ESCALATED
    assert reason(old, replace(reminded, reminders=2)) is Reason.REMINDER
    assert reason(incident(10, opened_at=AT - 27 * DAY), reminded) is Reason.REMINDER


def test_a_decision_that_ran_out_reminds_and_one_that_broke_escalates() -> None:
    ended = stance(ended="expired", ended_at=AT)
    assert reason(incident(3), knows(3), lapsed=ended) is Reason.REMINDER
    assert (
        reason(incident(6), knows(3, ago=0 * DAY), lapsed=replace(ended, ended="broken"))
        is Reason.ESCALATED
    )
    assert reason(incident(6), None, lapsed=replace(ended, ended="broken")) is Reason.OPENED


@pytest.mark.parametrize(
    ("count", "severity", "broken"),
    [(3, ERROR, False), (5, ERROR, False), (6, ERROR, True), (1, CRITICAL, True)],
)
def test_a_decision_breaks_when_things_get_much_worse(
    count: int, severity: Severity, broken: bool
) -> None:
    assert policy.breaks(stance(), count, severity) is broken


def test_the_end_of_what_was_acknowledged_is_told() -> None:
    assert reason(incident(0, **OVER), knows(3), triage=stance()) is Reason.RESOLVED


@pytest.mark.parametrize(
    ("count", "severity", "expected"),
    [
        (1, ERROR, Reason.FLAPPING),
        (7, ERROR, Reason.FLAPPING),
        (8, ERROR, Reason.ESCALATED),
        (1, CRITICAL, Reason.ESCALATED),
    ],
)
def test_what_comes_and_goes_is_quiet_unless_it_is_worse_than_ever(
    count: int, severity: Severity, expected: Reason
) -> None:
    assert reason(incident(count, severity=severity), knows(2), peak=4) is expected


def test_what_comes_and_goes_has_no_end_of_its_own() -> None:
    assert reason(incident(0, **OVER), knows(2), peak=4) is Reason.FLAPPING


def test_what_another_incident_explains_is_not_told_but_its_end_is() -> None:
    assert reason(incident(), None, inhibited=True) is Reason.INHIBITED
    assert reason(incident(0, **OVER), knows(3), inhibited=True) is Reason.RESOLVED


def test_at_night_only_critical_things_are_told() -> None:
    assert reason(incident(), None, quiet_hours=True) is Reason.QUIET_HOURS
    assert reason(incident(0, **OVER), knows(3), quiet_hours=True) is Reason.QUIET_HOURS
    assert reason(incident(severity=CRITICAL), None, quiet_hours=True) is Reason.OPENED


def test_a_message_that_waits_says_enough_but_newer_chatter_takes_the_place_of_older() -> None:
    opened = knows(3)
    assert reason(incident(50), None, waiting=opened, replaceable=True) is Reason.WAITING
    chatter = knows(3, reason=Reason.UPDATED)
    assert reason(incident(50), knows(3), waiting=chatter, replaceable=True) is Reason.ESCALATED
    assert reason(incident(50), knows(3), waiting=chatter) is Reason.WAITING


@pytest.mark.parametrize(
    ("hour", "expected"),
    [("21:59", False), ("22:00", True), ("03:00", True), ("06:59", True), ("07:00", False)],
)
def test_quiet_hours_may_go_over_midnight(hour: str, expected: bool) -> None:
    quiet = QuietHours.model_validate({"from": "22:00", "to": "07:00", "zone": "Europe/Berlin"})
    local = datetime.combine(AT.date(), time.fromisoformat(hour), ZoneInfo("Europe/Berlin"))
    assert policy.in_quiet_hours(quiet, USUAL, local) is expected


def test_quiet_days_are_quiet_all_day_in_their_own_zone() -> None:
    quiet = QuietHours.model_validate({"days": ["sat"], "zone": "Pacific/Auckland"})
    friday_noon_utc = AT.replace(hour=12) - 3 * DAY
    assert friday_noon_utc.strftime("%a") == "Fri"
    assert policy.in_quiet_hours(quiet, USUAL, friday_noon_utc)
    assert not policy.in_quiet_hours(QuietHours(), USUAL, friday_noon_utc)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"rule": "every-*"}, True),
        ({"rule": "no-*"}, False),
        ({"tag": "mail"}, True),
        ({"tag": "other"}, False),
        ({"source": "app"}, True),
        ({"source": "app", "tag": "other"}, False),
        ({"starts": AT + HOUR}, False),
        ({"until": AT}, False),
    ],
)
def test_a_silence_matches_what_it_says_while_it_lasts(
    changes: dict[str, Any], expected: bool
) -> None:
    silence = replace(Silence(1, "ana", "deployment", AT, AT, AT + HOUR), **changes)
    assert policy.is_silenced(replace(RULE, tags=("mail",)), [silence], AT) is expected


severities = st.sampled_from(Severity)
counts = st.integers(0, 5000)
ages = st.timedeltas(timedelta(0), timedelta(days=40))
reasons = st.sampled_from(
    [Reason.OPENED, Reason.ESCALATED, Reason.UPDATED, Reason.REMINDER, Reason.RESOLVED]
)
tolds = st.none() | st.builds(
    lambda why, count, how, ago, reminders: LastNotification(
        why, count, how, 1, AT - ago, reminders
    ),
    *(reasons, counts, severities, ages, st.integers(0, 5)),
)
situations = st.builds(
    PolicyInput,
    st.builds(
        lambda n, s, ago: incident(n, severity=s, opened_at=AT - ago), counts, severities, ages
    ),
    tolds,
    new_rows=counts,
    verified=st.booleans(),
    triage=st.none() | st.builds(stance, st.sampled_from(TriageAction)),
    lapsed=st.none() | st.builds(stance, ended=st.sampled_from(["expired", "broken"])),
    silenced=st.booleans(),
    inhibited=st.booleans(),
    peak=st.none() | counts,
    quiet_hours=st.booleans(),
)


@given(situations)
def test_nothing_less_than_an_error_is_ever_mailed(now: PolicyInput) -> None:
    assert not decide_reason(now, USUAL, AT).mails or now.incident.severity >= ERROR


@given(situations)
def test_who_was_told_is_not_told_the_same_again(now: PolicyInput) -> None:
    """Whatever was mailed, the next look at the same says nothing: repeating a pass can't double a
    mail."""
    first = decide_reason(now, USUAL, AT)
    if first.mails:
        known = LastNotification(first, now.incident.violations, now.incident.severity, 2, AT)
        assert not decide_reason(
            replace(now, last_notification=known, lapsed=None, new_rows=0), USUAL, AT
        ).mails


@given(situations)
def test_only_who_heard_of_the_beginning_hears_of_the_end(now: PolicyInput) -> None:
    over = replace(now, incident=replace(now.incident, resolved_at=AT))
    if decide_reason(over, USUAL, AT) is Reason.RESOLVED:
        assert now.last_notification is not None
        assert now.last_notification.reason is not Reason.RESOLVED
    if now.last_notification is None:
        assert decide_reason(over, USUAL, AT) is Reason.NEVER_NOTIFIED


@given(situations)
def test_a_worse_severity_is_only_kept_quiet_by_people_or_by_what_they_set_up(
    now: PolicyInput,
) -> None:
    """No policy of ours may hide that something became critical."""
    worse = replace(
        now,
        incident=replace(
            now.incident, severity=CRITICAL, violations=max(now.incident.violations, 1)
        ),
    )
    if now.last_notification and now.last_notification.severity < CRITICAL and worse.verified:
        undecided = replace(worse, triage=None, silenced=False, inhibited=False)
        assert decide_reason(undecided, USUAL, AT).mails


@given(st.integers(1, 5000), severities.filter(lambda s: s >= ERROR), st.lists(counts, max_size=30))
def test_the_last_mail_never_tells_less_than_half(
    first: int, severity: Severity, later: list[int]
) -> None:
    """However the number wanders, what the recipient knows stays above half of it."""
    known = LastNotification(Reason.OPENED, first, severity, 1, AT - HOUR)
    for count in later:
        now = incident(count, severity=severity)
        why = reason(now, known)
        known = LastNotification(why, count, severity, 1, AT - HOUR) if why.mails else known
        assert count < 2 * max(known.violations, 1)


def test_the_same_news_has_the_same_key_whatever_the_number_is_by_now() -> None:
    now, later = (news_identity(incident(n), Reason.ESCALATED, told(3), 0) for n in (6, 7))
    assert dedup_key(Reason.ESCALATED, "a", "x@y", [now]) == dedup_key(
        Reason.ESCALATED, "a", "x@y", [later]
    )


def test_news_for_others_or_of_other_things_has_another_key() -> None:
    parts = [
        news_identity(incident(), Reason.OPENED, None, 0),
        news_identity(incident(id="other"), Reason.OPENED, None, 0),
        news_identity(incident(), Reason.ESCALATED, None, 0),
        news_identity(incident(), Reason.ESCALATED, told(3), 0),
        news_identity(incident(), Reason.ESCALATED, told(6), 0),
        news_identity(incident(), Reason.ESCALATED, told(6, CRITICAL), 0),
        news_identity(
            incident(),
            Reason.ESCALATED,
            LastNotification(Reason.ESCALATED, 6, CRITICAL, sequence=2),
            0,
        ),
        news_identity(incident(), Reason.OPENED, None, 1),
    ]
    keys = [dedup_key(Reason.OPENED, "a", "x@y", [part]) for part in parts]
    keys += [
        dedup_key(Reason.OPENED, channel, who, parts[:1])
        for channel, who in (("b", "x@y"), ("a", "z@y"))
    ]
    keys += [
        dedup_key(Reason.SUMMARY, "a", "x@y", parts[:1]),
        dedup_key(Reason.OPENED, "a", "x@y", parts[:2]),
    ]
    assert len(set(keys)) == len(keys)
