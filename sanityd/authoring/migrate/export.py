"""Writing rules as a data contract of the Open Data Contract Standard 3.1, of quality alone.

A rule is written in the standard's words where importing them gives the same rule again. All
others are written unchanged, for the engine `sanityd`. The standard knows quality of tables and
columns only: a rule that has no table is written into a custom property of the contract. So a
contract that is imported again has lost nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sanityd.authoring.migrate import odcs
from sanityd.authoring.migrate.import_result import UnsupportedCheck
from sanityd.authoring.migrate.odcs_quality import ENGINE, PASSED_KEYS, quality_rules
from sanityd.authoring.migrate.odcs_subject import QualitySubject
from sanityd.authoring.migrate.sql_text import quote_table
from sanityd.authoring.migrate.yaml_dump import dump_block, dump_pairs
from sanityd.checks.invariant import TableName
from sanityd.rules import foreach
from sanityd.rules.rule import Rule, RuleSet

VERSION = "v3.1.0"
_KEYS_WITH_DEFAULTS = ("schedule", "severity", "notify", "owner", "tags", "redact")
#: The usual name of a rules file, which does not identify a contract.
_USUAL_NAME = "rules"
_COMMENT = (
    "# The rules of sanityd as a data contract; `sanityd import odcs` makes rules of it again.\n"
)


@dataclass(slots=True)
class _ContractTable:
    """A table of the contract, to which entries are added."""

    name: str
    physical_name: str
    source: str
    quality: list[dict[str, Any]] = field(default_factory=list)
    quality_of_columns: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, entry: dict[str, Any], column: str) -> None:
        """Add an entry to a column; to the table when `column` is empty."""
        if column:
            self.quality_of_columns.setdefault(column, []).append(entry)
        else:
            self.quality.append(entry)

    def to_data(self) -> dict[str, Any]:
        """Return the table as an object of the schema."""
        data: dict[str, Any] = {
            "name": self.name,
            "physicalName": self.physical_name,
            "customProperties": [{"property": odcs.SOURCE, "value": self.source}],
        }
        if self.quality:
            data["quality"] = self.quality
        if self.quality_of_columns:
            data["properties"] = [
                {"name": column, "quality": entries}
                for column, entries in self.quality_of_columns.items()
            ]
        return data


class _ContractTables:
    """The tables of the contract, in the order of their first rule."""

    def __init__(self) -> None:
        self._tables: dict[str, _ContractTable] = {}

    def add(self, rule: Rule, data: dict[str, Any], table: TableName) -> None:
        """Add a rule, in the standard's words where that loses nothing."""
        contract_table = self._table(rule.source, table)
        subject = QualitySubject(
            rule.source, str(table), quote_table(_name_parts(table)), is_exported=True
        )
        native = _native_entry(rule, data)
        if native is not None:
            column, entry = native
            if _reads_back(entry, subject.of_column(column), rule, data):
                contract_table.add(entry, column)
                return
        contract_table.add(_custom_entry(rule, data), "")

    def _table(self, source: str, table: TableName) -> _ContractTable:
        key = str(table)
        if key not in self._tables:
            name = table.name
            if any(other.name == name for other in self._tables.values()):
                name = key.replace(".", "_")
            physical_name = ".".join(_name_parts(table))
            self._tables[key] = _ContractTable(name, physical_name, source)
        return self._tables[key]

    def to_data(self) -> list[dict[str, Any]]:
        """Return the tables as the objects of the schema."""
        return [table.to_data() for table in self._tables.values()]


def _name_parts(table: TableName) -> list[str]:
    """Return the schema, if any, and the name of a table."""
    return [part for part in (table.schema, table.name) if part]


def contract(rules: RuleSet, data: Mapping[str, Any]) -> str:
    """Return the contract as YAML.

    Parameters: `data` is the content of the rules file, as it was read.
    """
    tables = _ContractTables()
    rules_without_table: list[dict[str, Any]] = []
    defaults = data.get("defaults") or {}
    for name, rule_data in data["rules"].items():
        for suffix, expanded in foreach.expand(rule_data):
            rule = rules.rules[f"{name}{suffix}"]
            complete = _with_defaults(rule, expanded, defaults)
            table = rule.invariant.subject.table
            if table is None:
                rules_without_table.append(_custom_entry(rule, complete))
            else:
                tables.add(rule, complete, table)
    sources = list(data.get("sources") or {})
    document = {
        "apiVersion": VERSION,
        "kind": "DataContract",
        "id": _contract_id(rules.path, data.get("name")),
        "version": "1.0.0",
        "status": "active",
        "customProperties": _contract_properties(sources, rules_without_table),
    }
    schema = tables.to_data()
    if schema:
        document["schema"] = schema
    return _COMMENT + dump_block(document)


