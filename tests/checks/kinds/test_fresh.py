"""`fresh` apart from the cases of `tests/acceptance`."""

import pytest

from sanityd.checks.kinds.fresh import Fresh


@pytest.mark.parametrize(
    ("violations", "rows", "checked", "told"),
    [
        (1, 40_000, 40_000, "events has no row with at of the last 1h (40,000 rows in scope)"),
        (1, 0, 0, "events has no row with at of the last 1h (0 rows in scope)"),
        (1, 1, 40_000, "events has 1 row with at in the future (40,000 rows in scope)"),
        (
            2,
            5,
            3,
            "events has no row with at of the last 1h, and 2 rows with at in the future (3 rows in scope)",
        ),
    ],
)
def test_which_of_both_it_is_is_told(violations: int, rows: int, checked: int, told: str) -> None:
    assert Fresh.model_validate({"at": "1h"}).sentence("events", violations, rows, checked) == told


def test_of_several_columns_both_are_told_as_possible() -> None:
    told = Fresh.model_validate({"at": "1h", "seen": "2h"}).sentence("events", 1, 3, 3)
    assert told.startswith(
        "events has no row with at of the last 1h and seen of the last 2h, or rows from the future"
    )
