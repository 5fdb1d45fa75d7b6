"""`scan: new rows by …`: a run that looks only at what is new says what a look at all rows says."""

import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from sanityd import pipeline
from sanityd.checks import incremental
from sanityd.errors import RuleError
from sanityd.model import DEFAULT_OVERLAP, Outcome, Resolution, Run, Watermark, watermark_after
from sanityd.pipeline import Result
from sanityd.rules.load import load
from sanityd.store import violations, watermarks
from sanityd.store.open import Store
from tests.support.services import owner

START = datetime(2026, 11, 24, 8, tzinfo=UTC)
BY_TIME, BY_ID = "new rows by made, full daily", "new rows by id, full daily"
#: Of each kind that can look at new rows, alone and several in one scan.
RULES: dict[str, dict[str, Any]] = {
    "adults": {"between": {"age": [18, 120]}, "show": ["name"]},
    "named": {"not_null": "name"},
    "short": {"length": {"name": [1, 3]}, "where": "age > 10"},
    "once": {"unique": "name"},
    "pairs": {"unique": ["name", "age"]},
    "equal": {"unique": {"columns": "name", "nulls": "equal"}},
    "parents": {"references": {"parent": "items.id"}},
    "evident": {"has": {"in": "app.items", "on": {"parent": "id"}, "where": "age < 40"}},
}


