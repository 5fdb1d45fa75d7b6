"""Durations as people write them, and what they are advised to write instead."""

import re
from datetime import timedelta

import pytest

from sanityd.alerts.settings import Settings
from sanityd.model.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("500ms", "write whole seconds, as in `1s`"),
        ("1.5 milliseconds", "write whole seconds, as in `1s`"),
        ("5 mins", "write `5m`"),
        ("1 hour and 30 minutes", "write `1h30m`"),
        ("10 secs", "write `10s`"),
        ("0s", "write something between one second and ten years"),
        ("500", "write a number and a unit, as in `10m`, `36h`, `7d`"),
    ],
)
def test_what_is_no_duration_is_corrected(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=re.escape(advice)):
        parse_duration(text)


def test_a_new_incident_need_not_wait_for_others() -> None:
    assert Settings.model_validate({"group_wait": "0s"}).group_wait == timedelta(0)
