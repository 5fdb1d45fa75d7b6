"""Every run is kept, and the questions that are asked of the record."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from sanityd.model import Outcome, PastRun, Run, Severity
from sanityd.store import runs, tables
from sanityd.store.open import Store

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def keep(
    store: Store, minute: int, outcome: Outcome = Outcome.COMPLETE, rule: str = "r", **more: Any
) -> Run:
    """One run, so many minutes later."""
    run = Run(rule, "unique", "app", AT + minute * MINUTE, outcome, **more)
    with store.write() as memory:
        runs.record(memory, run, revision="abc", incident=None)
    return run


def test_the_newest_run_comes_back(store: Store) -> None:
    keep(store, 0)
    newest = keep(
        store, 5, Outcome.TRUNCATED, violations=3, rows=7, checked=9, measured=0.5, severity=Severity.CRITICAL,
        seconds=0.25, statements=4,
    )  # fmt: skip
    keep(store, 3, Outcome.ERRORED, error="no such table", hint="make it")
    with store.read() as memory:
        assert runs.last(memory, "r", AT + timedelta(hours=1)) == newest
        assert runs.last(memory, "other", AT) is None


def test_a_run_is_kept_with_its_revision_and_incident(store: Store) -> None:
    run = Run("r", "unique", "app", AT, Outcome.COMPLETE)
    with store.write() as memory:
        runs.record(memory, run, revision="abc", incident="one")
        [row] = memory.execute(select(tables.runs.c.revision, tables.runs.c.incident))
    assert tuple(row) == ("abc", "one")


def test_runs_of_the_same_moment_stand_in_the_order_of_their_coming(store: Store) -> None:
    for number in range(3):
        keep(store, 0, violations=number)
    with store.read() as memory:
        assert [past.violations for past in runs.history(memory, "r", 9)] == [0, 1, 2]
        newest = runs.last(memory, "r", AT + timedelta(hours=1))
    assert newest is not None
    assert newest.violations == 2


def test_a_run_that_comes_late_is_history(store: Store) -> None:
    """What is newest is when it was looked at, not when it was written."""
    keep(store, 5, violations=5)
    keep(store, 3, violations=3)
    with store.read() as memory:
        assert [past.violations for past in runs.history(memory, "r", 9)] == [3, 5]


def test_the_newest_runs_are_asked_for_per_rule(store: Store) -> None:
    keep(store, 1)
    keep(store, 2, rule="second")
    keep(store, 3, rule="not asked for")
    with store.read() as memory:
        assert runs.last_run_times(memory, ["r", "second"], AT) == {
            "r": AT + MINUTE,
            "second": AT + 2 * MINUTE,
        }
        assert runs.last_run_times(memory, [], AT) == {}


def test_a_fault_is_a_try_but_no_answer(store: Store) -> None:
    keep(store, 0)
    keep(store, 5, Outcome.ERRORED)
    keep(store, 6, Outcome.SKIPPED)
    with store.read() as memory:
        assert runs.last_run_times(memory, ["r", "other"], AT) == {"r": AT + 6 * MINUTE}
        assert runs.last_verified(memory, "r") == AT
        assert runs.last_verified(memory, "other") is None


def test_the_history_is_the_newest_runs_oldest_first(store: Store) -> None:
    for minute in range(5):
        keep(store, minute, violations=minute)
    with store.read() as memory:
        assert runs.history(memory, "r", 2) == (
            PastRun(AT + 3 * MINUTE, Outcome.COMPLETE, 3),
            PastRun(AT + 4 * MINUTE, Outcome.COMPLETE, 4),
        )


def test_a_rule_was_never_empty_when_each_answer_had_rows(store: Store) -> None:
    def never_empty(rule: str) -> bool:
        with store.read() as memory:
            return runs.never_empty(memory, rule)

    assert not never_empty("r")
    keep(store, 0, checked=5)
    keep(store, 1, Outcome.ERRORED, checked=0)
    assert never_empty("r")
    keep(store, 2, Outcome.TRUNCATED, checked=0)
    keep(store, 3, checked=5)
    assert not never_empty("r")
    keep(store, 4, rule="that counts nothing")
    assert not never_empty("that counts nothing")


def test_the_newest_runs_with_an_answer_are_read_for_many_rules_at_once(store: Store) -> None:
    for minute in range(4):
        keep(store, minute, violations=minute, severity=Severity.ERROR)
    keep(store, 9, Outcome.ERRORED, error="no such table")
    keep(store, 5, rule="short")
    newest = [(AT + minute * MINUTE, minute, Severity.ERROR) for minute in (2, 3)]
    with store.read() as memory:
        read = runs.newest_answered(memory, ["r", "short", "unknown"], 2)
        since = runs.answered_since(memory, ["r", "short"], AT + 3 * MINUTE)
    assert read == {"r": newest, "short": [(AT + 5 * MINUTE, 0, None)]}
    assert since == {"r": newest[1:], "short": [(AT + 5 * MINUTE, 0, None)]}
