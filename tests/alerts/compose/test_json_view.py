"""What programs get of an alert: plain JSON, with the same rows as the mail."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from sanityd.model import Alert, Value
from tests.alerts.samples import ALL, MANY, alert, mail, news, opened, row

KEYS = (
    "event rule title sentence noise owner tags table location fix incident cause severity "
    "declared violations checked opened_at resolved_at systemic ticket source error hint stale_since "
    "due rows"
)


def told(about: Alert) -> dict[str, Any]:
    """As a receiver reads it."""
    read: dict[str, Any] = json.loads(json.dumps(dict(mail(about).data)))
    return read


@pytest.mark.parametrize("name", ALL)
def test_it_has_the_same_keys_whatever_happened(name: str) -> None:
    data = told(ALL[name])
    assert list(data) == ["event", "at", "incidents"]
    assert data["event"] == ALL[name].reason.value
    assert [one["rule"] for one in data["incidents"]] == [one.rule.id for one in ALL[name].news]
    assert all(set(one) == set(KEYS.split()) for one in data["incidents"])


def test_it_says_what_the_mail_says() -> None:
    [one] = told(opened(noise="declared critical, now error"))["incidents"]
    assert one["sentence"] == "3 of 1,000 people have no sent welcome mail"
    assert (one["severity"], one["declared"], one["cause"], one["violations"], one["checked"]) == (
        *("error", "error", "violated", 3, 1000),
    )
    assert one["opened_at"] == "2026-11-23T08:05:00+00:00"
    assert one["resolved_at"] is None
    assert one["noise"] == "declared critical, now error"
    assert one["rows"][0] == {
        "key": {"id": 7},
        "shown": {},
        "since": "2026-11-23T08:05:00+00:00",
        "resolution": None,
    }


def test_it_has_the_rows_that_the_mail_lists_and_no_more() -> None:
    [one] = told(opened(MANY))["incidents"]
    assert [row["key"]["id"] for row in one["rows"]] == [*range(37, 27, -1), *range(1, 6)]
    assert [len(one["rows"]) for one in told(alert(news(MANY), news(MANY)))["incidents"]] == [3, 3]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (2**60, str(2**60)),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("Ana", "Ana"),
        ("", ""),
        ("a\x00b\u202e", "a\\x00b\\u202e"),
        (b"\x00\xff", "0x00ff"),
        (Decimal("1.10"), "1.10"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02 03:04+00:00"),
        (time(3, 4), "03:04:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_each_value_is_one_that_json_has_and_that_nobody_misreads(
    value: Value, plain: object
) -> None:
    [one] = told(opened([row(1, shown={"v": value})]))["incidents"]
    assert one["rows"][0]["shown"]["v"] == plain
