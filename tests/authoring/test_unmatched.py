"""Values in a rule that its tables never have are found, on each database, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sanityd.authoring import unmatched as module
from sanityd.authoring.equalities import equalities
from sanityd.authoring.lint.lint import lint
from sanityd.authoring.unmatched import unmatched
from sanityd.rules.load import load
from sanityd.sources.open import open_source
from tests.support.project import Project
from tests.support.services import owner

Find = Callable[..., list[str]]
TABLES = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, status VARCHAR(20), person INTEGER,"
    " ref VARCHAR(20), note VARCHAR(20))",
    "CREATE TABLE people (id INTEGER PRIMARY KEY, ref VARCHAR(20))",
    "CREATE TABLE steps (id INTEGER PRIMARY KEY, one_order INTEGER, state VARCHAR(20))",
    "INSERT INTO orders VALUES (1, 'captured', 1, 'P001', NULL), (2, 'captured', 2, 'P002', NULL),"
    " (3, 'new', 3, 'P003', NULL)",
    "INSERT INTO people VALUES (1, '001'), (2, '002'), (3, '003')",
    "INSERT INTO steps VALUES (1, 1, 'open'), (2, 1, 'shiped'), (3, 2, 'open'), (4, 2, 'shiped')",
)


@pytest.fixture
def find(database_url: str, tmp_path: Path) -> Find:
    """Returns the messages about a rule."""
    engine = owner(database_url)
    with engine.begin() as connection:
        for statement in TABLES:
            connection.exec_driver_sql(statement)
    engine.dispose()

    def messages(**rule: Any) -> list[str]:
        file = {"sources": {"app": "${APP}"}, "rules": {"it": {"table": "app.orders", **rule}}}
        (tmp_path / "rules.yaml").write_text(json.dumps(file), encoding="utf-8")
        rules = load(tmp_path / "rules.yaml", {"APP": database_url, "SANITYD_REDACT_KEY": "k" * 20})
        source = open_source(rules.sources["app"])
        with source.snapshot() as snapshot:
            invariant = rules.rules["it"].invariant
            findings = unmatched(invariant, snapshot, lambda _: snapshot)
        source.close()
        return [f"{finding.message}: {finding.advice}" for finding in findings]

    return messages


CAPTURED = "`status` is never `Captured`; 2 rows are `captured`: did you mean `captured`?"


def test_a_condition(find: Find, database_url: str) -> None:
    rule = {"not_null": "person"}
    # MariaDB's collation says that they are equal, so the condition does pick these rows.
    expected = [] if database_url.startswith(("mysql", "mariadb")) else [CAPTURED]
    assert find(where="status = 'Captured'", **rule) == expected
    assert find(where="person > 1 and orders.status in ('new', 'Captured')", **rule) == expected
    assert find(where="status in ('new', 'void')", **rule) == []
    assert find(where="not status = 'void' and status <> 'x'", **rule) == []
    assert find(where="status = 'void'", **rule) == [
        "`status` is never `void`; it has 2 other values: write the value as the rows have it"
    ]
    assert find(where="status = 'void'", show=["status"], **rule) == [
        "`status` is never `void`; 2 rows are `captured`: write the value as the rows have it"
    ]
    assert find(where="person = 77", **rule) == [
        "`person` is never `77`; it has 3 other values: write the value as the rows have it"
    ]


def test_the_condition_on_another_table(find: Find) -> None:
    has = {"in": "steps", "on": {"id": "one_order"}, "where": "state = 'shipped'"}
    assert find(has=has) == [
        "`state` is never `shipped`; it has 2 other values: write the value as the rows have it"
    ]


def test_values_of_a_list(find: Find) -> None:
    assert find(accepted_values={"status": ["new", "captured", "void"]}) == []
    assert find(accepted_values={"status": ["New", "Captured"]}) == [
        "`status` is never `New`; it has 2 other values: did you mean `new`?",
        CAPTURED,
    ]
    assert find(accepted_values={"status": ["a", "b"]}) == [
        f"`status` is never `{word}`; it has 2 other values: write the value as the rows have it"
        for word in "ab"
    ]
    assert find(rejected_values={"status": ["void"]}) == []
    assert find(rejected_values={"status": ["void", "Captured"]}) == [CAPTURED]
    assert find(accepted_values={"note": ["a"]}) == [
        "`note` is NULL in all 3 rows in scope, which pass: "
        "write `nulls: fail` if NULL is wrong, or correct the column"
    ]
    assert find(accepted_values={"note": ["a"]}, nulls="fail") == []


def test_states(find: Find) -> None:
    machine = {"column": "state", "per": "one_order", "order_by": "id"}
    rule = {"table": "app.steps"}
    wrong = {**machine, "allowed": {"open": ["shipped"]}}
    assert find(**rule, transitions=wrong) == [
        "`state` is never `shipped`; 2 rows are `shiped`: did you mean `shiped`?"
    ]
    right = {**machine, "allowed": {"open": ["shiped", "lost"]}}
    assert find(**rule, transitions=right) == []


def test_keys_of_two_tables(find: Find) -> None:
    assert find(references={"person": "people.id"}) == []
    assert find(has={"in": "people", "on": {"person": "id"}, "count": "none"}) == []
    [message] = find(has={"in": "people", "on": {"person": "ref"}, "count": "at most 1"})
    assert message.startswith("none of 3 values of `person` is in `people.ref`: here they are ")
    assert ", such as `9`, there " in message
    assert ", such as `999` (9 is any digit, a any letter)" in message
    [message] = find(references={"ref": "people.ref"})
    assert "such as `a999`, there" in message
    assert find(references={"note": "people.ref"}) == [
        "`note` is NULL in all 3 rows in scope, which pass: "
        "write `nulls: fail` if NULL is wrong, or correct the column"
    ]


def test_a_part_of_a_large_table_proves_nothing(
    find: Find, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setattr(module, "ROWS", 2)
    assert find(where="status = 'void'", not_null="person") == []
    assert find(references={"person": "people.ref"}) == []
    if not database_url.startswith(("mysql", "mariadb")):
        assert find(where="status = 'Captured'", not_null="person") == [
            CAPTURED.replace("never", "in none of 2 rows")
        ]


def test_values_of_a_redacted_rule_are_not_shown(find: Find) -> None:
    [message] = find(where="status = 'void'", not_null="person", key="id", redact="hash")
    assert "captured" not in message


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("a = 'x'", [("x",)]),
        ("'x' = t.A and (b in (1, 2) or c = 'z')", [("x",), ("1", "2")]),
        ("a = b or a is not null or a = lower('x') or a in (b, 'x')", []),
        ("not (a = 'x') or b not in ('y') or exists (select 1 from u where a = 'x')", []),
        ("case when a = 'x' then 1 else 0 end = 1", []),
        ("this is ( not sql", []),
    ],
)
def test_equalities_of_a_condition(condition: str, words: list[tuple[str, ...]]) -> None:
    assert [item.words for item in equalities(condition, "postgres", ["a", "b"])] == words


def test_lint_and_try_warn_and_status_lists_the_rule(project: Project) -> None:
    project.rules("""
sources: {app: "sqlite:///app.db"}
rules:
  sent-mails-have-a-person:
    table: app.mails
    not_null: person_id
    where: status = 'Sent'
""")
    findings = lint(project.folder / "rules.yaml", connect=True)
    [problem] = [found for found in findings.problems if "Sent" in found.message]
    assert (problem.level, problem.line, problem.advice) == ("warning", 7, "did you mean `sent`?")
    assert not findings.has_errors
    text = " ".join(project.run("try", "sent-mails-have-a-person").out.split())
    assert "Matches nothing `status` is never `Sent`;" in text
    document = json.loads(project.run("try", "sent-mails-have-a-person", "--format", "json").out)
    assert document["warnings"][0]["advice"] == "did you mean `sent`?"
    assert project.run("check").code == 0
    assert "sent-mails-have-a-person: holds, but never had a row" in project.run("status").out
