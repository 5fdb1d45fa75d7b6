"""`suggest --constraints`: what was violated and repaired, and what makes it impossible."""

import json
from typing import Any

import pytest

from tests.support.project import Project

MAILED, UNIQUE = "every-person-has-a-welcome-mail", "no-duplicate-emails"
AGAIN = "INSERT INTO people SELECT id + 5000, name, upper(email), status, created_at FROM people"


def constraints(project: Project, *words: str) -> dict[str, Any]:
    answer = project.run("suggest", "--constraints", "--format", "json", *words)
    assert answer.code == 0, answer.err
    return {entry["rule"]: entry for entry in json.loads(answer.out)["constraints"]}


def test_what_was_repaired_is_listed_with_what_prevents_it(project: Project) -> None:
    assert constraints(project) == {}
    never = constraints(project, "--all")
    assert [entry["repaired"] for entry in never.values()] == [0, 0]
    project.sql(f"{AGAIN} WHERE id < 4")
    project.run("check")
    assert constraints(project) == {}
    project.sql("DELETE FROM people WHERE id > 5000")
    project.run("check")
    entry = constraints(project)[UNIQUE]
    assert (entry["repaired"], entry["repaired_rows"]) == (1, 3)
    assert entry["statements"] == [
        "CREATE UNIQUE INDEX no_duplicate_emails ON people (lower(trim(email)))"
    ]
    assert entry["reverse"] == ["DROP INDEX no_duplicate_emails"]
    assert not entry["violated"]
    project.sql(f"{AGAIN} WHERE id < 4")
    project.run("check")
    assert constraints(project)[UNIQUE]["violated"]


def test_where_no_constraint_can_say_it_words_do(project: Project) -> None:
    project.sql("UPDATE mails SET status = 'queued' WHERE person_id = 7")
    project.run("check")
    project.sql("UPDATE mails SET status = 'sent' WHERE person_id = 7")
    project.run("check")
    text = project.run("suggest", "--constraints").out
    assert "violated and repaired once, 1 row" in text
    assert "outbox table" in text
    assert UNIQUE not in text
    assert constraints(project, "mails") == {}
    assert "people" in project.run("suggest", "--constraints", "--all", "people").out


@pytest.mark.parametrize("words", [("--constraints", "--accept"), ("--all",)])
def test_options_that_make_no_sense_together_are_refused(
    project: Project, words: tuple[str, ...]
) -> None:
    assert project.run("suggest", *words).code == 2
