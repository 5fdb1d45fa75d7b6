"""`sanityd lint`, also with what the database says."""

import json
from pathlib import Path

import sqlalchemy

from tests.support.project import RULES, Project


def test_a_file_without_mistakes_exits_0(project: Project) -> None:
    answer = project.run("lint")
    assert (answer.code, answer.out, answer.err) == (0, "rules.yaml: 2 rules, no mistakes.\n", "")


def test_mistakes_are_shown_with_place_caret_and_advice(project: Project) -> None:
    project.rules(RULES.replace("unique:", "uniqe:").replace("10m of", "ten of"))
    answer = project.run("lint")
    assert answer.code == 2
    assert answer.err == (
        "rules.yaml:14:13: error: `ten` is not a duration\n"
        "   14 |     within: ten of created_at\n"
        "      |             ^^^ write a number and a unit, as in `10m`, `36h`, `7d`\n"
        "rules.yaml:19:5: error: unknown key `uniqe` in rule `no-duplicate-emails`\n"
        "   19 |     uniqe: {columns: email, ignore: [case, spaces]}\n"
        "      |     ^^^^^ did you mean `unique`?\n"
        "\n"
        "2 errors in 1 file. Nothing was run.\n"
    )


def test_the_database_is_asked_for_tables_columns_and_sql(project: Project) -> None:
    project.rules(
        RULES.replace("{columns: email,", "{columns: emial,").replace("template = ", "templat = ")
        + "\n  orders-add-up:\n    table: app.oders\n    always: 1 = 1\n"
    )
    answer = project.run("lint", "--connect")
    assert answer.code == 2
    assert "rules.yaml:13:55: error: table `app.mails` has no column `templat`" in answer.err
    assert "rules.yaml:19:23: error: table `app.people` has no column `emial`" in answer.err
    assert "did you mean `email`?" in answer.err
    assert "rules.yaml:22:16: error: `app` has no table or view `oders`" in answer.err


def test_a_source_that_does_not_answer_is_one_problem(project: Project, tmp_path: Path) -> None:
    (tmp_path / "app.db").unlink()
    answer = project.run("lint", "--connect")
    assert answer.code == 2
    assert answer.err.count("error:") == 1
    assert "rules.yaml:2:3: error: `app` can't be read: there is no file `app.db`" in answer.err


def test_a_source_that_several_rules_look_into_is_told_once(project: Project) -> None:
    """And their own halves are asked about all the same."""
    rule = "table: app.people\n    has: {in: gone.mails, on: {idd: person_id}}"
    project.rules(
        f"sources:\n  app: sqlite:///app.db\n  gone: sqlite:///gone.db\nrules:\n  a:\n    {rule}\n  b:\n    {rule}\n"
    )
    answer = project.run("lint", "--connect")
    assert answer.err.count("gone.db`") == 1
    assert answer.err.count("table `app.people` has no column `idd`") == 2
    assert "3 errors and 1 warning in 1 file." in answer.err


def test_programs_and_pull_requests_are_told_in_their_forms(project: Project) -> None:
    assert json.loads(project.run("lint", "--format", "json").out) == {
        "problems": [],
        "errors": 0,
        "warnings": 0,
    }
    project.rules(RULES.replace("unique:", "uniqe:"))
    told = project.run("lint", "--format", "json")
    assert (told.code, told.err) == (2, "")
    assert (
        json.loads(told.out)["problems"][0]["message"]
        == "unknown key `uniqe` in rule `no-duplicate-emails`"
    )
    annotated = project.run("lint", "--format", "github")
    assert annotated.code == 2
    assert annotated.out.startswith(
        "::error file=rules.yaml,line=19,col=5,endColumn=10,title=sanityd::unknown key"
    )


def test_a_file_that_can_not_be_read_to_its_end_is_told_in_them_too(project: Project) -> None:
    project.rules("rules: [\n")
    told = json.loads(project.run("lint", "--connect", "--format", "json").out)
    assert [problem["line"] for problem in told["problems"]] == [1]


def test_a_login_that_can_write_is_a_warning(project: Project, postgres: str) -> None:
    """On PostgreSQL, as the owner of a table; it stops nothing."""
    engine = sqlalchemy.create_engine(postgres)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table people (id int primary key, email text)")
    engine.dispose()
    source = "app: {url: '${APP_URL}', connections: 1}"
    project.rules(f"sources:\n  {source}\nrules:\n  r:\n    table: app.people\n    unique: email\n")
    answer = project.run("lint", "--connect", APP_URL=postgres)
    assert answer.code == 0
    assert "warning: sanityd could write to source `app`" in answer.err


def test_channels_that_a_rule_tells_nothing_are_a_warning(project: Project) -> None:
    """Once, however many rules there are; none where it is on purpose: no channels at all, or
    `notify: []`."""
    rules = RULES.replace("defaults:\n  notify: [team]\n", "")
    project.rules(rules)
    answer = project.run("lint")
    assert (answer.code, answer.out) == (0, "rules.yaml: 2 rules, no mistakes.\n")
    assert answer.err.count("warning") == 2  # with how many there are
    assert (
        "rules.yaml:4:1: warning: 2 rules notify none of these channels: `every-person-has-a-welcome-mail`, "
        "`no-duplicate-emails`\n    4 | channels:\n      | ^^^^^^^^ write `notify: [team]` there or below `defaults:`; "
    ) in answer.err
    aloud = rules.replace("    tags: [mail]\n", "    notify: []\n").replace(
        "    unique:", "    notify: team\n    unique:"
    )
    silent = rules.replace("channels:\n", "").replace(rules.splitlines()[4] + "\n", "")
    owned = f"{rules}    owner: ana\nalerts:\n  owners: {{ana: [team]}}\n  tags: {{mail: [team]}}\n"
    off = rules.replace("    table:", "    enabled: false\n    table:")
    for text in (aloud, silent, owned, off):
        project.rules(text)
        answer = project.run("lint")
        assert (answer.code, answer.err) == (0, ""), text


def test_without_connect_a_missing_variable_is_only_a_warning(project: Project) -> None:
    project.rules(RULES.replace("sqlite:///app.db", "${APP_URL}"))
    assert project.run("lint").code == 0
    connected = project.run("lint", "--connect")
    assert connected.code == 2
    assert "`APP_URL` is not set" in connected.err


def test_a_mistake_in_a_channel_is_a_mistake_and_no_fault(project: Project) -> None:
    project.rules(
        RULES.replace("${SMTP_URL:-smtp://127.0.0.1:1}", "smtp://user:hunter2@host:notaport")
    )
    answer = project.run("lint")
    assert answer.code == 2
    assert "rules.yaml:5:" in answer.err + answer.out
    assert "hunter2" not in answer.err + answer.out
