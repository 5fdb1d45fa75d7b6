"""Where a character of a YAML text stands in the file, in every style that YAML has."""

from pathlib import Path
from random import Random

import pytest
import yaml

from sanityd.errors import RuleError
from sanityd.rules.yaml.rules_document import parse_text

FILE = Path("rules.yaml")


def place(text: str, word: str) -> tuple[int, int]:
    """Where a word of the value of `a` is said to be."""
    document = parse_text(text, FILE)
    value: str = document.data["a"]
    start = value.index(word)
    at = (value.count("\n", 0, start) + 1, start - value.rfind("\n", 0, start))
    problem = document.problem(("a",), "", at=at, length=len(word))
    return problem.line, problem.column


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: x bad\n", (1, 6)),
        ("a: 'it''s bad'\n", (1, 11)),
        ('a: "\\"x\\" \\x41 \\u00e9 bad"\n', (1, 23)),
        ('a: "one\\n  bad"\n', (1, 12)),
        ('a: "one \\\n    bad"\n', (2, 5)),
        ("a: 'one\n\n  bad'\n", (3, 3)),
        ("a: one\n  two bad\n", (2, 7)),
        ("a: |\n  one\n    bad\n", (3, 5)),
        ("a: |2-\n    one\n  bad\n", (3, 3)),
        ("a: >\n  one\n  two\n\n  bad\n", (5, 3)),
        ("a: >-  # folded\n    one\n    two bad\n", (3, 9)),
        ("a: |\r\n  one\r\n  bad\r\n", (3, 3)),
    ],
)
def test_a_word_is_found_through_quotes_escapes_and_folds(
    text: str, expected: tuple[int, int]
) -> None:
    assert place(text, "bad") == expected


def test_every_character_of_any_text_is_found_in_every_style() -> None:
    """Whatever PyYAML writes: the character stands there, or an escape of it."""
    chance = Random(1)
    looked = 0
    for _ in range(300):
        text = "".join(chance.choice("ab'\"\\ \n\té日:#x") for _ in range(chance.randint(1, 40)))
        for style in (None, "'", '"', "|", ">"):
            written = yaml.safe_dump(
                {"a": text}, default_style=style, allow_unicode=True, width=chance.choice([10, 80])
            )
            try:
                document = parse_text(written, FILE)
            except RuleError:
                continue
            # PyYAML folds some texts such that they are read otherwise.
            if document.data.get("a") == text:
                looked += _all_are_found(document.files[FILE], written, text)
    assert looked > 10_000


def _all_are_found(lines: tuple[str, ...], written: str, text: str) -> int:
    document = parse_text(written, FILE)
    for start, char in enumerate(text):
        if char.isspace():
            continue
        at = (text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start))
        problem = document.problem(("a",), "", at=at)
        found = lines[problem.line - 1][problem.column - 1 :]
        assert found.startswith((char, "\\")), (written, start)
    return len(text)
