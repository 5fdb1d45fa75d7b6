"""Rules files with mistakes, each with all that `sanityd lint` says of it, to the letter.

`python -m tests.mistakes` writes anew what is said; read what changed before you keep it.
"""

import os
import re
from collections.abc import Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from sanityd.authoring.lint import lint
from sanityd.rules.diagnostics import format_problems

HERE = Path(__file__).parent
#: What stands above a case that begins with a rule.
HEAD = "sources:\n  app: ${APP_URL:-sqlite:///app.db}\nrules:\n"
_CASE = re.compile(r"^=== ([^\n]+)\n(.*?)^--- told\n(.*?)(?=^=== |\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Case:
    """A mistake: what it is, the file, and what is told."""

    title: str
    file: str
    expected: str

    @property
    def content(self) -> bytes:
        """The whole file. Escapes stand for bytes that a text file of ours can't hold."""
        text = HEAD + self.file if self.file.startswith("  ") else self.file
        raw = text.encode()
        return re.sub(rb"<([0-9a-f]{2})>", lambda found: bytes.fromhex(found[1].decode()), raw)


def cases(name: str) -> list[Case]:
    """Those of one file here."""
    return [
        Case(*found) for found in _CASE.findall((HERE / f"{name}.txt").read_text(encoding="utf-8"))
    ]


def told(case: Case, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """What lint says in that folder; with an environment, also what the databases say."""
    (folder / "rules.yaml").write_bytes(case.content)
    with chdir(folder), mock.patch.dict(os.environ, environment or {}):
        findings = lint.lint(Path("rules.yaml"), connect=environment is not None)
    return format_problems(findings.problems) + "\n" if findings.problems else "no mistakes\n"


def write(name: str, found: list[Case]) -> None:
    """The file anew."""
    text = "".join(f"=== {case.title}\n{case.file}--- told\n{case.expected}" for case in found)
    (HERE / f"{name}.txt").write_text(text, encoding="utf-8")
