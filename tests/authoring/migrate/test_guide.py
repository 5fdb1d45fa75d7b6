"""The tables of the guide: every check that is shown becomes the rules that stand beside it, and none is missing."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sanityd.authoring.migrate import dbt, odcs, soda, writing
from sanityd.authoring.migrate.dbt import TESTS
from sanityd.authoring.migrate.draft import Migration
from tests.authoring.migrate.corpus import HERE

GUIDE = (HERE.parents[2] / "docs" / "howto" / "migrate.md").read_text(encoding="utf-8")
READERS = {
    "test": dbt.read,
    "check of Soda 3": soda.read,
    "check of Soda 4": soda.read,
    "entry of `quality`": odcs.read,
}


def rows() -> Iterator[tuple[str, str, set[str]]]:
    """Each example with the table that it stands in, and the kinds beside it."""
    head = ""
    for line in GUIDE.splitlines():
        cells = (
            [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("|") else []
        )
        if len(cells) > 1 and cells[1].strip() == "rule":
            head = cells[0].strip()
        elif head and len(cells) > 1 and cells[0].startswith("`"):
            yield head, cells[0].strip("` "), set(re.findall(r"`(\w+)`", cells[1]))
        elif not line.startswith("|"):
            head = ""


def files(head: str, example: str) -> Iterator[Any]:
    """A file with the example, at a column and at a table."""
    quoted = re.sub(r"(ref\('\w+'\))", r'"\1"', example)
    if head == "check of Soda 3":
        yield {
            "checks for t": yaml.safe_load(
                f"[{{{example}}}]" if ": {" in example else f"- {example}"
            )
        }
        return
    one = yaml.safe_load(quoted)
    match head:
        case "test":
            yield {"models": [{"name": "t", "columns": [{"name": "a", "tests": [one]}]}]}
            yield {"models": [{"name": "t", "tests": [one]}]}
        case "check of Soda 4":
            yield {"dataset": "s/t", "columns": [{"name": "a", "checks": [one]}]}
            yield {"dataset": "s/t", "columns": [{"name": "a"}], "checks": [one]}
        case _:
            contract = {"kind": "DataContract", "apiVersion": "v3.1.0"}
            yield {
                **contract,
                "schema": [{"name": "t", "properties": [{"name": "a", "quality": [one]}]}],
            }


def imported(head: str, file: Any, folder: Path) -> Migration:
    """What the file becomes."""
    path = folder / "file.yaml"
    path.write_text(yaml.safe_dump(file, sort_keys=False, width=1000), encoding="utf-8")
    return READERS[head]([path], None)


@pytest.mark.parametrize("head", READERS)
def test_every_check_shown_becomes_the_rules_beside_it(head: str, tmp_path: Path) -> None:
    shown = [(example, kinds) for table, example, kinds in rows() if table == head]
    assert len(shown) > 6
    for example, kinds in shown:
        found = []
        for file in files(head, example):
            migration = imported(head, file, tmp_path)
            # A condition on a column is none on the table, and the other way round: lint refuses one of them.
            [*_, last] = writing.write(migration).translations
            found.append({draft.kind for draft in last.drafts})
        assert kinds in found, (example, found)


def test_every_test_of_dbt_that_has_a_counterpart_is_shown() -> None:
    shown = {example.partition(":")[0] for head, example, _ in rows() if head == "test"}
    assert shown == TESTS.keys()
