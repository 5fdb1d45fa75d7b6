"""What a "resolved" mail claims, which must be no more than a run saw."""

from collections.abc import Mapping

import pytest

from sanityd.alerts.compose.phrases import what_became
from sanityd.model import Resolution


@pytest.mark.parametrize(
    ("resolutions", "remaining", "sentence"),
    [
        ({Resolution.FIXED: 2, Resolution.ROW_GONE: 1}, 0, "3 were repaired (2) or deleted (1)."),
        ({Resolution.FIXED: 1}, 0, "1 was repaired."),
        ({Resolution.ROW_GONE: 1200}, 0, "1,200 were deleted."),
        ({Resolution.LEFT_SCOPE: 1}, 0, "1 is no longer in scope."),
        ({Resolution.NOT_RETURNED: 4}, 0, "4 are no longer found."),
        (
            {Resolution.FIXED: 1, Resolution.LEFT_SCOPE: 2},
            0,
            "1 was repaired. 2 are no longer in scope.",
        ),
        (
            {Resolution.RULE_REMOVED: 3},
            0,
            "3 were not checked again, because the rule was removed from the rules file.",
        ),
        (
            {Resolution.RULE_CHANGED: 1},
            0,
            "1 was not checked again, because the rule was changed.",
        ),
        ({Resolution.FIXED: 5}, 2, "5 were repaired. 2 remain, below the rule's threshold."),
        ({Resolution.FIXED: 5}, 1, "5 were repaired. 1 remains, below the rule's threshold."),
        ({}, 0, "The rule holds again."),
        ({Resolution.FIXED: 0}, 0, "The rule holds again."),
    ],
)
def test_it_says_what_became_of_the_rows(
    resolutions: Mapping[Resolution, int], remaining: int, sentence: str
) -> None:
    assert what_became(resolutions, remaining) == sentence
