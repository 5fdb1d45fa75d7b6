"""The rows that break rules: each followed from first sight to end, only differences written."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import RowMapping, event, select, text

from sanityd.model import Change, Key, Resolution, Transition, Value, Violation, fingerprint
from sanityd.store import tables, violations
from sanityd.store.open import Store
from sanityd.store.violations import RowChanges

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
DAY = timedelta(days=1)


def change(key: Key, what: Change = Change.NEW, **more: Any) -> Transition:
    """One row's change."""
    found = Violation(key) if what is not Change.RESOLVED else None
    return Transition(fingerprint("r", "app", key), what, key, **{"violation": found, **more})


def apply(store: Store, changes: Iterable[Transition], at: datetime = AT) -> None:
    """What a run does."""
    with store.write() as memory:
        violations.apply(memory, [RowChanges("r", "app", list(changes))], at)


def table(store: Store) -> dict[str, RowMapping]:
    """All that is kept, by fingerprint."""
    with store.read() as memory:
        rows = memory.execute(select(tables.violations)).mappings()
        return {row["fingerprint"]: row for row in rows}


@contextmanager
def counted(store: Store) -> Iterator[list[int]]:
    """How many rows each statement that is sent to the store is about."""
    sent: list[int] = []

    def note(
        _connection: Any, _cursor: Any, statement: str, rows: Any, _context: Any, many: bool
    ) -> None:
        if not statement.startswith(("BEGIN", "SET LOCAL", "SELECT pg_")):
            sent.append(len(rows) if many else 1)

    event.listen(store.engine, "before_cursor_execute", note)
    yield sent
    event.remove(store.engine, "before_cursor_execute", note)


VALUES: list[Value] = [
    *(None, True, False, 0, 1, -3, 2**63 - 1, 2**70, -(2**70)),
    *(0.1, 1.0, -0.0, 1e300, float("inf")),
    *(
        Decimal("1.5"),
        Decimal("1.50"),
        Decimal("-0.00"),
        Decimal("1E+20"),
        Decimal("0.1234567890123456789012345"),
    ),
    *(
        AT,
        AT.astimezone(timezone(timedelta(hours=5, minutes=45))),
        datetime(2026, 1, 2, 3, 4, 5, 678901),
    ),
    *(date(2026, 1, 2), date.min, time(3, 4), time(23, 59, 59, 999999, tzinfo=UTC)),
    *(b"", b"\x00\xff", UUID(int=7)),
    *(
        "",
        "1",
        "null",
        "ünï \u202e 'x' \"",
        "日本語 🦜",
        "nothing \x00 after",
        "half \ud83e",
        "a\nb\\n",
    ),
]


@pytest.mark.parametrize("value", VALUES, ids=ascii)
def test_a_key_of_every_type_comes_back_as_it_was(store: Store, value: Value) -> None:
    key = {"the key": value, "second": 2}
    apply(store, [change(key)])
    with store.read() as memory:
        [(mark, found)] = violations.open_keys(memory, "r").items()
    assert mark == fingerprint("r", "app", found) == fingerprint("r", "app", key)
    assert (found, list(found), type(found["the key"])) == (key, list(key), type(value))


def test_what_may_be_shown_of_a_row_comes_back_with_its_words(store: Store) -> None:
    shown: dict[str, Value] = {"owed": Decimal("1.5"), "since": AT, "note": None}
    apply(store, [change({"id": 1}, violation=Violation({"id": 1}, shown, "owed is too much"))])
    with store.read() as memory:
        [row] = violations.open_rows(memory, "r")
    assert (row.key, row.shown, row.detail) == ({"id": 1}, shown, "owed is too much")


