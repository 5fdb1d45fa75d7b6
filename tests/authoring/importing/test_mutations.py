"""Files of other tools that were damaged: never a traceback, and never a rules file that lint refuses."""

import random
from pathlib import Path

import pytest

from sanityd.authoring.importing import dbt, odcs, soda, writing
from sanityd.errors import RuleError
from tests.authoring.importing.corpus import HERE

READERS = {"dbt": dbt.read, "soda": soda.read, "odcs": odcs.read}
WORDS = ["", "~", "[]", "{}", "1", "-1.5", "true", "'", "{{ x }}", "${X}", "a b", "*x", "&x", "9" * 400, "- x", "\x00"]


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
    read = [attempt(tool, damaged(chance.choice(texts), chance), tmp_path / "file.yaml") for _ in range(25)]
    assert any(read)
    assert not all(read)
