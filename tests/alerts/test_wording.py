"""What a "resolved" mail claims, which must be no more than a run saw."""

from collections.abc import Mapping

import pytest

from sanityd.alerts.wording import what_became
from sanityd.model import Fate


@pytest.mark.parametrize(
    ("fates", "remaining", "sentence"),
    [
        ({Fate.FIXED: 2, Fate.ROW_GONE: 1}, 0, "3 were repaired (2) or deleted (1)."),
        ({Fate.FIXED: 1}, 0, "1 was repaired."),
        ({Fate.ROW_GONE: 1200}, 0, "1,200 were deleted."),
        ({Fate.LEFT_SCOPE: 1}, 0, "1 is no longer concerned by the rule."),
        ({Fate.NOT_RETURNED: 4}, 0, "4 are no longer found."),
        ({Fate.FIXED: 1, Fate.LEFT_SCOPE: 2}, 0, "1 was repaired. 2 are no longer concerned by the rule."),
        ({Fate.RULE_REMOVED: 3}, 0, "3 were not looked at again, because the rule left the rules file."),
        ({Fate.RULE_CHANGED: 1}, 0, "1 was not looked at again, because the rule was changed."),
        ({Fate.FIXED: 5}, 2, "5 were repaired. 2 remain, fewer than the rule minds."),
        ({Fate.FIXED: 5}, 1, "5 were repaired. 1 remains, fewer than the rule minds."),
        ({}, 0, "The rule holds again."),
        ({Fate.FIXED: 0}, 0, "The rule holds again."),
    ],
)
def test_it_says_what_became_of_the_rows(fates: Mapping[Fate, int], remaining: int, sentence: str) -> None:
    assert what_became(fates, remaining) == sentence
