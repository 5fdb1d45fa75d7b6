"""`steady`: compared with what the rule measured before, over a real store."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sanityd import pipeline
from sanityd.checks.kinds.steady import Steady
from sanityd.errors import RuleError
from sanityd.model import Measurements, Outcome, Run
from sanityd.rules.load import load
from sanityd.store.open import Store

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def holds(check: Steady, value: float, past: Measurements) -> bool:
    """Whether the value is steady."""
    return not check.judge({"value": value}, 1, NOW, past).violations


def values(*numbers: float, every: timedelta = DAY) -> list[tuple[datetime, float]]:
    """What was measured, the last one `every` ago."""
    return [(NOW - every * (len(numbers) - place), number) for place, number in enumerate(numbers)]


@pytest.mark.parametrize(
    ("value", "steady"), [(70, True), (69.9, False), (130, True), (130.1, False)]
)
def test_a_share_is_of_the_median(value: float, steady: bool) -> None:
    check = Steady(within="30%", of="last 3 runs")
    assert holds(check, value, values(1, 99, 100, 5000)) is steady


def test_a_number_is_a_distance() -> None:
    check = Steady(within=5, of="last 3 days")
    assert holds(check, 15, values(0, 0, 10, 10, 10))
    assert not holds(check, 16, values(0, 0, 10, 10, 10))


def test_the_same_weekdays_are_those_of_the_weeks_before() -> None:
    """On Mondays there are ten times as many."""
    past = [
        (NOW - n * DAY + timedelta(minutes=3), 1000.0 if n % 7 == 0 else 100.0)
        for n in range(28, 0, -1)
    ]
    check = Steady(within="10%", of="last 4 same weekdays")
    assert holds(check, 1010, past)
    assert not holds(check, 100, past)


def test_until_there_is_enough_to_compare_with_it_learns() -> None:
    check = Steady(within="1%", of="last 20 runs")
    assert holds(check, 5, values(100, 100))
    assert not holds(check, 5, values(100, 100, 100))
    assert not holds(Steady(within="1%", of="last 1 runs"), 5, values(100))


def test_a_value_of_no_rows_says_nothing() -> None:
    assert (
        not Steady(expr="max(id)", within=1)
        .judge({"value": None}, 0, NOW, values(1, 1, 1))
        .violations
    )


@pytest.mark.parametrize("options", ["{within: a lot}", "{within: 30%, of: last week}", "{}"])
def test_nonsense_is_refused(options: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(
        f"sources: {{app: 'sqlite:///app.db'}}\nrules: {{a: {{table: app.t, steady: {options}}}}}"
    )
    with pytest.raises(RuleError):
        load(path, {})


def test_it_learns_from_its_own_runs_and_finds_the_day_that_is_different(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "app.db")
    database.executescript(
        "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3), (4)"
    )
    path = tmp_path / "rules.yaml"
    path.write_text(
        "sources: {app: 'sqlite:///app.db'}\nrules: {a: {table: app.t, steady: {within: 20%}}}"
    )
    rules, store = load(path, {}), Store.open(None, tmp_path)

    def look(day: int) -> Run:
        [result] = pipeline.run_batch(rules, list(rules.rules.values()), store, NOW + day * DAY)
        return result.run

    runs = [look(day) for day in range(4)]
    database.executescript("DELETE FROM t WHERE id > 2")
    fewer = look(5)
    database.close()
    store.close()
    assert [(run.outcome, run.measured, run.violations) for run in runs] == [
        (Outcome.COMPLETE, 4.0, 0)
    ] * 4
    assert (fewer.outcome, fewer.measured, fewer.violations) == (Outcome.COMPLETE, 2.0, 1)
