"""Damaged files of other tools: never a traceback, never a rules file that lint refuses."""

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sanityd.authoring.migrate import rules_file
from sanityd.errors import RuleError
from tests.authoring.migrate.corpus import CORPUS, READERS

WORDS = [
    "",
    "~",
    "[]",
    "{}",
    "1",
    "-1.5",
    "true",
    "'",
    "{{ x }}",
    "${X}",
    "a b",
    "*x",
    "&x",
    "9" * 400,
    "- x",
    "\x00",
]

VALUES: list[Any] = [
    None,
    "x",
    "a b",
    5,
    -1.5,
    True,
    [],
    {},
    ["a"],
    [None],
    {"a": 1},
    [{"a": [1]}],
    [[1]],
]
VALUES += ["${x}", "{{ x }}", "1", "> 1", {"x": {"y": None}}]


def damaged(text: str, chance: random.Random) -> str:
    """Return the text with lines removed, doubled or shifted, or other values."""
    lines = text.splitlines()
    for _ in range(chance.randint(1, 4)):
        index = chance.randrange(len(lines))
        match chance.randrange(5):
            case 0:
                del lines[index]
            case 1:
                lines.insert(index, chance.choice(lines))
            case 2:
                lines[index] = chance.choice(["  ", "", "- "]) + lines[index].removeprefix("  ")
            case 3:
                head, colon, _ = lines[index].partition(":")
                lines[index] = f"{head}{colon} {chance.choice(WORDS)}"
            case 4:
                words = lines[index].split(" ")
                words[chance.randrange(len(words))] = chance.choice(WORDS)
                lines[index] = " ".join(words)
        lines = lines or [""]
    return "\n".join(lines)


def replaced(data: Any, chance: random.Random) -> Any:
    """Return the data with one or two values replaced."""
    for _ in range(chance.randint(1, 2)):
        container, key = chance.choice(list(_values(data)))
        container[key] = copy.deepcopy(chance.choice(VALUES))
    return data


def _values(data: Any) -> Iterator[tuple[Any, Any]]:
    """Return each value as its container and its key or index."""
    keys: list[Any] = []
    if isinstance(data, dict):
        keys = list(data)
    elif isinstance(data, list):
        keys = list(range(len(data)))
    for key in keys:
        yield data, key
        yield from _values(data[key])


def can_be_imported(tool: str, text: str, path: Path) -> bool:
    """Import a text, and write the rules, which lint checks. Returns False if it is refused."""
    path.write_text(text, encoding="utf-8")
    try:
        rules_file.write(READERS[tool]([path], None))
    except RuleError:
        return False
    return True


@pytest.mark.parametrize("tool", READERS)
def test_a_damaged_file_is_imported_or_refused(tool: str, tmp_path: Path) -> None:
    chance = random.Random(7)
    files = [*(CORPUS / tool).glob("*shapes.yaml"), *(CORPUS / tool).glob("shop.yaml")]
    texts = [file.read_text(encoding="utf-8") for file in sorted(files)]
    imported = [
        can_be_imported(tool, damaged(chance.choice(texts), chance), tmp_path / "file.yaml")
        for _ in range(20)
    ]
    assert any(imported)
    assert not all(imported)


@pytest.mark.parametrize("tool", READERS)
def test_a_file_with_other_values_is_imported_or_refused(tool: str, tmp_path: Path) -> None:
    chance = random.Random(11)
    files = [*(CORPUS / tool).glob("*shapes.yaml"), *(CORPUS / tool).glob("shop.yaml")]
    data = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(files)]
    texts = [
        yaml.safe_dump(replaced(copy.deepcopy(chance.choice(data)), chance)) for _ in range(25)
    ]
    imported = [can_be_imported(tool, text, tmp_path / "file.yaml") for text in texts]
    assert any(imported)
