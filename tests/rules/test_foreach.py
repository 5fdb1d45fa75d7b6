"""`for_each`: one rule as many."""

from pathlib import Path

import pytest

from sanityd.errors import RuleError
from sanityd.rules.diagnostics import format_problems
from sanityd.rules.load import load


def read(tmp_path: Path, rule: str) -> dict[str, str]:
    """The table of each rule, by id."""
    path = tmp_path / "rules.yaml"
    path.write_text(f"sources: {{app: 'sqlite:///app.db'}}\nrules:\n  a-rule: {rule}\n")
    return {rule.id: str(rule.invariant.subject.table) for rule in load(path, {}).rules.values()}


def test_a_rule_is_expanded_for_each_value(tmp_path: Path) -> None:
    found = read(
        tmp_path, "{table: 'app.{schema}.t', not_null: id, for_each: {schema: [north, south]}}"
    )
    assert found == {"a-rule[north]": "app.north.t", "a-rule[south]": "app.south.t"}


def test_the_word_is_replaced_in_keys_and_lists_too(tmp_path: Path) -> None:
    found = read(
        tmp_path, "{table: app.t, accepted_values: {'{c}': ['{c}', x]}, for_each: {c: [a, b]}}"
    )
    assert list(found) == ["a-rule[a]", "a-rule[b]"]


@pytest.mark.parametrize("each", ["{}", "[a, b]", "{a: b}", "{a: [1], b: [2]}", "{a: []}"])
def test_what_can_not_be_expanded_is_refused_with_its_place(tmp_path: Path, each: str) -> None:
    with pytest.raises(RuleError) as refusal:
        read(tmp_path, f"{{table: app.t, not_null: id, for_each: {each}}}")
    assert "rules.yaml:3:" in format_problems(refusal.value.problems)
