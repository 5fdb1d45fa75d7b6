"""YAML of other tools: aliases and merge keys work, errors have a location."""

from pathlib import Path

import pytest

from sanityd.authoring.migrate import dbt, odcs, rules_file, soda
from sanityd.authoring.migrate.foreign_yaml import YamlNode, read_yaml
from sanityd.errors import RuleError

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
#: Deep nesting by aliases alone.
TOWER = "b0: &b0 [*a39]\n" + "".join(f"b{n}: &b{n} [*b{n - 1}]\n" for n in range(1, 20))


def read_file(tmp_path: Path, text: str | bytes, version: str = "1.2") -> YamlNode:
    """Read a file with this text."""
    path = tmp_path / "file.yml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_yaml(path, version=version)


def test_words_are_read_by_the_yaml_version_of_the_tool(tmp_path: Path) -> None:
    text = "a: [yes, 12:30, 2020-01-01, 0o17, 1e5, '1', 1.5, ~]"
    assert read_file(tmp_path, text).plain() == {
        "a": ["yes", "12:30", "2020-01-01", 15, 100000.0, "1", 1.5, None]
    }
    assert read_file(tmp_path, text, "1.1").plain() == {
        "a": [True, 750, "2020-01-01", "0o17", "1e5", "1", 1.5, None]
    }


def test_aliases_keep_the_location_of_their_anchor(tmp_path: Path) -> None:
    node = read_file(
        tmp_path, "one: &one\n  a: 1\n  b: 2\ntwo:\n  <<: [*one, {c: 4, a: 9}]\n  b: 3\n"
    )
    assert node.plain()["two"] == {"a": 1, "b": 3, "c": 4}
    assert [node.mapping("two")[name].location.line for name in "abc"] == [2, 6, 5]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: [1, 2", 2, "this is not YAML"),
        ("a: 1\n---\nb: 2", 2, "this is not YAML"),
        ("", 1, "the file is empty"),
        (b"a: 1\nb: \xff", 2, "not UTF-8"),
        ("a: \x07", 1, "control character"),
        ("a: 1\na: 2", 2, "is defined twice"),
        ("a: &a [1, *a]", 1, "contains itself"),
        ("a: 1\n? [x]\n: 2", 2, "a key must be text"),
        ("a: 1\nb: {<<: 3}", 2, "brings in no mapping"),
        ("[" * 60 + "]" * 60, 1, "nested deeper than 50"),
        ("a: " + "[" * 100_000, 1, "nested deeper than 50"),
        (BOMB + TOWER, 50, "nested deeper"),
    ],
)
def test_an_error_has_the_line_and_advice(
    tmp_path: Path, text: str | bytes, line: int, words: str
) -> None:
    with pytest.raises(RuleError) as raised:
        read_file(tmp_path, text)
    [problem] = raised.value.problems
    assert words in problem.message
    assert problem.line == line
    assert problem.advice


def test_a_value_with_too_many_aliases_is_refused(tmp_path: Path) -> None:
    node = read_file(tmp_path, BOMB)
    with pytest.raises(RuleError, match="10,000 values"):
        node.plain()


def test_a_file_with_too_many_rules_is_refused(tmp_path: Path) -> None:
    columns = "&c [" + ", ".join(f"{{name: c{n}, tests: *t}}" for n in range(150)) + "]"
    tests = "&t [" + ", ".join(["unique"] * 150) + "]"
    text = f"t: {tests}\nc: {columns}\nmodels: [{{name: a, columns: *c}}]\n"
    (tmp_path / "a.yml").write_text(text, encoding="utf-8")
    with pytest.raises(RuleError, match="20,000 rules"):
        rules_file.write(dbt.read([tmp_path / "a.yml"], None))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "no properties file"),
        ("name: shop\nconfig-version: 2\nmodels: {shop: {}}", "a project's own file"),
        ("models: {a: 1}", "a list is expected"),
        ("models: [{name: a, columns: {id: {tests: [unique]}}}]", "a list is expected"),
    ],
)
def test_a_file_that_is_not_dbts_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.yml").write_text(text, encoding="utf-8")
    with pytest.raises(RuleError, match=words):
        dbt.read([tmp_path / "a.yml"], None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "neither a check file nor a contract"),
        ("checks for: [row_count > 0]", "names no table"),
        ("checks for a: {row_count > 0: {}}", "a list is expected"),
        ("dataset: people", "is no dataset"),
        ("dataset: a//b", "is no dataset"),
    ],
)
def test_a_file_that_is_not_sodas_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.yml").write_text(text, encoding="utf-8")
    with pytest.raises(RuleError, match=words):
        soda.read([tmp_path / "a.yml"], None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: Model", "no data contract"),
        ("kind: DataContract\napiVersion: v2.2.2", "only version 3"),
    ],
)
def test_a_file_that_is_no_contract_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.yml").write_text(text, encoding="utf-8")
    with pytest.raises(RuleError, match=words):
        odcs.read([tmp_path / "a.yml"], None)
