"""What people are told about a rule's noise when they ask."""

from dataclasses import replace
from typing import Any

import pytest

from sanityd.alerts.settings import Noise, Settings
from sanityd.model import Severity
from sanityd.notifications.noise import Episode, NoiseState, SentMail, advice, explain, suggestion
from tests.notifications.noise_history import (
    AT,
    DAY,
    HOUR,
    MINUTE,
    SETTINGS,
    ago,
    downgraded,
    looks,
    mails,
    record,
)

SUGGEST = Settings(noise=Noise(auto="suggest"))
MAKE_IT_LESS = "14 mails on 14 days since 10 Nov, none of them about something that anybody acted on: consider "


def episodes(short: int, long: int, minutes: int = 10) -> dict[str, Any]:
    """So many that lasted ten minutes and half a day, with a mail each."""
    spans = [minutes * MINUTE] * short + [12 * HOUR] * long
    found = [
        Episode(f"i{n}", ago(13) + n * HOUR / 4, ago(13) + n * HOUR / 4 + span)
        for n, span in enumerate(spans)
    ]
    return {
        "interval": 5 * MINUTE,
        "episodes": found,
        "sent": [SentMail(episode.began, episode.incident) for episode in found],
    }


def test_a_rule_that_is_soon_over_by_itself_should_wait_a_little() -> None:
    assert (
        suggestion(record(**episodes(31, 2)), AT)
        == "`within: 11m` would have spared you 31 of 33 mails"
    )


@pytest.mark.parametrize(
    ("minutes", "interval", "text"),
    [(1, MINUTE, "2m"), (119, HOUR, "120m"), (120, HOUR, "3h"), (300, 3 * HOUR, "6h")],
)
def test_the_wait_is_longer_than_what_it_spares(minutes: int, interval: Any, text: str) -> None:
    facts = {**episodes(5, 0, minutes), "interval": interval}
    assert suggestion(record(**facts), AT) == f"`within: {text}` would have spared you 5 of 5 mails"


@pytest.mark.parametrize(
    ("short", "long", "suggested"),
    [(5, 0, True), (4, 0, False), (4, 1, True), (8, 2, True), (7, 2, False), (0, 0, False)],
)
def test_a_habit_is_four_of_five(short: int, long: int, suggested: bool) -> None:
    assert bool(suggestion(record(**episodes(short, long)), AT)) is suggested


@pytest.mark.parametrize(
    "change",
    [{"ended": None}, {"acted": True}, {"closed": True}, {"began": ago(15), "ended": ago(15)}],
)
def test_what_goes_on_or_people_had_a_hand_in_or_is_old_was_not_over_by_itself(
    change: dict[str, Any],
) -> None:
    facts = episodes(5, 0)
    assert suggestion(record(**facts), AT)
    facts["episodes"] = [replace(episode, **change) for episode in facts["episodes"][:2]] + facts[
        "episodes"
    ][2:]
    assert suggestion(record(**facts), AT) is None


def test_a_rule_that_mailed_nothing_needs_no_suggestion() -> None:
    assert suggestion(record(**{**episodes(9, 0), "sent": ()}), AT) is None
    assert suggestion(record(**episodes(9, 0)), ago(14)) is None


def test_a_suggestion_is_about_what_the_rule_means_now_and_what_was_over_by_then() -> None:
    facts = episodes(5, 0)
    assert suggestion(record(**facts, since=ago(13) + MINUTE), AT) is None
    assert suggestion(record(**facts), ago(13) + HOUR + MINUTE) == (
        "`within: 11m` would have spared you 4 of 5 mails"
    )
    assert suggestion(record(**facts, since=ago(13)), ago(13) + HOUR + 10 * MINUTE)


@pytest.mark.parametrize(
    ("facts", "settings", "expected"),
    [
        ({}, SUGGEST, [MAKE_IT_LESS + "`severity: warning`"]),
        ({"declared": Severity.CRITICAL}, SETTINGS, [MAKE_IT_LESS + "`severity: error`"]),
        (
            {"declared": Severity.CRITICAL, "mode": "suggest"},
            SETTINGS,
            [MAKE_IT_LESS + "`severity: error`"],
        ),
        ({"declared": Severity.CRITICAL, "mode": "off"}, SETTINGS, []),
        ({"declared": Severity.CRITICAL}, Settings(noise=Noise(critical="off")), []),
        ({"declared": Severity.WARNING}, SUGGEST, []),
        ({}, SETTINGS, []),
        ({"mode": "suggest"}, SETTINGS, [MAKE_IT_LESS + "`severity: warning`"]),
    ],
)
def test_what_is_not_done_by_itself_is_suggested(
    facts: Any, settings: Settings, expected: list[str]
) -> None:
    assert advice(record(**{**mails(14), **facts}), NoiseState(), settings, AT) == expected


