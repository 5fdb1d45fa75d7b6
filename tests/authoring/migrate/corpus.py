"""Files of other tools, with the rules that are expected of them.

Beside each `NAME.yaml` stands `NAME.rules.yaml`, which the import must print to the letter. Where
the tool itself was run on `shop.sql`, there is `NAME.verdicts.yaml`: for each rule whether the
tool failed, how much it counted, and how many violations sanityd finds.
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
from sanityd.authoring.migrate import dbt, odcs, soda
from sanityd.model import Run
from sanityd.rules.load import load

CORPUS = Path(__file__).parent
#: The function that reads the files of each tool.
READERS = {"dbt": dbt.read, "soda": soda.read, "odcs": odcs.read}


@dataclass(frozen=True)
class Case:
    """One file of another tool."""

    tool: str
    name: str

    @property
    def folder(self) -> Path:
        """The folder of the file, where the import is run."""
        return CORPUS / self.tool

    @property
    def expected(self) -> str:
        """The expected rules file."""
        return (self.folder / f"{self.name}.rules.yaml").read_text(encoding="utf-8")

    @property
    def verdicts(self) -> Mapping[str, Any]:
        """The results of the tool and of sanityd by rule; empty where the tool was not run."""
        file = self.folder / f"{self.name}.verdicts.yaml"
        return yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}

    def __str__(self) -> str:
        """Return the name in the test's id."""
        return f"{self.tool}-{self.name}"


def all_cases() -> Iterator[Case]:
    """Return all files that have expected rules."""
    for file in sorted(CORPUS.glob("*/*.rules.yaml")):
        yield Case(file.parent.name, file.name.removesuffix(".rules.yaml"))


def run_rules(rules: str, folder: Path) -> dict[str, Run]:
    """Run rules on the shop's database; return the runs by rule."""
    with closing(sqlite3.connect(folder / "shop.db")) as connection:
        connection.executescript((CORPUS / "shop.sql").read_text(encoding="utf-8"))
    path = folder / "rules.yaml"
    path.write_text(rules, encoding="utf-8")
    url = f"sqlite:///{folder / 'shop.db'}"
    rule_set = load(path, {"APP_DATABASE_URL": url})
    runs = pipeline.evaluate(rule_set, list(rule_set.rules.values()), datetime.now(UTC))
    return {run.rule: run for run in runs}
