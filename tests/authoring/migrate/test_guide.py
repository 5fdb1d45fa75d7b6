"""The tables of the guide: every check that they show becomes the rules beside it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sanityd.authoring.migrate import dbt, odcs, rules_file, soda
from sanityd.authoring.migrate.dbt import TESTS
from sanityd.authoring.migrate.import_result import ImportResult
from tests.authoring.migrate.corpus import CORPUS

GUIDE = (CORPUS.parents[2] / "docs" / "howto" / "migrate.md").read_text(encoding="utf-8")
READERS = {
    "test": dbt.read,
    "check of Soda 3": soda.read,
    "check of Soda 4": soda.read,
    "entry of `quality`": odcs.read,
}


def examples() -> Iterator[tuple[str, str, set[str]]]:
    """Return each example with the head of its table and the check kinds beside it."""
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
    """Return files with the example, at a column and at a table."""
    quoted = re.sub(r"(ref\('\w+'\))", r'"\1"', example)
    if head == "check of Soda 3":
        yield {
            "checks for t": yaml.safe_load(
                f"[{{{example}}}]" if ": {" in example else f"- {example}"
            )
        }
        return
    check = yaml.safe_load(quoted)
    match head:
        case "test":
            yield {"models": [{"name": "t", "columns": [{"name": "a", "tests": [check]}]}]}
            yield {"models": [{"name": "t", "tests": [check]}]}
        case "check of Soda 4":
            yield {"dataset": "s/t", "columns": [{"name": "a", "checks": [check]}]}
            yield {"dataset": "s/t", "columns": [{"name": "a"}], "checks": [check]}
        case _:
            contract = {"kind": "DataContract", "apiVersion": "v3.1.0"}
            yield {
                **contract,
                "schema": [{"name": "t", "properties": [{"name": "a", "quality": [check]}]}],
            }


def import_file(head: str, file: Any, folder: Path) -> ImportResult:
    """Write the content of a file, and import it."""
    path = folder / "file.yaml"
    path.write_text(yaml.safe_dump(file, sort_keys=False, width=1000), encoding="utf-8")
    return READERS[head]([path], None)


@pytest.mark.parametrize("head", READERS)
def test_every_check_shown_becomes_the_rules_beside_it(head: str, tmp_path: Path) -> None:
    shown = [(example, kinds) for table, example, kinds in examples() if table == head]
    assert len(shown) > 6
    for example, kinds in shown:
        kinds_of_files = []
        for file in files(head, example):
            result = import_file(head, file, tmp_path)
            # The example is valid either at a column or at a table: lint refuses the other one.
            last_check = rules_file.write(result).checks[-1]
            kinds_of_files.append({rule.kind for rule in last_check.rules})
        assert kinds in kinds_of_files, (example, kinds_of_files)


def test_every_supported_test_of_dbt_is_in_the_guide() -> None:
    shown = {example.partition(":")[0] for head, example, _ in examples() if head == "test"}
    assert shown == TESTS.keys()
