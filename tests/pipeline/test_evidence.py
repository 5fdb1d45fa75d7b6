"""Evidence: read once when a violation begins, on each database, and never in its way."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, text

from sanityd import pipeline
from sanityd.model import Evidence
from sanityd.pipeline import evidence as reading
from sanityd.rules.load import load
from sanityd.store import evidence, retention, violations
from sanityd.store.open import Store

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TABLES = (
    "CREATE TABLE people (id INTEGER NOT NULL PRIMARY KEY, region VARCHAR(20) NOT NULL, email VARCHAR(80))",
    "CREATE TABLE changes (id INTEGER NOT NULL PRIMARY KEY, person VARCHAR(20), region VARCHAR(20),"
    " changed_at TIMESTAMP NULL, who VARCHAR(80), old_email VARCHAR(80))",
    "INSERT INTO people VALUES (1, 'n', 'a@x.io'), (7, 'n', NULL), (8, 's', NULL)",
    "INSERT INTO changes VALUES (1, '7', 'n', '2026-11-01 08:00:00', 'bob 100%', 'kanarie@x.io'),"
    " (2, '7', 'n', '2026-11-02 08:00:00', 'eve :key ?', NULL),"
    " (3, '7', 'n', '2026-11-03 08:00:00', 'ana', NULL), (4, '8', 's', NULL, 'o''hara', NULL)",
)
CHANGES = {
    "query": "select who, changed_at, old_email, '100% :key ?' as note from changes -- :x\n"
    "where person = cast(:key as char(20)) order by id desc",
    "show": ["who", "changed_at", "note"],
    "rows": 2,
}


class Project:
    """A rules file about one table, its database and its store."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.store = Store.open(None, folder)
        self.rule: dict[str, Any] = {"table": "app.people", "not_null": "email"}
        self.limits: dict[str, Any] = {}
        self.at = AT

    def sql(self, *statements: str) -> None:
        """Run statements as the application does."""
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement.replace(":", "\\:")))
        engine.dispose()

    def check(self, **queries: Any) -> dict[Any, dict[str, Evidence]]:
        """Check the rule with this evidence, a minute later. Returns what is stored, by key."""
        self.at += MINUTE
        rule = {**self.rule, "evidence": queries} if queries else self.rule
        content = {
            "sources": {"app": "${APP_URL}", "gone": "sqlite:///gone.db"},
            "alerts": {"limits": self.limits},
            "rules": {"r": rule},
        }
        path = self.folder / "rules.yaml"
        path.write_text(json.dumps(content))
        rules = load(path, {"APP_URL": self.url})
        pipeline.run_batch(rules, [rules.rules["r"]], self.store, self.at)
        return self.stored()

    def stored(self) -> dict[Any, dict[str, Evidence]]:
        """Return the newest evidence of the open rows, by key and name."""
        with self.store.read() as connection:
            rows = violations.open_rows(connection, "r")
            found = evidence.of_rows(connection, "r", [row.fingerprint for row in rows])
        by_key = {}
        for row in rows:
            [*values] = row.key.values()
            items = found.get(row.fingerprint, ())
            by_key[values[0] if len(values) == 1 else tuple(values)] = {
                item.name: item for item in items
            }
        return by_key


@pytest.fixture
def project(database_url: str, tmp_path: Path) -> Iterator[Project]:
    """A project on each database."""
    project = Project(tmp_path, database_url)
    project.sql(*TABLES)
    yield project
    project.store.close()


@pytest.fixture
def lite(sqlite: str, tmp_path: Path) -> Iterator[Project]:
    """A project on SQLite, for what no database differs in."""
    project = Project(tmp_path, sqlite)
    project.sql(*TABLES)
    yield project
    project.store.close()


def who(found: Mapping[str, Evidence], name: str = "changes") -> list[object]:
    return [row["who"] for row in found[name].rows]


