"""`docs/explanation/reliability.md` names a test for each promise; each of them must exist."""

import ast
import re

import pytest

from tests import ROOT

PAGE = (ROOT / "docs" / "explanation" / "reliability.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
ROWS = [
    line
    for line in PAGE.splitlines()
    if line.startswith("|") and not re.match(r"\|(-|\s*fault)", line)
]


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_keeps_a_promise_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assigned = {
        node.target.id
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert name in functions | assigned


@pytest.mark.parametrize("row", ROWS)
def test_every_fault_has_a_test(row: str) -> None:
    assert re.search(r"\| `tests/[\w/]+\.py::\w+` \|$", row)
