"""The entries `quality` of a data contract, as rules: metrics of the standard's library, and SQL.

Also the rules that `sanityd export` wrote for the engine `sanityd`.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sanityd import plugins
from sanityd.authoring.migrate.foreign_yaml import YamlNode
from sanityd.authoring.migrate.import_result import ImportedCheck, ImportedRule, UnsupportedCheck
from sanityd.authoring.migrate.odcs_subject import QualitySubject
from sanityd.authoring.migrate.plain_data import (
    read_mapping,
    read_number,
    read_text,
    single_or_list,
)
from sanityd.authoring.migrate.sql_text import quote_name
from sanityd.authoring.migrate.threshold_rules import (
    Threshold,
    limit_violations,
    query_rules,
    row_count_rules,
)
from sanityd.authoring.migrate.thresholds import ValueRange, range_of_comparison
from sanityd.authoring.migrate.validity import invalid_rules, missing_rules
from sanityd.errors import RuleError
from sanityd.model import Severity
from sanityd.rules.yaml import rules_document

#: The name of the engine, and of the custom property, for what only sanityd reads.
ENGINE = "sanityd"
#: Keys of a rule that do not change which rows violate it. Export and import pass them on in a
#: custom property.
PASSED_KEYS = (
    "owner",
    "key",
    "show",
    "redact",
    "noise",
    "depends_on",
    "fix",
    "enabled",
    "schedule",
    "notify",
    "scan",
    "confirm",
)
_OPERATORS = {
    "mustBe": "=",
    "mustNotBe": "!=",
    "mustBeGreaterThan": ">",
    "mustBeGreaterOrEqualTo": ">=",
    "mustBeLessThan": "<",
    "mustBeLessOrEqualTo": "<=",
}
_RANGES = {"mustBeBetween": False, "mustNotBeBetween": True}
#: The metrics by their names before version 3.1, where the key was `rule`.
_OLD_METRICS = {
    "nullCheck": "nullValues",
    "duplicateCount": "duplicateValues",
    "validValues": "invalidValues",
}
#: Variables of the standard and of datacontract-cli, which takes quotes around them away.
_TABLE_VARIABLES = ("object", "table", "model", "schema")
_VARIABLE = re.compile(
    r"(?P<quote>[\"'`]?)\$?\{\{?\s*"
    r"(?P<name>object|table|model|schema|property|column|field)"
    r"\s*\}?\}(?P=quote)"
)
_UNKNOWN_VARIABLE = re.compile(r"\$\{|\{\w+\}")

#: Rules, and a note about NULL, which the standard leaves open.
_RulesAndNote = tuple[list[ImportedRule], str]


def quality_check(node: YamlNode, subject: QualitySubject) -> ImportedCheck:
    """Return an entry `quality` with its rules."""
    entry = node.plain()
    name = f"{_entry_name(entry)} on {subject}"
    try:
        return ImportedCheck(node.location, name, tuple(quality_rules(entry, subject)))
    except UnsupportedCheck as error:
        return ImportedCheck(node.location, name, reason=str(error))


def _entry_name(entry: Any) -> str:
    if not isinstance(entry, dict):
        return "quality"
    word = entry.get("metric") or entry.get("rule") or entry.get("type") or "quality"
    if entry.get("name"):
        return f"{word} ({entry['name']})"
    return str(word)


def quality_rules(entry: Any, subject: QualitySubject) -> list[ImportedRule]:
    """Return the rules of an entry `quality`. Raises UnsupportedCheck."""
    if not isinstance(entry, dict):
        raise UnsupportedCheck("it is no mapping")
    match entry.get("type") or "library":
        case "text":
            raise UnsupportedCheck("it is text for people")
        case "custom":
            return [_custom_rule(entry, subject)]
        case "sql":
            rules = _sql_rules(entry, subject)
        case "library":
            rules = _library_rules(entry, subject)
        case entry_type:
            raise UnsupportedCheck(f"the type `{entry_type}` is not known")
    return [
        _with_entry_keys(rule, entry, subject).with_custom_title(read_text(entry, "name"), index)
        for index, rule in enumerate(rules)
    ]


def _read_threshold(entry: Mapping[str, Any]) -> Threshold:
    """Return the threshold of an entry. Raises UnsupportedCheck without an operator."""
    for word, operator in _OPERATORS.items():
        if word in entry:
            value = entry[word]
            number = int(value) if isinstance(value, bool) else read_number(value)
            return Threshold(range_of_comparison(operator, number))
    for word, outside in _RANGES.items():
        bounds = entry.get(word)
        if isinstance(bounds, list) and len(bounds) == 2:
            low, high = read_number(bounds[0]), read_number(bounds[1])
            return Threshold(ValueRange(low, high, outside=outside))
    raise UnsupportedCheck("it has no operator such as `mustBe`")


def _library_rules(entry: Mapping[str, Any], subject: QualitySubject) -> list[ImportedRule]:
    """Return the rules of a metric of the standard's library."""
    old_name = entry.get("rule")
    metric = str(entry.get("metric") or _OLD_METRICS.get(str(old_name), old_name))
    threshold, is_percentage = _read_threshold(entry), entry.get("unit") == "percent"
    if metric == "rowCount":
        if is_percentage:
            raise UnsupportedCheck("of which number the rows are a share is not said")
        return row_count_rules(subject.short_name, [threshold])
    rules, null_note = _violation_rules(metric, entry, subject)
    if not subject.is_exported:
        rules = [rule.with_notes(null_note) for rule in rules]
    return limit_violations(rules, [threshold], percent=is_percentage)


