"""`sanityd test`: what it prints, in each form, and how it exits."""

import json
from pathlib import Path
from xml.etree import ElementTree

from tests.support.project import RULES, Project

TESTS = """\
tests:
  every-person-has-a-welcome-mail:
    given:
      app.people: [{id: 1, created_at: 11:00}, {id: 2, created_at: 11:00}, {id: 3, created_at: 11:55}]
      app.mails:
        - {person_id: 1, template: welcome, status: sent}
        - {person_id: 2, template: welcome, status: queued}
        - {person_id: 2, template: reset, status: sent}
    violates: [2]
  no-duplicate-emails:
    - name: case and blanks
      given: {app.people: [{email: A@x.io}, {email: " a@X.io"}, {email: b@x.io}]}
      violates: [a@x.io]
    - {name: none, given: {app.people: [{email: a@x.io}, {email: null}, {email: null}]}, violates: []}
"""


def test_each_example_is_told_with_what_it_finds_and_where_it_stands(project: Project) -> None:
    project.rules(RULES + TESTS)
    answer = project.run("test")
    lines = answer.out.splitlines()
    assert (answer.code, answer.err) == (0, "")
    assert lines[:-1] == [
        "sanityd test · rules.yaml · 3 examples of 2 rules",
        "",
        "  ✓  every-person-has-a-welcome-mail       finds 2        rules.yaml:21",
        "  ✓  no-duplicate-emails: case and blanks  finds a@x.io   rules.yaml:30",
        "  ✓  no-duplicate-emails: none             finds nothing  rules.yaml:33",
        "",
    ]
    assert lines[-1].startswith("3 passed. ")


def test_a_failing_example_shows_the_difference_and_exits_1(project: Project) -> None:
    project.rules(
        RULES
        + TESTS.replace("violates: [2]", "violates: [1, 3]").replace(
            "violates: []", "violates: [\x20]"
        )
    )
    answer = project.run("test", "-k", "every-*")
    assert answer.code == 1
    assert answer.out.splitlines()[2:5] == [
        "  ✗  every-person-has-a-welcome-mail  expected 1, 3, found 2  rules.yaml:21",
        "       missing: id 1 · id 3",
        "       unexpected: id 2",
    ]


def test_what_no_example_shows_is_a_warning_and_with_strict_a_failure(project: Project) -> None:
    only_guilty = TESTS.replace(", {email: b@x.io}", "").replace(
        "    - {name: none", "  # {name: none"
    )
    project.rules(RULES + only_guilty)
    answer = project.run("test", "-k", "no-duplicate-emails")
    assert answer.code == 0
    assert answer.out.splitlines()[3].startswith("  !  no-duplicate-emails ")
    assert "no example shows that this rule can hold" in answer.out
    assert "1 passed, 1 thing that no example tests." in answer.out
    strict = project.run("test", "--strict", "-k", "no-duplicate-emails", "--format", "junit")
    suite = ElementTree.fromstring(strict.out)
    assert (strict.code, suite.get("tests"), suite.get("failures")) == (1, "2", "1")
    [failure] = suite.iter("failure")
    assert failure.get("message") == "no example shows that this rule can hold"


def test_json_has_every_example_and_junit_every_place(project: Project) -> None:
    project.rules(RULES + TESTS.replace("violates: [2]", "violates: [1]"))
    document = json.loads(project.run("test", "--format", "json").out)
    assert (
        document["summary"].items()
        >= {"passed": 2, "failed": 1, "errored": 0, "warnings": 0}.items()
    )
    first = document["cases"][0]
    assert (first["rule"], first["name"], first["line"]) == (
        "every-person-has-a-welcome-mail",
        None,
        21,
    )
    assert (first["expected"], first["missing"], first["unexpected"]) == (
        [{"id": 1}],
        [{"id": 1}],
        [{"id": 2}],
    )
    junit = project.run("test", "--format", "junit")
    cases = ElementTree.fromstring(junit.out).findall("testcase")
    assert [(case.get("file"), case.get("line"), case.get("name")) for case in cases] == [
        ("rules.yaml", "21", "example"),
        ("rules.yaml", "30", "case and blanks"),
        ("rules.yaml", "33", "none"),
    ]
    assert cases[0].findtext("failure") == "missing: id 1\nunexpected: id 2"


def test_tests_may_have_a_file_of_their_own(project: Project, tmp_path: Path) -> None:
    """For the rules file of the folder, for one that is named, or as one more file of a folder of
    rules."""
    (tmp_path / "rules_test.yaml").write_text(TESTS.replace("violates: [2]", "violates: [1]"))
    answer = project.run("test", "rules_test.yaml")
    assert (answer.code, "sanityd test · rules_test.yaml · 3 examples" in answer.out) == (1, True)
    assert "rules_test.yaml:2" in answer.out
    (tmp_path / "rules_test.yaml").write_text("ruls: {}\n" + TESTS.replace("no-dup", "no-dop"))
    wrong = project.run("test", "rules_test.yaml")
    assert wrong.code == 2
    assert "rules_test.yaml:1:1: error: unknown key `ruls` in a file of tests" in wrong.err
    assert "did you mean `no-duplicate-emails`?" in wrong.err
    folder = tmp_path / "rules"
    folder.mkdir()
    (tmp_path / "rules.yaml").rename(folder / "people.yaml")
    (folder / "people_test.yaml").write_text(TESTS)
    whole = project.run("test", "rules")
    assert (whole.code, "people_test.yaml:2" in whole.out) == (0, True)


def test_lint_tells_what_is_wrong_with_examples_and_a_file_without_any_is_wrong(
    project: Project,
) -> None:
    assert project.run("test").code == 2
    project.rules(RULES + TESTS.replace("{id: 2, created_at: 11:00}", "{id: 2, creatd_at: 11:00}"))
    lint = project.run("lint")
    assert lint.code == 2
    assert "the rule asks for no column `creatd_at`, and here is no `created_at`" in lint.err
    assert project.run("test").err == lint.err
    unknown = project.run("test", "-k", "no-duplicat-emails")
    assert unknown.code == 2


def test_with_connect_types_columns_and_keys_are_those_of_the_database(project: Project) -> None:
    """The application keeps times as text, and an example names a column that isn't there."""
    project.rules(RULES + TESTS)
    assert project.run("test", "--connect").code == 0
    project.rules(RULES + TESTS.replace("{email: b@x.io}", "{mail: b@x.io}"))
    answer = project.run("test", "--connect")
    assert answer.code == 2
    assert "table `app.people` has no column `mail`" in answer.err
    assert "did you mean `email`?" in answer.err