def _contract_properties(
    sources: list[str], rules_without_table: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    properties: list[dict[str, Any]] = []
    if sources:
        properties.append({"property": odcs.SOURCES, "value": sources})
    if rules_without_table:
        properties.append({"property": odcs.RULES, "value": rules_without_table})
    return properties


def _contract_id(path: Path, name: str | None) -> str:
    """Return the id of the contract: the `name` of the rules file, or a name made of its path.

    The latter is the folder's name, and the file's unless it has the usual one.
    """
    if name:
        return name
    path = path.resolve()
    if path.is_dir():
        return path.name or _USUAL_NAME
    parts = [path.parent.name]
    if path.stem != _USUAL_NAME:
        parts.append(path.stem)
    return "-".join(part for part in parts if part) or _USUAL_NAME


def _with_defaults(
    rule: Rule, data: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the data of a rule with the keys that it has from `defaults`."""
    complete = dict(data)
    for key in _KEYS_WITH_DEFAULTS:
        if key not in data and defaults.get(key) is not None:
            complete[key] = defaults[key]
    subject, check = rule.invariant.subject, rule.invariant.check
    if subject.nulls_fail and "nulls" not in data:
        complete["nulls"] = "fail"
    if subject.empty_fails is not None and "when_empty" not in data and check.about_rows:
        complete["when_empty"] = "fail" if subject.empty_fails else "pass"
    return complete


def _native_entry(rule: Rule, data: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return a rule in the standard's words, and its column ("" for the table).

    Returns None for a rule that the standard has no words for.
    """
    native = _native_metric(rule.invariant.kind, data[rule.invariant.kind])
    if native is None:
        return None
    column, metric = native
    entry = {"name": rule.id, "type": "library", **metric}
    if metric["metric"] != "rowCount":
        entry.update(_allowed_violations(data.get("severity")))
    entry.update(_descriptive_keys(data))
    return column, entry


def _native_metric(kind: str, options: Any) -> tuple[str, dict[str, Any]] | None:
    """Return the column and the metric of a check; None for a check without a metric."""
    match kind, options:
        case "not_null", str():
            return options, {"metric": "nullValues"}
        case "unique", str():
            return options, {"metric": "duplicateValues"}
        case "unique", [_, _, *_]:
            return "", {"metric": "duplicateValues", "arguments": {"properties": options}}
        case "accepted_values", dict() if len(options) == 1:
            [(column, values)] = options.items()
            return column, {"metric": "invalidValues", "arguments": {"validValues": values}}
        case "matches", {"columns": dict(columns), "part": True} if len(columns) == 1:
            [(column, pattern)] = columns.items()
            return column, {"metric": "invalidValues", "arguments": {"pattern": pattern}}
        case "row_count", dict():
            operator = _row_count_operator(options)
            if operator is not None:
                return "", {"metric": "rowCount", **operator}
    return None


def _row_count_operator(options: Mapping[str, Any]) -> dict[str, Any] | None:
    match dict(options):
        case {"equals": int(number)}:
            return {"mustBe": number}
        case {"min": int(low), "max": int(high), **rest} if not rest and low < high:
            return {"mustBeBetween": [low, high]}
        case {"min": int(low), **rest} if not rest:
            return {"mustBeGreaterOrEqualTo": low}
    return None


def _allowed_violations(severity: Any) -> dict[str, Any]:
    """Return the operator for the count or share of violations that a severity allows."""
    if not isinstance(severity, dict) or len(severity) != 1:
        return {"mustBe": 0}
    [start] = severity.values()
    if isinstance(start, int):
        return {"mustBeLessThan": start}
    share = float(str(start).rstrip("%"))
    return {"mustBeLessThan": int(share) if share.is_integer() else share, "unit": "percent"}


def _descriptive_keys(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return those keys of an entry that do not say what must hold."""
    severity = data.get("severity")
    if isinstance(severity, dict):
        severity = next(iter(severity), None)
    keys = {"description": data.get("why"), "severity": severity, "tags": _tag_list(data)}
    keys = {key: value for key, value in keys.items() if value}
    passed = {key: data[key] for key in PASSED_KEYS if key in data}
    if passed:
        keys["customProperties"] = [{"property": ENGINE, "value": passed}]
    return keys


def _tag_list(data: Mapping[str, Any]) -> list[str] | None:
    tags = data.get("tags")
    if isinstance(tags, str):
        return [tags]
    return tags


def _reads_back(
    entry: dict[str, Any], subject: QualitySubject, rule: Rule, data: dict[str, Any]
) -> bool:
    """Tell whether importing an entry gives the rule again."""
    try:
        [imported] = quality_rules(entry, subject)
    except (UnsupportedCheck, ValueError):
        return False
    kind = rule.invariant.kind
    if imported.kind != kind or imported.options != data[kind]:
        return False
    keys = {key: value for key, value in data.items() if key != kind}
    keys["table"] = subject.table
    if "tags" in keys:
        keys["tags"] = _tag_list(data)
    usual_keys = {"severity": "error", "nulls": "pass"}
    return {**usual_keys, **imported.keys} == {**usual_keys, **keys}


def _custom_entry(rule: Rule, data: dict[str, Any]) -> dict[str, Any]:
    """Return a rule, unchanged, as an entry for the engine `sanityd`."""
    entry = {"name": rule.id, "type": "custom", "engine": ENGINE}
    if data.get("why"):
        entry["description"] = data["why"]
    entry["implementation"] = "\n".join(dump_pairs(data, "")) + "\n"
    return entry