def _violation_rules(
    metric: str, entry: Mapping[str, Any], subject: QualitySubject
) -> _RulesAndNote:
    """Return the rules whose violations a metric counts."""
    arguments = read_mapping(entry, "arguments")
    if metric == "duplicateValues":
        return _duplicate_values(arguments, subject)
    if metric not in ("nullValues", "missingValues", "invalidValues"):
        raise UnsupportedCheck(f"the metric `{metric}` has no counterpart")
    if not subject.column:
        raise UnsupportedCheck(f"`{metric}` needs a column")
    if metric == "nullValues":
        return [ImportedRule(subject.title("is never null"), "not_null", subject.column)], ""
    if metric == "missingValues":
        return _missing_values(arguments, subject)
    return _invalid_values(arguments, entry, subject)


def _duplicate_values(arguments: Mapping[str, Any], subject: QualitySubject) -> _RulesAndNote:
    names = arguments.get("properties")
    if not names and subject.column:
        names = [subject.column]
    if not isinstance(names, list) or not names:
        raise UnsupportedCheck("it names no columns")
    columns = [subject.physical_names.get(str(name), str(name)) for name in names]
    title = f"{' and '.join(columns)} of {subject.short_name} is unique"
    rule = ImportedRule(title, "unique", single_or_list(columns))
    return [rule], "A NULL is no duplicate here; the standard leaves it open."


def _missing_values(arguments: Mapping[str, Any], subject: QualitySubject) -> _RulesAndNote:
    missing = arguments.get("missingValues")
    if not isinstance(missing, list):
        missing = []
    settings = {"missing values": [value for value in missing if value is not None]}
    rules = missing_rules(subject.column, subject.short_name, settings)
    if None in missing:
        return rules, ""
    return rules, "A NULL is missing here, too; the standard leaves it open."


def _invalid_values(
    arguments: Mapping[str, Any], entry: Mapping[str, Any], subject: QualitySubject
) -> _RulesAndNote:
    # In an old form, which the standard's own examples use, too, there is no `arguments`.
    valid_values = arguments.get("validValues", entry.get("validValues"))
    pattern = arguments.get("pattern", entry.get("pattern"))
    null_note = "A NULL is not invalid here; the standard leaves it open."
    if isinstance(valid_values, list) and None in valid_values:
        valid_values = [value for value in valid_values if value is not None]
        if not valid_values:
            raise UnsupportedCheck("it takes no value but NULL")
        null_note = "`null` is valid: a NULL passes."
    settings = {"valid values": valid_values, "valid regex": pattern}
    return invalid_rules(subject.column, subject.short_name, settings), null_note


