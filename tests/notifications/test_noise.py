"""When a rule that nobody acts on becomes a warning, and when it is an error again."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sanityd.alerts.settings import Noise, Settings
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
    wilson_upper,
)
from tests.alerts.samples import BERLIN
from tests.notifications.noise_history import (
    AT,
    DAY,
    HOUR,
    SETTINGS,
    ago,
    closed,
    downgraded,
    downgrading,
    looks,
    mails,
    reasons,
    record,
)

CRITICAL, ERROR, WARNING, INFO = Severity.CRITICAL, Severity.ERROR, Severity.WARNING, Severity.INFO
NOTICE = NoiseState(noticed_at=ago(3), due=AT)
SUGGEST = Settings(noise=Noise(auto="suggest"))
OFF = Settings(noise=Noise(auto="off"))
NOTHING_DECIDED = NoiseState()


def told(
    known: Record, standing: NoiseState = NOTHING_DECIDED, settings: Settings = SETTINGS
) -> list[Reason]:
    return reasons(judge(known, standing, settings, AT)[1])


@pytest.mark.parametrize(
    ("severity", "steps", "counts"),
    [
        (CRITICAL, 0, CRITICAL),
        (CRITICAL, 1, ERROR),
        (CRITICAL, 2, WARNING),
        (CRITICAL, 9, WARNING),
        (ERROR, 0, ERROR),
        (ERROR, 1, WARNING),
        (ERROR, 2, WARNING),
        (WARNING, 1, WARNING),
        (INFO, 0, INFO),
        (INFO, 3, INFO),
    ],
)
def test_a_step_down_ends_at_a_warning(severity: Severity, steps: int, counts: Severity) -> None:
    assert effective(severity, steps) is counts


@pytest.mark.parametrize(("acted", "sent"), [(0, 8), (1, 13), (2, 17), (3, 21), (0, 28)])
def test_so_few_acted_on_are_few(acted: int, sent: int) -> None:
    assert wilson_upper(acted, sent) < 0.35


@pytest.mark.parametrize(("acted", "sent"), [(0, 7), (1, 12), (2, 16), (3, 20), (0, 0)])
def test_so_few_mails_prove_nothing(acted: int, sent: int) -> None:
    assert wilson_upper(acted, sent) >= 0.35


def test_the_bound_is_wilsons() -> None:
    """As other people's tables of the 95 % interval have it."""
    assert round(wilson_upper(0, 8), 4) == 0.3244
    assert round(wilson_upper(1, 10), 4) == 0.4042
    assert round(wilson_upper(5, 10), 4) == 0.7634
    assert wilson_upper(8, 8) == 1


@pytest.mark.parametrize(
    ("case", "facts", "noticed"),
    [
        ("8 mails, none acted on", mails(8), True),
        ("7 are too few", mails(7), False),
        ("on 5 days", mails(9, days=5), True),
        ("4 days are too few", mails(40, days=4), False),
        ("1 of 13 acted on", mails(13, acted=1), True),
        ("1 of 12 is more", mails(12, acted=1), False),
        ("2 of 17 acted on", mails(17, acted=2), True),
        ("2 of 16 is more", mails(16, acted=2), False),
        ("mails of five weeks ago are forgotten", mails(8, last=ago(35)), False),
        ("and those that left the window", mails(8, last=ago(25)), False),
        ("the rule is 14 days old", {**mails(8), "since": ago(14)}, True),
        ("the rule is younger", {**mails(8), "since": ago(13.9)}, False),
        ("what came before it meant this is forgotten", {**mails(16), "since": ago(14)}, True),
        ("so that 7 may remain", {**mails(21, last=ago(8)), "since": ago(14.5)}, False),
        ("half of 4 closed were false", {"episodes": closed(4, 2)}, True),
        ("less than half", {"episodes": closed(5, 2)}, False),
        ("only 3 closed", {"episodes": closed(3, 3)}, False),
        (
            "closed ones that began before it meant this",
            {"episodes": closed(4, 4), "since": ago(8.95)},
            False,
        ),
        ("a warning is not mailed at all", {**mails(8), "declared": WARNING}, False),
        ("nor an info", {**mails(8), "declared": INFO}, False),
        ("what is critical stays so", {**mails(8), "declared": CRITICAL}, False),
        (
            "what was critical at the last look, too",
            {**mails(8), "looks": [PastRunResult(AT, 3, CRITICAL)]},
            False,
        ),
        ("the rule only wants suggestions", {**mails(8), "mode": "suggest"}, False),
        ("the rule wants none of it", {**mails(8), "mode": "off"}, False),
        ("the rule says so itself", {**mails(8), "mode": "on"}, True),
        ("nothing was ever mailed", {}, False),
        ("no look had an answer yet", {**mails(8), "looks": ()}, True),
    ],
)
def test_a_notice_needs_enough_mails_that_nobody_acted_on(
    case: str, facts: dict[str, Any], noticed: bool
) -> None:
    known = record(**facts)
    assert told(known) == ([Reason.DOWNGRADE_NOTICE] if noticed else []), case
    assert told(known, NOTICE) == ([Reason.DOWNGRADED] if noticed else []), case


