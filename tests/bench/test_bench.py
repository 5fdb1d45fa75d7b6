"""The benchmark's own rules: that they are rules, and forty."""

from collections import Counter
from pathlib import Path

from sanityd.rules.load import load
from tests.bench.forty import fused, promises, rules_file
from tests.bench.shop import Shop

ROWS = 1000


def test_each_of_the_forty_rules_is_one(tmp_path: Path) -> None:
    rules = promises(ROWS)
    file = tmp_path / "rules.yaml"
    file.write_text(rules_file("sqlite:///app.db", rules), encoding="utf-8")
    assert list(load(file).rules) == [rule.id for rule in rules]
    assert len({rule.id for rule in rules}) == 40


def test_each_rule_is_violated_a_little_or_not_at_all() -> None:
    assert all(Shop(ROWS).expected(promises(ROWS)).values())
    assert not any(Shop(ROWS, planted=False).expected(promises(ROWS)).values())


def test_fused_by_hand_holds_each_condition_on_rows_once() -> None:
    rules = promises(ROWS)
    gathered = Counter(name for names in fused(rules, "count(*)").values() for name in names)
    assert gathered == Counter(rule.id for rule in rules if rule.bad)
