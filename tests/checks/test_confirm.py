"""What two looks make of a suspect."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pytest

from sanityd.checks.base import Check
from sanityd.checks.confirm import (
    PendingConfirmation,
    Suspects,
    confirmed,
    held_back,
    is_suspect,
)
from sanityd.checks.invariant import Confirm, Invariant, Subject
from sanityd.checks.kinds.has import Has
from sanityd.model import Outcome, Run, Severity, Violation, fingerprint

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
ACROSS = Invariant(
    "r",
    "has",
    cast(Check, Has.model_validate({"in": "mail.mails", "on": {"id": "person_id"}})),
    Subject("app", sources=frozenset(("app", "mail"))),
)


def run(*rows: int, total: int | None = None, outcome: Outcome = Outcome.COMPLETE) -> Run:
    """A run that found these rows, of so many."""
    count = len(rows) if total is None else total
    tracked = tuple(Violation({"id": row}) for row in rows)
    return Run(
        "r", "has", "app", AT, outcome, count, count, 100, tracked=tracked, severity=Severity.ERROR
    )


def mark(row: int) -> str:
    """A row's fingerprint."""
    return fingerprint("r", "app", {"id": row})


def test_only_what_both_looks_found_counts() -> None:
    found = confirmed(ACROSS, Suspects.of(run(1, 2, 3)), run(2, 3, 4), ())
    assert [violation.key["id"] for violation in found.tracked] == [2, 3]
    assert (found.violations, found.rows, found.severity, found.outcome) == (
        2,
        2,
        Severity.ERROR,
        Outcome.COMPLETE,
    )


def test_nothing_left_holds() -> None:
    found = confirmed(ACROSS, Suspects.of(run(1)), run(), ())
    assert (found.violations, found.severity) == (0, None)


def test_what_is_open_already_needs_no_confirmation() -> None:
    found = confirmed(ACROSS, Suspects.of(run(1)), run(1, 2), {mark(2)})
    assert found.violations == 2
    assert not is_suspect(ACROSS, run(2), {mark(2)})
    assert is_suspect(ACROSS, run(1, 2), {mark(2)})


@pytest.mark.parametrize("outcome", [Outcome.ERRORED, Outcome.SKIPPED])
def test_a_second_look_that_fails_says_that_nothing_is_known(outcome: Outcome) -> None:
    blind = replace(run(), outcome=outcome)
    assert confirmed(ACROSS, Suspects.of(run(1)), blind, ()) is blind


def test_beyond_the_cap_the_smaller_count_is_right() -> None:
    first, second = (
        run(1, 2, total=50, outcome=Outcome.TRUNCATED),
        run(2, 3, total=49, outcome=Outcome.TRUNCATED),
    )
    found = confirmed(ACROSS, Suspects.of(first), second, ())
    assert (found.violations, len(found.tracked), found.outcome) == (49, 2, Outcome.TRUNCATED)


def test_rules_of_one_source_need_no_second_look() -> None:
    within = replace(
        ACROSS,
        check=cast(Check, Has.model_validate({"in": "app.mails", "on": {"id": "person_id"}})),
    )
    assert not is_suspect(within, run(1), ())
    assert not is_suspect(replace(ACROSS, confirm=Confirm(again=False)), run(1), ())


TWICE = replace(ACROSS, confirm=Confirm(again=False, runs=2))


def test_a_row_counts_once_so_many_runs_in_a_row_have_seen_it() -> None:
    first, left = held_back(TWICE, run(1, 2), PendingConfirmation(), ())
    assert (first.violations, first.rows, first.severity, first.suspects, first.tracked) == (
        0,
        0,
        None,
        2,
        (),
    )
    second, left = held_back(TWICE, run(2, 3), left, ())
    assert (
        [violation.key["id"] for violation in second.tracked],
        second.violations,
        second.suspects,
    ) == ([2], 1, 1)
    assert second.severity is Severity.ERROR
    third, left = held_back(TWICE, run(2), left, {mark(2)})
    assert (third.violations, third.suspects, left) == (1, 0, PendingConfirmation())


def test_three_runs_are_three_in_a_row() -> None:
    thrice, left = replace(ACROSS, confirm=Confirm(again=False, runs=3)), PendingConfirmation()
    for found, counted in (
        (run(1), 0),
        (run(1), 0),
        (run(), 0),
        (run(1), 0),
        (run(1), 0),
        (run(1), 1),
    ):
        seen, left = held_back(thrice, found, left, ())
        assert seen.violations == counted


def test_beyond_the_cap_as_many_count_as_were_there_before() -> None:
    first, left = held_back(
        TWICE, run(1, 2, total=50, outcome=Outcome.TRUNCATED), PendingConfirmation(), ()
    )
    assert (first.violations, first.suspects, left.beyond) == (0, 50, 48)
    second, _ = held_back(TWICE, run(1, 3, total=60, outcome=Outcome.TRUNCATED), left, ())
    assert (second.violations, second.rows, second.suspects) == (49, 49, 11)
    # It is still a run that could not read all rows: nothing may be resolved by absence.
    assert first.outcome is second.outcome is Outcome.TRUNCATED


def test_a_second_look_that_hit_the_cap_resolves_nothing_by_absence() -> None:
    found = confirmed(
        ACROSS, Suspects.of(run(1)), run(1, 2, total=50, outcome=Outcome.TRUNCATED), ()
    )
    assert (found.violations, found.outcome) == (1, Outcome.TRUNCATED)
