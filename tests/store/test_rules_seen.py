"""Which rules of a file have gone, and which mean something else now."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from sanityd.store import rules_seen, tables
from sanityd.store.open import Store

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)


def remember(
    store: Store, file: str, rule: str, means: str, at: datetime = AT, revision: str = "rev"
) -> None:
    """As a run does."""
    with store.write() as memory:
        rules_seen.save(memory, file, {rule: means}, revision, at)


def test_a_rules_meaning_is_known_from_then_on(store: Store) -> None:
    remember(store, "a.yaml", "r", "one")
    remember(store, "a.yaml", "r", "two")
    with store.read() as memory:
        assert rules_seen.meaning(memory, "a.yaml", "r") == "two"
        assert rules_seen.meaning(memory, "a.yaml", "new") is None


def test_a_meaning_that_is_known_is_not_written_again(store: Store) -> None:
    later = AT + timedelta(days=1)
    remember(store, "a.yaml", "r", "one")
    remember(store, "a.yaml", "r", "one", later, "another revision")
    with store.read() as memory:
        [row] = memory.execute(select(tables.rules_seen.c.since, tables.rules_seen.c.revision))
    assert tuple(row) == (AT, "rev")
    remember(store, "a.yaml", "r", "two", later)
    with store.read() as memory:
        assert memory.execute(select(tables.rules_seen.c.since)).scalars().all() == [later]


def test_a_rule_that_left_its_file_is_told_once(store: Store) -> None:
    for rule in ("stays", "goes"):
        remember(store, "a.yaml", rule, "m")
    with store.write() as memory:
        assert rules_seen.mark_removed(memory, "a.yaml", {"stays": 1}, AT) == ["goes"]
        assert rules_seen.mark_removed(memory, "a.yaml", {"stays": 1}, AT) == []
        assert rules_seen.meaning(memory, "a.yaml", "goes") is None
    remember(store, "a.yaml", "goes", "m")
    with store.write() as memory:
        assert rules_seen.mark_removed(memory, "a.yaml", {"stays": 1}, AT) == ["goes"]


def test_files_that_share_a_store_leave_each_other_alone(store: Store) -> None:
    remember(store, "a.yaml", "mine", "m")
    with store.write() as memory:
        assert rules_seen.mark_removed(memory, "b.yaml", {}, AT) == []