def test_what_was_undone_is_not_suggested_either() -> None:
    assert advice(record(**mails(14)), NoiseState(locked_until=AT + DAY), SUGGEST, AT) == []


def test_advice_is_about_waiting_too_unless_it_is_not_wanted() -> None:
    known = record(**episodes(31, 2))
    assert advice(known, NoiseState(), SETTINGS, AT) == [
        "`within: 11m` would have spared you 31 of 33 mails"
    ]
    assert advice(known, NoiseState(), Settings(noise=Noise(auto="off")), AT) == []


def test_explain_names_each_number_and_its_threshold() -> None:
    known = record(**mails(14, days=9, acted=1), looks=looks("." * 20 + "x"))
    assert explain(known, NoiseState(), SETTINGS, AT) == [
        "severity: declared error, counts as error",
        "downgrading: on (set in `alerts.noise`)",
        "mails in 28 d: 14 (at least 8) on 9 days (at least 5)",
        "days since the check was last changed: 200 d (at least 14 d)",
        "acted on: 1 of 14, so at most 0.315 of them by Wilson's bound (less than 0.35)",
        "false positives: 0 of 0 closed incidents (at least 50 % of at least 4)",
        "flap score: 5.9 over 20 of 20 changes of state (flapping from 30 on, ends at 25): not flapping",
        "incidents that ended soon without action: 0 of 14 in 14 d within 2 h (a suggestion from 80 % of at least 5 on)",
        "mails in a row that nobody acted on: 0 "
        "(the next one comes at once, at once, 24 h, 3 d later, after that in 90 d)",
        "pause: none, the first mail comes at once",
    ]


def test_explain_tells_of_the_way_back_what_is_known() -> None:
    standing = downgraded(
        sentence="declared error, now warning since 21 Nov: 14 mails, none acted on"
    )
    lines = explain(record(looks=looks("x.....")), standing, SETTINGS, AT)
    assert lines[:3] == [
        f"severity: declared error, counts as warning: {standing.sentence}",
        "last downgrade: Sat 08:05, at most one in 28 d",
        "downgrading: on (set in `alerts.noise`); none now, as it is only a warning",
    ]
    assert lines[-3:] == [
        "violations: 0 (restored above 8, usually at most 3)",
        "incidents acted on since the downgrade: 0 (restored at 3)",
        "without a violation: 4 h (the first one after 14 d restores)",
    ]


def test_explain_tells_why_there_is_none_and_what_was_decided() -> None:
    standing = NoiseState(
        noticed_at=ago(1), due=AT + 2 * DAY, locked_until=AT + DAY, restored_at=ago(3), since=ago(9)
    )
    text = "\n".join(explain(record(), standing, SETTINGS, AT))
    assert "notice: Sun 08:05, due 25 Nov 08:05" in text
    assert "no downgrade before: tomorrow 08:05, by a human's undo" in text
    assert "last end of a downgrade: Fri 08:05, mails until then don't count" in text
    assert "none now, as undone by a human: not before 24 Nov" in text
    cooling = explain(record(), NoiseState(since=ago(9)), SETTINGS, AT)
    assert (
        "downgrading: on (set in `alerts.noise`); none now, as one step in 28 d: not before 12 Dec"
        in cooling
    )
    critical = explain(
        record(declared=Severity.CRITICAL), NoiseState(flapping_since=ago(1)), SETTINGS, AT
    )
    assert (
        "downgrading: suggest (set in `alerts.noise.critical`); none now, as what is critical stays so"
        in critical
    )
    assert any(line.endswith(": flapping since Sun 08:05") for line in critical)
    assert "downgrading: off (set in the rule's own `noise`)" in explain(
        record(mode="off"), NoiseState(), SETTINGS, AT
    )
