"""Which measured values got so much worse that people are notified again. Pure."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sanityd.notifications.measured_values import much_worse
from sanityd.rules.load import load
from sanityd.rules.rule import Rule


def rule(folder: Path, **keys: Any) -> Rule:
    file = {"sources": {"app": "sqlite:///app.db"}, "rules": {"r": {"table": "app.t", **keys}}}
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(file), encoding="utf-8")
    return load(path, {}).rules["r"]


@pytest.mark.parametrize(
    ("check", "before", "after", "is_worse"),
    [
        ({"aggregate": {"expr": "sum(n)", "equals": 0}}, 7, -70, True),
        ({"aggregate": {"expr": "sum(n)", "equals": 0}}, 7, -69, False),
        ({"aggregate": {"expr": "sum(n)", "equals": 0}}, 7, 0, False),
        # Just outside of a bound, ten times as far is still next to nothing.
        ({"aggregate": {"expr": "max(n)", "max": 100}}, 100.1, 102, False),
        ({"aggregate": {"expr": "max(n)", "max": 100}}, 100.1, 200, True),
        ({"aggregate": {"expr": "max(n)", "max": 100}}, 150, 600, True),
        ({"aggregate": {"expr": "min(n)", "above": 0}}, 0, -5, False),
        ({"aggregate": {"expr": "min(n)", "above": 0}}, -1, float("-inf"), False),
        ({"aggregate": {"expr": "min(n)", "above": 0}}, float("nan"), -5, False),
        ({"row_count": {"max": 1}}, 2, 11, True),
        ({"row_count": {"equals": "app.other"}}, 2, 11, False),
        ({"between": {"n": {"max": 10}}}, 20, 110, True),
        ({"between": {"n": {"min": "2020-01-01"}}}, 20, 110, False),
        ({"aggregate": {"expr": "sum(n)", "max": 10**400}}, 20, 110, False),
    ],
)
def test_ten_times_as_far_from_what_is_right(
    tmp_path: Path, check: dict[str, Any], before: float, after: float, is_worse: bool
) -> None:
    worse = much_worse(rule(tmp_path, **check), {"mark": after}, {"mark": before})
    assert worse == (("mark",) if is_worse else ())


def test_a_row_that_was_not_in_the_last_message_is_new_and_not_worse(tmp_path: Path) -> None:
    about = rule(tmp_path, aggregate={"expr": "sum(n)", "equals": 0})
    assert much_worse(about, {"new": 1000.0, "known": 1.0}, {"known": 1.0}) == ()
