"""A rule that held isn't looked at again while nothing at all was written; only PostgreSQL can tell
that for sure."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sanityd.model import Outcome, Run, UnchangedState
from sanityd.store import unchanged
from sanityd.store.open import Store
from tests.pipeline.test_new_rows import RULES, Watch

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)


@pytest.fixture
def quiet(postgres: str, tmp_path: Path) -> Iterator[Watch]:
    """On a server on which nobody else writes, or the test would see other tests' writes as its
    own."""
    made = Watch(postgres, tmp_path)
    made.rules, made.writes = {"adults": RULES["adults"]}, False
    made.add(1)
    yield made
    made.close()


def looks(watch: Watch, minutes: float = 5) -> bool:
    """Whether the next run reads rows."""
    run = watch.run(minutes)
    assert run.outcome is Outcome.COMPLETE
    assert (run.statements == 0) == bool(run.proved_by)
    return run.proved_by is None


def settled(watch: Watch) -> bool:
    """Whether a run could go without reading, if nobody else has written meanwhile: other tests
    share the server."""
    until = time.monotonic() + 60
    while looks(watch):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_what_held_is_not_looked_at_again(quiet: Watch) -> None:
    assert looks(quiet)
    assert settled(quiet)
    run = quiet.run()
    if run.proved_by is not None:
        assert run.proved_by.startswith("no write since 2026-11-24 ")
        assert (run.checked, run.violations, run.incremental) == (1, 0, False)


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO items VALUES (2, 'x', 3, NULL, NULL)",
        "UPDATE items SET age = 4",
        "UPDATE items SET age = age",
        "DELETE FROM items WHERE id = 99; CREATE TABLE other (id integer)",
        "TRUNCATE items; INSERT INTO items VALUES (1, 'x', 20, NULL, NULL)",
        "ALTER TABLE items ADD more integer",
    ],
)
def test_any_write_has_it_looked_at_again(quiet: Watch, change: str) -> None:
    looks(quiet)
    assert settled(quiet)
    quiet.sql(*change.split("; "))
    assert quiet.run().proved_by is None


def test_a_transaction_that_was_open_at_the_look_and_ended_is_a_write(quiet: Watch) -> None:
    with quiet.engine.connect() as late:
        transaction = late.begin()
        quiet.add(2, age=3, on=late)
        looks(quiet)
        assert settled(quiet)
        transaction.commit()
    assert quiet.run().violations == 1


@pytest.mark.parametrize(
    ("prepare", "rule"),
    [
        (
            "CREATE VIEW seen AS SELECT * FROM items WHERE made < now()",
            {"table": "app.seen", "key": ["id"]},
        ),
        ("CREATE UNLOGGED TABLE seen AS SELECT * FROM items", {"table": "app.seen", "key": ["id"]}),
        ("CREATE TABLE seen (PRIMARY KEY (id)) INHERITS (items)", {"key": ["id"]}),
        ("ALTER TABLE items ENABLE ROW LEVEL SECURITY", {}),
        ("SELECT 1", {"where": "made < now()"}),
        ("SELECT 1", {"within": "1d of made"}),
        ("SELECT 1", {"window": "9d of made", "when_empty": "pass"}),
        ("SELECT 1", {"rejected_values": {"made": ["now"]}}),
        ("SELECT 1", {"always": "age > 1"}),
        ("SELECT 1", {"between": {"age": {"max": "now"}}}),
        ("SELECT 1", {"row_count": {"min": 1}}),
        ("SELECT 1", {"references": {"id": "seen.id"}, "show": ["name"]}),
    ],
)
def test_what_depends_on_more_than_rows_is_looked_at(
    quiet: Watch, prepare: str, rule: dict[str, object]
) -> None:
    kinds = {"rejected_values", "always", "row_count", "references"}
    quiet.rules = {"adults": {**({} if kinds & rule.keys() else RULES["adults"]), **rule}}
    quiet.sql(prepare)
    if "references" in rule:
        quiet.sql("CREATE VIEW seen AS SELECT * FROM items")
    assert all(looks(quiet) for _ in range(5))


def test_it_is_looked_at_all_the_same_once_a_week_and_when_it_means_something_else(
    quiet: Watch,
) -> None:
    looks(quiet)
    assert settled(quiet)
    assert looks(quiet, 7 * 24 * 60)
    assert settled(quiet)
    quiet.rules["adults"] = {"between": {"age": [31, 120]}}
    assert quiet.run().violations == 1
    assert all(quiet.run().proved_by is None for _ in range(3)), "what is violated is looked at"


def test_the_store_remembers_only_looks_that_found_nothing(state: str, tmp_path: Path) -> None:
    store = Store.open(state, tmp_path)
    good = Run("r", "between", "app", AT, Outcome.COMPLETE, checked=7, state="s")
    nothing_held = [
        replace(good, violations=1),
        replace(good, state=None),
        replace(good, incremental=True),
        replace(good, outcome=Outcome.TRUNCATED),
    ]
    says_nothing = [
        replace(good, outcome=Outcome.ERRORED),
        replace(good, proved_by="no write", state="t"),
    ]
    with store.write() as memory:
        for run in nothing_held:
            unchanged.save(memory, [("m", good)])
            assert unchanged.of_rules(memory, {"r": "m"}) == {"r": UnchangedState("s", AT, 7)}
            assert unchanged.of_rules(memory, {"r": "other"}) == {}
            unchanged.save(memory, [("m", run)])
            assert unchanged.of_rules(memory, {"r": "m"}) == {}
        unchanged.save(memory, [("m", good)])
        for run in says_nothing:
            unchanged.save(memory, [("m", replace(run, at=AT + timedelta(hours=1)))])
        assert unchanged.of_rules(memory, {"r": "m"}) == {"r": UnchangedState("s", AT, 7)}
    store.close()
