"""A part of the product of kinds and types of columns; all of it is `python -m tests.fuzz --types`."""

from pathlib import Path

import pytest

from sanityd.model import Outcome
from tests.fuzz import types
from tests.fuzz.column_types import TYPES

#: Each how many rules are tried: a number that has no factor in common with the rules of a type,
#: so that other rules are tried on each type.
_STEP = 61


@pytest.mark.parametrize("name", TYPES)
def test_no_kind_fails_on_any_type(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Each rule is answered, or refused with words that say what to do."""
    url = request.getfixturevalue(name)
    types.build(name, url)
    rules = types.product(name)[::_STEP]
    runs, faults = types.attempt(name, url, rules, tmp_path)
    assert not faults, "\n".join(map(str, faults))
    complete = [run for run in runs if run.outcome is Outcome.COMPLETE]
    assert len(runs) == len(rules) > len(complete) > len(rules) / 3
