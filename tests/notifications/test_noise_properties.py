"""What holds of the noise policy whatever happened to a rule, and three rules over ninety days."""

import itertools
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sanityd.alerts.settings import Flapping, Noise, Settings
from sanityd.model import Reason, Severity
from sanityd.notifications.noise import (
    Episode,
    NoiseState,
    PastRunResult,
    Record,
    SentMail,
    effective,
    judge,
    undo,
)
from tests.notifications.noise_history import (
    AT,
    DAY,
    HOUR,
    MINUTE,
    SETTINGS,
    ago,
    live,
    looks,
    reasons,
    record,
)

severities = st.sampled_from(Severity)
moments = st.integers(0, 100 * 24).map(lambda hours: ago(hours / 24))
#: Quick to downgrade, so that random histories see every decision.
EAGER = Settings(
    noise=Noise(
        min_mails=1,
        min_days=1,
        min_rule_age=DAY,
        acted_upper_bound=0.9,
        grace=DAY,
        cooldown=9 * DAY,
    ),
    flapping=Flapping(window=5),
)


@st.composite
def records(draw: st.DrawFn, declared: st.SearchStrategy[Severity] = severities) -> Record:
    violations = st.integers(0, 40)
    steps = st.none() | st.sampled_from([Severity.WARNING, Severity.ERROR])
    began = draw(st.lists(moments, max_size=20).map(sorted))
    return Record(
        declared=draw(declared),
        since=draw(moments),
        interval=draw(st.sampled_from([5 * MINUTE, HOUR, DAY])),
        sent=[
            SentMail(at, f"i{draw(st.integers(0, 19))}")
            for at in draw(st.lists(moments, max_size=30).map(sorted))
        ],
        episodes=[
            Episode(
                f"i{n}",
                at,
                draw(st.none() | st.just(at + HOUR)),
                *(draw(st.booleans()) for _ in range(3)),
            )
            for n, at in enumerate(began)
        ],
        looks=[
            PastRunResult(at, draw(violations), draw(steps))
            for at in draw(st.lists(moments, max_size=30, unique=True).map(sorted))
        ],
        mode=draw(st.sampled_from([None, None, None, "on", "suggest", "off"])),
    )


@st.composite
def standings(draw: st.DrawFn) -> NoiseState:
    noticed, since = draw(st.none() | moments), draw(st.none() | moments)
    return NoiseState(
        steps=draw(st.integers(0, 2)) if since else 0,
        since=since,
        noticed_at=noticed,
        due=noticed and noticed + DAY,
        baseline=draw(st.integers(0, 30)),
        locked_until=draw(st.none() | moments),
        flapping_since=draw(st.none() | moments),
        restored_at=draw(st.none() | moments),
    )


policies = st.sampled_from([SETTINGS, EAGER])
errors = records(st.just(Severity.ERROR))


@given(severities, st.integers(0, 10))
def test_nothing_counts_as_less_than_a_warning_that_was_not_declared_so(
    declared: Severity, steps: int
) -> None:
    assert min(declared, Severity.WARNING) <= effective(declared, steps) <= declared
    assert effective(declared, steps + 1) <= effective(declared, steps)


@given(records(), standings(), policies)
def test_asked_again_at_the_same_time_it_decides_nothing_more(
    known: Record, before: NoiseState, policy: Settings
) -> None:
    standing, _ = judge(known, before, policy, AT)
    assert judge(known, standing, policy, AT) == (standing, ())


@given(records(), standings(), policies)
def test_each_decision_is_told_at_most_once_with_a_sentence(
    known: Record, before: NoiseState, policy: Settings
) -> None:
    standing, verdicts = judge(known, before, policy, AT)
    assert len(set(reasons(verdicts))) == len(verdicts) <= 2
    assert all(verdict.sentence and not verdict.sentence.endswith(".") for verdict in verdicts)
    stepped = {Reason.DOWNGRADED, Reason.RESTORED} & set(reasons(verdicts))
    assert (standing.steps != before.steps) == bool(stepped)
    assert (Reason.DOWNGRADE_NOTICE in reasons(verdicts)) == (
        before.due is None and standing.due is not None
    )


