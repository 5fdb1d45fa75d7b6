"""The rules file of an import: correctly quoted, with safe comments, accepted by the loader."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from sanityd.authoring.migrate.import_result import (
    ImportedCheck,
    ImportedRule,
    ImportResult,
    SourceLocation,
)
from sanityd.authoring.migrate.rules_file import summary, write
from sanityd.authoring.migrate.yaml_dump import dump_flow, dump_pairs
from sanityd.errors import RuleError
from sanityd.rules.load import load_text
from sanityd.rules.yaml import rules_document

TRICKY_TEXTS = [
    "no",
    "on",
    "12:30",
    "1e5",
    "08",
    "0o17",
    "0x1F",
    "1_000",
    "~",
    "null",
    "",
    " x ",
    "#1",
    "a: b",
    "- a",
    "{a}",
]
TRICKY_TEXTS += [
    "'",
    '"',
    "a\nb",
    "a\n\n  b\n",
    "tab\there",
    "*a",
    "&a",
    "!a",
    "%a",
    "@a",
    "`a`",
    "<<",
    "=",
    "é\u2028x",
    "\x85",
]


def test_every_value_is_read_back_unchanged() -> None:
    """Also in a list, as a key, and by readers of YAML 1.1."""
    data: dict[str, Any] = {}
    for number, text in enumerate(TRICKY_TEXTS):
        data[f"k{number}"] = {"a": text, "b": [text, 1, 1.5, True, None]}
        data[f"t{number}"] = text
    data["keys"] = {text: 1 for text in TRICKY_TEXTS if "\n" not in text}
    dumped = "\n".join(dump_pairs(data, "")) + "\n"
    assert rules_document.parse_text(dumped, Path("x.yaml")).data == data
    assert yaml.safe_load(dumped) == data
    assert dump_flow("plain words") == "plain words"


def import_result(*checks: ImportedCheck) -> ImportResult:
    """Return the result of importing some checks."""
    return ImportResult("dbt", checks, ("app",))


def check(
    line: int, rule: ImportedRule, *, name: str = "a test", path: str = "a.yml"
) -> ImportedCheck:
    """Return a check at a line."""
    return ImportedCheck(SourceLocation(Path(path), line), name, (rule,))


def not_null_rule(title: str, *notes: str) -> ImportedRule:
    """Return a rule with a title."""
    return ImportedRule(title, "not_null", "a", {"table": "app.t"}, notes)


def test_many_rules_with_the_same_title_get_ids_in_linear_time() -> None:
    """The progress is reported meanwhile."""
    checks = []
    for number in range(3000):
        title = "a is b-3" if number == 1500 else "a is b"
        checks.append(check(number, ImportedRule(title, "unique", "a", {"table": "app.t"})))
    counts: list[int] = []
    began = time.process_time()
    written = write(import_result(*checks), counts.append)
    ids = list(load_text(written.text, Path("r")).rules)
    assert time.process_time() - began < 10
    assert ids[:3] == ["a-is-b", "a-is-b-2", "a-is-b-3"]
    assert ids[1500] == "a-is-b-3-2"
    assert len(set(ids)) == sum(counts) == 3000


def test_a_rule_that_lint_refuses_is_left_out_and_listed() -> None:
    """For example SQL that isn't one condition, and bounds in the wrong order."""
    good = ImportedRule("a is b", "always", "a = b", {"table": "app.t"})
    bad = ImportedRule("it writes", "always", "a = 1; drop table t", {"table": "app.t"})
    bounds = {"a": {"min": 5, "max": 1}}
    bad_range = ImportedRule("in range", "between", bounds, {"table": "app.t"})
    written = write(import_result(check(1, good), check(2, bad), check(3, bad_range)))
    assert written.imported == 1
    assert "drop" not in written.text
    headline, *reasons = summary(written)
    assert headline == "1 of 3 checks imported; 2 can't be:"
    assert reasons[0].startswith("  a.yml:2  a test: ")
    assert "no value lies between 5 and 1" in reasons[1]
    for line in (headline, *reasons):
        assert f"# {line}".rstrip() in written.text.splitlines()


def test_hostile_names_stay_in_their_comments() -> None:
    rule = not_null_rule("x", "first\nrules: {}")
    name = "a\n  evil: 1\x1b[31m"
    written = write(import_result(check(1, rule, name=name, path="a\nb.yml")))
    assert [line for line in written.text.splitlines() if "evil" in line or "31m" in line] == [
        r"  # a\nb.yml:1  a\n  evil: 1\x1b[31m"
    ]
    assert r"# first\nrules: {}" in written.text


def test_ids_are_kebab_case_and_unique() -> None:
    titles = ("A b", "a-b!", "ä", "")
    checks = [check(number, not_null_rule(title)) for number, title in enumerate(titles)]
    written = write(import_result(*checks))
    document = rules_document.parse_text(written.text, Path("x.yaml"))
    assert list(document.data["rules"]) == ["a-b", "a-b-2", "rule", "rule-2"]


def test_an_error_outside_of_rules_is_raised() -> None:
    with pytest.raises(RuleError):
        write(ImportResult("dbt", (check(1, not_null_rule("x")),), ("Not A Name",)))