class Watch:
    """Rules over one table of a real database, with a store, in a time of the test's own."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.engine: Engine = owner(database_url)
        self.url, self.folder = database_url, folder
        self.store = Store.open(f"sqlite:///{folder / 'state.db'}", folder)
        self.at = START
        self.rules: dict[str, dict[str, Any]] = {}
        #: Somebody writes before each run, or PostgreSQL could tell that nobody did.
        self.writes = True
        with self.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE ticks (n INTEGER)")
            connection.exec_driver_sql(
                "CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR(20), age INTEGER, parent INTEGER,"
                " made TIMESTAMP NULL)"
            )

    def close(self) -> None:
        """Give all back."""
        self.store.close()
        self.engine.dispose()

    def sql(self, *statements: str, on: Connection | None = None) -> None:
        """As the owner, at once or in a transaction that is left open."""
        if on is not None:
            for statement in statements:
                on.exec_driver_sql(statement)
            return
        with self.engine.begin() as connection:
            self.sql(*statements, on=connection)

    def add(
        self, number: int, name: str = "ok", age: object = 30, *, on: Connection | None = None
    ) -> None:
        """A row, made now."""
        now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ", "seconds")
        self.sql(f"INSERT INTO items VALUES ({number}, '{name}', {age}, NULL, '{now}')", on=on)

    def age_all(self, days: int = 2) -> None:
        """All rows so far were made long ago."""
        made = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days)
        self.sql(
            f"UPDATE items SET made = '{made.isoformat(' ', 'seconds')}' WHERE made IS NOT NULL"
        )

    def tick(self, minutes: float = 5) -> dict[str, Result]:
        """One run of all rules, so many minutes after the one before."""
        self.at += timedelta(minutes=minutes)
        if self.writes:
            self.sql("INSERT INTO ticks VALUES (1)")
        path = self.folder / "rules.yaml"
        path.write_text(
            json.dumps({"sources": {"app": "${APP}"}, "rules": self._listed()}), encoding="utf-8"
        )
        rules = load(path, {"APP": self.url})
        results = pipeline.run_batch(rules, list(rules.rules.values()), self.store, self.at)
        return {result.rule.id: result for result in results}

    def run(self, minutes: float = 5) -> Run:
        """The same, of the only rule."""
        [result] = self.tick(minutes).values()
        return result.run

    def open_rows(self, rule: str) -> list[Any]:
        """What is open in the store."""
        with self.store.read() as memory:
            return sorted(key["id"] for key in violations.open_keys(memory, rule).values())

    def _listed(self) -> dict[str, Any]:
        return {name: {"table": "app.items", **rule} for name, rule in self.rules.items()}


@pytest.fixture
def watch(database_url: str, tmp_path: Path) -> Iterator[Watch]:
    """On each database."""
    made = Watch(database_url, tmp_path)
    yield made
    made.close()


@pytest.fixture
def local(sqlite: str, tmp_path: Path) -> Iterator[Watch]:
    """On the one that is nearest."""
    made = Watch(sqlite, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(("scan", "seed"), [(BY_TIME, 0), (BY_ID, 1)])
def test_new_rows_and_open_ones_tell_what_all_rows_tell(watch: Watch, scan: str, seed: int) -> None:
    """Random rows come, open ones are put right or go; each is looked at both ways."""
    chance = random.Random(seed)
    narrow = {f"{name}-narrow": {**rule, "scan": scan} for name, rule in RULES.items()}
    watch.rules = {**RULES, **narrow}
    last = 0

    def come() -> None:
        nonlocal last
        watch.age_all()
        now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ", "seconds")
        for _ in range(chance.randrange(1, 8)):
            last += 1
            name = chance.choice(["NULL", "'a'", "'b'", "'A'", "'abcd'", f"'{last % 7}'"])
            age, parent = (
                chance.choice(["NULL", "5", "17", "30", "30"]),
                chance.choice(["NULL", "1", "2", "77"]),
            )
            made = (
                chance.choice(["NULL", f"'{now}'", f"'{now}'", f"'{now}'"])
                if scan == BY_TIME
                else "NULL"
            )
            watch.sql(f"INSERT INTO items VALUES ({last}, {name}, {age}, {parent}, {made})")

    come()
    narrowed = 0
    for _ in range(8):
        results = watch.tick(chance.choice([20, 70]))
        for name in RULES:
            full, other = results[name].run, results[f"{name}-narrow"].run
            narrowed += other.incremental
            assert _told(other) == _told(full)
        come()
        if chance.random() < 0.5:
            watch.sql(
                f"UPDATE items SET age = 39, name = 'x{last}' WHERE id = {chance.choice(_broken(watch))}"
            )
        if chance.random() < 0.3:
            watch.sql(f"DELETE FROM items WHERE id > 2 AND id = {chance.choice(_broken(watch))}")
    assert narrowed > 20


def _broken(watch: Watch) -> list[int]:
    """Rows that are open in a rule of each kind, so that a change to one is seen by all that know
    it."""
    known = set(watch.open_rows("adults-narrow"))
    return sorted(known) or [0]


def _told(run: Run) -> object:
    return (
        run.outcome,
        run.violations,
        run.rows,
        {repr(one) for one in run.tracked},
        sorted(run.resolutions.values()),
    )


@pytest.mark.parametrize("scan", [BY_TIME, BY_ID])
def test_a_row_that_was_changed_is_found_by_the_full_look_of_the_day(
    watch: Watch, scan: str
) -> None:
    watch.rules = {"adults": {**RULES["adults"], "scan": scan}}
    for number in range(1, 30):
        watch.add(number)
    watch.age_all()
    first = [watch.run(50).incremental for _ in range(4)]
    assert first == ([False, True, True, True] if scan == BY_TIME else [False, False, False, True])
    watch.sql("UPDATE items SET age = 3 WHERE id = 1")
    watch.add(100, age=3)
    assert (watch.run().violations, watch.open_rows("adults")) == (1, [100])
    for _ in range(8):
        found = watch.run(179)
    assert (found.violations, watch.open_rows("adults")) == (2, [1, 100])


@pytest.mark.parametrize("scan", [BY_TIME, BY_ID])
def test_a_transaction_that_commits_late_is_not_missed(watch: Watch, scan: str) -> None:
    """Its row got its value before rows that were seen, and becomes visible after them."""
    if not watch.url.startswith(("postgresql", "mysql", "mariadb")):
        pytest.skip("only one writer at a time")
    watch.rules = {"adults": {**RULES["adults"], "scan": scan}}
    watch.add(1)
    for _ in range(4):
        watch.run(50)
    with watch.engine.connect() as late:
        transaction = late.begin()
        watch.add(2, age=3, on=late)
        watch.add(3)
        assert [watch.run(20).violations for _ in range(2)] == [0, 0]
        watch.add(4)
        transaction.commit()
    run = watch.run(10)
    assert (run.incremental, run.violations) == (True, 1)


def test_a_row_of_today_is_new_all_day(watch: Watch) -> None:
    """However late it is: a date says less than a time."""
    watch.sql("CREATE TABLE days (id INTEGER PRIMARY KEY, day DATE, age INTEGER)")
    watch.rules = {
        "adults": {**RULES["adults"], "table": "app.days", "scan": "new rows by day, full daily"}
    }
    del watch.rules["adults"]["show"]
    today = datetime.now(UTC).date()
    watch.sql(f"INSERT INTO days VALUES (1, '{today - timedelta(days=9)}', 30)")
    watch.run()
    watch.sql(f"INSERT INTO days VALUES (2, '{today}', 3)")
    run = watch.run()
    assert (run.incremental, run.violations) == (True, 1)


def test_a_new_row_may_repeat_an_old_one(watch: Watch) -> None:
    watch.rules = {"once": {**RULES["once"], "scan": BY_TIME}}
    for number, name in enumerate(["a", "b", "c", "d"], start=1):
        watch.add(number, name)
    watch.age_all()
    assert not watch.run().violations
    watch.add(5, "b")
    run = watch.run()
    assert (run.incremental, run.violations, run.rows) == (True, 1, 2)
    watch.sql("UPDATE items SET name = 'e' WHERE id = 2")
    run = watch.run()
    assert (run.incremental, run.violations, list(run.resolutions.values())) == (
        True,
        0,
        [Resolution.FIXED],
    )


def test_a_table_that_was_emptied_is_not_green(watch: Watch) -> None:
    watch.rules = {
        "adults": {**RULES["adults"], "scan": BY_TIME},
        "named": {**RULES["named"], "scan": BY_TIME},
    }
    watch.add(1)
    watch.tick()
    watch.sql("DELETE FROM items")
    assert {result.run.outcome for result in watch.tick().values()} == {Outcome.ERRORED}


def test_more_than_are_followed_one_by_one_are_counted_by_a_full_look(local: Watch) -> None:
    local.rules = {"adults": {**RULES["adults"], "scan": BY_TIME}}
    local.add(1)
    local.run()
    local.sql(*(f"INSERT INTO items VALUES ({n}, 'x', 3, NULL, NULL)" for n in range(2, 1200)))
    run = local.run()
    assert (run.outcome, run.violations, run.incremental) == (Outcome.TRUNCATED, 1198, False)
    assert not local.run().incremental


def test_rows_beyond_the_cap_are_not_forgotten_when_those_that_were_followed_are_repaired(
    local: Watch,
) -> None:
    """Nobody knows which they are, so the next look is at all rows."""
    local.rules = {"adults": {**RULES["adults"], "scan": BY_TIME}}
    local.sql(
        *(
            f"INSERT INTO items VALUES ({n}, 'x', 3, NULL, '2001-01-01 00:00:00')"
            for n in range(1, 1101)
        )
    )
    assert local.run().outcome is Outcome.TRUNCATED
    local.sql("UPDATE items SET age = 30 WHERE id <= 1000")
    run = local.run()
    assert (run.incremental, run.violations) == (False, 100)


def test_a_row_that_is_spared_for_a_while_is_looked_at_when_it_is_old_enough(local: Watch) -> None:
    """However long `within` is; its time goes by as its row is made earlier."""
    local.rules = {
        "adults": {**RULES["adults"], "within": "3h of made", "scan": BY_TIME, "when_empty": "pass"}
    }
    local.add(1, age=3)

    def made(hours: float) -> None:
        at = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=hours)
        local.sql(f"UPDATE items SET made = '{at.isoformat(' ', 'seconds')}'")

    made(2.8)
    assert not local.run().violations
    made(3.2)
    run = local.run()
    assert (run.incremental, run.violations) == (True, 1)


def test_a_rule_that_means_something_else_begins_anew(local: Watch) -> None:
    local.rules = {"adults": {**RULES["adults"], "scan": BY_TIME}}
    local.add(1, age=20)
    local.age_all()
    local.run()
    assert local.run().incremental
    local.rules["adults"]["between"] = {"age": [21, 120]}
    run = local.run()
    assert (run.incremental, run.violations) == (False, 1)


def test_a_clock_that_was_set_back_begins_anew(local: Watch) -> None:
    local.rules = {"adults": {**RULES["adults"], "scan": BY_TIME}}
    local.add(1)
    local.run()
    assert local.run().incremental
    assert not local.run(-30).incremental


def test_what_another_pass_has_recorded_meanwhile_is_not_called_fixed(
    local: Watch, monkeypatch: Any
) -> None:
    """A look at new rows says nothing of rows that it was not asked about."""
    local.rules = {"adults": {**RULES["adults"], "scan": BY_TIME}}
    local.add(1)
    local.add(2, age=3)
    local.age_all()
    local.run()
    merge = incremental.merge

    def unaware(planned: Any, new: Any, open_keys: Any, contents: Any) -> Any:
        del open_keys
        return merge(planned, new, {}, contents)

    monkeypatch.setattr(incremental, "merge", unaware)
    monkeypatch.setattr("sanityd.checks.evaluation.resolutions_of", lambda *_: {})
    run = local.run()
    assert (run.incremental, run.violations) == (True, 0)
    assert local.open_rows("adults") == [2]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"row_count": {"min": 1}, "scan": BY_TIME}, "`row_count` is about all rows"),
        (
            {**RULES["adults"], "scan": BY_TIME, "severity": {"error": "1%"}},
            "a share is one of all rows",
        ),
        ({**RULES["adults"], "scan": BY_TIME, "confirm": "2 runs"}, "to be confirmed"),
        ({**RULES["adults"], "scan": "sometimes"}, "`sometimes` is not a valid value of `scan`"),
        ({**RULES["adults"], "scan": "new rows by made, full every blue moon"}, "not a duration"),
        (
            {"has": {"in": "other.mails", "on": {"id": "id"}}, "scan": BY_TIME},
            "compared as a whole",
        ),
    ],
)
def test_what_can_not_look_at_new_rows_says_so(
    tmp_path: Path, rule: dict[str, Any], said: str
) -> None:
    path = tmp_path / "rules.yaml"
    sources = {"app": "sqlite:///a.db", "other": "sqlite:///b.db"}
    path.write_text(
        json.dumps({"sources": sources, "rules": {"r": {"table": "app.items", **rule}}}),
        encoding="utf-8",
    )
    with pytest.raises(RuleError, match=re.escape(said)):
        load(path, {})


def test_only_what_grows_tells_what_is_new(watch: Watch) -> None:
    watch.rules = {"adults": {**RULES["adults"], "scan": "new rows by name, full daily"}}
    watch.add(1)
    run = watch.run()
    assert run.outcome is Outcome.ERRORED
    assert "`name` can't tell which rows are new" in str(run.error)


@given(
    commits=st.lists(st.integers(0, 55), min_size=1, max_size=40),
    waits=st.lists(st.integers(1, 200), min_size=1, max_size=30),
    reads=st.data(),
)
def test_every_number_is_seen_before_it_is_old(
    commits: list[int], waits: list[int], reads: st.DataObject
) -> None:
    """Numbers are given one a minute, each visible up to 55 minutes later; whatever a look skips,
    one before saw."""
    visible = {
        number: START + timedelta(minutes=number + delay)
        for number, delay in enumerate(commits, start=1)
    }
    mark: Watermark | None = None
    at, seen = START, set[int]()
    run = Run("r", "between", "app", START, Outcome.COMPLETE)
    for wait in waits:
        at += timedelta(minutes=wait)
        there = {number for number, when in visible.items() if when <= at}
        since = mark.since("id", timedelta(days=1), at) if mark else None
        assert since is None or isinstance(since, int)
        looked = {number for number in there if since is None or number >= since}
        seen |= looked
        assert there <= seen
        outcome = reads.draw(st.sampled_from([Outcome.COMPLETE, Outcome.COMPLETE, Outcome.ERRORED]))
        if outcome is Outcome.ERRORED:
            seen -= looked
        newest = max(there, default=0)
        mark = watermark_after(
            mark,
            replace(run, at=at, outcome=outcome, incremental=since is not None, newest=newest),
            "id",
            DEFAULT_OVERLAP,
        )


def test_the_store_remembers_marks_with_their_types(state: str, tmp_path: Path) -> None:
    store = Store.open(state, tmp_path)
    by_time = Watermark("made", START, START - DEFAULT_OVERLAP, START - DEFAULT_OVERLAP, START)
    by_id = Watermark("id", START, None, 2**40, START)
    with store.write() as memory:
        watermarks.save(memory, "a", "m1", by_time)
        watermarks.save(memory, "b", "m1", by_time)
        watermarks.save(memory, "b", "m2", by_id)
        assert watermarks.of_rules(memory, {"a": "m1", "b": "m2"}) == {"a": by_time, "b": by_id}
        assert watermarks.of_rules(memory, {"a": "m2", "b": "m2"}) == {"b": by_id}
        watermarks.save(memory, "a", "m1", None)
        watermarks.remove(memory, "b")
        assert not watermarks.of_rules(memory, {"a": "m1", "b": "m2"})
    store.close()
