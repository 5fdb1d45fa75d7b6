"""`sanityd explain`: what will be done, without doing it."""

import json

from tests.support.project import RULES, Project

MORE = """
  emails-fit:
    table: app.people
    length: {email: [1, 80]}
  emails-are-emails:
    table: app.people
    matches: {email: email}
  ids-are-unique:
    table: app.people
    unique: id
  wrong:
    table: app.people
    not_null: emial
"""


def test_it_says_what_is_read_together_what_is_proved_and_why(project: Project) -> None:
    project.rules(RULES + MORE)
    answer = project.run("explain")
    assert (answer.code, answer.err) == (0, "")
    for words in (
        "app   sqlite   6 rules in",
        "one scan checks all these rules",
        "one scan of app.people",
        "    emails-fit, emails-are-emails",
        "✓ proved of app.people",
        "enforces it: the rows are read once a week",
        "it reads another table",
        "? wrong: table `app.people` has no column `emial`",
        "Did you mean `email`?",
        "No row was read.",
    ):
        assert words in answer.out
    assert "SELECT" not in answer.out
    # SQLite tells none.
    assert "Costs" not in answer.out
    assert sorted(path.name for path in project.folder.iterdir()) == ["app.db", "rules.yaml"]


def test_of_one_rule_it_shows_the_sql(project: Project) -> None:
    answer = project.run("explain", "every-person-has-a-welcome-mail")
    assert answer.code == 0
    assert "\n        AND NOT (EXISTS (\n          SELECT 1\n          FROM mails\n" in answer.out
    assert "no-duplicate-emails" not in answer.out


def test_as_json_it_is_for_programs(project: Project) -> None:
    project.rules(RULES + MORE)
    answer = project.run("explain", "--format", "json")
    [source] = json.loads(answer.out)["sources"]
    assert (source["source"], source["database"], source["rules"], source["error"]) == (
        "app",
        "sqlite",
        6,
        None,
    )
    assert [one["rule"] for one in source["refused"]] == ["wrong"]
    [together] = [step for step in source["steps"] if step["form"] == "one scan"]
    assert together["rules"] == ["emails-fit", "emails-are-emails"]
    assert together["statements"] == len(together["sql"]) == 1


def test_a_source_that_does_not_answer_exits_3(project: Project) -> None:
    (project.folder / "app.db").unlink()
    answer = project.run("explain")
    assert answer.code == 3
    assert "? " in answer.out
