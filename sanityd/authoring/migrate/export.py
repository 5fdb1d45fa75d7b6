"""The rules as a data contract: the Open Data Contract Standard 3.1, quality only.

A rule is written in the standard's own words where reading them back gives the same rule; every other goes along as it
is, for the engine `sanityd`. The standard knows quality of tables and columns only: a rule of no table is a custom
property of the contract. So a contract that is imported again has lost nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sanityd.authoring.migrate import odcs
from sanityd.authoring.migrate.draft import Unmappable, quoted
from sanityd.authoring.migrate.odcs_quality import BESIDE, OURS, QualitySubject, drafts_of
from sanityd.authoring.migrate.writing import BLOCK, pairs
from sanityd.checks.invariant import TableName
from sanityd.rules import foreach
from sanityd.rules.rule import Rule, RuleSet

VERSION = "v3.1.0"
_FROM_DEFAULTS = ("schedule", "severity", "notify", "owner", "tags", "redact")
#: What a rules file is called where nobody gave it a name.
_USUAL = "rules"
_COMMENT = (
    "# The rules of sanityd as a data contract; `sanityd import odcs` makes rules of it again.\n"
)


@dataclass(slots=True)
class _Object:
    """A table of the contract, as it is put together."""

    name: str
    physical: str
    source: str
    quality: list[dict[str, Any]] = field(default_factory=list)
    columns: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def contract(rules: RuleSet, data: Mapping[str, Any]) -> str:
    """The contract as YAML.

    Parameters: `data` is what the rules file holds, as it was read.
    """
    objects: dict[str, _Object] = {}
    loose: list[dict[str, Any]] = []
    defaults = data.get("defaults") or {}
    for name, raw in data["rules"].items():
        for suffix, one in foreach.expand(raw):
            rule = rules.rules[f"{name}{suffix}"]
            whole, table = _whole(rule, one, defaults), rule.invariant.subject.table
            if table is None:
                loose.append(_ours(rule, whole))
            else:
                _add(objects, rule, whole, table)
    custom: dict[str, Any] = {odcs.SOURCES: list(data.get("sources") or {}), odcs.RULES: loose}
    document = {
        "apiVersion": VERSION,
        "kind": "DataContract",
        "id": _id(rules.path, data.get("name")),
        "version": "1.0.0",
        "status": "active",
        "customProperties": [
            {"property": name, "value": value} for name, value in custom.items() if value
        ],
    }
    if objects:
        document["schema"] = [_as_data(one) for one in objects.values()]
    return f"{_COMMENT}{yaml.dump(document, **BLOCK)}"


def _id(path: Path, name: str | None) -> str:
    """What tells the contract from others, and stays: the file's own `name`; else its folder's, and what sets it apart
    there."""
    place = path.resolve()
    folder = place if place.is_dir() else place.parent
    apart = "" if place == folder or place.stem == _USUAL else place.stem
    return name or "-".join(part for part in (folder.name, apart) if part) or _USUAL


def _whole(rule: Rule, raw: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The rule as it would be written without `defaults`."""
    given = {
        key: defaults[key]
        for key in _FROM_DEFAULTS
        if defaults.get(key) is not None and key not in raw
    }
    subject, check = rule.invariant.subject, rule.invariant.check
    if subject.nulls_fail and "nulls" not in raw:
        given["nulls"] = "fail"
    if subject.empty_fails is not None and "when_empty" not in raw and check.about_rows:
        given["when_empty"] = "fail" if subject.empty_fails else "pass"
    return {**raw, **given}


def _add(objects: dict[str, _Object], rule: Rule, raw: dict[str, Any], table: TableName) -> None:
    one = _object(objects, rule.source, table)
    about = QualitySubject(rule.source, str(table), _sql(table), exported=True)
    for column, item in _native(rule, raw):
        if _reads_back(item, about.of(column), rule, raw):
            (one.columns.setdefault(column, []) if column else one.quality).append(item)
            return
    one.quality.append(_ours(rule, raw))


def _object(objects: dict[str, _Object], source: str, table: TableName) -> _Object:
    """The table's entry."""
    key = str(table)
    if key not in objects:
        taken = {one.name for one in objects.values()}
        name = table.name if table.name not in taken else key.replace(".", "_")
        objects[key] = _Object(name, ".".join(filter(None, (table.schema, table.name))), source)
    return objects[key]


