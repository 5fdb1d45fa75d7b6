"""Problems as people read them."""

import json
import os
from pathlib import Path

import pytest

from sanityd.errors import Problem
from sanityd.rules.diagnostics import MOST, as_github, as_json, format_problems, in_colour

LINE = "    uniqe: email"


def test_a_problem_has_place_line_caret_and_advice() -> None:
    problem = Problem(
        "unknown key `uniqe`", "did you mean `unique`?", Path("rules.yaml"), 14, 5, 5, LINE
    )
    assert format_problems([problem]) == (
        "rules.yaml:14:5: error: unknown key `uniqe`\n"
        "   14 |     uniqe: email\n"
        "      |     ^^^^^ did you mean `unique`?\n"
        "\n"
        "1 error in 1 file. Nothing was run."
    )


def test_warnings_are_counted_apart_and_stop_nothing() -> None:
    problem = Problem("mind this", "", Path("rules.yaml"), 1, 1, 1, "x", "warning")
    assert format_problems([problem]).endswith("1 warning in 1 file.")


def test_carets_stand_under_wide_characters_and_tabs() -> None:
    wide = Problem("m", "a", Path("r"), 1, 4, 2, "日本:ab")
    assert format_problems([wide]).splitlines()[2] == "      |      ^^ a"
    tab = Problem("m", "a", Path("r"), 1, 2, 1, "\tx")
    assert format_problems([tab]).splitlines()[1:3] == ["    1 |  x", "      |  ^ a"]


def test_nothing_in_a_line_moves_the_cursor() -> None:
    hostile = Problem("m\x1b[2J", "a\r", Path("r"), 1, 1, 1, "\x1b]0;x\x07\u202ey")
    text = format_problems([hostile])
    assert not set(text) & {"\x1b", "\r", "\x07", "\u202e"}
    assert "\\u202e" in text


def test_a_long_line_is_cut_around_the_place() -> None:
    long = Problem("m", "a", Path("r"), 1, 5001, 3, "x" * 5000 + "bad" + "y" * 5000)
    shown = format_problems([long]).splitlines()
    assert len(shown[1]) < 130
    assert shown[1].index("bad") == shown[2].index("^^^")


def test_colours_come_only_when_asked_for() -> None:
    problem = Problem("m", "a", Path("r"), 1, 1, 1, "x")
    assert "\x1b[31m" in format_problems([problem], colour=True)
    assert "\x1b" not in format_problems([problem])


def test_names_of_variables_are_no_password() -> None:
    line = "app: postgresql://${USER}:${PASSWORD}@h/db"
    assert "${PASSWORD}@" in format_problems([Problem("m", line=1, column=1, source_line=line)])
    default = "app: postgresql://${USER}:${PASSWORD:-hunter2}@h/db"
    assert "hunter2" not in format_problems([Problem("m", line=1, column=1, source_line=default)])


def test_nobody_reads_thousands() -> None:
    text = format_problems(
        [Problem(f"m{number}", "a", Path("r"), number, 1, 1, "x") for number in range(1, MOST + 43)]
    )
    assert text.count("error: m") == MOST
    assert "… and 42 more, which are not shown." in text
    assert f"{MOST + 42} errors in 1 file." in text


def test_programs_get_all_of_it() -> None:
    found = [
        Problem("m", "a", Path("r"), 3, 5, 4, "x"),
        Problem("n", "", Path("r"), 4, 1, 1, "x", "warning"),
    ]
    told = json.loads(as_json(found))
    assert (told["errors"], told["warnings"]) == (1, 1)
    assert told["problems"][0] == {
        "path": "r", "line": 3, "column": 5, "end_column": 9, "level": "error", "message": "m", "advice": "a",
    }  # fmt: skip


def test_annotations_hold_nothing_that_github_would_take_for_more() -> None:
    hostile = Problem("50% of\n::error::x", "a, b: c", Path("a,b:c.yaml"), 3, 5, 4, "x")
    assert as_github([hostile]) == (
        "::error file=a%2Cb%3Ac.yaml,line=3,col=5,endColumn=9,title=sanityd::50%25 of%0A::error::x%0Aa, b: c"
    )


@pytest.mark.parametrize(
    ("environment", "terminal", "expected"),
    [
        ({}, True, True), ({}, False, False), ({"NO_COLOR": "1"}, True, False), ({"TERM": "dumb"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True), ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
    ],
)  # fmt: skip
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], terminal: bool, expected: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    main, other = os.openpty() if terminal else os.pipe()
    try:
        with open(other, "w", encoding="utf-8") as stream:
            assert in_colour(stream) is expected
    finally:
        os.close(main)


@pytest.mark.parametrize(
    "line",
    [
        "app: {url: 'postgresql://u:hunter2@h/db', bogus: 1}",
        "app: postgresql://u:p@hunter2@h/db",
        "app: postgresql://h/db?user=u&password=hunter2&bogus=1",
    ],
)
def test_a_password_in_the_line_is_not_quoted(line: str) -> None:
    text = format_problems([Problem("something is wrong", line=1, column=6, source_line=line)])
    assert "hunter2" not in text
    assert "***" in text
