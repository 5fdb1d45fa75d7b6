"""Rows that are identical in all columns: counted exactly through their whole life, on every
database, and told in words not to be followed one by one."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sanityd import pipeline
from sanityd.model import Change, Outcome
from sanityd.notifications import open_incidents
from sanityd.pipeline import Result
from sanityd.rules.load import load
from sanityd.store import violations
from sanityd.store.open import Store
from tests.support.project import Project
from tests.support.services import owner

Look = Callable[..., Result]
RULE: dict[str, Any] = {
    "table": "app.log",
    "not_null": "amount",
    "key": ["event", "amount", "day"],
}
#: Three rows that violate, and are the same.
THREE = "INSERT INTO log VALUES ('login', NULL, 1), ('login', NULL, 1), ('login', NULL, 1)"


class Watch:
    """One rule about a table without a key, in a time of the test's own."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.engine = owner(database_url)
        self.url, self.folder = database_url, folder
        self.store = Store.open(f"sqlite:///{folder / 'state.db'}", folder)
        self.at = datetime(2026, 11, 24, 8, tzinfo=UTC)
        self.sql("CREATE TABLE log (event VARCHAR(20), amount INTEGER, day INTEGER)")

    def sql(self, *statements: str) -> None:
        """Change the data as its owner."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        if self.url.startswith("duckdb"):
            self.engine.dispose()

    def run(self, limits: Mapping[str, Any] | None = None, **keys: Any) -> Result:
        """Evaluate the rule and record the run, seventy minutes after the last one."""
        self.at += timedelta(minutes=70)
        file = {
            "sources": {"app": "${APP}"},
            "alerts": {"limits": limits or {}},
            "rules": {"amounts": {**RULE, **keys}},
        }
        path = self.folder / "rules.yaml"
        path.write_text(json.dumps(file), encoding="utf-8")
        self.rules = load(path, {"APP": self.url, "SANITYD_REDACT_KEY": "0123456789abcdef"})
        [result] = pipeline.run_batch(
            self.rules, list(self.rules.rules.values()), self.store, self.at
        )
        assert result.run.error is None, f"{result.run.error} {result.run.hint}"
        return result

    @property
    def open_keys(self) -> list[Any]:
        """The values of the keys of all open rows."""
        with self.store.read() as connection:
            rows = violations.open_rows(connection, "amounts")
        return [tuple(row.key.values()) for row in rows]

    @property
    def notes(self) -> tuple[str, ...]:
        """What `status` and `show` say besides the numbers."""
        with self.store.read() as connection:
            [item] = open_incidents.list_open_incidents(connection, self.rules, self.at)
        return item.notes


@pytest.fixture
def watch(database_url: str, tmp_path: Path) -> Iterator[Watch]:
    made = Watch(database_url, tmp_path)
    yield made
    made.store.close()
    made.engine.dispose()


def test_the_incident_counts_each_of_them_and_ends_with_the_last(watch: Watch) -> None:
    watch.sql(THREE, "INSERT INTO log VALUES ('login', 7, 1), ('login', 7, 1)")
    result = watch.run()
    assert (result.run.violations, result.run.rows, result.run.checked) == (3, 3, 5)
    assert watch.open_keys == [
        ("login", None, 1),
        ("login", None, 1, 2),
        ("login", None, 1, 3),
    ]
    [note] = watch.notes
    assert note.startswith("2 tracked rows repeat another one in all columns: they are counted")
    watch.sql("INSERT INTO log VALUES ('login', NULL, 1)")
    assert watch.run().changes == {Change.ONGOING: 3, Change.NEW: 1}
    watch.sql("DELETE FROM log WHERE amount IS NULL", "INSERT INTO log VALUES ('login', NULL, 1)")
    result = watch.run()
    assert result.incident is not None
    assert (result.incident.violations, result.incident.open) == (1, True)
    assert watch.notes == ()
    assert {how.value: n for how, n in result.incident.resolutions.items()} == {"not_returned": 3}
    watch.sql("DELETE FROM log WHERE amount IS NULL")
    result = watch.run()
    assert result.incident is not None
    assert not result.incident.open
    assert watch.open_keys == []


def test_they_are_not_called_deleted_while_one_of_them_is_there(watch: Watch) -> None:
    watch.sql(THREE)
    watch.run()
    watch.sql("DELETE FROM log")
    watch.sql("INSERT INTO log VALUES ('other', 1, 1)")
    result = watch.run()
    assert result.incident is not None
    assert {how.value: n for how, n in result.incident.resolutions.items()} == {"row_gone": 3}


def test_beyond_the_cap_the_count_is_exact_and_none_is_resolved_that_violates(watch: Watch) -> None:
    watch.sql(THREE)
    watch.run()
    watch.sql("INSERT INTO log VALUES ('a', NULL, 1), ('a', NULL, 1)")
    result = watch.run(limits={"tracked_rows": 2})
    assert result.run.outcome is Outcome.TRUNCATED
    assert result.run.violations == 5
    assert len(watch.open_keys) == 5
    watch.sql("DELETE FROM log WHERE event = 'login'", "INSERT INTO log VALUES ('b', NULL, 1)")
    result = watch.run(limits={"tracked_rows": 2})
    assert result.run.violations == 3
    assert ("login", None, 1) not in watch.open_keys


def test_new_rows_that_repeat_known_ones_are_counted(watch: Watch) -> None:
    scan = "new rows by day, full daily"
    watch.sql(THREE)
    watch.run(scan=scan)
    watch.run(scan=scan)
    watch.sql("INSERT INTO log VALUES ('login', NULL, 1), ('late', NULL, 2), ('late', NULL, 2)")
    result = watch.run(scan=scan)
    assert (result.run.incremental, result.run.violations) == (True, 6)
    watch.sql("DELETE FROM log WHERE event = 'login'")
    result = watch.run(scan=scan)
    assert (result.run.incremental, result.run.violations) == (True, 2)


def test_hashed_keys_are_numbered_in_clear(watch: Watch) -> None:
    watch.sql(THREE)
    assert watch.run(redact="hash").run.violations == 3
    assert [key[3:] for key in watch.open_keys] == [(), (2,), (3,)]
    assert watch.run(redact="hash").changes == {Change.ONGOING: 3}


def test_a_row_that_waits_for_a_second_run_is_one_of_them(watch: Watch) -> None:
    watch.sql(THREE)
    assert watch.run(confirm="2 runs").run.suspects == 3
    watch.sql("INSERT INTO log VALUES ('login', NULL, 1)")
    result = watch.run(confirm="2 runs")
    assert (result.run.violations, result.run.suspects) == (3, 1)


@pytest.fixture
def logged(project: Project) -> Project:
    """A folder whose log has three identical rows that violate, and one that does by itself."""
    project.rules(
        """
