"""`aggregate` apart from the cases of `tests/acceptance`."""

import pytest
from pydantic import ValidationError

from sanityd.checks.kinds.aggregate import Aggregate


def test_a_number_beyond_all_fractions_is_refused_in_words() -> None:
    huge = 10**400
    assert Aggregate.model_validate({"expr": "sum(n)", "equals": huge}).equals == huge
    with pytest.raises(ValidationError, match="too large for a tolerance"):
        Aggregate.model_validate({"expr": "sum(n)", "equals": huge, "tolerance": 0.5})
