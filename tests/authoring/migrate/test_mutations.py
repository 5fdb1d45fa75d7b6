"""Files of other tools that were damaged: never a traceback, and never a rules file that lint refuses."""

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sanityd.authoring.migrate import dbt, odcs, soda, writing
from sanityd.errors import RuleError
from tests.authoring.migrate.corpus import HERE

READERS = {"dbt": dbt.read, "soda": soda.read, "odcs": odcs.read}
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
    """The text with a line lost, doubled, moved or shifted, or a value that is something else."""
    lines = text.splitlines()
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(lines))
        match chance.randrange(5):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, chance.choice(lines))
            case 2:
                lines[at] = chance.choice(["  ", "", "- "]) + lines[at].removeprefix("  ")
            case 3:
                head, colon, _ = lines[at].partition(":")
                lines[at] = f"{head}{colon} {chance.choice(WORDS)}"
            case 4:
                words = lines[at].split(" ")
                words[chance.randrange(len(words))] = chance.choice(WORDS)
                lines[at] = " ".join(words)
        lines = lines or [""]
    return "\n".join(lines)


def replaced(data: Any, chance: random.Random) -> Any:
    """The data with something else in one or two of its places."""
    for _ in range(chance.randint(1, 2)):
        places = list(_places(data))
        inside, key = chance.choice(places)
        inside[key] = copy.deepcopy(chance.choice(VALUES))
    return data


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    for key in (
        list(data) if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
    ):
        yield data, key
        yield from _places(data[key])


def attempt(tool: str, text: str, path: Path) -> bool:
    """Import it; whether it could be read. What is written has been through lint."""
    path.write_text(text, encoding="utf-8")
    try:
        writing.write(READERS[tool]([path], None))
    except RuleError:
        return False
    return True


@pytest.mark.parametrize("tool", READERS)
def test_a_damaged_file_is_imported_or_refused(tool: str, tmp_path: Path) -> None:
    chance = random.Random(7)
    files = [*(HERE / tool).glob("*shapes.yaml"), *(HERE / tool).glob("shop.yaml")]
    texts = [file.read_text(encoding="utf-8") for file in sorted(files)]
    read = [
        attempt(tool, damaged(chance.choice(texts), chance), tmp_path / "file.yaml")
        for _ in range(20)
    ]
    assert any(read)
    assert not all(read)


@pytest.mark.parametrize("tool", READERS)
def test_a_file_of_which_a_part_is_something_else_is_imported_or_refused(
    tool: str, tmp_path: Path
) -> None:
    chance = random.Random(11)
    files = [*(HERE / tool).glob("*shapes.yaml"), *(HERE / tool).glob("shop.yaml")]
    data = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(files)]
    texts = [
        yaml.safe_dump(replaced(copy.deepcopy(chance.choice(data)), chance)) for _ in range(25)
    ]
    read = [attempt(tool, text, tmp_path / "file.yaml") for text in texts]
    assert any(read)
