"""How mails that nobody acts on come ever more rarely, and how the first mail waits."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanityd.alerts.settings import Noise, Settings
from sanityd.model import Cause, Incident, LastNotification, NoiseState, Reason, Severity
from sanityd.notifications.noise import (
    DayPeak,
    Episode,
    PastRunResult,
    SentMail,
    daily_peaks,
    judge,
    sentences,
    undo,
)
from sanityd.notifications.noise.attention import SELDOM, follow, next_mail
from sanityd.notifications.noise.usual import is_worse, usual_count
from sanityd.notifications.policy import PolicyInput, decide_reason
from tests.notifications.noise_history import AT, DAY, HOUR, MINUTE, SETTINGS, ago, looks, record

UTC_ZONE = SETTINGS.zone
NOTHING = NoiseState()


def quiet_days(*lasting: int) -> list[DayPeak]:
    """Days before today with so many violations, the last one yesterday."""
    begin = AT.date() - timedelta(days=len(lasting))
    return [DayPeak(begin + timedelta(days=n), count, count) for n, count in enumerate(lasting)]


def ignored(count: int, *, acted: int = 0, last: datetime = AT) -> dict[str, object]:
    """So many mails, one a day, about incidents of five hours; the last ones were acted on."""
    times = [last - DAY - number * DAY for number in range(count)][::-1]
    return {
        "sent": [SentMail(at, f"i{number}") for number, at in enumerate(times)],
        "episodes": [
            Episode(f"i{number}", at, at + 5 * HOUR, acted=number >= count - acted)
            for number, at in enumerate(times)
        ],
    }


@pytest.mark.parametrize(
    ("count", "gap"),
    [(0, None), (1, None), (2, DAY), (3, 3 * DAY), (4, SELDOM), (40, SELDOM)],
)
def test_mails_that_nobody_acts_on_come_ever_more_rarely(count: int, gap: timedelta | None) -> None:
    state = follow(record(**ignored(count)), NOTHING, SETTINGS, AT)
    assert state.ignored == count
    assert state.mails_from == (None if gap is None else AT - DAY + gap)


def test_an_act_begins_the_count_anew() -> None:
    assert follow(record(**ignored(6, acted=1)), NOTHING, SETTINGS, AT).ignored == 0
    facts = ignored(6)
    now = Episode("now", ago(0.1), acted=True)
    facts["episodes"] = [*facts["episodes"], now]  # type: ignore[misc]
    assert follow(record(**facts), NOTHING, SETTINGS, AT).ignored == 0


def test_who_acts_on_what_was_worse_does_not_care_for_the_usual() -> None:
    state = follow(record(**ignored(6, acted=1)), NoiseState(worse_in="i5"), SETTINGS, AT)
    assert state.ignored == 5


def test_after_two_calm_weeks_it_is_a_new_problem() -> None:
    facts = ignored(6, last=ago(14))
    facts["episodes"] = [*facts["episodes"], Episode("now", AT)]  # type: ignore[misc]
    assert follow(record(**facts), NOTHING, SETTINGS, AT).ignored == 0


def test_mails_are_counted_once_however_often_it_is_asked() -> None:
    facts = record(**ignored(5))
    state = NOTHING
    for hours in range(10):
        state = follow(facts, state, SETTINGS, AT + hours * HOUR)
    assert state.ignored == 5


def test_a_month_without_mails_does_not_begin_it_anew() -> None:
    """The mails have left the window, and nobody acted since."""
    before = NoiseState(ignored=4, ignored_until=ago(40), mailed_at=ago(40))
    episodes = [Episode(f"q{n}", ago(n), ago(n - 0.2)) for n in range(30, 0, -1)]
    state = follow(record(episodes=episodes), before, SETTINGS, AT)
    assert (state.ignored, state.mails_from) == (4, ago(40) + SELDOM)


def test_no_mail_waits_for_a_time_that_a_wrong_clock_wrote() -> None:
    facts = record(**ignored(6))
    a_year_ago = AT - 365 * DAY
    state = follow(facts, NOTHING, SETTINGS, a_year_ago)
    assert state.ignored == 6
    assert state.mails_from is None


@pytest.mark.parametrize(
    "facts",
    [{"mode": "off"}, {"mode": "suggest"}, {"declared": Severity.CRITICAL}],
)
def test_nothing_is_spared_where_it_may_not_be(facts: dict[str, object]) -> None:
    assert follow(record(**{**ignored(6), **facts}), NOTHING, SETTINGS, AT) == NOTHING
    off = Settings(noise=Noise(auto="off"))
    assert follow(record(**ignored(6)), NOTHING, off, AT) == NOTHING


def test_an_undo_spares_nothing_for_thirty_days() -> None:
    spared = follow(record(**ignored(6)), NOTHING, SETTINGS, AT)
    state = undo(spared, SETTINGS, AT)
    assert state.mails_from is None
    assert follow(record(**ignored(6)), state, SETTINGS, AT + 29 * DAY).mails_from is None


def passing(minutes: list[int], acted: int = 0) -> dict[str, object]:
    """Incidents of these lengths, one a day; the first ones were acted on."""
    return {
        "episodes": [
            Episode(f"p{n}", ago(20 - n), ago(20 - n) + length * MINUTE, acted=n < acted)
            for n, length in enumerate(minutes)
        ]
    }


@pytest.mark.parametrize(
    ("lengths", "acted", "pause"),
    [
        ([20] * 5, 0, 24),
        ([20] * 4, 0, 0),
        ([20] * 9 + [90], 0, 24),
        ([20] * 8 + [90, 90], 0, 108),
        ([20] * 8, 1, 24),
        ([20] * 8, 2, 0),
        ([99] * 5, 0, 118),
        ([101] * 5, 0, 0),
    ],
)
def test_the_first_mail_waits_as_long_as_most_incidents_last(
    lengths: list[int], acted: int, pause: int
) -> None:
    state = follow(record(**passing(lengths, acted)), NOTHING, SETTINGS, AT)
    assert state.pause // 60 == pause


def test_it_says_in_one_sentence_what_is_spared_and_why() -> None:
    state = follow(record(**passing([20] * 31 + [30, 30])), NOTHING, SETTINGS, AT)
    assert sentences(state, SETTINGS, AT) == [
        "the first mail waits 24 min, since 31 of 33 incidents were over by themselves within 20 min"
    ]
    state = follow(record(**ignored(3)), NOTHING, SETTINGS, AT)
    known = replace(state, usual=12)
    assert sentences(known, SETTINGS, AT) == [
        "nobody acted on the last 3 mails, so the next one comes on 25 Nov, "
        "or with more than 18 violations (usually at most 12)"
    ]


def test_a_day_counts_with_what_two_runs_in_a_row_saw() -> None:
    runs = [
        PastRunResult(datetime(2026, 11, 2, hour, tzinfo=AT.tzinfo), count, None)
        for hour, count in enumerate([0, 3, 400, 4, 5, 0])
    ]
    assert daily_peaks(runs, UTC_ZONE) == (DayPeak(date(2026, 11, 2), 400, 4),)
    assert daily_peaks(looks("...."), UTC_ZONE) == ()


def test_what_nine_of_ten_days_had_at_most_is_usual() -> None:
    assert usual_count(quiet_days(), AT.date()) == 0
    assert usual_count(quiet_days(3, 9, 4), AT.date()) == 9
    assert usual_count(quiet_days(*[5] * 9, 400), AT.date()) == 5


def test_a_weekday_that_always_has_more_has_a_range_of_its_own() -> None:
    """The days before are four weeks with forty to sixty on Mondays; today is one."""
    begin = AT.date() - timedelta(days=28)
    days = [
        DayPeak(begin + timedelta(days=n), 60 if n % 7 == 0 else 3, 50 if n % 7 == 0 else 3)
        for n in range(28)
    ]
    assert AT.weekday() == begin.weekday() == 0
    assert usual_count(days, AT.date()) == 50
    assert usual_count(days, AT.date() + timedelta(days=1)) == 3


def test_more_than_usual_breaks_through_in_the_first_run() -> None:
    quiet = record(days=quiet_days(9, 12, 8), looks=looks("x", violations=18))
    assert not is_worse(quiet, 12, AT)
    assert is_worse(replace(quiet, looks=looks("x", violations=19)), 12, AT)


def test_two_runs_are_needed_only_where_single_runs_are_known_to_jump() -> None:
    days = quiet_days(3, 3, 3)
    jumpy = [replace(day, peak=200) for day in days]
    single = [*looks("x", last=ago(0.1)), *looks("x", violations=300)]
    assert is_worse(record(days=days, looks=single), 3, AT)
    assert not is_worse(record(days=jumpy, looks=single), 3, AT)
    assert is_worse(record(days=jumpy, looks=looks("xx", violations=300)), 3, AT)


def test_what_lasts_much_longer_than_usual_is_worse() -> None:
    facts = passing([20] * 9)
    for minutes, expected in ((119, False), (120, True)):
        now = Episode("now", AT - minutes * MINUTE)
        known = record(episodes=[*facts["episodes"], now])  # type: ignore[misc]
        assert is_worse(known, 3, AT) is expected


#: Whether a rule is spared, and how bad it is now.
spared_states = st.builds(
    lambda pause, gap, worse: {
        "paused_until": AT + timedelta(minutes=pause),
        "mails_from": None if gap is None else AT + timedelta(hours=gap),
        "worse": worse,
    },
    st.integers(-60, 60),
    st.none() | st.integers(-48, 48),
    st.booleans(),
)
last_messages = st.none() | st.builds(
    lambda violations, hours: LastNotification(
        Reason.OPENED, violations, Severity.ERROR, 1, AT - timedelta(hours=hours)
    ),
    st.integers(1, 50),
    st.integers(0, 200),
)
peaks = st.none() | st.integers(0, 50)


def open_incident(violations: int, severity: Severity = Severity.ERROR) -> Incident:
    return Incident("i", "rule", "app", ago(1), severity, violations, declared=severity)


@given(st.integers(1, 60), st.integers(0, 60), spared_states, last_messages, peaks)
def test_more_violations_never_mean_less_mail(
    count: int,
    more: int,
    spared: dict[str, object],
    last: LastNotification | None,
    peak: int | None,
) -> None:
    few = PolicyInput(open_incident(count), last, peak=peak, **spared)  # type: ignore[arg-type]
    many = replace(few, incident=open_incident(count + more))
    if decide_reason(few, SETTINGS, AT).mails:
        assert decide_reason(many, SETTINGS, AT).mails


@given(st.integers(1, 60), st.integers(0, 60), st.lists(st.integers(0, 40), max_size=30))
def test_more_violations_are_never_less_bad(count: int, more: int, before: list[int]) -> None:
    few = record(days=quiet_days(*before), looks=looks("xx", violations=count))
    many = replace(few, looks=looks("xx", violations=count + more))
    usual = usual_count(few.days, AT.date())
    assert is_worse(many, usual, AT) >= is_worse(few, usual, AT)


@given(spared_states, last_messages, peaks, st.integers(1, 60))
def test_what_is_critical_is_never_delayed(
    spared: dict[str, object], last: LastNotification | None, peak: int | None, count: int
) -> None:
    critical = open_incident(count, Severity.CRITICAL)
    with_policies = PolicyInput(critical, last, peak=peak, **spared)  # type: ignore[arg-type]
    without = PolicyInput(critical, last)
    assert decide_reason(with_policies, SETTINGS, AT) is decide_reason(without, SETTINGS, AT)


@given(st.integers(0, 100), st.integers(0, 7200), st.integers(0, 100))
def test_every_sparing_ends_by_itself(count: int, pause: int, days: int) -> None:
    """After three months at the latest, though nobody acts and nothing gets worse."""
    mails_from = next_mail(count, AT - days * DAY)
    facts = PolicyInput(
        open_incident(3), mails_from=mails_from, paused_until=AT + pause * timedelta(seconds=1)
    )
    assert decide_reason(facts, SETTINGS, AT + SELDOM) is Reason.OPENED


def test_faults_and_outages_are_never_spared() -> None:
    for cause in (Cause.ERRORED, Cause.SOURCE_DOWN):
        facts = PolicyInput(replace(open_incident(0), cause=cause), mails_from=AT + DAY)
        assert decide_reason(facts, SETTINGS, AT).mails


def test_each_mail_that_comes_later_has_its_reason() -> None:
    paused = PolicyInput(open_incident(3), paused_until=AT + MINUTE)
    assert decide_reason(paused, SETTINGS, AT) is Reason.AUTO_PAUSED
    assert decide_reason(paused, SETTINGS, AT + MINUTE) is Reason.OPENED
    paced = PolicyInput(open_incident(3), mails_from=AT + DAY)
    assert decide_reason(paced, SETTINGS, AT) is Reason.NOT_ACTED_ON
    assert decide_reason(replace(paced, worse=True), SETTINGS, AT) is Reason.OPENED


def test_a_run_that_is_worse_than_usual_says_so_at_once() -> None:
    facts = ignored(6)
    facts["episodes"] = [*facts["episodes"], Episode("now", AT)]  # type: ignore[misc]
    known = record(**facts, days=quiet_days(9, 12, 8), looks=looks("x", violations=19))
    state, _ = judge(known, NOTHING, SETTINGS, AT)
    assert (state.worse, state.worse_in, state.usual) == (True, "now", 12)
