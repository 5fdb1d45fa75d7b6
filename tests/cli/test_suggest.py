"""`sanityd suggest`: what it prints, and what it writes."""

import json
from pathlib import Path

import pytest

from tests.support.project import Project

BROKEN = "every-person-id-of-mails-exists"


@pytest.fixture
def shop(project: Project) -> Project:
    """People are gone whose mails are still there; a name is missing."""
    project.sql("delete from people where id in (5, 6); update people set name = ' ' where id = 9")
    return project


def test_what_is_broken_comes_first_and_nothing_is_written(shop: Project, tmp_path: Path) -> None:
    before = (tmp_path / "rules.yaml").read_bytes()
    answer = shop.run("suggest")
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[0].endswith("of them do not hold now:")
    assert lines[1] == f"  ✗ {BROKEN}"
    assert (
        f"  {BROKEN}:\n    table: app.mails\n    references: {{person_id: app.people.id}}\n"
        in answer.out
    )
    # `no-duplicate-emails` is in the file already.
    assert "no-duplicate-email-in-people" not in answer.out
    assert (tmp_path / "rules.yaml").read_bytes() == before
    assert not (tmp_path / ".sanityd").exists()


def test_accepting_writes_what_was_shown_and_then_there_is_nothing_left(
    shop: Project, tmp_path: Path
) -> None:
    before = (tmp_path / "rules.yaml").read_text()
    one = shop.run("suggest", "--accept", BROKEN)
    assert one.code == 0, one.err
    assert "Wrote 1 rule into rules.yaml." in one.out
    assert (tmp_path / "rules.yaml").read_text().startswith(before)
    rest = shop.run("suggest", "mails", "--accept")
    assert rest.code == 0, rest.err
    assert "mails-is-not-empty" in (tmp_path / "rules.yaml").read_text()
    assert "every-row-of-people-has-name" not in (tmp_path / "rules.yaml").read_text()
    assert "nothing new to propose" in shop.run("suggest", "app.mails").out
    assert shop.run("lint", "--connect", SMTP_URL="smtp://127.0.0.1:1").code == 0
    seen = json.loads(shop.run("check", "--dry-run", "--format", "json").out)
    assert {rule["id"]: rule["violations"] for rule in seen["rules"]}[BROKEN] == 2


def test_what_is_asked_for_wrongly_is_told(shop: Project, tmp_path: Path) -> None:
    before = (tmp_path / "rules.yaml").read_bytes()
    unknown = shop.run("suggest", "--accept", BROKEN[:-1])
    assert unknown.code == 2
    assert f"did you mean `{BROKEN}`?" in unknown.err
    table = shop.run("suggest", "peple")
    assert table.code == 2
    assert "Did you mean `people`?" in table.err
    assert (tmp_path / "rules.yaml").read_bytes() == before


def test_several_tables_and_patterns_are_read_together(shop: Project) -> None:
    def tables(*words: str) -> int:
        answer = shop.run("suggest", "--format", "json", *words)
        assert answer.code == 0, answer.err
        return int(json.loads(answer.out)["sources"][0]["tables"])

    assert tables("people", "app.mails") == 2
    assert tables("peo*", "people") == 1
    assert tables("app.*") == 2
    none = shop.run("suggest", "people", "orders_*")
    assert (none.code, none.out) == (2, "")
    assert "no table is like `app.orders_*`" in none.err


def test_a_view_is_looked_at_when_it_is_named(shop: Project) -> None:
    shop.sql("create view friends as select id, email, status from people")
    assert "friends" not in shop.run("suggest").out
    assert "no-duplicate-id-in-friends" in shop.run("suggest", "friends").out


def test_tools_get_all_of_it_as_json(shop: Project) -> None:
    document = json.loads(shop.run("suggest", "--format", "json").out)
    assert document["version"] == 1
    [source] = document["sources"]
    assert (source["source"], source["tables"], source["rows"]) == ("app", 2, 1998)
    by_id = {proposal["id"]: proposal for proposal in source["proposals"]}
    broken = by_id[BROKEN]
    assert (broken["holds"], broken["wrong"], broken["checked"], broken["sampled"]) == (
        False,
        2,
        1000,
        False,
    )
    assert broken["options"] == {"person_id": "app.people.id"}
    assert broken["yaml"].startswith("# does not hold now: 2 of 1,000 mails")
    assert document["constraints"] == []


def test_a_file_without_rules_yet_is_begun(shop: Project, tmp_path: Path) -> None:
    shop.rules("sources: {app: sqlite:///app.db}\nrules: {}  # none yet\n")
    assert shop.run("suggest", "--accept").code == 0
    text = (tmp_path / "rules.yaml").read_text()
    assert text.startswith("sources: {app: sqlite:///app.db}\nrules:  # none yet\n  # ")
    assert shop.run("check", "--dry-run").code == 1
