"""Ladders of severity, and how tables are named."""

from decimal import Decimal

import pytest

from sanityd.checks.invariant import Ladder, LadderStep, TableName
from sanityd.model import Severity

ERROR, CRITICAL, WARNING = Severity.ERROR, Severity.CRITICAL, Severity.WARNING


def shares(**steps: str) -> Ladder:
    """A ladder of percentages."""
    return Ladder(
        tuple(
            LadderStep(Severity[word.upper()], percent=Decimal(share))
            for word, share in steps.items()
        )
    )


@pytest.mark.parametrize(
    ("violations", "severity"),
    [(0, None), (1, WARNING), (49, ERROR), (50, CRITICAL), (10**9, CRITICAL)],
)
def test_the_highest_step_reached_counts(violations: int, severity: Severity | None) -> None:
    ladder = Ladder(
        (LadderStep(WARNING, count=1), LadderStep(ERROR, count=2), LadderStep(CRITICAL, count=50))
    )
    assert ladder.severity(violations, violations, 10**9) == severity


def test_shares_are_never_rounded() -> None:
    """Of a billion rows, one below a hundredth of a percent is below it."""
    ladder = shares(error="0.01")
    assert ladder.severity(99_999, 99_999, 10**9) is None
    assert ladder.severity(100_000, 100_000, 10**9) is ERROR


def test_a_share_is_of_rows_not_of_keys() -> None:
    assert shares(error="50").severity(1, 5, 10) is ERROR


def test_a_share_of_nobody_knows_how_many_counts() -> None:
    """A query tells no population; to be silent then would be a lie."""
    assert shares(error="50").severity(1, 1, None) is ERROR
    assert shares(error="50").severity(0, 0, None) is None


def test_counts_and_shares_can_be_mixed() -> None:
    ladder = Ladder((LadderStep(ERROR, count=1), LadderStep(CRITICAL, percent=Decimal(10))))
    assert (ladder.severity(1, 1, 100), ladder.severity(10, 10, 100)) == (ERROR, CRITICAL)
    assert ladder.declared is ERROR


@pytest.mark.parametrize(
    ("text", "default", "name"),
    [
        ("app.people", None, TableName("app", "people")),
        ("app.hr.people", None, TableName("app", "people", "hr")),
        ("people", "app", TableName("app", "people")),
        ("hr.people", "app", TableName("app", "people", "hr")),
        ("app", "app", TableName("app", "app")),
    ],
)
def test_a_table_is_named_with_its_source_or_in_the_present_one(
    text: str, default: str | None, name: TableName
) -> None:
    assert TableName.parse(text, {"app", "mail"}, default) == name


@pytest.mark.parametrize(
    ("text", "default"), [("people", None), ("a.b.c.d", "app"), ("app..people", "app"), ("", "app")]
)
def test_what_names_no_table_is_refused(text: str, default: str | None) -> None:
    with pytest.raises(ValueError, match="`"):
        TableName.parse(text, {"app"}, default)