@pytest.mark.parametrize("settings", [SUGGEST, OFF])
def test_the_settings_can_forbid_it(settings: Settings) -> None:
    assert told(record(**mails(8)), settings=settings) == []
    assert told(record(**mails(8), mode="on"), settings=settings) == [Reason.DOWNGRADE_NOTICE]


def test_a_notice_says_its_numbers_and_when_it_takes_effect() -> None:
    standing, [notice] = judge(record(**mails(14, days=9)), NoiseState(), SETTINGS, AT)
    assert (
        notice.sentence
        == "14 mails on 9 days since 15 Nov, none of them about something that anybody acted on"
    )
    assert notice.due == standing.due == AT + 3 * DAY
    assert standing.noticed_at == AT
    _, [notice] = judge(record(**mails(13, acted=1)), NoiseState(), SETTINGS, AT)
    assert (
        notice.sentence
        == "13 mails on 13 days since 11 Nov, 1 of them about something that anybody acted on"
    )
    _, [notice] = judge(record(episodes=closed(4, 3)), NoiseState(), SETTINGS, AT)
    assert notice.sentence == "3 of 4 incidents that were closed were false positives"


def test_days_and_dates_are_those_of_the_readers_zone() -> None:
    """At 23:30 UTC it is tomorrow in Berlin, already."""
    late = [SentMail(ago(number) + 15.5 * HOUR, "i") for number in range(9, 1, -1)]
    twice = record(sent=[*late, *(SentMail(mail.at + HOUR, "i") for mail in late[-1:])])
    _, [notice] = judge(twice, NoiseState(), Settings(zone=BERLIN), AT)
    assert notice.sentence.startswith("9 mails on 8 days since 15 Nov")
    _, [notice] = judge(twice, NoiseState(), SETTINGS, AT)
    assert notice.sentence.startswith("9 mails on 9 days since 14 Nov")


def test_a_downgrade_comes_when_the_notice_is_due_and_says_its_numbers() -> None:
    early = NoiseState(noticed_at=ago(2), due=AT + timedelta(seconds=1))
    standing, verdicts = judge(record(**mails(14)), early, SETTINGS, AT)
    assert (downgrading(standing), verdicts) == (early, ())
    standing, [verdict] = judge(record(**mails(14)), NOTICE, SETTINGS, AT)
    assert verdict.reason is Reason.DOWNGRADED
    assert verdict.sentence == "declared error, now warning since 23 Nov: 14 mails, none acted on"
    down = NoiseState(steps=1, since=AT, baseline=3, sentence=verdict.sentence)
    assert downgrading(standing) == down


def test_who_acts_before_it_is_due_withdraws_the_notice_in_silence() -> None:
    early = NoiseState(noticed_at=ago(1), due=AT + 2 * DAY)
    for before in (early, NOTICE):
        standing, verdicts = judge(record(**mails(8, acted=1)), before, SETTINGS, AT)
        assert (downgrading(standing), verdicts) == (NoiseState(), ())


def test_time_alone_does_not_withdraw_a_notice() -> None:
    """The mails that led to it count until it is due, even as they leave the window."""
    old = record(**mails(8, last=ago(21.1)))
    assert told(old) == []
    assert told(old, NOTICE) == [Reason.DOWNGRADED]


def test_a_notice_holds_as_well_for_what_came_since() -> None:
    """Otherwise it would be withdrawn, and given anew at the next run."""
    new, old = (
        mails(8),
        [Episode(f"o{number}", ago(30), ago(29), acted=True) for number in range(3)],
    )
    both = {
        "sent": [*(SentMail(episode.began, episode.incident) for episode in old), *new["sent"]],
        "episodes": [*old, *new["episodes"]],
    }
    assert told(record(**both), NOTICE) == [Reason.DOWNGRADED]


@pytest.mark.parametrize(
    "facts",
    [
        {"mode": "off"},
        {"mode": "suggest"},
        {"declared": CRITICAL},
        {"declared": WARNING},
        {"since": ago(2)},
    ],
)
def test_a_notice_is_withdrawn_when_there_is_nothing_left_to_downgrade(
    facts: dict[str, Any],
) -> None:
    standing, verdicts = judge(record(**{**mails(14), **facts}), NOTICE, SETTINGS, AT)
    assert (downgrading(standing), verdicts) == (NoiseState(), ())