@given(records(st.just(Severity.CRITICAL)), standings(), policies)
def test_what_is_critical_is_never_downgraded(
    known: Record, before: NoiseState, policy: Settings
) -> None:
    standing, verdicts = judge(known, before, policy, AT)
    assert standing.steps == 0
    assert not {Reason.DOWNGRADE_NOTICE, Reason.DOWNGRADED} & set(reasons(verdicts))


@given(errors, st.lists(moments, min_size=2, max_size=60).map(sorted))
def test_a_downgrade_has_its_notice_and_its_distance_from_the_last(
    known: Record, times: list[datetime]
) -> None:
    _, told = live(known, times, EAGER)
    steps = [
        (at, verdict)
        for at, verdict in told
        if verdict.reason in (Reason.DOWNGRADE_NOTICE, Reason.DOWNGRADED)
    ]
    downs = [at for at, verdict in steps if verdict.reason is Reason.DOWNGRADED]
    assert all(later - earlier >= 9 * DAY for earlier, later in itertools.pairwise(downs))
    assert all(verdict.reason is Reason.DOWNGRADE_NOTICE for _, verdict in steps[:1])
    for (noticed, notice), (at, verdict) in pairwise(steps):
        if verdict.reason is Reason.DOWNGRADED:
            assert notice.reason is Reason.DOWNGRADE_NOTICE
            assert at - noticed >= EAGER.noise.grace


@given(errors, st.lists(moments, min_size=2, max_size=60).map(sorted))
def test_never_more_than_one_step_below_an_error(known: Record, times: list[datetime]) -> None:
    standing, told = live(known, times, EAGER)
    ups_and_downs = [v.reason for _, v in told if v.reason in (Reason.DOWNGRADED, Reason.RESTORED)]
    assert ups_and_downs == [Reason.DOWNGRADED, Reason.RESTORED] * (len(ups_and_downs) // 2) + (
        [Reason.DOWNGRADED] if standing.steps else []
    )


@given(errors, standings(), st.integers(0, 200), st.integers(1, 500))
def test_more_than_the_ratchet_allows_restores_it_at_that_look(
    known: Record, before: NoiseState, baseline: int, more: int
) -> None:
    down = replace(before, steps=1, since=ago(20), baseline=baseline)
    violations = int(max(1.5 * baseline, baseline + 5)) + more
    grown = replace(
        known,
        looks=[
            *(look for look in known.looks if look.at < AT),
            PastRunResult(AT, violations, Severity.ERROR),
        ],
    )
    standing, verdicts = judge(grown, down, SETTINGS, AT)
    assert Reason.RESTORED in reasons(verdicts)
    assert standing.steps == 0


@given(errors, standings(), st.timedeltas(timedelta(0), timedelta(days=29)))
def test_after_an_undo_nothing_is_downgraded_for_thirty_days(
    known: Record, before: NoiseState, later: timedelta
) -> None:
    standing, verdicts = judge(known, undo(before, SETTINGS, ago(30)), SETTINGS, ago(30) + later)
    assert standing.steps == 0
    assert not {Reason.DOWNGRADE_NOTICE, Reason.DOWNGRADED, Reason.RESTORED} & set(
        reasons(verdicts)
    )


@given(errors, st.lists(moments, min_size=1, max_size=30).map(sorted))
def test_what_comes_later_changes_no_earlier_decision(known: Record, times: list[datetime]) -> None:
    """Judged in virtual time, a history tells what would have been told then. `ended` of what goes
    on is not known."""
    at = times[-1]
    cut = replace(
        known,
        sent=[mail for mail in known.sent if mail.at <= at],
        looks=[look for look in known.looks if look.at <= at],
        episodes=[episode for episode in known.episodes if episode.began <= at],
    )
    assert live(known, times, EAGER) == live(cut, times, EAGER)


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.none() | st.just(Severity.ERROR)), min_size=1, max_size=80
    )
)
def test_runs_judged_one_by_one_or_all_at_once_end_in_the_same_standing(
    seen: list[tuple[int, Severity | None]],
) -> None:
    """Without mails there is no notice, which is the one decision that depends on when it was asked
    for."""
    known = record(
        looks=[PastRunResult(AT - (len(seen) - n) * HOUR, *facts) for n, facts in enumerate(seen)]
    )
    assert live(known, [look.at for look in known.looks])[0] == live(known, [AT])[0]


