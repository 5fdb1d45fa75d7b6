"""What one run leaves for the next to confirm."""

from datetime import UTC, datetime

from sanityd.store import pending_confirmations
from sanityd.store.open import Store

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)


def test_suspects_are_those_of_the_last_run(store: Store) -> None:
    with store.write() as memory:
        assert pending_confirmations.of_rule(memory, "r") == ({}, 0)
        pending_confirmations.save(memory, "r", {"a": 1, "b": 2}, 7, AT)
        pending_confirmations.save(memory, "other", {"c": 1}, 0, AT)
    with store.write() as memory:
        assert pending_confirmations.of_rule(memory, "r") == ({"a": 1, "b": 2}, 7)
        pending_confirmations.save(memory, "r", {"b": 1}, 0, AT)
        assert pending_confirmations.of_rule(memory, "r") == ({"b": 1}, 0)
        pending_confirmations.remove(memory, "r")
        assert pending_confirmations.of_rule(memory, "r") == ({}, 0)
        assert pending_confirmations.of_rule(memory, "other") == ({"c": 1}, 0)
