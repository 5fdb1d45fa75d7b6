"""The rules as a data contract: right by the standard's own schema, and the same rules when they are imported again."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sanityd.authoring.migrate import export, odcs, writing
from sanityd.rules.load import load, load_text
from sanityd.rules.rule import Rule, RuleSet
from sanityd.rules.yaml import rules_document
from tests import ROOT

RULES = """\
sources: {app: "sqlite:///app.db", mail: "sqlite:///mail.db"}
channels: {team: {log: info}}
defaults: {owner: shop, nulls: fail, tags: [all], severity: warning, schedule: 0 7 * * 1-5}
rules:
  plain: {table: app.t, not_null: a, owner: me, severity: error, why: "It: must\\nbe.", fix: "https://x", key: [id]}
  several: {table: app.t, not_null: [a, b]}
  blank: {table: app.t, not_null: {columns: a, blank: fail}}
  single: {table: app.t, not_null: b, severity: {error: 5%}, notify: [team]}
  pairs: {table: app.t, unique: [a, b], severity: {critical: 3}, depends_on: [plain, mail]}
  folded: {table: app.s.t, unique: {columns: a, ignore: case}}
  listed: {table: app.t, accepted_values: {a: [no, "12:30", 1, "1"]}, nulls: pass, enabled: false}
  unknown-fails: {table: app.t, accepted_values: {a: [x]}}
  searched: {table: app.t, matches: {columns: {a: "^[a-z]"}, part: true}, nulls: pass, tags: one}
  whole: {table: app.t, matches: {a: email}}
  some: {table: app.t, row_count: {min: 1}}
  few: {table: app.t, row_count: {min: 1, max: 9}, where: "a > 1"}
  nine: {table: mail.t, row_count: {equals: 9}}
  one-of-those: {table: app.t, row_count: {min: 3, max: 3}}
  at-most: {table: app.t, row_count: {max: 3}}
  young: {table: app.t, fresh: {at: 1h}, within: 5m of at, when_empty: pass}
  mailed: {table: app.t, has: {in: mail.m, on: {id: t}, count: none}, confirm: 2 runs, severity: {info: 1, error: 9}}
  asked: {source: mail, query: "select a\\n  from t", key: a, show: [a]}
  each: {table: "app.{s}.t", references: {a: "{s}.u.id"}, for_each: {s: [n, m]}}
"""


def again(rules: RuleSet, path: Path) -> tuple[dict[str, Any], RuleSet]:
    """Export, import; the contract and the rules."""
    text = export.contract(rules, rules_document.parse(rules.path).data)
    path.write_text(text, encoding="utf-8")
    written = writing.write(odcs.read([path], None))
    assert written.left == []
    return yaml.safe_load(text), load_text(written.text, Path("rules.yaml"))


def same(rule: Rule) -> Any:
    """All that a contract keeps of a rule: everything but where it stands."""
    return replace(rule, id="", location="", invariant=replace(rule.invariant, id=""))


def id_of(rule: Rule) -> str:
    """What the import calls it."""
    return rule.id.replace("[", "-").replace("]", "")


@pytest.fixture
def exported(tmp_path: Path) -> tuple[RuleSet, dict[str, Any], RuleSet]:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    rules = load(tmp_path / "rules.yaml", {})
    return (rules, *again(rules, tmp_path / "contract.odcs.yaml"))


def test_a_round_trip_loses_nothing(exported: tuple[RuleSet, dict[str, Any], RuleSet]) -> None:
    before, _, after = exported
    assert len(before.rules) == 20
    wanted = {id_of(rule): same(rule) for rule in before.rules.values()}
    assert {name: same(rule) for name, rule in after.rules.items()} == wanted


def test_what_the_standard_has_words_for_is_said_in_them(
    exported: tuple[RuleSet, dict[str, Any], RuleSet],
) -> None:
    """Only where they mean the same: a NULL, `where` and the like are none of the standard's words."""
    _, contract, _ = exported
    tables = contract["schema"]
    columns = [column for table in tables for column in table.get("properties", [])]
    native = {
        item["name"]: item
        for one in (*tables, *columns)
        for item in one.get("quality", [])
        if "metric" in item
    }
    said = {
        name: {key: item[key] for key in item if key.startswith("mu") or key == "unit"}
        for name, item in native.items()
    }
    assert said == {
        "plain": {"mustBe": 0},
        "single": {"mustBeLessThan": 5, "unit": "percent"},
        "pairs": {"mustBeLessThan": 3},
        "listed": {"mustBe": 0},
        "searched": {"mustBe": 0},
        "some": {"mustBeGreaterOrEqualTo": 1},
        "nine": {"mustBe": 9},
    }
    assert native["plain"]["description"] == "It: must\nbe."


def test_it_is_right_by_the_standards_own_schema(
    exported: tuple[RuleSet, dict[str, Any], RuleSet],
) -> None:
    schema = json.loads(
        files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8")
    )
    validator = jsonschema.Draft201909Validator(schema)
    assert [
        f"{error.json_path}: {error.message}" for error in validator.iter_errors(exported[1])
    ] == []
    broken = json.loads(json.dumps(exported[1]).replace("mustBe", "mustSeem"))
    assert list(validator.iter_errors(broken))


def test_what_is_of_no_table_is_no_table(exported: tuple[RuleSet, dict[str, Any], RuleSet]) -> None:
    """It would be one for every other reader of the contract."""
    _, contract, _ = exported
    assert {(one["name"], one["physicalName"]) for one in contract["schema"]} == {
        *(("t", "t"), ("app_s_t", "s.t"), ("mail_t", "t"), ("app_n_t", "n.t"), ("app_m_t", "m.t")),
    }
    custom = {one["property"]: one["value"] for one in contract["customProperties"]}
    assert [one["name"] for one in custom["sanitydRules"]] == ["asked"]


@pytest.mark.parametrize(
    ("file", "head", "known_as"),
    [
        ("shop/rules.yaml", "", "shop"),
        ("shop/billing.yaml", "", "shop-billing"),
        ("shop/rules.yaml", "name: orders of the shop\n", "orders of the shop"),
        ("rules/a.yaml", "", "rules"),
    ],
)
def test_a_contract_is_known_by_its_project(
    file: str, head: str, known_as: str, tmp_path: Path
) -> None:
    """Not by a file that is called the same in every project."""
    (path := tmp_path / file).parent.mkdir()
    path.write_text(
        f"{head}sources: {{app: 'sqlite:///a.db'}}\nrules: {{a: {{source: app, query: select 1 as a, key: a}}}}\n"
    )
    rules = load(path.parent if file.startswith("rules/") else path)
    contract, after = again(rules, tmp_path / "contract.yaml")
    assert contract["id"] == known_as
    assert "schema" not in contract
    assert list(after.rules) == ["a"]


def test_the_example_rules_survive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APP_DATABASE_URL", "LEDGER_DATABASE_URL"):
        monkeypatch.setenv(name, "sqlite:///x.db")
    rules = load(ROOT / "rules.yaml", need_secrets=False)
    _, after = again(rules, tmp_path / "contract.yaml")
    assert {name: same(rule) for name, rule in after.rules.items()} == {
        name: same(rule) for name, rule in rules.rules.items()
    }