def test_the_baseline_is_that_of_the_last_violation() -> None:
    """A rule that holds at the moment of its downgrade would be an error again at its next
    violation otherwise."""
    facts = mails(8)
    assert (
        judge(record(**facts, looks=looks("x...", violations=40)), NOTICE, SETTINGS, AT)[0].baseline
        == 40
    )
    far = looks("x", last=ago(40), violations=900) + looks("..")
    assert judge(record(**facts, looks=far), NOTICE, SETTINGS, AT)[0].baseline == 0
    below = [*looks("x", last=ago(1)), PastRunResult(AT, 30, None)]
    assert judge(record(**facts, looks=below), NOTICE, SETTINGS, AT)[0].baseline == 30


@pytest.mark.parametrize(
    ("baseline", "held", "grown"),
    [(0, 5, 6), (3, 8, 9), (10, 15, 16), (12, 18, 19), (100, 150, 151)],
)
def test_more_violations_than_nobody_minded_restore_it(
    baseline: int, held: int, grown: int
) -> None:
    standing = downgraded(baseline=baseline)
    assert told(record(looks=looks("x", violations=held)), standing) == []
    assert told(record(looks=looks("x", violations=grown)), standing) == [Reason.RESTORED]


def test_a_restoration_says_its_numbers() -> None:
    standing, [verdict] = judge(
        record(looks=looks("x", violations=24)), downgraded(baseline=11), SETTINGS, AT
    )
    assert verdict.sentence == (
        "error again: 24 violations, more than 16.5; there are usually at most 11"
    )
    assert downgrading(standing) == NoiseState(since=ago(2), restored_at=AT)


@pytest.mark.parametrize(
    ("began", "ended", "counts"),
    [(1, None, True), (1, 0.5, True), (5, None, True), (5, 1, True), (5, 3, False)],
)
def test_three_incidents_acted_on_restore_it(
    began: float, ended: float | None, counts: bool
) -> None:
    third = Episode("c", ago(began), None if ended is None else ago(ended), acted=True)
    others = [Episode(name, ago(1), ago(0.9), acted=True) for name in "ab"]
    known = record(episodes=sorted([third, *others], key=lambda episode: episode.began))
    verdicts = judge(known, downgraded(), SETTINGS, AT)[1]
    assert [verdict.sentence for verdict in verdicts] == (
        ["error again: 3 incidents were acted on since it was downgraded on 21 Nov"]
        if counts
        else []
    )


def test_incidents_that_nobody_acted_on_restore_nothing() -> None:
    many = [Episode(f"{number}", ago(1), acted=number < 2) for number in range(50)]
    assert told(record(episodes=many), downgraded()) == []


@pytest.mark.parametrize(
    ("case", "seen", "restored"),
    [
        ("14 clean days", looks("x" + "." * 15 + "x", DAY), True),
        ("13 clean days", looks("x" + "." * 13 + "x", DAY), False),
        ("it still holds", looks("x" + "." * 20, DAY), False),
        ("one violation among them", looks("x" + "." * 9 + "x" + "." * 9 + "x", DAY), False),
        ("nobody looked for days", looks("....", DAY, ago(12)) + looks("....x", DAY), False),
        ("nobody looked at all", looks("x", DAY, ago(20)) + looks("x"), False),
        ("no more is known than these days", looks("." * 15 + "x", DAY), True),
        ("the violation after them was seen by an earlier run", looks("." * 15 + "x.x", DAY), True),
        ("but not one from before the downgrade", looks("." * 15 + "xxxxxx", DAY), False),
    ],
)
def test_the_first_violation_after_14_clean_days_restores_it(
    case: str, seen: list[PastRunResult], restored: bool
) -> None:
    assert told(record(looks=seen), downgraded(since=ago(2.5))) == (
        [Reason.RESTORED] if restored else []
    ), case


def test_a_weekly_rule_has_clean_days_between_its_runs() -> None:
    weekly = record(looks=looks("x...x", 7 * DAY), interval=7 * DAY)
    [verdict] = judge(weekly, downgraded(), SETTINGS, AT)[1]
    assert verdict.sentence == "error again: the first violation after 21 d without one"


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"since": ago(1)}, "error again: the rule means something else since 22 Nov"),
        ({"mode": "off"}, "error again: the rules file turns `noise` off for it"),
        ({"declared": CRITICAL}, "critical again: what is critical stays so"),
        ({"looks": [PastRunResult(AT, 1, CRITICAL)]}, "critical again: what is critical stays so"),
    ],
)
def test_a_downgrade_ends_with_its_ground(facts: dict[str, Any], sentence: str) -> None:
    standing, [verdict] = judge(record(**facts), downgraded(), SETTINGS, AT)
    assert (standing.steps, standing.restored_at, verdict.reason) == (0, AT, Reason.RESTORED)
    assert verdict.sentence == sentence