sources: {app: "sqlite:///app.db"}
channels: {box: {file: mails}}
rules:
  amounts: {table: app.log, not_null: amount, key: [event, amount], show: [day], notify: [box]}
"""
    )
    project.sql(
        "CREATE TABLE log (event TEXT, amount INTEGER, day INTEGER);"
        f"{THREE}; INSERT INTO log VALUES ('alone', NULL, 5)"
    )
    return project


def test_every_place_says_that_they_cannot_be_told_apart(logged: Project) -> None:
    said = "2 tracked rows repeat another one in all columns"
    assert said in logged.run("try", "amounts").out
    checked = logged.run("check", "--format", "json")
    [rule] = json.loads(checked.out)["rules"]
    assert (rule["violations"], rule["repeated_rows"]) == (4, 2)
    assert {"event": "login", "amount": None, "identical row": 3} in rule["sample"]
    assert said in logged.run("check").out
    assert said in logged.run("status").out
    shown = logged.run("show", "amounts").out
    assert said in shown
    assert "identical row" in shown
    [mail] = (logged.folder / "mails").glob("*")
    assert said in mail.read_text(encoding="utf-8").replace("=\n", "").replace("\n", " ")


def test_none_of_them_is_accepted_or_followed_alone(logged: Project) -> None:
    logged.run("check")
    for row in ("event=login,amount=NULL", "event=login,amount=NULL,identical row=2"):
        refusal = logged.run("accept", "amounts", "--row", row, "--reason", "known")
        assert refusal.code == 3
        assert "3 rows of `amounts` are identical to this one" in refusal.err
        assert "sanityd accept amounts" in refusal.err
    single = logged.run(
        "accept", "amounts", "--row", "event=alone,amount=NULL", "--reason", "known"
    )
    assert single.code == 0
    history = logged.run("history", "amounts", "--row", "event=login,amount=None")
    assert (history.code, "has no history of its own" in history.err) == (3, True)
    assert logged.run("history", "amounts", "--row", "event=alone,amount=None").code == 0
    assert logged.run("accept", "amounts", "--reason", "all known").code == 0
