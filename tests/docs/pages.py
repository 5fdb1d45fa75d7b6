"""The pages of the documentation as tests see them: their code blocks, and what becomes of these in
a folder.

```console              each `$ command` runs (`> ` continues one) and prints what is shown below it; it exits with
                        the code of a line `exit N`, or `exit N: …` where it says so itself, else with 0.
                        `…` stands for anything.
```sh                   each line runs, and exits with 0
```yaml title="a.yaml"  becomes that file; `title="a.yaml, at its end"` is added to it
<!-- not run: why -->   in front of a block: it is only read
"""

import difflib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests import ROOT
from tests.support import forked

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])

_FENCE = re.compile(
    r"(?:^[ ]*<!-- not run: (?P<excuse>.+?) -->\n\s*?)?"
    r"^(?P<indent>[ ]*)```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_AT_ITS_END = ", at its end"
#: What differs from run to run, in the order in which it is looked for.
_VARIABLE = {
    r"\b\d{4}-\d\d-\d\d\b": "DATE",
    r"\b\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b": "DATE",
    r"\b\d\d:\d\d(?::\d\d)?\b": "TIME",
    r"\b[\d.,]+ ?(?:ms|s|min)\b|less than a second": "SECONDS",
    r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,10}\b": "IDENTITY",
}
#: Said by the page, not by the command.
_NOTE = re.compile(r"^exit \d+$", re.MULTILINE)
_BLANKS = re.compile(r"[ ]{2,}")


@dataclass(frozen=True)
class Block:
    """A fenced block. `excuse` is why it is not run; empty for one that is."""

    page: Path
    line: int
    language: str
    title: str
    text: str
    excuse: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of a page, of these languages or of all."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(
            page,
            text.count("\n", 0, match.start("language")) + 1,
            match["language"],
            match["title"] or "",
            re.sub(f"^{match['indent']}", "", match["text"], flags=re.MULTILINE),
            match["excuse"] or "",
        )
        for match in _FENCE.finditer(text)
    ]
    return [block for block in found if not languages or block.language in languages]


@dataclass(frozen=True)
class Step:
    """A command, and what the page shows of its output (None: nothing is shown)."""

    command: str
    shown: str | None = None

    @property
    def code(self) -> int:
        """What it exits with."""
        found = re.search(r"^exit (\d+)", self.shown or "", re.MULTILINE)
        return int(found[1]) if found else 0


def steps(block: Block) -> Iterator[Step]:
    """The commands of a block, in their order."""
    if block.language == "sh":
        lines = block.text.replace("\\\n", " ").splitlines()
        yield from (Step(line) for line in lines if line.strip() and not line.startswith("#"))
        return
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        first, *rest = part.splitlines()
        more = 0
        while more < len(rest) and rest[more].startswith("> "):
            more += 1
        yield Step("\n".join([first, *(line[2:] for line in rest[:more])]), "\n".join(rest[more:]))


@dataclass
class Reader:
    """Does in a folder what a page says, and compares what it shows."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def follow(self, page: Path) -> int:
        """Everything on the page; the number of commands. Raises AssertionError with the place of
        what differs."""
        count = 0
        for block in blocks(page):
            if block.excuse:
                continue
            if block.title:
                self._write(block)
            elif block.language in ("sh", "console"):
                for step in steps(block):
                    self._do(block, step)
                    count += 1
        return count

    def _write(self, block: Block) -> None:
        name = block.title.removesuffix(_AT_ITS_END)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if block.title.endswith(_AT_ITS_END) else "w", encoding="utf-8") as file:
            file.write(block.text)

    def _do(self, block: Block, step: Step) -> None:
        if step.command.startswith("export "):
            for pair in shlex.split(step.command)[1:]:
                name, _, value = pair.partition("=")
                self.environment[name] = value
            return
        code, printed = self._run(step.command)
        assert code == step.code, f"{block}: `{step.command}` exits with {code}:\n{printed}"
        if step.shown is not None and (differs := difference(step.shown, printed)):
            raise AssertionError(f"{block}: `{step.command}` prints something else:\n{differs}")

    def _run(self, command: str) -> tuple[int, str]:
        """Its exit code, and what it prints on a terminal: both streams."""
        if command.startswith("sanityd ") and not re.search(r"[|<>&;$*`]", command):
            ended = forked.run(
                self.folder, shlex.split(command, comments=True)[1:], self.environment
            )
            return ended.code, ended.err + ended.out
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout


def reader(folder: Path, **environment: str) -> Reader:
    """Somebody in that folder who has sanityd, and a terminal of 100 columns."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return Reader(
        folder,
        {"PATH": path, "HOME": str(folder), "COLUMNS": "100", "LANG": "C.UTF-8", **environment},
    )


def difference(shown: str, printed: str) -> str:
    """How the output differs from what is shown, apart from times and identities; empty when it
    doesn't."""
    left, right = _lines(_NOTE.sub("", shown)), _lines(printed)
    pattern = "\n".join(
        r"(?:.*\n)*?.*" if line == "…" else ".*".join(map(re.escape, line.split("…")))
        for line in left
    )
    if re.fullmatch(pattern, "\n".join(right)):
        return ""
    return "\n".join(difflib.unified_diff(left, right, "shown", "printed", lineterm="", n=9))


def _lines(text: str) -> list[str]:
    """Without what differs from run to run, blanks that only fill, and empty lines at both ends."""
    for pattern, word in _VARIABLE.items():
        text = re.sub(pattern, word, text)
    return [_BLANKS.sub("  ", line).rstrip() for line in text.strip("\n").splitlines()]
