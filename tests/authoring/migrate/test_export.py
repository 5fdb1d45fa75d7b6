"""Exported contracts: valid by the standard's schema, and the same rules when imported again."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sanityd.authoring.migrate import export, odcs, rules_file
from sanityd.rules.load import load, load_text
from sanityd.rules.rule import Rule, RuleSet
from sanityd.rules.yaml import rules_document
from tests import ROOT

RULES = """\
sources: {app: "sqlite:///app.db", mail: "sqlite:///mail.db"}
channels: {team: {log: info}}
defaults: {owner: shop, nulls: fail, tags: [all], severity: warning, schedule: 0 7 * * 1-5}
rules:
  plain:
    {table: app.t, not_null: a, owner: me, severity: error, why: "It: must\\nbe.",
     fix: "https://x", key: [id]}
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
  mailed:
    {table: app.t, has: {in: mail.m, on: {id: t}, count: none}, confirm: 2 runs,
     severity: {info: 1, error: 9}}
  asked: {source: mail, query: "select a\\n  from t", key: a, show: [a]}
  each: {table: "app.{s}.t", references: {a: "{s}.u.id"}, for_each: {s: [n, m]}}
"""


def export_and_import(rules: RuleSet, path: Path) -> tuple[dict[str, Any], RuleSet]:
    """Export rules and import the contract; return the contract and the imported rules."""
    text = export.contract(rules, rules_document.parse(rules.path).data)
    path.write_text(text, encoding="utf-8")
    written = rules_file.write(odcs.read([path], None))
    assert written.not_imported == []
    return yaml.safe_load(text), load_text(written.text, Path("rules.yaml"))


def without_location(rule: Rule) -> Any:
    """Return all that a contract keeps of a rule: everything but its id and location."""
    return replace(rule, id="", location="", invariant=replace(rule.invariant, id=""))


def imported_id(rule: Rule) -> str:
    """Return the id of the rule after the import."""
    return rule.id.replace("[", "-").replace("]", "")


@pytest.fixture
def exported(tmp_path: Path) -> tuple[RuleSet, dict[str, Any], RuleSet]:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    rules = load(tmp_path / "rules.yaml", {})
    return (rules, *export_and_import(rules, tmp_path / "contract.odcs.yaml"))


def test_a_round_trip_loses_nothing(exported: tuple[RuleSet, dict[str, Any], RuleSet]) -> None:
    before, _, after = exported
    assert len(before.rules) == 20
    expected = {imported_id(rule): without_location(rule) for rule in before.rules.values()}
    assert {name: without_location(rule) for name, rule in after.rules.items()} == expected


def test_rules_are_written_in_the_words_of_the_standard_where_it_has_them(
    exported: tuple[RuleSet, dict[str, Any], RuleSet],
) -> None:
    """A rule with `where`, or where NULL violates, is none of them."""
    _, contract, _ = exported
    tables = contract["schema"]
    columns = [column for table in tables for column in table.get("properties", [])]
    native = {
        item["name"]: item
        for subject in (*tables, *columns)
        for item in subject.get("quality", [])
        if "metric" in item
    }
    operators = {
        name: {key: item[key] for key in item if key.startswith("mu") or key == "unit"}
        for name, item in native.items()
    }
    assert operators == {
        "plain": {"mustBe": 0},
        "single": {"mustBeLessThan": 5, "unit": "percent"},
        "pairs": {"mustBeLessThan": 3},
        "listed": {"mustBe": 0},
        "searched": {"mustBe": 0},
        "some": {"mustBeGreaterOrEqualTo": 1},
        "nine": {"mustBe": 9},
    }
    assert native["plain"]["description"] == "It: must\nbe."


def test_the_contract_is_valid_by_the_schema_of_the_standard(
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


def test_a_rule_without_a_table_is_a_custom_property(
    exported: tuple[RuleSet, dict[str, Any], RuleSet],
) -> None:
    """Other readers of the contract would take it for a table."""
    _, contract, _ = exported
    assert {(table["name"], table["physicalName"]) for table in contract["schema"]} == {
        *(("t", "t"), ("app_s_t", "s.t"), ("mail_t", "t"), ("app_n_t", "n.t"), ("app_m_t", "m.t")),
    }
    custom = {item["property"]: item["value"] for item in contract["customProperties"]}
    assert [rule["name"] for rule in custom["sanitydRules"]] == ["asked"]


@pytest.mark.parametrize(
    ("file", "head", "contract_id"),
    [
        ("shop/rules.yaml", "", "shop"),
        ("shop/billing.yaml", "", "shop-billing"),
        ("shop/rules.yaml", "name: orders of the shop\n", "orders of the shop"),
        ("rules/a.yaml", "", "rules"),
    ],
)
def test_the_id_of_a_contract_is_that_of_its_project(
    file: str, head: str, contract_id: str, tmp_path: Path
) -> None:
    """The usual name of a rules file is not part of it."""
    path = tmp_path / file
    path.parent.mkdir()
    path.write_text(
        f"{head}sources: {{app: 'sqlite:///a.db'}}\n"
        "rules: {a: {source: app, query: select 1 as a, key: a}}\n"
    )
    rules = load(path.parent if file.startswith("rules/") else path)
    contract, after = export_and_import(rules, tmp_path / "contract.yaml")
    assert contract["id"] == contract_id
    assert "schema" not in contract
    assert list(after.rules) == ["a"]


def test_the_example_rules_survive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APP_DATABASE_URL", "LEDGER_DATABASE_URL"):
        monkeypatch.setenv(name, "sqlite:///x.db")
    rules = load(ROOT / "rules.yaml", need_secrets=False)
    _, after = export_and_import(rules, tmp_path / "contract.yaml")
    assert {name: without_location(rule) for name, rule in after.rules.items()} == {
        name: without_location(rule) for name, rule in rules.rules.items()
    }
