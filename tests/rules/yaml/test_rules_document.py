"""Strict YAML: what it takes, what it refuses, and that each refusal names its place."""

from pathlib import Path
from typing import Any

import pytest

from sanityd.errors import Problem, RuleError
from sanityd.model.did_you_mean import did_you_mean
from sanityd.rules.yaml.rules_document import parse, parse_text

FILE = Path("rules.yaml")


def problems(text: str) -> list[Problem]:
    """What is wrong with a text, whether or not it could be read to its end."""
    try:
        return list(parse_text(text, FILE).problems)
    except RuleError as error:
        return list(error.problems)


def told(text: str) -> list[tuple[int, int, str]]:
    return [(problem.line, problem.column, problem.message) for problem in problems(text)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("12:30", "12:30"), ("2026-01-01", "2026-01-01"), ("1_000", "1_000"), ("0777", 777),
        ("0o17", 15), ("0xFF", 255), ("-3", -3), ("1e3", 1000.0), (".5", 0.5), ("true", True), ("False", False),
        ("~", None), ("null", None), ("'1'", "1"), ('"true"', "true"), ("1.2.3", "1.2.3"), ("=", "="),
        ("9" * 40, 10**40 - 1),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    read = parse_text(f"a: {text}", FILE).data["a"]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: 1\nb: 2\na: 3\n", (3, 1)),
        ("a: &x 1\nb: 2\n", (1, 4)),
        ("a: 1\nb: *x\n", (2, 4)),
        ("a: !!python/object:os.system x\n", (1, 4)),
        ("a: {<<: 1}\n", (1, 5)),
        ("? [a, b]\n: 1\n", (1, 3)),
        ("a: 1\n---\nb: 2\n", (2, 1)),
        ("a:\n\t- 1\n", (2, 1)),
        ("a: [1, 2\n", (1, 4)),
        ("a: b: c\n", (1, 5)),
        ("a: 1\x00\n", (1, 5)),
        ("a: 1e999\n", (1, 4)),
        ("- 1\n", (1, 1)),
        ("", (1, 1)),
        ("# only a comment\n", (1, 1)),
        ("a: " + "[" * 200 + "]" * 200 + "\n", (1, 53)),
    ],
)
def test_what_is_not_strict_yaml_is_refused_at_its_place(text: str, place: tuple[int, int]) -> None:
    [problem] = problems(text)
    assert (problem.line, problem.column) == place
    assert problem.advice


def test_several_problems_are_told_at_once() -> None:
    assert told("a: *x\nb: !t 1\nb: 2\n") == [
        (1, 4, "`*x` is an alias"),
        (2, 4, "`!t` is a tag"),
        (3, 1, "`b` is defined twice; first in line 2"),
    ]


def test_bytes_that_are_no_text_are_refused_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_bytes(b"a: 1\nb: \xff\xfe\n")
    with pytest.raises(RuleError) as caught:
        parse(tmp_path / "rules.yaml")
    assert (caught.value.problems[0].line, caught.value.problems[0].message) == (
        2,
        "this is not UTF-8",
    )


def test_places_are_right_beside_wide_characters_and_windows_line_ends() -> None:
    document = parse_text("ä: 'ü'\r\nnaïve: {日本: x, b: wrong}\r\n", FILE)
    mark = document.mark(("naïve", "b"))
    assert (mark.line, mark.column, mark.length) == (2, 19, 5)


def test_a_place_inside_a_text_is_found() -> None:
    document = parse_text("a: select x\nb: 'select y'\nc: |\n    first\n    second line\n", FILE)
    assert (
        document.problem(("a",), "", at=(1, 8)).line,
        document.problem(("a",), "", at=(1, 8)).column,
    ) == (1, 11)
    assert document.problem(("b",), "", at=(1, 8)).column == 12
    block = document.problem(("c",), "", at=(2, 8))
    assert (block.line, block.column, block.source_line) == (5, 12, "    second line")


def test_a_word_is_found_as_key_text_or_part_of_one() -> None:
    document = parse_text(
        "r:\n  between: {emial: [0, 1]}\n  within: 10m of craeted\n  key: [idd]\n", FILE
    )

    def column(word: str) -> tuple[int, int]:
        problem = document.problem(("r",), "", word=word)
        return problem.line, problem.column

    assert [column("emial"), column("craeted"), column("idd")] == [(2, 13), (3, 18), (4, 9)]


def test_a_text_without_a_word_is_pointed_at_as_a_whole() -> None:
    """Else nothing would stand under it."""
    problem = parse_text("a: ''\n", FILE).problem(("a",), "", word="")
    assert (problem.column, problem.length) == (4, 2)


def test_the_same_id_in_two_files_names_both(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("rules:\n  one: 1\n")
    (tmp_path / "b.yaml").write_text("rules:\n  one: 2\n  two: 3\n")
    document = parse(tmp_path)
    [problem] = document.problems
    assert (problem.path, problem.line) == (tmp_path / "b.yaml", 2)
    assert problem.message == "`one` is defined twice; first in a.yaml:2"
    assert set(document.data["rules"]) == {"one", "two"}


def test_suggestions_forgive_case_and_dashes() -> None:
    assert did_you_mean("Not-Null", ["not_null", "unique"]) == "did you mean `not_null`?"
    assert did_you_mean("zzz", ["not_null", "unique"]) == ""


def test_a_key_without_yaml_sense_leaves_the_others_in_peace() -> None:
    """An alias or a merge key as a key, and what is below it, are no keys of the file."""
    assert [line for line, _, _ in told("*x : {b: 1}\na: {<<: {b: 1}, <<: {b: 2}, None: 3}\n")] == [
        1,
        2,
        2,
    ]


def test_what_is_below_a_doubled_key_is_not_told_twice() -> None:
    assert told("r:\n  a: {b: 1, c: 2}\n  a: {b: 3, b: 4}\n") == [
        (3, 3, "`a` is defined twice; first in line 2"),
        (3, 13, "`b` is defined twice; first in line 3"),
    ]


def test_a_file_without_end_is_read_no_further_than_needed(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").symlink_to("/dev/zero")
    with pytest.raises(RuleError, match="larger than 10 MB"):
        parse(tmp_path / "rules.yaml")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.yaml", "there is no such file"),
        ("x" * 5000, "this can't be read"),
        (".", "there is no rules file in"),
    ],
)
def test_what_can_not_be_read_is_no_fault_of_ours(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(RuleError, match=message):
        parse(tmp_path / name)


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    """Its rules would be missing, and nobody would hear of it."""
    (tmp_path / "a.yaml").write_text("rules: {}\n")
    (tmp_path / "b.yaml").symlink_to(tmp_path / "gone.yaml")
    with pytest.raises(RuleError, match="can't be read") as caught:
        parse(tmp_path)
    assert caught.value.problems[0].path == tmp_path / "b.yaml"


def test_huge_numbers_stay_whole(tmp_path: Path) -> None:
    """A float would have changed the last digits, and with them what a rule says."""
    path = tmp_path / "rules.yaml"
    path.write_text("rules: {a: [9223372036854775807, 123456789012345678901234567890]}")
    assert parse(path).data == {
        "rules": {"a": [9223372036854775807, 123456789012345678901234567890]}
    }


def test_what_is_missing_at_the_end_is_missed_behind_the_last_character() -> None:
    """A key that is too long for its colon has no value on its line."""
    document = parse_text("rules:\n  a:\n    ? " + "k" * 2_000, Path("rules.yaml"))
    problem = document.problem(("rules", "a", "k" * 2_000), "it says nothing")
    assert (problem.line, problem.column) == (3, len(problem.source_line) + 1)
