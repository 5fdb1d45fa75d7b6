"""Decisions are appended, with their reasons."""

from datetime import UTC, datetime

from sanityd.store import audit
from sanityd.store.open import Store

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)


def test_decisions_come_back_in_order(store: Store) -> None:
    with store.write() as memory:
        audit.append(
            memory, AT, "sanityd", "told", "opened", rule="r", incident="one", detail={"n": 3}
        )
        audit.append(memory, AT, "ada", "closed", "rule removed", rule="r")
        audit.append(memory, AT, "sanityd", "told", "opened", rule="other")
    with store.read() as memory:
        found = audit.of_rule(memory, "r")
    assert [(row["at"], row["incident"]) for row in found] == [(AT, "one"), (AT, None)]
    assert [(row["actor"], row["action"], row["reason"], row["detail"]) for row in found] == [
        ("sanityd", "told", "opened", {"n": 3}),
        ("ada", "closed", "rule removed", {}),
    ]
