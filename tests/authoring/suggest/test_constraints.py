"""Constraints for rules that held for 90 days: they run on real databases and prove the rule."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from sanityd.authoring.suggest import constraints
from sanityd.authoring.suggest.ddl import Constraint
from sanityd.checks import planner
from sanityd.model import Outcome, Run, Severity
from sanityd.rules.load import load
from sanityd.rules.rule import RuleSet
from sanityd.sources.base import Snapshot
from sanityd.sources.open import open_source
from sanityd.store import retention, rules_seen, runs
from sanityd.store.open import Store
from sanityd.store.stability import StableRule, stable_rule
from tests.support.project import Project

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
TABLES = (
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR(40), email VARCHAR(40){exact})",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, person_id INTEGER, number INTEGER, total INTEGER,"
    " status VARCHAR(9), {odd} INTEGER)",
    "CREATE TABLE stays (id INTEGER PRIMARY KEY, room INTEGER, starts TIMESTAMP, ends TIMESTAMP)",
    "CREATE TABLE users (id INTEGER PRIMARY KEY, login VARCHAR(40){exact})",
    "INSERT INTO people VALUES (1, 'Ana', 'a@x'), (2, 'Ben', 'A@x')",
    "INSERT INTO orders VALUES (1, 1, 10, 5, 'it''s', 1), (2, NULL, 11, 7, 'paid', 2)",
)
RULES: Mapping[str, Mapping[str, Any]] = {
    "not-null": {"table": "app.people", "not_null": ["name", "email"]},
    "unique": {"table": "app.orders", "unique": ["number"]},
    "unique-text": {"table": "app.people", "unique": ["email"]},
    "odd": {"table": "app.orders", "unique": ["odd name"]},
    "some": {"table": "app.orders", "unique": "number", "where": "status = 'paid'"},
    "reference": {"table": "app.orders", "references": {"person_id": "people.id"}},
    "range": {"table": "app.orders", "between": {"total": {"min": 0, "below": 100}}},
    "words": {"table": "app.orders", "accepted_values": {"status": ["it's", "paid"]}},
    "condition": {"table": "app.orders", "always": "total <= number"},
    "never": {"table": "app.orders", "never": "total > number"},
    "blank": {"table": "app.users", "not_null": {"columns": "login", "blank": "fail"}},
    "length": {"table": "app.people", "length": {"name": {"max": 20}}},
    "folded": {"table": "app.users", "unique": {"columns": "login", "ignore": ["case", "spaces"]}},
    "overlap": {
        "table": "app.stays",
        "no_overlap": {"from": "starts", "to": "ends", "per": "room"},
    },
}
#: The rules that the database proves after the statements have run.
PROVED = {
    "postgres": {
        "not-null",
        "unique",
        "unique-text",
        "odd",
        "reference",
        "range",
        "words",
        "condition",
        "never",
        "length",
        "blank",
        "folded",
        "overlap",
    },
    "mysql": {"not-null", "unique", "unique-text", "odd"},
    "sqlite": {"unique", "unique-text", "odd"},
    "duckdb": {"not-null", "unique", "unique-text", "odd", "folded"},
}
#: Those that need a constraint of a table, which SQLite and DuckDB can't add to one that exists.
_OF_TABLE = {"reference", "range", "words", "condition", "never", "length", "blank", "overlap"}
#: Those that can't be added to a table there.
IMPOSSIBLE = {
    "postgres": set[str](),
    "mysql": {"some", "overlap"},
    "sqlite": {*_OF_TABLE, "not-null"},
    "duckdb": {*_OF_TABLE, "some"},
}
#: A row that each rule forbids, after those that are there.
FORBIDDEN = {
    "not-null": "INSERT INTO people VALUES (9, NULL, 'n@x')",
    "unique": "INSERT INTO orders VALUES (9, 1, 10, 5, 'paid', 9)",
    "unique-text": "INSERT INTO people VALUES (9, 'Ed', 'a@x')",
    "odd": "INSERT INTO orders VALUES (9, 1, 19, 5, 'paid', 1)",
    "reference": "INSERT INTO orders VALUES (9, 99, 19, 5, 'paid', 9)",
    "range": "INSERT INTO orders VALUES (9, 1, 999, 100, 'paid', 9)",
    "words": "INSERT INTO orders VALUES (9, 1, 19, 5, 'lost', 9)",
    "condition": "INSERT INTO orders VALUES (9, 1, 19, 20, 'paid', 9)",
    "never": "INSERT INTO orders VALUES (9, 1, 19, 20, 'paid', 9)",
    "length": "INSERT INTO people VALUES (9, 'Edward the Confessor of Wessex', 'n@x')",
    "blank": "INSERT INTO users VALUES (9, ' ')",
    "folded": "INSERT INTO users VALUES (9, ' ANA')",
    "overlap": "INSERT INTO stays VALUES (9, 1, '2026-01-02 12:00:00', NULL)",
}
DATA = (
    "INSERT INTO users VALUES (1, 'Ana'), (2, 'ben')",
    "INSERT INTO stays VALUES (1, 1, '2026-01-01 00:00:00', '2026-01-03 00:00:00'),"
    " (2, 2, '2026-01-02 00:00:00', NULL)",
)


def run_all(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement.replace("%", "%%"))
    finally:
        engine.dispose()


def loaded(url: str, folder: Path, rules: Mapping[str, Any]) -> RuleSet:
    import json

    (folder / "rules.yaml").write_text(
        json.dumps({"sources": {"app": "${URL}"}, "rules": rules}), encoding="utf-8"
    )
    return load(folder / "rules.yaml", {"URL": url})


@contextmanager
def snapshot_of(rules: RuleSet) -> Iterator[Snapshot]:
    source = open_source(rules.sources["app"])
    try:
        with source.snapshot() as snapshot:
            yield snapshot
    finally:
        source.close()


def test_they_run_and_prove_the_rule_or_say_why_not(database_url: str, tmp_path: Path) -> None:
    is_mysql = database_url.startswith("mysql")
    odd = "`odd name`" if is_mysql else '"odd name"'
    exact = " COLLATE utf8mb4_nopad_bin" if is_mysql else ""
    run_all(database_url, *(statement.format(odd=odd, exact=exact) for statement in TABLES))
    run_all(database_url, *DATA)
    rules = loaded(database_url, tmp_path, RULES)
    with snapshot_of(rules) as snapshot:
        name = snapshot.source.dialect.name
        by_rule = {
            rule.id: constraints.constraint_for(rule.invariant, snapshot)
            for rule in rules.rules.values()
        }
    proposed = {rule: constraint for rule, constraint in by_rule.items() if constraint is not None}
    without_statements = {rule for rule in proposed if not proposed[rule].statements}
    assert without_statements == IMPOSSIBLE[name]
    assert {rule for rule in proposed if proposed[rule].proves} == PROVED[name]
    # DuckDB alters no table that has an index.
    ordered = sorted(proposed.values(), key=lambda item: "INDEX" in "".join(item.statements))
    for constraint in ordered:
        run_all(database_url, *constraint.statements)
    with snapshot_of(rules) as snapshot:
        plan = planner.plan([rule.invariant for rule in rules.rules.values()], snapshot)
        assert not plan.refused
        proofs = {look.invariant.id for look in plan.checks if look.proof}
        again = {
            rule.id: constraints.constraint_for(rule.invariant, snapshot)
            for rule in rules.rules.values()
        }
    # `some` is proved, too, where all are unique.
    assert proofs - {"some"} == PROVED[name]
    assert {rule for rule in PROVED[name] if again[rule] is not None} == set()
    # What the rule would find can't be written any more, until the statements are undone.
    for rule in proposed.keys() & FORBIDDEN.keys() - without_statements:
        with pytest.raises(DBAPIError):
            run_all(database_url, FORBIDDEN[rule])
    undo(database_url, proposed)
    with snapshot_of(rules) as snapshot:
        plan = planner.plan([rule.invariant for rule in rules.rules.values()], snapshot)
        assert [look.invariant.id for look in plan.checks if look.proof] == []


def undo(url: str, proposed: Mapping[str, Constraint]) -> None:
    """Run what undoes the statements; in DuckDB indexes go first, as before."""
    ordered = sorted(proposed.values(), key=lambda item: "INDEX" not in "".join(item.reverse))
    for constraint in ordered:
        assert bool(constraint.reverse) == bool(constraint.statements)
        run_all(url, *constraint.reverse)


UNSAID: Mapping[str, Mapping[str, Any]] = {
    "some-case": {
        "table": "app.people",
        "unique": {"columns": "email", "ignore": ["case"]},
        "where": "id > 1",
    },
    "clock": {"table": "app.stays", "between": {"starts": {"max": "now"}}},
    "equal-nulls": {"table": "app.people", "unique": {"columns": "email", "nulls": "equal"}},
    "window": {"table": "app.people", "not_null": "name", "where": "id > 1"},
    "nulls": {"table": "app.orders", "between": {"total": {"min": 0}}, "nulls": "fail"},
    "some-there": {
        "table": "app.orders",
        "references": {"columns": {"person_id": "people.id"}, "where": "id > 0"},
    },
    "not-a-key": {"table": "app.orders", "references": {"number": "orders.total"}},
    "regex": {"table": "app.people", "matches": {"name": "[A-Z].*"}},
    "proved": {"table": "app.people", "unique": "id"},
    "count": {"table": "app.people", "row_count": {"min": 1}},
}


def test_where_no_constraint_says_the_same_none_is_offered(postgres: str, tmp_path: Path) -> None:
    run_all(postgres, *(statement.format(odd="odd", exact="") for statement in TABLES))
    rules = loaded(postgres, tmp_path, UNSAID)
    with snapshot_of(rules) as snapshot:
        offered = [
            r.id
            for r in rules.rules.values()
            if constraints.constraint_for(r.invariant, snapshot) is not None
        ]
    assert offered == []


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(None, tmp_path)
    yield opened
    opened.close()


def held(store: Store, *, meaning: str = "m") -> StableRule | None:
    with store.read() as connection:
        return stable_rule(connection, "f", "r", meaning, NOW)


def look(
    store: Store, ago: timedelta, violations: int = 0, outcome: Outcome = Outcome.COMPLETE
) -> None:
    severity = Severity.ERROR if violations else None
    run = Run(
        "r", "unique", "app", NOW - ago, outcome, violations, violations, 10, severity=severity
    )
    with store.write() as connection:
        runs.record(connection, run, revision="1", incident=None)


def remember(store: Store, ago: timedelta, meaning: str = "m") -> None:
    with store.write() as connection:
        rules_seen.save(connection, "f", {"r": meaning}, "1", NOW - ago)


DAY = timedelta(days=1)


def test_a_rule_has_held_when_its_whole_record_says_so(store: Store) -> None:
    remember(store, 100 * DAY)
    for day in range(100):
        # Until the last look is recent.
        assert held(store) is None or day > 92
        look(store, (100 - day) * DAY - timedelta(hours=1))
    assert held(store) == StableRule(NOW - 100 * DAY + timedelta(hours=1), 100)
    assert held(store, meaning="other") is None
    # What is rolled up counts on.
    with store.write() as connection:
        retention._add(connection, "r", NOW - 99 * DAY - timedelta(hours=12), _day(5))
    record = held(store)
    assert record is not None
    assert record.looks == 105


def _day(answered: int, most: int = 0) -> Any:
    return {
        "runs": 5,
        "answered": answered,
        "failed": 0,
        "most": most,
        "severity": None,
        "seconds": 1.0,
    }


@pytest.mark.parametrize(
    "spoilt", ["violated", "violated long ago", "young", "silent", "changed", "seldom", "errored"]
)
def test_a_rule_has_not_held_when_anything_speaks_against_it(store: Store, spoilt: str) -> None:
    remember(store, (10 if spoilt == "changed" else 200) * DAY)
    days = range(30, 90, 2) if spoilt == "young" else range(0, 120, 40 if spoilt == "seldom" else 2)
    for day in days:
        if spoilt == "silent" and day < 20:
            continue
        outcome = Outcome.ERRORED if spoilt == "errored" else Outcome.COMPLETE
        look(
            store,
            day * DAY + timedelta(hours=1),
            violations=int(spoilt == "violated" and day == 60),
            outcome=outcome,
        )
    if spoilt == "violated long ago":
        with store.write() as connection:
            retention._add(connection, "r", NOW - 110 * DAY, _day(3, most=1))
    assert held(store) is None


def test_suggest_prints_them_and_runs_none(project: Project, tmp_path: Path) -> None:
    assert project.run("check", SMTP_URL="smtp://127.0.0.1:1").code == 0
    project.rules(
        (tmp_path / "rules.yaml").read_text()
        + "  statuses:\n    table: app.mails\n    unique: id\n"
    )
    (tmp_path / "rules.yaml").write_text(
        (tmp_path / "rules.yaml")
        .read_text()
        .replace("unique: id", "unique: [person_id, template]"),
        encoding="utf-8",
    )
    assert project.run("check").code == 0
    project.state("UPDATE rules_seen SET since = datetime(since, '-100 days')")
    project.state("UPDATE runs SET at = datetime(at, '-1 day') WHERE rule = 'statuses'")
    project.state(
        "INSERT INTO runs (rule, source, kind, at, outcome, violations, rows, checked, seconds,"
        " statements, revision)"
        " WITH RECURSIVE s(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM s WHERE n < 98)"
        " SELECT 'statuses', 'app', 'unique', datetime('now', '-' || n || ' days'), 'complete',"
        " 0, 0, 9, 0, 1, 'x' FROM s"
    )
    answer = project.run("suggest")
    assert answer.code == 0, answer.err
    assert "1 rule has held for 90 days" in answer.out
    statement = 'CREATE UNIQUE INDEX statuses ON mails (person_id, template COLLATE "BINARY");'
    assert statement.replace('"', "") in answer.out
    assert project.run("explain", "statuses").out.count("proved") == 0
    project.sql(statement.replace('"', ""))
    assert "proved" in project.run("explain", "statuses").out
    assert "held for 90 days" not in project.run("suggest").out
