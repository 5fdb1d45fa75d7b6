"""Thresholds of other tools as ranges of values."""

import sqlite3
from contextlib import closing

import pytest

from sanityd.authoring.migrate.import_result import UnsupportedCheck
from sanityd.authoring.migrate.thresholds import ValueRange, parse_threshold, row_count_check


def allowed_values(value_range: ValueRange) -> set[int]:
    """Return which values from 0 to 5 the SQL condition of a range allows."""
    condition = value_range.sql_condition("x")
    numbers = " union all ".join(f"select {number} as x" for number in range(6))
    with closing(sqlite3.connect(":memory:")) as connection:
        rows = connection.execute(f"select x from ({numbers}) where {condition}").fetchall()
    return {x for (x,) in rows}


@pytest.mark.parametrize(
    ("text", "allowed", "first"),
    [
        ("= 0", {0}, 1),
        ("<= 2.5", {0, 1, 2}, 3),
        ("< 2", {0, 1}, 2),
        ("> 1", {2, 3, 4, 5}, None),
        (">= 1", {1, 2, 3, 4, 5}, None),
        ("!= 3", {0, 1, 2, 4, 5}, None),
        ("between 1 and 3", {1, 2, 3}, None),
        ("between 0 and 3", {0, 1, 2, 3}, 4),
        ("between (1 and 3)", {2}, None),
        ("not between 1 and 3", {0, 4, 5}, None),
        ("not between (1 and 3]", {0, 1, 4, 5}, None),
    ],
)
def test_a_threshold_allows_the_right_values(
    text: str, allowed: set[int], first: int | None
) -> None:
    value_range = parse_threshold(text)
    assert allowed_values(value_range) == allowed
    assert allowed_values(value_range.complement()) == set(range(6)) - allowed
    assert value_range.first_count_above() == first
    kind, options = row_count_check(value_range)
    if kind == "row_count":
        low = options.get("equals", options.get("min", 0))
        high = options.get("equals", options.get("max", 5))
        assert set(range(low, high + 1)) == allowed


@pytest.mark.parametrize("text", ["about 5", "> x", "between 1", "> 1.2.3", ""])
def test_an_unknown_threshold_is_not_guessed(text: str) -> None:
    with pytest.raises(UnsupportedCheck):
        parse_threshold(text)
