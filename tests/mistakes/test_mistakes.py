"""What lint says of mistakes, to the letter: the place, the line, the caret and what to do."""

import os
import re
from pathlib import Path

import pytest
from sqlalchemy import make_url

from sanityd.authoring.demo import story
from tests import mistakes
from tests.mistakes import Case, tables


@pytest.mark.parametrize("case", mistakes.cases("files"), ids=lambda case: case.title)
def test_a_mistake_in_a_file_is_told(case: Case, tmp_path: Path) -> None:
    assert mistakes.told(case, tmp_path) == case.expected


@pytest.mark.parametrize("database", ["postgres", "duckdb"])
def test_a_table_is_looked_for_in_other_schemas(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue(database)
    tables.build(url, "create schema sales", "create table sales.orders (id integer primary key)")
    rules = "  a:\n    table: app.orders\n    unique: id\n  b:\n    table: app.slaes.orders\n    unique: id\n"
    told = mistakes.told(Case("", rules, ""), tmp_path, {"APP_URL": url})
    assert told.count("did you mean `sales.orders`?") == 2


def test_a_table_that_the_login_may_not_read_is_told_with_what_to_grant(
    postgres: str, tmp_path: Path
) -> None:
    tables.build(postgres, "create table secrets (id integer primary key)")
    name = f"reader_{tmp_path.name[:20]}_{os.getpid()}".lower().replace("-", "_")
    tables.run(postgres, f"create role {name} login password 'x'")
    try:
        url = (
            make_url(postgres)
            .set(username=name, password="x")
            .render_as_string(hide_password=False)
        )
        told = mistakes.told(
            Case("", "  a:\n    table: app.secrets\n    unique: id\n", ""),
            tmp_path,
            {"APP_URL": url},
        )
    finally:
        tables.run(postgres, f"drop role {name}")
    assert "permission denied for table secrets" in told
    assert "GRANT SELECT" in told


def test_a_function_that_a_database_does_not_have_is_pointed_at(
    database_url: str, tmp_path: Path
) -> None:
    """In the database's words, at the word of the SQL."""
    tables.build(database_url)
    rules = "  a:\n    table: app.people\n    always: |\n      id > 0\n      and lenght(name) > 3\n"
    told = mistakes.told(Case("", rules, ""), tmp_path, {"APP_URL": database_url})
    assert "rules.yaml:8:11: error:" in told
    assert "      |           ^^^^^^ " in told


def test_a_function_is_pointed_at_behind_columns_that_there_are_not(
    database_url: str, tmp_path: Path
) -> None:
    """And one that there is isn't, though a database may not know which one is meant without the
    type of a column."""
    tables.build(database_url)
    rules = "  a:\n    table: app.people\n    always: abs(idd) > 0 and lenght(nmae) > 3\n"
    there = "to_char(idd, '9') > '1'" if database_url.startswith("postgresql") else "abs(idd) > 0"
    rules += f"  b:\n    table: app.people\n    always: lower(nmae) > 'a' and {there}\n"
    told = mistakes.told(Case("", rules, ""), tmp_path, {"APP_URL": database_url})
    places = re.findall(r"^rules.yaml:(\d+:\d+): error: ", told, re.MULTILINE)
    assert places == ["6:17", "6:30", "6:37", "9:19", f"9:{35 + there.index('idd')}"], told


def test_the_page_shows_what_is_told(tmp_path: Path) -> None:
    page = Path("docs/howto/mistakes.md").read_text(encoding="utf-8")
    file, said = re.findall(r"^```(?:yml|text)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    story.begin(tmp_path / "app.db")
    assert mistakes.told(Case("", file, ""), tmp_path, {}) == said


def test_each_database_is_asked_for_every_name_at_once(database_url: str, tmp_path: Path) -> None:
    """In the same words, whatever the database's own are."""
    tables.build(database_url)
    for case in mistakes.cases("databases"):
        assert mistakes.told(case, tmp_path, {"APP_URL": database_url}) == case.expected, case.title
