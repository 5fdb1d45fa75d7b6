"""The stored hash of what a rule asks for stays what earlier versions stored."""

import json
from pathlib import Path

from sanityd import plugins
from sanityd.rules.load import load

#: Rules of every kind with most of their options, each with the meaning that an earlier version
#: of sanityd computed for it: `[meaning, rule]`.
GOLDEN = Path(__file__).with_name("meanings.json")
SECRET = "0123456789abcdef" * 2


def test_the_meaning_of_a_rule_is_what_an_earlier_version_stored(tmp_path: Path) -> None:
    """Otherwise an update would close every open violation of the rule as "rule changed"."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))["rules"]
    file = {
        "sources": {"app": "sqlite:///app.db", "crm": "sqlite:///crm.db"},
        "allow": {"python": True},
        "rules": {f"rule-{n:02}": rule for n, (_, rule) in enumerate(golden)},
    }
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps(file), encoding="utf-8")
    rules = load(path, {"SANITYD_REDACT_KEY": SECRET}).rules.values()
    meanings = [rule.invariant.meaning for rule in rules]
    assert meanings == [meaning for meaning, _ in golden]
    assert {rule.invariant.kind for rule in rules} == set(plugins.kind_names("checks"))