def test_each_database_answers_about_each_violation(project: Project) -> None:
    """In the order of the query, with its limit, and with the columns of `show` only. Signs that
    drivers read in SQL mean nothing, in the query and in the data."""
    found = project.check(
        changes=CHANGES,
        count="select count(*) as n from changes where person = cast(:id as char(20))",
        broken="select who from changes where nope = :key",
    )
    assert who(found[7]) == ["ana", "eve :key ?"]
    assert who(found[8]) == ["o'hara"]
    changes = found[7]["changes"]
    assert {row["note"] for row in changes.rows} == {"100% :key ?"}
    assert str(changes.rows[0]["changed_at"])[:10] == "2026-11-03"
    assert (changes.count, changes.more, changes.hidden) == (2, True, ("old_email",))
    assert (found[7]["count"].rows, found[7]["count"].count) == (({},), 1)
    assert "nope" in found[7]["broken"].error
    assert found[7]["broken"].rows == ()


def test_a_key_of_two_columns_is_bound_by_their_names(project: Project) -> None:
    project.rule = {**project.rule, "key": ["id", "region"]}
    query = "select who from changes where region = :region and person = cast(:id as char(20))"
    found = project.check(changes={"query": query, "show": "who"})
    assert who(found[8, "s"]) == ["o'hara"]


def test_columns_are_shown_whatever_their_case(project: Project) -> None:
    """PostgreSQL folds `Who` to `who`; the names of a rule are compared as `lint` does."""
    query = "select Who, old_email from changes where person = cast(:key as char(20))"
    found = project.check(changes={"query": query, "show": ["WHO"]})
    assert [list(row.values()) for row in found[8]["changes"].rows] == [["o'hara"]]
    with project.store.write() as connection:
        evidence.keep_columns(connection, {"r": {"changes": ["wHo"]}})
    assert [list(row.values()) for row in project.stored()[8]["changes"].rows] == [["o'hara"]]


def test_a_hostile_key_is_a_value(project: Project) -> None:
    hostile = "' OR 1=1 --"
    project.sql(
        "CREATE TABLE names (name VARCHAR(40) NOT NULL PRIMARY KEY, email VARCHAR(80))",
        "INSERT INTO names VALUES (''' OR 1=1 --', NULL), ('x', NULL)",
    )
    project.rule = {"table": "app.names", "not_null": "email"}
    query = "select who from changes where who = :name"
    found = project.check(changes={"query": query, "show": "who"})
    assert found[hostile]["changes"] == Evidence("changes", "app", project.at)


def test_a_slow_query_is_cut_off_and_the_violation_recorded(project: Project) -> None:
    big = ", ".join(
        f"(select 1 as n from changes c{n}, changes d{n}, changes e{n}) x{n}" for n in range(7)
    )
    slow = {"query": f"select count(*) as n from {big}", "timeout": "1s", "show": "n"}
    project.rule = {**project.rule, "where": "id = 7"}
    found = project.check(slow=slow, fast="select who from changes where id = :key")
    assert "cut off after 1 s" in found[7]["slow"].error
    assert found[7]["fast"].error == ""


def test_it_is_read_once_when_it_begins_and_once_when_it_regresses(lite: Project) -> None:
    lite.check(changes=CHANGES)
    lite.sql("UPDATE changes SET who = 'new'")
    assert who(lite.check(changes=CHANGES)[7]) == ["ana", "eve :key ?"], "it goes on"
    lite.sql("UPDATE people SET email = 'b@x.io' WHERE id = 7")
    assert lite.check(changes=CHANGES).keys() == {8}
    lite.sql("UPDATE people SET email = NULL WHERE id = 7")
    assert who(lite.check(changes=CHANGES)[7]) == ["new", "new"]
    with lite.store.read() as connection:
        [row] = [row for row in violations.all_rows(connection, "r") if row.key["id"] == 7]
        stored = evidence.all_of_rows(connection, "r", [row.fingerprint])[row.fingerprint]
    assert [(item.at - AT) / MINUTE for item in stored] == [1, 4]


