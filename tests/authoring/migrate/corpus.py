"""Files of other tools, the rules that are expected of them, and what either finds in the same small database.

Beside each `NAME.yaml` stand `NAME.rules.yaml`, which the import must print to the letter, and, where the tool itself
was run on `shop.sql`, `NAME.verdicts.yaml`: for each rule whether the tool `failed`, how much it counted there, and how
many violations sanityd finds.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from sanityd import pipeline
from sanityd.model import Run
from sanityd.rules.load import load

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One file of another tool."""

    tool: str
    name: str

    @property
    def folder(self) -> Path:
        """Where it stands, and where the import is run."""
        return HERE / self.tool

    @property
    def expected(self) -> str:
        """The rules file."""
        return (self.folder / f"{self.name}.rules.yaml").read_text(encoding="utf-8")

    @property
    def verdicts(self) -> Mapping[str, Any]:
        """What the tool and sanityd find, by the rule's id; empty where the tool was not run."""
        file = self.folder / f"{self.name}.verdicts.yaml"
        return yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}

    def __str__(self) -> str:
        """For the test's name."""
        return f"{self.tool}-{self.name}"


def cases() -> Iterator[Case]:
    """All files that have expected rules beside them."""
    for file in sorted(HERE.glob("*/*.rules.yaml")):
        yield Case(file.parent.name, file.name.removesuffix(".rules.yaml"))


def runs(rules: str, folder: Path) -> dict[str, Run]:
    """What rules find in the shop, by id."""
    with closing(sqlite3.connect(folder / "shop.db")) as connection:
        connection.executescript((HERE / "shop.sql").read_text(encoding="utf-8"))
    path = folder / "rules.yaml"
    path.write_text(rules, encoding="utf-8")
    url = f"sqlite:///{folder / 'shop.db'}"
    loaded = load(path, {"APP_DATABASE_URL": url})
    found = pipeline.evaluate(loaded, list(loaded.rules.values()), datetime.now(UTC))
    return {run.rule: run for run in found}