def _sql(table: TableName) -> str:
    return ".".join(quoted(part) for part in (table.schema, table.name) if part)


def _native(rule: Rule, raw: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rule in the standard's words, with the column it stands at ("" for the table); nothing where it has none."""
    options = raw[rule.invariant.kind]
    found: tuple[str, dict[str, Any]] | None = None
    match rule.invariant.kind, options:
        case "not_null", str():
            found = options, {"metric": "nullValues"}
        case "unique", str():
            found = options, {"metric": "duplicateValues"}
        case "unique", [_, _, *_]:
            found = "", {"metric": "duplicateValues", "arguments": {"properties": options}}
        case "accepted_values", dict() if len(options) == 1:
            [(column, values)] = options.items()
            found = column, {"metric": "invalidValues", "arguments": {"validValues": values}}
        case "matches", {"columns": dict(columns), "part": True} if len(columns) == 1:
            [(column, pattern)] = columns.items()
            found = column, {"metric": "invalidValues", "arguments": {"pattern": pattern}}
        case "row_count", dict():
            if (counted := _row_count(options)) is not None:
                found = "", {"metric": "rowCount", **counted}
    if found is None:
        return
    column, metric = found
    operator = {} if metric["metric"] == "rowCount" else _operator(raw.get("severity"))
    yield column, {"name": rule.id, "type": "library", **metric, **operator, **_said(rule, raw)}


def _row_count(options: Mapping[str, Any]) -> dict[str, Any] | None:
    match dict(options):
        case {"equals": int(number)}:
            return {"mustBe": number}
        case {"min": int(low), "max": int(high), **rest} if not rest and low < high:
            return {"mustBeBetween": [low, high]}
        case {"min": int(low), **rest} if not rest:
            return {"mustBeGreaterOrEqualTo": low}
    return None


def _operator(severity: Any) -> dict[str, Any]:
    """From which count or share on it is violated."""
    if isinstance(severity, dict) and len(severity) == 1:
        [start] = severity.values()
        if isinstance(start, int):
            return {"mustBeLessThan": start}
        share = float(str(start).rstrip("%"))
        return {"mustBeLessThan": int(share) if share.is_integer() else share, "unit": "percent"}
    return {"mustBe": 0}


def _said(rule: Rule, raw: Mapping[str, Any]) -> dict[str, Any]:
    """What a rule says besides what must hold."""
    severity = raw.get("severity")
    word = next(iter(severity), None) if isinstance(severity, dict) else severity
    said = {"description": raw.get("why"), "severity": word, "tags": _listed(raw.get("tags"))}
    beside = {key: raw[key] for key in BESIDE if key in raw}
    custom = {"customProperties": [{"property": OURS, "value": beside}]} if beside else {}
    return {**{key: value for key, value in said.items() if value}, **custom}


def _listed(value: Any) -> list[str] | None:
    return [value] if isinstance(value, str) else value


def _reads_back(
    item: dict[str, Any], about: QualitySubject, rule: Rule, raw: dict[str, Any]
) -> bool:
    """Whether importing the entry gives the rule again."""
    try:
        [draft] = drafts_of(item, about)
    except (Unmappable, ValueError):
        return False
    kind = rule.invariant.kind
    wanted = {key: value for key, value in raw.items() if key != kind}
    wanted["table"] = about.table
    if "tags" in wanted:
        wanted["tags"] = _listed(wanted["tags"])
    usual = {"severity": "error", "nulls": "pass"}
    same_keys = {**usual, **draft.keys} == {**usual, **wanted}
    return draft.kind == kind and draft.options == raw[kind] and same_keys


def _ours(rule: Rule, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The rule as it is."""
    why = {"description": raw["why"]} if raw.get("why") else {}
    text = "\n".join(pairs(dict(raw), "")) + "\n"
    return {"name": rule.id, "type": "custom", "engine": OURS, **why, "implementation": text}


def _as_data(one: _Object) -> dict[str, Any]:
    quality = {"quality": one.quality} if one.quality else {}
    columns = [{"name": name, "quality": items} for name, items in one.columns.items()]
    properties = {"properties": columns} if columns else {}
    custom = {"customProperties": [{"property": odcs.SOURCE, "value": one.source}]}
    return {"name": one.name, "physicalName": one.physical, **custom, **quality, **properties}