def test_a_row_that_must_be_found_twice_is_asked_about_when_it_counts(lite: Project) -> None:
    lite.rule = {**lite.rule, "confirm": "2 runs"}
    assert lite.check(changes=CHANGES) == {}
    lite.sql("UPDATE changes SET who = 'second'")
    assert who(lite.check(changes=CHANGES)[7]) == ["second", "second"]


def test_only_some_of_many_violations_get_it(lite: Project) -> None:
    lite.limits = {"evidence_rows": 1}
    found = lite.check(changes=CHANGES)
    assert [len(items) for items in found.values()] == [1, 0]


def test_what_the_time_does_not_allow_is_told(
    lite: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BUDGET", timedelta(0))
    found = lite.check(changes=CHANGES)
    assert found[7]["changes"].error == "the 0 s for evidence in one pass were used up"


def test_a_source_that_is_down_is_told_and_hides_nothing(lite: Project) -> None:
    found = lite.check(jobs={"query": "select 1 as n where 1 = :key", "source": "gone"})
    assert found.keys() == {7, 8}
    assert "`gone` can't be read" in found[7]["jobs"].error


def test_long_values_are_cut(lite: Project) -> None:
    query = "select printf('%.*c', 5000, 'x') as who, zeroblob(9000) as raw from changes"
    found = lite.check(changes={"query": query, "show": ["who", "raw"], "rows": 200})
    [first, *_] = found[7]["changes"].rows
    assert len(str(first["who"])) == reading.MOST_OF_VALUE + 1
    wide = {
        "query": "select replace(hex(zeroblob(400)), '0', 'y') as who from changes a, changes b, changes c"
    }
    lite.sql("INSERT INTO people VALUES (9, 'n', NULL)")
    item = lite.check(wide={**wide, "show": "who", "rows": 200})[9]["wide"]
    assert len(item.rows) < item.count == 64


def test_it_never_writes(lite: Project) -> None:
    """The gate refuses it before any database is asked, as for all SQL of rules."""
    with pytest.raises(Exception, match="instead of `SELECT`"):
        lite.check(changes="delete from changes where id = :key")


def test_a_row_keeps_its_last_episodes(lite: Project) -> None:
    for _ in range(evidence.KEPT + 2):
        lite.sql("UPDATE people SET email = NULL WHERE id = 7")
        lite.check(changes=CHANGES)
        lite.sql("UPDATE people SET email = 'b@x.io' WHERE id = 7")
        lite.check(changes=CHANGES)
    with lite.store.read() as connection:
        [mark] = [
            row.fingerprint for row in violations.all_rows(connection, "r") if row.key["id"] == 7
        ]
        assert len(evidence.all_of_rows(connection, "r", [mark])[mark]) == evidence.KEPT


def test_it_is_deleted_with_its_violation(lite: Project) -> None:
    lite.check(changes=CHANGES)
    lite.sql("UPDATE people SET email = 'b@x.io' WHERE id = 7")
    lite.check(changes=CHANGES)
    retention.apply_retention(lite.store, lite.at + timedelta(days=3))
    for days in range(7, 106, 7):
        retention.apply_retention(lite.store, lite.at + timedelta(days=days))
    with lite.store.read() as connection:
        [row] = violations.all_rows(connection, "r")
        assert row.key["id"] == 8
        assert len(evidence.since(connection, "r", AT)) == 1


@pytest.mark.parametrize("allowed", [{"changes": ["note"]}, {}])
def test_what_may_not_be_stored_any_more_is_overwritten(
    lite: Project, allowed: dict[str, list[str]]
) -> None:
    lite.check(changes=CHANGES)
    with lite.store.write() as connection:
        # Some builds of SQLite overwrite by default, others don't.
        connection.exec_driver_sql("PRAGMA secure_delete = OFF")
        evidence.keep_columns(connection, {"r": allowed})
    lite.store.close()
    files = [path for path in (lite.folder / ".sanityd").rglob("*") if path.is_file()]
    assert files
    assert [path.name for path in files if b"eve :key ?" in path.read_bytes()] == []
