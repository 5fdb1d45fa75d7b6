"""Problems as people read them."""

from pathlib import Path

import pytest

from sanityd.errors import Problem
from sanityd.problems import format_problems

LINE = "    uniqe: email"


def test_a_problem_has_place_line_caret_and_advice() -> None:
    problem = Problem("unknown key `uniqe`", "did you mean `unique`?", Path("rules.yaml"), 14, 5, 5, LINE)
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
