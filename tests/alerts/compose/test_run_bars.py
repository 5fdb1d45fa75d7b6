"""The bars of the last runs."""

import pytest

from sanityd.alerts.compose.run_bars import HEIGHT, Bar, bars
from sanityd.model import Outcome
from tests.alerts.samples import past


def test_the_highest_bar_has_the_full_height_and_the_lowest_can_be_seen() -> None:
    assert [bar.height for bar in bars(past(0, 1, 500, 1000))] == [0, 4, 22, HEIGHT]


def test_a_run_that_could_not_look_is_told_apart_from_one_that_found_nothing() -> None:
    found = bars(past(0, Outcome.ERRORED, Outcome.SKIPPED))
    assert found == (Bar(0, "0"), Bar(0, "E", has_result=False), Bar(0, "–", has_result=False))


def test_a_single_run_is_no_picture() -> None:
    assert bars(past(3)) == ()


@pytest.mark.parametrize(
    ("count", "label"),
    [
        (999, "999"),
        (1000, "1.0k"),
        (9999, "9.9k"),
        (10_000, "10k"),
        (999_999, "999k"),
        (1_250_000, "1.2M"),
    ],
)
def test_a_label_fits_below_its_bar(count: int, label: str) -> None:
    assert bars(past(0, count))[-1].label == label