def _sql_rules(entry: Mapping[str, Any], subject: QualitySubject) -> list[ImportedRule]:
    """Return the rules of a query that returns one number."""

    def name_of(match: re.Match[str]) -> str:
        if match["name"] in _TABLE_VARIABLES:
            return subject.sql
        if not subject.column:
            raise UnsupportedCheck("its query names a column, and it stands at the table")
        return quote_name(subject.column)

    query = _VARIABLE.sub(name_of, str(entry.get("query") or ""))
    if not query.strip():
        raise UnsupportedCheck("it has no query")
    if _UNKNOWN_VARIABLE.search(query):
        raise UnsupportedCheck("its query has a variable that is not in the file")
    title = str(entry.get("name") or f"query on {subject}")
    return query_rules(query, title, [_read_threshold(entry)], subject.source)


def _custom_rule(entry: Mapping[str, Any], subject: QualitySubject) -> ImportedRule:
    """Return a rule that `sanityd export` wrote. Raises UnsupportedCheck for other engines."""
    _check_engine(str(entry.get("engine")))
    try:
        document = rules_document.parse_text(
            str(entry.get("implementation")), Path("implementation")
        )
    except RuleError as error:
        raise UnsupportedCheck(f"its implementation can't be read: {error.message}") from None
    known_kinds = plugins.kind_names("checks")
    kinds = [key for key in document.data if key in known_kinds]
    if document.problems or len(kinds) != 1:
        raise UnsupportedCheck("its implementation is no rule of sanityd")
    [kind] = kinds
    keys = {key: value for key, value in document.data.items() if key != kind}
    title = str(entry.get("name") or f"{kind} of {subject}")
    return subject.with_table(ImportedRule(title, kind, document.data[kind], keys))


def _check_engine(engine: str) -> None:
    """Raise UnsupportedCheck for an engine other than sanityd."""
    if engine in ("soda", "dbt"):
        raise UnsupportedCheck(
            f"it is for {engine}, whose own files `sanityd import {engine}` reads"
        )
    if engine != ENGINE:
        raise UnsupportedCheck(f"it is for {engine}")


def _with_entry_keys(
    rule: ImportedRule, entry: Mapping[str, Any], subject: QualitySubject
) -> ImportedRule:
    """Return the rule with the keys that any entry can have, such as `tags`."""
    severity_word = str(entry.get("severity") or "").lower()
    is_known_severity = severity_word.upper() in Severity.__members__
    if severity_word and not is_known_severity:
        rule = rule.with_notes(f"Its severity is `{severity_word}`.")
    keys = dict(rule.keys)
    severity = keys.pop("severity", None)
    if is_known_severity:
        severity = _renamed_severity(severity_word, severity)
    rule = replace(rule, keys=keys).with_keys(
        severity=severity, tags=_read_tags(entry), **_read_other_keys(entry)
    )
    why = entry.get("description") or entry.get("businessImpact")
    return subject.with_table(rule).with_keys(why=str(why) if why else None)


def _renamed_severity(word: str, severity: Any) -> Any:
    """Return a severity with the entry's word; a count or share of violations stays."""
    if isinstance(severity, dict):
        [start] = severity.values()
        return {word: start}
    return word


def _read_tags(entry: Mapping[str, Any]) -> list[Any] | None:
    tags = entry.get("tags")
    if not isinstance(tags, list) or not tags:
        return None
    return tags


def _read_other_keys(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schedule of an entry, and the keys that `sanityd export` passed on."""
    keys: dict[str, Any] = {}
    if entry.get("scheduler") in (None, "cron"):
        keys["schedule"] = entry.get("schedule")
    passed = _read_passed_keys(entry)
    for key in PASSED_KEYS:
        if key in passed:
            keys[key] = passed[key]
    return keys


def _read_passed_keys(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of the first custom property for sanityd; empty without one."""
    properties = entry.get("customProperties")
    if not isinstance(properties, list):
        return {}
    for item in properties:
        if isinstance(item, dict) and item.get("property") == ENGINE:
            value = item.get("value")
            return value if isinstance(value, dict) else {}
    return {}
