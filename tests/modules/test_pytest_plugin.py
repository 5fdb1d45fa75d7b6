"""pytest's plugin in nested runs of pytest: what it collects, what it says, what the fixture
asserts, what it costs."""

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from sanityd.authoring.ruletests.assertions import Sanityd
from sanityd.errors import RuleError, SourceError
from tests import ROOT
from tests.authoring.ruletests.runner import suite  # noqa: F401 (imported here, nested runs need not do it anew)
from tests.cli.test_test import TESTS
from tests.docs.pages import blocks
from tests.support.project import RULES

MODULE = """
def test_orders():
    pass

def test_the_fixture(sanityd):
    sanityd.check(app="sqlite:///app.db").assert_holds()
"""
WHOLE = "sources: {app: '${APP_DATABASE_URL}'}\n" + RULES.partition("\n\n")[2] + TESTS


@pytest.fixture
def folder(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with rules, their examples, one test module and a database in which a mail was
    lost."""
    # As its entry point does, without those of all others.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p sanityd.pytest_plugin -p no:cacheprovider")
    (pytester.path / "rules.yaml").write_text(WHOLE)
    (pytester.path / "test_app.py").write_text(MODULE)
    database(pytester.path / "app.db")
    return pytester.path


def database(path: Path) -> None:
    """Two people, of whom one got no mail."""
    connection = sqlite3.connect(path)
    connection.executescript(
        "create table people (id integer primary key, email text, created_at text);"
        "create table mails (id integer primary key, person_id integer, template text, status text);"
        "insert into people values (1, 'a@x.io', '2026-01-01 11:00'), (2, 'b@x.io', '2026-01-01 11:00');"
        "insert into mails values (1, 1, 'welcome', 'sent');"
    )
    connection.close()


def test_without_being_asked_it_takes_no_part(folder: Path, pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess("-k", "orders")
    result.assert_outcomes(passed=1, deselected=1)


def test_examples_are_tests_beside_the_others(folder: Path, pytester: pytest.Pytester) -> None:
    """Each has a name, a place and the difference, without a traceback; the fixture tells what does
    not hold."""
    (folder / "rules.yaml").write_text(WHOLE.replace("violates: [2]", "violates: [1]"))
    result = pytester.runpytest_inprocess("--sanityd", "-v")
    result.assert_outcomes(passed=5, failed=2)
    result.stdout.fnmatch_lines(
        [
            "rules.yaml::every-person-has-a-welcome-mail FAILED*",
            "rules.yaml::no-duplicate-emails[[]case and blanks] PASSED*",
            "rules.yaml::no-duplicate-emails::what-the-examples-show PASSED*",
            "test_app.py::test_the_fixture FAILED*",
            "every-person-has-a-welcome-mail: expected 1, found 2",
            "  missing: id 1",
            "  unexpected: id 2",
            "rules.yaml:19",
            "E*AssertionError: 1 of 2 rules do not hold:",
            "E*every-person-has-a-welcome-mail: 1 of 2 people has no row in app.mails*",
            "E*id 2",
        ]
    )
    assert "pytest_plugin.py" not in result.stdout.str()


def test_a_setting_asks_for_it_too_and_what_no_example_shows_is_a_warning(
    folder: Path, pytester: pytest.Pytester
) -> None:
    """Unless some tests are named: then it is about these."""
    (folder / "rules_test.yaml").write_text(
        TESTS.replace(", {email: b@x.io}", "").partition("    - {name: none")[0]
    )
    (folder / "pytest.ini").write_text(
        "[pytest]\nsanityd_rules = rules_test.yaml rules.yaml\ntestpaths = .\n"
    )
    result = pytester.runpytest_inprocess(
        "-W", "error::sanityd.pytest_plugin.SanitydWarning", "--deselect", "test_app.py"
    )
    result.assert_outcomes(passed=8, failed=1, deselected=2)
    result.stdout.fnmatch_lines(
        ["no-duplicate-emails: no example shows that this rule can hold; *(rules_test.yaml:*"]
    )
    named = pytester.runpytest_inprocess("test_app.py::test_orders")
    named.assert_outcomes(passed=1)


def test_what_the_page_on_testing_rules_shows_works(
    folder: Path, pytester: pytest.Pytester
) -> None:
    for language, file in (
        ("yaml", "rules.yaml"),
        ("python", "test_app.py"),
        ("ini", "pytest.ini"),
    ):
        [shown] = blocks(ROOT / "docs" / "howto" / "test-rules.md", language)
        (folder / file).write_text(shown.text, encoding="utf-8")
    result = pytester.runpytest_inprocess("-W", "error::sanityd.pytest_plugin.SanitydWarning")
    result.assert_outcomes(passed=6)


def test_a_wrong_file_is_told_with_its_places(folder: Path, pytester: pytest.Pytester) -> None:
    (folder / "rules.yaml").write_text(WHOLE.replace("violates: [2]", "violate: [2]"))
    result = pytester.runpytest_inprocess("--sanityd", "rules.yaml")
    result.stdout.fnmatch_lines(["*rules.yaml:26:5: error: unknown key `violate` in the test of *"])


def test_importing_the_plugin_imports_nothing_heavy() -> None:
    """pytest does so in every run of everybody."""
    heavy = ("sqlalchemy", "pydantic", "yaml", "click", "rich", "sqlglot", "jinja2", "sentry_sdk")
    code = f"import sys, sanityd.pytest_plugin; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_rules_are_asserted_against_a_test_database(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(WHOLE)
    database(tmp_path / "app.db")
    engine = create_engine(f"sqlite:///{tmp_path}/app.db")
    checked = Sanityd(tmp_path).check("rules.yaml", {"app": engine})
    engine.dispose()
    checked.assert_holds("no-duplicate-emails")
    checked.assert_violates("every-person-has-a-welcome-mail")
    checked.assert_violates("every-person-has-a-welcome-mail", [2])
    checked.assert_violates("no-duplicate-emails", False)
    with pytest.raises(AssertionError, match="missing: id 7\n  unexpected: id 2"):
        checked.assert_violates("every-person-has-a-welcome-mail", [(7,)])
    with pytest.raises(
        AssertionError, match=r"the rule does not hold:\n  every-person.*\n    id 2"
    ):
        checked.assert_holds("every-person-has-a-welcome-mail")
    lost = Sanityd(tmp_path).check("rules.yaml", app="sqlite:///nowhere.db")
    with pytest.raises(AssertionError, match=r"not checked: .*there is no file"):
        lost.assert_holds()


def test_the_present_of_an_assertion_can_be_set(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(WHOLE)
    database(tmp_path / "app.db")
    url = f"sqlite:///{tmp_path}/app.db"
    soon = Sanityd(tmp_path).check(now=datetime(2026, 1, 1, 11, 5, tzinfo=UTC), app=url)
    soon.assert_holds("every-person-has-a-welcome-mail")
    later = Sanityd(tmp_path).check(now=datetime(2026, 1, 1, 11, 15, tzinfo=UTC), app=url)
    later.assert_violates("every-person-has-a-welcome-mail", [2])


def test_what_is_asked_wrongly_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(WHOLE)
    sanityd = Sanityd(tmp_path)
    with pytest.raises(SourceError, match="has no source `ap`"):
        sanityd.check(ap="sqlite:///app.db")
    with pytest.raises(SourceError, match="needs the source `app`"):
        sanityd.check().assert_holds()
    with pytest.raises(SourceError, match="there is no rule `no-duplicates`"):
        sanityd.check(app="sqlite:///app.db").assert_holds("no-duplicates")
    (tmp_path / "rules.yaml").write_text("ruls: {}")
    with pytest.raises(RuleError) as wrong:
        sanityd.check()
    assert "rules.yaml:1:1: error: unknown key `ruls`" in wrong.value.__notes__[0]
