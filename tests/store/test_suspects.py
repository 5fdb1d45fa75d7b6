"""What one run leaves for the next to confirm."""

from datetime import UTC, datetime

from sanityd.store import suspects
from sanityd.store.open import Store

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)


def test_suspects_are_those_of_the_last_run(store: Store) -> None:
    with store.write() as memory:
        assert suspects.of_rule(memory, "r") == ({}, 0)
        suspects.remember(memory, "r", {"a": 1, "b": 2}, 7, AT)
        suspects.remember(memory, "other", {"c": 1}, 0, AT)
    with store.write() as memory:
        assert suspects.of_rule(memory, "r") == ({"a": 1, "b": 2}, 7)
        suspects.remember(memory, "r", {"b": 1}, 0, AT)
        assert suspects.of_rule(memory, "r") == ({"b": 1}, 0)
        suspects.forget(memory, "r")
        assert suspects.of_rule(memory, "r") == ({}, 0)
        assert suspects.of_rule(memory, "other") == ({"c": 1}, 0)