def test_a_downgrade_stays_when_only_suggestions_are_wanted() -> None:
    assert judge(record(), downgraded(), SUGGEST, AT) == (downgraded(), ())


def test_old_mails_do_not_downgrade_again_what_was_restored() -> None:
    """Not even long after the last step: only new ones count."""
    standing = NoiseState(since=ago(40), restored_at=ago(3))
    assert told(record(**mails(20, last=ago(3))), standing) == []
    assert told(record(**mails(20, days=10)), standing) == [Reason.DOWNGRADE_NOTICE]
    assert told(record(**mails(8, last=AT)), NoiseState(since=ago(40), restored_at=ago(9))) == [
        Reason.DOWNGRADE_NOTICE
    ]


def test_false_positives_of_before_the_restoration_do_not_count_again() -> None:
    known = record(episodes=closed(4, 4))
    assert told(known, NoiseState(since=ago(40), restored_at=ago(5))) == []
    assert told(known, NoiseState(since=ago(40), restored_at=ago(10))) == [Reason.DOWNGRADE_NOTICE]


def test_one_step_in_the_cooldown() -> None:
    acted = mails(17)
    last = [replace(episode, acted=True) for episode in acted["episodes"][-2:]]
    known = record(sent=acted["sent"], episodes=[*acted["episodes"][:-2], *last])
    assert told(known, NoiseState(since=ago(27.9), restored_at=ago(20))) == []
    assert told(known, NoiseState(since=ago(28), restored_at=ago(20))) == [Reason.DOWNGRADE_NOTICE]


def test_a_restored_rule_that_nobody_acts_on_goes_back_without_another_month() -> None:
    on_probation = NoiseState(since=ago(9), restored_at=ago(2.5), ignored=4)
    assert told(record(**mails(2)), on_probation) == [Reason.DOWNGRADE_NOTICE]
    assert told(record(**mails(1)), on_probation) == []
    assert told(record(**mails(2, acted=1)), on_probation) == []


def test_incidents_that_were_kept_out_of_the_mails_count_like_mails() -> None:
    quiet = [Episode(f"q{number}", ago(number), ago(number - 0.2)) for number in range(7, 0, -1)]
    facts = mails(4, last=ago(8))
    known = record(sent=facts["sent"], episodes=[*facts["episodes"], *quiet])
    _, [notice] = judge(known, NoiseState(ignored=4), SETTINGS, AT)
    assert notice.sentence == (
        "4 mails and 7 incidents without a mail on 11 days since 12 Nov, "
        "none of them about something that anybody acted on"
    )


def test_what_would_be_restored_at_once_is_not_downgraded() -> None:
    """Three open incidents that were acted on, among very many mails that were not."""
    busy = mails(40, days=10)
    busy["episodes"] = [
        *busy["episodes"][:-3],
        *(Episode(f"o{n}", AT, acted=True) for n in range(3)),
    ]
    assert told(record(**busy)) == []
    assert told(record(**busy), NOTICE) == []


def test_an_undo_locks_it_and_forgets_the_mails() -> None:
    standing = undo(downgraded(), SETTINGS, AT)
    assert standing == NoiseState(since=ago(2), restored_at=AT, locked_until=AT + 30 * DAY)
    locked = NoiseState(locked_until=AT + timedelta(seconds=1))
    assert told(record(**mails(14)), locked) == []
    assert told(record(**mails(14)), NoiseState(locked_until=AT)) == [Reason.DOWNGRADE_NOTICE]


def test_an_undo_stops_a_notice() -> None:
    standing = undo(NOTICE, SETTINGS, AT)
    assert (standing.noticed_at, standing.due) == (None, None)
    assert judge(record(**mails(14)), standing, SETTINGS, AT + 5 * DAY) == (standing, ())


def test_what_is_later_does_not_count_yet() -> None:
    """So that a whole history can be judged day by day."""
    known = record(**mails(14), looks=looks("xx", violations=99))
    assert judge(known, NoiseState(), SETTINGS, ago(7))[1] == ()
    assert judge(known, downgraded(since=ago(9)), SETTINGS, ago(1))[1] == ()
    ongoing = [Episode(name, ago(5), ago(1), acted=True) for name in "abc"]
    assert reasons(
        judge(record(episodes=ongoing, looks=()), downgraded(), SETTINGS, ago(1.5))[1]
    ) == [Reason.RESTORED]