def test_only_what_changed_is_written(store: Store) -> None:
    apply(store, [change({"id": n}) for n in range(100)])
    before = table(store)
    goes_on = [change({"id": n}, Change.ONGOING) for n in range(2, 100)]
    with counted(store) as sent:
        apply(
            store,
            [
                *goes_on,
                change({"id": 100}),
                change({"id": 1}, Change.RESOLVED, resolution=Resolution.FIXED),
            ],
            AT + DAY,
        )
    assert sent == [1, 1, 1], "the first asks for earlier episodes"
    after = table(store)
    assert {mark for mark in after if after[mark] != before.get(mark)} == {
        fingerprint("r", "app", {"id": 1}),
        fingerprint("r", "app", {"id": 100}),
    }


def test_the_open_rows_are_listed_oldest_first(store: Store) -> None:
    for day in (2, 0, 1):
        apply(store, [change({"id": day})], AT + day * DAY)
    with store.read() as memory:
        assert [row.key for row in violations.open_rows(memory, "r")] == [
            {"id": 0},
            {"id": 1},
            {"id": 2},
        ]


def test_what_merely_goes_on_is_not_written(store: Store) -> None:
    with counted(store) as sent:
        apply(store, [change({"id": n}, Change.ONGOING) for n in range(100)])
    assert sent == []


def test_a_row_that_goes_on_with_other_values_is_updated_in_one_statement(store: Store) -> None:
    apply(store, [change({"id": n}) for n in range(100)])
    updated = [
        change(
            {"id": n},
            Change.ONGOING,
            violation=Violation({"id": n}, {"owed": Decimal(n)}, "owed is too much"),
            has_new_values=True,
        )
        for n in range(50)
    ]
    with counted(store) as sent:
        apply(store, updated, AT + DAY)
    assert sent == [50]
    with store.read() as memory:
        rows = violations.open_rows(memory, "r")
    assert [row.shown for row in rows[49:51]] == [{"owed": 49}, {}]
    assert [row.detail for row in rows[49:51]] == ["owed is too much", ""]
    assert {row.first_seen for row in rows} == {AT}


def test_a_row_is_open_from_its_first_sight_to_its_end(store: Store) -> None:
    apply(store, [change({"id": 1}), change({"id": 2})])
    apply(store, [change({"id": 1}, Change.RESOLVED, resolution=Resolution.FIXED)], AT + DAY)
    with store.read() as memory:
        [row] = violations.open_rows(memory, "r")
        known = violations.recent_rows(memory, "r", AT + DAY)
    assert row.key == {"id": 2}
    ended = known[fingerprint("r", "app", {"id": 1})]
    assert (ended.open, ended.resolved_at, ended.resolution, ended.first_seen) == (
        False,
        AT + DAY,
        Resolution.FIXED,
        AT,
    )


def test_a_resolved_row_is_known_for_a_week(store: Store) -> None:
    apply(store, [change({"id": 1})])
    apply(store, [change({"id": 1}, Change.RESOLVED, resolution=Resolution.FIXED)], AT)
    with store.read() as memory:
        assert len(violations.recent_rows(memory, "r", AT + 7 * DAY)) == 1
        assert violations.recent_rows(memory, "r", AT + 7 * DAY + timedelta(seconds=1)) == {}


def test_a_row_that_comes_back_is_the_same_row_again(store: Store) -> None:
    apply(store, [change({"id": 1})])
    apply(store, [change({"id": 1}, Change.RESOLVED, resolution=Resolution.FIXED)], AT + DAY)
    apply(store, [change({"id": 1}, Change.REGRESSED)], AT + 2 * DAY)
    with store.read() as memory:
        [row] = violations.open_rows(memory, "r")
        assert memory.execute(text("SELECT episodes FROM violations")).scalars().all() == [2]
    assert (row.first_seen, row.resolved_at, row.resolution) == (AT + 2 * DAY, None, None)


def test_a_row_that_comes_back_after_it_was_forgotten_is_the_same_row_again(store: Store) -> None:
    for start in (AT, AT + 30 * DAY, AT + 60 * DAY):
        apply(store, [change({"id": 1})], start)
        apply(store, [change({"id": 1}, Change.RESOLVED, resolution=Resolution.FIXED)], start + DAY)
    [row] = table(store).values()
    assert (row["episodes"], row["first_seen"], row["open"]) == (3, AT + 60 * DAY, False)


