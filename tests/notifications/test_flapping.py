"""When a flapping rule is notified once, and when flapping has ended."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanityd.alerts.settings import Flapping, Settings
from sanityd.model import Reason, Severity
from sanityd.notifications.noise import NoiseState, PastRunResult, flap_score, judge
from tests.notifications.noise_history import (
    AT,
    HOUR,
    SETTINGS,
    ago,
    downgrading,
    live,
    looks,
    reasons,
    record,
)

STEADY = "." * 20
#: Six changes, the last of them in the last run: 0.98 + 1.02 + 1.06 + 1.10 + 1.14 + 1.18 of 20.
SIX = "." * 10 + "xx..xx..xx."


@pytest.mark.parametrize(
    ("pattern", "score"),
    [
        ("", 0),
        ("x", 0),
        (STEADY + ".", 0),
        ("x" * 21, 0),
        (STEADY + "x", 5.9),
        (".x" + "x" * 19, 4.0),
        (".x" * 10 + ".", 99.0),
        ("." + "x" * 20 + "." * 20 + "x", 5.9),
        (SIX, 32.4),
        (".x", 5.9),
        (".x.x", 17.4),
    ],
)
def test_the_score_is_icingas(pattern: str, score: float) -> None:
    assert flap_score(looks(pattern)) == score


@given(st.text(".x", max_size=60), st.integers(5, 60))
def test_the_score_is_the_sum_that_icinga_makes(pattern: str, window: int) -> None:
    """Its buffer holds one bit for each run, with zeros at first; its weights are 0.8 + 0.02 i for
    20."""
    bits = [before != after for before, after in pairwise(pattern)][-window:]
    buffer = [False] * (window - len(bits)) + bits
    expected = sum(0.8 + 0.4 / window * place for place, changed in enumerate(buffer) if changed)
    assert flap_score(looks(pattern), window) == pytest.approx(100 * expected / window)


def test_severities_that_come_and_go_are_not_flapping() -> None:
    """The incident stays open all the while."""
    steps = [Severity.WARNING, Severity.CRITICAL] * 20
    assert flap_score([PastRunResult(AT, 1, step) for step in steps]) == 0


def test_flapping_and_calm_are_told_once_each() -> None:
    pattern = STEADY + ".x" * 10 + "." * 60
    seen = looks(pattern)
    standing, told = live(record(looks=seen), [look.at for look in seen])
    assert reasons([verdict for _, verdict in told]) == [
        Reason.FLAPPING_STARTED,
        Reason.FLAPPING_ENDED,
    ]
    assert standing == NoiseState(flapping_ended_at=told[-1][0])
    (began, flapping), (ended, calm) = told
    assert flapping.sentence == (
        "it came or went 6 times in the last 20 runs (score 33.9, flapping from 30 on) with at most 3 violations"
    )
    assert calm.sentence == "it came or went 0 times in the last 20 runs (score 0.0, ends at 25)"
    last_change = seen[-60].at
    assert ended - last_change == 24 * HOUR
    assert began < last_change


def test_what_begins_again_within_a_week_is_the_same_flapping() -> None:
    wild, calm = ".x" * 12, "." * 30
    for days, reasons_in_order in (
        (3, [Reason.FLAPPING_STARTED, Reason.FLAPPING_ENDED]),
        (8, [Reason.FLAPPING_STARTED, Reason.FLAPPING_ENDED, Reason.FLAPPING_STARTED]),
    ):
        seen = looks(STEADY + wild + calm + "." * 24 * days + wild)
        standing, told = live(record(looks=seen), [look.at for look in seen])
        assert reasons([verdict for _, verdict in told]) == reasons_in_order
        assert standing.flapping_since is not None


def test_a_slow_rule_is_calm_after_several_of_its_own_gaps() -> None:
    """It changes every eight hours, so a day says nothing."""
    seen = looks("." * 20 + ".x" * 12 + "." * 20, every=8 * HOUR)
    _, told = live(record(looks=seen), [look.at for look in seen])
    (_, _), (ended, calm) = told
    assert calm.reason is Reason.FLAPPING_ENDED
    last_change = seen[-20].at
    assert ended - last_change > 32 * HOUR


def test_between_the_thresholds_it_stays_what_it_was() -> None:
    between = looks("." + ".x" * 3 + "x" * 6)
    padded = looks(STEADY + "".join("x" if look.severity else "." for look in between))
    assert 25 < flap_score(padded) < 30
    flapping = NoiseState(flapping_since=ago(1), peak=3)
    assert judge(record(looks=padded), NoiseState(), SETTINGS, AT) == (NoiseState(), ())
    standing, verdicts = judge(record(looks=padded), flapping, SETTINGS, AT)
    assert (downgrading(standing), verdicts) == (flapping, ())


def test_fewer_runs_than_the_window_are_no_flapping() -> None:
    assert judge(record(looks=looks(".x" * 10)), NoiseState(), SETTINGS, AT) == (NoiseState(), ())
    assert reasons(judge(record(looks=looks(".x" * 10 + ".")), NoiseState(), SETTINGS, AT)[1]) == [
        Reason.FLAPPING_STARTED
    ]


def test_the_peak_is_the_worst_of_the_window() -> None:
    """Not of what was before, and not of what came after."""
    seen = looks(STEADY + ".x" * 15)
    sizes = {0: 5000, 30: 7, 26: 41, 49: 90}
    grown = [
        PastRunResult(look.at, sizes.get(number, look.violations), look.severity)
        for number, look in enumerate(seen)
    ]
    standing, told = live(record(looks=grown), [look.at for look in grown])
    assert reasons([verdict for _, verdict in told]) == [Reason.FLAPPING_STARTED]
    assert standing.peak == 41
    assert standing.flapping_since == told[0][0]


def test_a_rule_that_means_something_else_is_not_flapping_any_more() -> None:
    flapping = NoiseState(flapping_since=ago(1), peak=3)
    known = record(looks=looks(".x" * 40), since=AT - 3 * HOUR)
    standing, [verdict] = judge(known, flapping, SETTINGS, AT)
    assert (standing, verdict.reason) == (NoiseState(), Reason.FLAPPING_ENDED)
    assert (
        verdict.sentence
        == "the rule means something else now, so it is not called flapping any more"
    )


def test_a_rule_counts_as_flapping_whatever_its_noise_setting_is() -> None:
    assert reasons(
        judge(record(looks=looks(".x" * 20), mode="off"), NoiseState(), SETTINGS, AT)[1]
    ) == [Reason.FLAPPING_STARTED]


def test_equal_thresholds_decide_once() -> None:
    """On the threshold it is calm."""
    same = Settings(flapping=Flapping(start=32.4, end=32.4))
    assert judge(record(looks=looks(SIX)), NoiseState(), same, AT) == (NoiseState(), ())
    flapping = NoiseState(flapping_since=ago(3), peak=3)
    calm = looks(SIX, last=ago(2)) + looks("." * 30)
    assert reasons(judge(record(looks=calm), flapping, same, AT)[1]) == [Reason.FLAPPING_ENDED]


def test_the_thresholds_are_part_of_their_states() -> None:
    at_start = Settings(flapping=Flapping(start=32.4, end=25))
    assert reasons(judge(record(looks=looks(SIX)), NoiseState(), at_start, AT)[1]) == [
        Reason.FLAPPING_STARTED
    ]
    at_end = Settings(flapping=Flapping(start=40, end=32.4))
    due = NoiseState(flapping_since=ago(1))
    late = looks(SIX, every=0.25 * HOUR)
    calm = [*late, PastRunResult(AT + 25 * HOUR, 0, None)]
    standing, verdicts = judge(record(looks=late), due, at_end, AT)
    assert verdicts == ()
    assert reasons(judge(record(looks=calm), standing, at_end, AT + 25 * HOUR)[1]) == [
        Reason.FLAPPING_ENDED
    ]


@given(st.text(".x", min_size=1, max_size=120), st.sets(st.integers(0, 119)))
def test_judging_after_each_run_or_seldom_ends_in_the_same_standing(
    pattern: str, some: set[int]
) -> None:
    """Who asks seldom may miss flapping; who hears of it hears of it, and of its end, once."""
    seen = looks(pattern)
    each, _ = live(record(looks=seen), [look.at for look in seen])
    times = sorted({AT, *(look.at for n, look in enumerate(seen) if n in some)})
    seldom, _ = live(record(looks=seen), times)
    if each.flapping_since is None:
        assert seldom.flapping_since is None


def test_even_a_few_wild_runs_of_the_new_meaning_are_not_the_old_flapping() -> None:
    known = record(looks=looks(".x" * 40), since=AT - 7 * HOUR)
    assert flap_score(known.looks[-8:]) > 30
    assert reasons(judge(known, NoiseState(flapping_since=ago(1), peak=3), SETTINGS, AT)[1]) == [
        Reason.FLAPPING_ENDED
    ]


def test_flapping_that_went_on_through_a_change_of_meaning_is_not_told_again() -> None:
    """Nobody judged it in between, so nobody heard that it was calm."""
    known = record(looks=looks(".x" * 40), since=AT - 30 * HOUR)
    standing, verdicts = judge(known, NoiseState(flapping_since=ago(3), peak=9), SETTINGS, AT)
    assert verdicts == ()
    assert downgrading(standing) == NoiseState(flapping_since=AT - 10 * HOUR, peak=3)
