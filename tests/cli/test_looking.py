"""`try`, `status`, `show`, `kinds`: what people look at between passes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from sanityd import plugins
from sanityd.authoring.demo.catcher import Catcher
from sanityd.cli import root
from tests.support.project import RULES, Project


def test_try_shows_rows_sql_and_mail_and_leaves_nothing_behind(
    project: Project, tmp_path: Path, lose_mails: Callable[[], None]
) -> None:
    lose_mails()
    answer = project.run("try", "every-person-has-a-welcome-mail")
    assert (answer.code, answer.err) == (1, "")
    for words in (
        "3 of 1,000 people have no row in app.mails",
        "\n  777 ",
        "\n    AND NOT (EXISTS (\n      SELECT 1\n      FROM mails\n",
        "2 statements",
        "rows older than 10 min, by created_at",
        "scan of app.people: it reads another table",
        "3 of 1,000 rows violate, 0.3 %",
        "error from 1 on: reached",
        "none: the rule was never checked",
        "team@example.com (team): opened",
        "[ERROR] 3 people have no row in app.mails where ",
        "  → team@example.com",
        "Nothing was recorded or sent.",
    ):
        assert words in answer.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.db", "rules.yaml"]


def test_try_of_a_rule_that_holds_exits_0(project: Project) -> None:
    answer = project.run("try", "no-duplicate-emails")
    assert answer.code == 0
    assert answer.out.startswith("no-duplicate-emails: holds.")


def test_try_of_a_rule_that_cannot_run_says_why(project: Project) -> None:
    project.rules(RULES.replace("columns: email", "columns: emial"))
    answer = project.run("try", "no-duplicate-emails")
    assert answer.code == 3
    assert "has no column `emial`" in answer.out
    assert "Did you mean `email`?" in answer.out


def test_status_says_what_is_wrong_and_what_is_not_known(
    project: Project, tmp_path: Path, lose_mails: Callable[[], None]
) -> None:
    assert "not checked yet" in project.run("status").out
    lose_mails()
    with Catcher(tmp_path) as catcher:
        project.run("check", SMTP_URL=catcher.url)
        (tmp_path / "app.db").rename(tmp_path / "away.db")
        project.run("check", SMTP_URL=catcher.url)
    answer = project.run("status")
    assert answer.code == 0
    assert "not verified since" in answer.out
    assert "every-person-has-a-welcome-mail  error" in answer.out


def test_status_prints_the_worst_hundred_of_many(project: Project) -> None:
    head = RULES.split("channels:", maxsplit=1)[0]
    rules = "".join(
        f"  rule-{n}: {{table: app.people, never: id < {n + 2}, severity: {severity}}}\n"
        for n, severity in enumerate(["warning"] * 3 + ["error"] * 100)
    )
    project.rules(f"{head}rules:\n{rules}")
    assert project.run("check").code == 1
    status = project.run("status").out
    assert status.count(" error ") == 100
    assert " warning " not in status
    assert "and 3 more violated rules" in status
    everything = project.run("status", "--all").out
    assert everything.count(" error ") == 100
    assert everything.count(" warning ") == 3
    assert "more violated rules" not in everything
    assert len(json.loads(project.run("status", "--format", "json").out)["open"]) == 103


def test_status_is_json_and_shows_only_what_is_asked_for(
    project: Project, lose_mails: Callable[[], None]
) -> None:
    lose_mails()
    project.rules(RULES.replace("    tags: [mail]", "    tags: [mail]\n    owner: ana"))
    project.run("check")
    status = json.loads(project.run("status", "--format", "json").out)
    [violated] = status["open"]
    assert (violated["rule"], violated["violations"], violated["severity"], violated["owner"]) == (
        "every-person-has-a-welcome-mail",
        3,
        "error",
        "ana",
    )
    assert (status["holding"], status["outbox"]["waiting"]) == (["no-duplicate-emails"], 1)
    for words, is_shown in (
        (["--owner", "ana"], True),
        (["--tag", "mail", "--source", "app", "--severity", "error"], True),
        (["--severity", "critical"], False),
    ):
        answer = json.loads(project.run("status", "--format", "json", *words).out)
        assert (len(answer["open"]), answer["holding"]) == (int(is_shown), [])
        shown = project.run("status", *words).out
        assert ("every-person" in shown, "rule holds" in shown) == (is_shown, False)


def test_the_rules_of_a_source_that_is_down_are_one_line(project: Project, tmp_path: Path) -> None:
    (tmp_path / "app.db").rename(tmp_path / "away.db")
    project.run("check")
    lines = project.run("status").out.splitlines()
    assert len([line for line in lines if "never verified" in line]) == 1
    assert "  ? 2 rules of app: never verified" in lines


def test_show_says_of_a_rule_that_nobody_could_check_that_nothing_is_known(
    project: Project, tmp_path: Path
) -> None:
    rule = "every-person-has-a-welcome-mail"
    assert "It was never checked, so it is not known" in project.run("show", rule).out
    project.run("check")
    assert "It is not violated, as far as is known." in project.run("show", rule).out
    (tmp_path / "app.db").rename(tmp_path / "away.db")
    project.run("check")
    answer = " ".join(project.run("show", rule).out.split())
    assert "is skipped: it is not known whether it is violated now." in answer
    assert "It is not violated" not in answer


def test_show_lists_the_rows_of_a_rule_or_incident(
    project: Project, tmp_path: Path, lose_mails: Callable[[], None]
) -> None:
    lose_mails()
    with Catcher(tmp_path) as catcher:
        project.run("check", SMTP_URL=catcher.url)
    by_rule = project.run("show", "every-person-has-a-welcome-mail").out
    incident = project.run("status").out.split()[-1]
    assert "Every person has a welcome mail" in by_rule
    assert "  777  " in by_rule
    assert "complete  3 violations" in by_rule
    assert project.run("show", "no-duplicate-emails").out.count("It is not violated") == 1
    assert "open, error, 3 rows" in by_rule
    assert incident  # the last word of the table is the incident's id


def test_a_column_is_not_null_in_a_row_that_was_seen_before_it_was_to_be_shown(
    project: Project, tmp_path: Path, lose_mails: Callable[[], None]
) -> None:
    lose_mails()
    with Catcher(tmp_path) as catcher:
        project.run("check", SMTP_URL=catcher.url)
        project.rules(RULES.replace("    tags: [mail]", "    show: [email]"))
        project.sql("update mails set status = 'queued' where person_id = 17")
        project.run("check", SMTP_URL=catcher.url)
    rows = [
        line.split()
        for line in project.run("show", "every-person-has-a-welcome-mail").out.splitlines()
    ]
    assert [row[1] for row in rows if row and row[0] == "17"] == ["person17@example.com"]
    assert "NULL" not in {word for row in rows for word in row}


def test_rows_beyond_the_cap_are_told_by_number(
    project: Project, tmp_path: Path, lose_mails: Callable[[], None]
) -> None:
    lose_mails()
    project.rules(RULES + "\nalerts:\n  limits: {tracked_rows: 2}\n")
    with Catcher(tmp_path) as catcher:
        first = project.run("check", SMTP_URL=catcher.url).out
    assert "2 new · 1 more only counted" in first
    shown = project.run("show", "every-person-has-a-welcome-mail", "--all").out
    assert "… and 1 more that are counted, but not tracked" in shown


@pytest.mark.parametrize("kind", [*plugins.kind_names("checks"), *plugins.kind_names("channels")])
def test_every_kind_has_a_manual_with_an_example_and_its_options(kind: str) -> None:
    answer = CliRunner().invoke(root, ["kinds", kind])
    assert answer.exit_code == 0
    assert f"{kind}:" in answer.output
    assert "Options" in answer.output


def test_the_kinds_of_checks_and_channels_are_listed(project: Project) -> None:
    told = [line.split()[0] for line in project.run("kinds").out.splitlines() if line]
    assert {*plugins.kind_names("checks"), *plugins.kind_names("channels")} < set(told)
    assert project.run("kinds", "file").out.startswith("file (a channel)\n")


def test_an_unknown_kind_is_suggested(project: Project) -> None:
    answer = project.run("kinds", "uniqe")
    assert answer.code == 2
    assert "did you mean `unique`?" in answer.err
    assert "did you mean `email`?" in project.run("kinds", "mail").err
