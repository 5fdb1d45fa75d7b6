"""`python` and kinds of one's own: code beside the rules file, only where the file allows it."""

import sqlite3
from pathlib import Path

import pytest

from sanityd import pipeline, plugins
from sanityd.errors import RuleError
from sanityd.model import Outcome, Run
from sanityd.rules.diagnostics import format_problems
from sanityd.rules.load import load
from tests.acceptance import NOW

FUNCTIONS = '''
def odd(read):
    """Finds what SQL could have found, too."""
    for row in read("select id, name from t"):
        if row["id"] % 2:
            yield row

def without_a_key(read):
    return [{"name": "x"}]

def broken(read):
    raise ValueError("a secret value")

def writing(read):
    return read("delete from t")
'''

KIND = '''
"""Even numbers."""

from typing import ClassVar

from sqlalchemy import ColumnElement

from sanityd.checks.base import ColumnCheck, Scope


class Even(ColumnCheck):
    """Numbers are even."""

    kind: ClassVar[str] = "even"

    def is_bad_value(self, scope: Scope, name: str, expected: bool) -> ColumnElement[bool]:
        """True for the wrong parity."""
        return (scope.column(name) % 2 == 0) != expected

    def says(self, count: int) -> str:
        """The end of the sentence."""
        return "have the wrong parity"
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A rules file's folder with code beside it, trusted no longer than the test."""
    monkeypatch.setattr(plugins, "_TRUSTED", [])
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    database = sqlite3.connect(tmp_path / "app.db")
    database.executescript(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1,'a'),(2,'b')"
    )
    database.close()
    name = f"checks_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(FUNCTIONS)
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "even.py").write_text(KIND)
    return tmp_path


def run(folder: Path, rule: str, allow: str = "allow: {python: true}") -> Run:
    """What one rule finds."""
    module = next(folder.glob("checks_*.py")).stem
    path = folder / "rules.yaml"
    path.write_text(
        f"{allow}\nsources: {{app: 'sqlite:///app.db'}}\nrules:\n  a: {rule.replace('MODULE', module)}\n"
    )
    rules = load(path, {})
    [found] = pipeline.evaluate(rules, list(rules.rules.values()), NOW)
    return found


def test_what_the_function_finds_violates_and_only_key_and_show_leave(folder: Path) -> None:
    found = run(folder, "{source: app, python: 'MODULE:odd', key: id}")
    assert [(violation.key, violation.shown) for violation in found.tracked] == [({"id": 1}, {})]
    found = run(folder, "{source: app, python: 'MODULE:odd', key: id, show: name}")
    assert [violation.shown for violation in found.tracked] == [{"name": "a"}]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("without_a_key", "without `id`"),
        ("broken", "the function failed (ValueError)"),
        ("writing", "SELECT"),
        ("missing", "can't be imported"),
    ],
)
def test_what_goes_wrong_in_a_function_is_an_error_without_values(
    folder: Path, function: str, words: str
) -> None:
    found = run(folder, f"{{source: app, python: 'MODULE:{function}', key: id}}")
    assert found.outcome is Outcome.ERRORED
    assert words in f"{found.error} {found.hint}"
    assert "secret" not in f"{found.error} {found.hint}"


def test_code_runs_only_where_the_file_allows_it(folder: Path) -> None:
    with pytest.raises(RuleError) as refusal:
        run(folder, "{source: app, python: 'MODULE:odd', key: id}", allow="")
    assert "allow: {python: true}" in format_problems(refusal.value.problems)


def test_what_names_no_function_is_refused(folder: Path) -> None:
    with pytest.raises(RuleError):
        run(folder, "{source: app, python: 'os.system', key: id}")


def test_a_kind_beside_the_rules_file_is_a_kind(folder: Path) -> None:
    found = run(folder, "{table: app.t, even: {id: true}}")
    assert [violation.key for violation in found.tracked] == [{"id": 1}]


def test_a_kind_beside_the_rules_file_is_none_without_leave(folder: Path) -> None:
    with pytest.raises(RuleError):
        run(folder, "{table: app.t, even: {id: true}}", allow="")