def test_runs_that_had_no_answer_change_nothing() -> None:
    """They are not among the looks, so an outage between two of them is neither clean time nor a
    change."""
    there = looks("." * 20 + ".x" * 10)
    late = [replace(look, at=look.at - 30 * DAY) for look in there[:25]] + there[25:]
    one, other = (judge(record(looks=seen), NoiseState(), SETTINGS, AT) for seen in (there, late))
    assert one[1] == other[1] != ()
    quiet = [
        PastRunResult(ago(50), 3, Severity.ERROR),
        PastRunResult(ago(49), 0, None),
        PastRunResult(AT, 3, Severity.ERROR),
    ]
    assert (
        judge(record(looks=quiet), NoiseState(steps=1, since=ago(48), baseline=3), SETTINGS, AT)[1]
        == ()
    )


def _ninety_days(broken: str, acted: float = 0, per_day: int = 4) -> Record:
    """A rule that looks every six hours; each `x` of the pattern is a run that saw three
    violations, anew if before it held, and was mailed if so.
    """
    seen = looks((broken * 400)[: 90 * per_day], DAY / per_day)
    starts = [
        now.at
        for before, now in zip([PastRunResult(ago(99), 0, None), *seen], seen, strict=False)
        if now.severity and not before.severity
    ]
    episodes = [
        Episode(f"i{n}", at, at + DAY / per_day, n < acted * len(starts))
        for n, at in enumerate(starts)
    ]
    return record(
        since=ago(90),
        interval=DAY / per_day,
        looks=seen,
        episodes=episodes,
        sent=[SentMail(episode.began, episode.incident) for episode in episodes],
    )


def _days(known: Record, policy: Settings = SETTINGS) -> list[tuple[int, Reason]]:
    """On which day what was told."""
    _, told = live(known, [look.at for look in known.looks], policy)
    return [((at - ago(90)).days, verdict.reason) for at, verdict in told]


def test_ninety_days_of_a_rule_that_comes_and_goes() -> None:
    """Two runs a day broken: one mail that it is flapping; as nobody acts on it, it becomes a
    warning, too."""
    assert _days(_ninety_days("..x.")) == [
        (5, Reason.FLAPPING_STARTED),
        (14, Reason.DOWNGRADE_NOTICE),
        (17, Reason.DOWNGRADED),
    ]
    calm_in_the_end = _ninety_days("..x.")
    calm_in_the_end = replace(
        calm_in_the_end,
        looks=[
            look if look.at < ago(60) else replace(look, violations=0, severity=None)
            for look in calm_in_the_end.looks
        ],
    )
    assert (32, Reason.FLAPPING_ENDED) in _days(calm_in_the_end)


def test_ninety_days_of_a_rule_that_nobody_acts_on() -> None:
    """Broken for half a day every three days: too slow to flap, and a warning after four weeks."""
    known = _ninety_days(".....xx.....")
    assert _days(known) == [(22, Reason.DOWNGRADE_NOTICE), (25, Reason.DOWNGRADED)]
    grown = replace(
        known,
        looks=[
            look if look.at < ago(30) or look.severity is None else replace(look, violations=9)
            for look in known.looks
        ],
    )
    assert _days(grown) == [
        (22, Reason.DOWNGRADE_NOTICE),
        (25, Reason.DOWNGRADED),
        (61, Reason.RESTORED),
        (67, Reason.DOWNGRADE_NOTICE),
        (70, Reason.DOWNGRADED),
    ]


def test_ninety_days_of_a_rule_that_people_act_on() -> None:
    assert _days(_ninety_days(".....xx.....", acted=1)) == []
    assert _days(replace(_ninety_days(".....xx....."), declared=Severity.CRITICAL)) == []
    assert _days(_ninety_days(".....xx....."), Settings(noise=Noise(auto="suggest"))) == []