def test_rules_do_not_see_each_others_rows(store: Store) -> None:
    apply(store, [change({"id": 1})])
    gone = change({"id": 1}, Change.RESOLVED, resolution=Resolution.FIXED)
    with store.write() as memory:
        violations.apply(
            memory,
            [RowChanges("other", "app", [gone])],
            AT,
        )
        assert violations.open_keys(memory, "other") == {}
        assert violations.recent_rows(memory, "other", AT) == {}
        assert list(violations.open_keys(memory, "r").values()) == [{"id": 1}]


def test_twenty_thousand_changes_take_three_statements(store: Store) -> None:
    """Drivers get them in bulk: what is written grows with the rows, not with round trips."""
    rows = [change({"id": n}) for n in range(20_000)]
    with counted(store) as sent:
        apply(store, rows)
        apply(
            store,
            [change(row.key, Change.RESOLVED, resolution=Resolution.ROW_GONE) for row in rows],
            AT + DAY,
        )
    assert sent == [1, 20_000, 20_000]
    with store.read() as memory:
        ended = memory.execute(
            text("SELECT count(*) FROM violations WHERE NOT open AND resolution = 'row_gone'")
        )
        assert ended.scalar() == 20_000


def test_open_rows_stand_in_the_order_of_their_keys(store: Store) -> None:
    keys: list[Key] = [{"id": value} for value in (10, 9, None, "b", Decimal("9.5"), "a", 100)]
    apply(store, [change(key) for key in keys])
    with store.read() as memory:
        found = [row.key["id"] for row in violations.open_rows(memory, "r")]
    assert found == [9, Decimal("9.5"), 10, 100, "a", "b", None]


def test_the_earlier_episodes_of_a_row_are_kept_until_retention_and_removed_with_it(
    store: Store,
) -> None:
    key = {"id": 1}
    for days in (0, 2, 30):
        apply(store, [change(key, Change.NEW), change({"id": 2})], AT + days * DAY)
        gone = change(key, Change.RESOLVED, resolution=Resolution.FIXED)
        apply(store, [gone], AT + (days + 1) * DAY)
    with store.read() as memory:
        episodes = [row for row in violations.all_episodes(memory, "r") if row.key == key]
    assert [row.resolved_at for row in episodes] == [AT + n * DAY for n in (1, 3, 31)]
    assert {row.resolution for row in episodes} == {Resolution.FIXED}
    with store.write() as memory:
        violations.remove(memory, "r")
        assert violations.all_episodes(memory, "r") == []
        assert memory.execute(text("SELECT count(*) FROM episodes")).scalar() == 0


@pytest.mark.parametrize("rules", [1, 20])
def test_rows_of_any_number_of_rules_that_come_back_take_two_statements(
    store: Store, rules: int
) -> None:
    key: Key = {"id": 1}
    names = [f"r{number}" for number in range(rules)]
    marks = {name: fingerprint(name, "app", key) for name in names}

    def change_all(what: Change, at: datetime) -> list[int]:
        found = Violation(key) if what is not Change.RESOLVED else None
        changes = [
            RowChanges(name, "app", [Transition(marks[name], what, key, violation=found)])
            for name in names
        ]
        with store.write() as memory, counted(store) as sent:
            violations.apply(memory, changes, at)
        return sent

    change_all(Change.NEW, AT)
    change_all(Change.RESOLVED, AT + DAY)
    assert len(change_all(Change.REGRESSED, AT + 2 * DAY)) == 2
    with store.read() as memory:
        for name in names:
            [row] = violations.open_rows(memory, name)
            [before] = violations.earlier_episodes(memory, row, name)
            assert (before.first_seen, before.resolved_at) == (AT, AT + DAY)
