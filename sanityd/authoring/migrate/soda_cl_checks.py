"""The checks of SodaCL as rules."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sanityd.authoring.migrate.import_result import ImportedRule, UnsupportedCheck
from sanityd.authoring.migrate.plain_data import single_or_list
from sanityd.authoring.migrate.query_key import KEY_CHOSEN_NOTE, key_columns
from sanityd.authoring.migrate.soda_settings import (
    TYPE_FAMILIES_NOTE,
    read_duration,
    type_family,
)
from sanityd.authoring.migrate.sql_text import any_not_null, quote_name, strip_semicolon
from sanityd.authoring.migrate.threshold_rules import (
    Threshold,
    freshness_rules,
    limit_violations,
    measure_rules,
    query_rules,
    row_count_rules,
    severity_keys,
)
from sanityd.authoring.migrate.thresholds import NO_VIOLATIONS, parse_threshold
from sanityd.authoring.migrate.validity import invalid_rules, missing_rules

_METRIC = re.compile(
    r"(?P<metric>[A-Za-z_]\w*)\s*(?:\((?P<arguments>[^)]*)\))?"
    r"\s*(?P<threshold>(?:[<>=!]|between|not between).*)?"
)
_REFERENCE = re.compile(
    r"values in \(?(?P<columns>[^)]+?)\)? must (?P<not>not )?exist "
    r"in (?P<table>\S+) \(?(?P<other_columns>[^)]+?)\)?",
    re.IGNORECASE,
)
_SAME_ROW_COUNT = re.compile(r"row_count same as (?P<table>\S+)(?: in (?P<source>\S+))?")
_OLD_FRESHNESS = re.compile(r"freshness using (?P<column>\S+)(?P<rest>.*)")
_UNSUPPORTED = ("anomaly", "change", "distribution", "group", "percentile", "correlation")
_SQL_OF_METRIC = {
    "avg": "avg({})",
    "sum": "sum({})",
    "min": "min({})",
    "max": "max({})",
    "stddev_pop": "stddev_pop({})",
    "stddev_samp": "stddev_samp({})",
    "var_pop": "var_pop({})",
    "var_samp": "var_samp({})",
    "stddev": "stddev_samp({})",
    "variance": "var_samp({})",
    "avg_length": "avg(length({}))",
    "min_length": "min(length({}))",
    "max_length": "max(length({}))",
}
_VALIDITY_SETTING = re.compile(r"(in)?valid .+|missing .+|include null")
#: Settings of a check that do not change what it checks.
_OTHER_SETTINGS = {
    "name",
    "attributes",
    "samples limit",
    "samples columns",
    "identity",
    "filter",
    "warn",
    "fail",
}
#: The keys of thresholds in a check's settings, and their severities here.
_LEVELS: dict[str, str | None] = {"fail": None, "warn": "warning"}


@dataclass(frozen=True, slots=True)
class CheckedTable:
    """The table of a section, and the settings of its columns."""

    name: str
    source: str
    settings: dict[str, dict[str, Any]]

    @property
    def short_name(self) -> str:
        """The name without source and schema."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class _Metric:
    """A check such as `missing_count(a) < 5`, with its settings."""

    name: str
    arguments: list[str]
    threshold: str | None
    body: dict[str, Any]

    def validity_settings(self, table: CheckedTable) -> dict[str, Any]:
        """Return what counts as missing and as valid: of the column, overridden by the check."""
        settings: dict[str, Any] = {}
        if self.arguments:
            settings.update(table.settings.get(self.arguments[0], {}))
        own = {key: value for key, value in self.body.items() if _VALIDITY_SETTING.fullmatch(key)}
        return {**settings, **own}


def rules_of_check(words: str, body: dict[str, Any], table: CheckedTable) -> list[ImportedRule]:
    """Return the rules of a check, without those keys that all checks can have.

    Parameters: `words` is the line of the check, `body` its settings. Raises UnsupportedCheck.
    """
    lower = words.lower()
    if lower == "schema":
        return list(_schema(body, table))
    if lower == "failed rows":
        return _failed_rows(body, table)
    if match := _REFERENCE.fullmatch(words):
        return [_reference(match, table)]
    if match := _SAME_ROW_COUNT.fullmatch(words):
        return [_same_row_count(match, table)]
    if match := _OLD_FRESHNESS.fullmatch(words):
        words = f"freshness({match['column']}){match['rest']}"
    match = _METRIC.fullmatch(words)
    if match is None or lower.startswith(_UNSUPPORTED):
        raise UnsupportedCheck("it has no counterpart")
    arguments = _split_names(match["arguments"] or "")
    metric = _Metric(match["metric"], arguments, match["threshold"], body)
    if metric.name == "freshness":
        return _freshness(metric, table)
    return _metric(metric, table)


def _split_names(text: str) -> list[str]:
    """Return names that are separated by commas, without quotes."""
    return [part.strip().strip('"') for part in text.split(",") if part.strip()]


def _same_row_count(match: re.Match[str], table: CheckedTable) -> ImportedRule:
    if match["source"]:
        raise UnsupportedCheck(
            "it compares with another data source: "
            "write `row_count: {equals: SOURCE.TABLE}` yourself"
        )
    title = f"{table.short_name} has as many rows as {match['table']}"
    return ImportedRule(title, "row_count", {"equals": f"{table.source}.{match['table']}"})


def _read_thresholds(threshold: str | None, body: dict[str, Any]) -> list[Threshold]:
    """Return the thresholds of a check: its own, or those from which on it fails and warns."""
    if threshold:
        return [Threshold(parse_threshold(threshold))]
    thresholds = []
    for level, severity in _LEVELS.items():
        text = body.get(level)
        if text is None:
            continue
        if not isinstance(text, str):
            raise UnsupportedCheck(f"`{level}` is no threshold")
        forbidden = parse_threshold(text.strip().removeprefix("when "))
        thresholds.append(Threshold(forbidden.complement(), severity))
    if not thresholds:
        raise UnsupportedCheck("it has no threshold")
    return thresholds


def _metric(metric: _Metric, table: CheckedTable) -> list[ImportedRule]:
    query = metric.body.get(f"{metric.name} query")
    if query:
        thresholds = _read_thresholds(metric.threshold, metric.body)
        return query_rules(str(query), metric.name, thresholds, table.source)
    expression = metric.body.get(f"{metric.name} expression")
    if expression:
        thresholds = _read_thresholds(metric.threshold, metric.body)
        title = f"{metric.name} of {table.short_name}"
        return measure_rules(str(expression).strip(), title, thresholds)
    _refuse_unknown_settings(metric)
    thresholds = _read_thresholds(metric.threshold, metric.body)
    if metric.name == "row_count":
        return row_count_rules(table.short_name, thresholds)
    violation, _, unit = metric.name.rpartition("_")
    if violation in ("missing", "invalid", "duplicate") and unit in ("count", "percent"):
        rules = _violation_rules(violation, metric, table)
        return limit_violations(rules, thresholds, percent=unit == "percent", rounded=True)
    if metric.name in _SQL_OF_METRIC and len(metric.arguments) == 1:
        return _aggregate(metric, thresholds, table)
    raise UnsupportedCheck(f"the metric `{metric.name}` has no counterpart")


def _refuse_unknown_settings(metric: _Metric) -> None:
    """Raise UnsupportedCheck for a setting that the import does not know."""
    for key in metric.body:
        if key not in _OTHER_SETTINGS and not _VALIDITY_SETTING.fullmatch(key):
            raise UnsupportedCheck(f"`{key}` of `{metric.name}` has no counterpart")


def _violation_rules(violation: str, metric: _Metric, table: CheckedTable) -> list[ImportedRule]:
    """Return the rules whose violations a metric counts, such as `missing_count`."""
    columns = metric.arguments
    if not columns:
        raise UnsupportedCheck("it names no column")
    if violation == "duplicate":
        title = f"{' and '.join(columns)} of {table.short_name} is unique"
        return [ImportedRule(title, "unique", single_or_list(columns))]
    if len(columns) > 1:
        raise UnsupportedCheck("it names several columns")
    settings = metric.validity_settings(table)
    if violation == "missing":
        return missing_rules(columns[0], table.short_name, settings)
    return invalid_rules(columns[0], table.short_name, settings)


def _aggregate(
    metric: _Metric, thresholds: list[Threshold], table: CheckedTable
) -> list[ImportedRule]:
    if metric.validity_settings(table):
        raise UnsupportedCheck(
            "conditions on valid values narrow what is measured, which has no counterpart"
        )
    [column] = metric.arguments
    words = metric.name.replace("_", " ")
    title = f"{words} of {column} of {table.short_name} is right"
    expression = _SQL_OF_METRIC[metric.name].format(quote_name(column))
    return measure_rules(expression, title, thresholds)


def _freshness(metric: _Metric, table: CheckedTable) -> list[ImportedRule]:
    if len(metric.arguments) != 1:
        raise UnsupportedCheck("it is compared with a variable, whose value is not in the file")
    limits: list[tuple[str, str | None]] = []
    if metric.threshold:
        if not metric.threshold.startswith("<"):
            raise UnsupportedCheck(f"`{metric.threshold}` asks for old rows")
        limits.append((read_duration(metric.threshold.lstrip("<= ")), None))
    for level, severity in _LEVELS.items():
        condition = metric.body.get(level)
        if not condition:
            continue
        text = str(condition)
        if not text.startswith("when >"):
            raise UnsupportedCheck(f"`{text}` asks for old rows")
        age = read_duration(text.removeprefix("when >").lstrip("= "))
        limits.append((age, severity))
    if not limits:
        raise UnsupportedCheck("it has no threshold")
    return freshness_rules(metric.arguments[0], table.short_name, limits)


def _reference(match: re.Match[str], table: CheckedTable) -> ImportedRule:
    columns = [part.strip() for part in match["columns"].split(",")]
    other_columns = [part.strip() for part in match["other_columns"].split(",")]
    if len(columns) != len(other_columns):
        raise UnsupportedCheck("it names more columns on one side than on the other")
    other_table = f"{table.source}.{match['table']}"
    other_short_name = match["table"].rpartition(".")[2]
    pairs = dict(zip(columns, other_columns, strict=True))
    if match["not"]:
        if len(columns) > 1:
            raise UnsupportedCheck("several columns that must not exist have no counterpart")
        title = f"{columns[0]} of {table.short_name} is not in {other_short_name}"
        return ImportedRule(title, "has", {"in": other_table, "on": pairs, "count": "none"})
    title = f"{' and '.join(columns)} of {table.short_name} exists in {other_short_name}"
    options = {column: f"{other_table}.{other}" for column, other in pairs.items()}
    rule = ImportedRule(title, "references", options)
    if len(columns) == 1:
        return rule
    rule = rule.with_notes("A NULL beside a value violates, as in Soda; nothing but NULLs passes.")
    return rule.with_keys(nulls="fail", where=any_not_null(columns))


def _failed_rows(body: dict[str, Any], table: CheckedTable) -> list[ImportedRule]:
    for key in body:
        if key not in ("fail condition", "fail query") and key not in _OTHER_SETTINGS:
            raise UnsupportedCheck(f"`{key}` of `failed rows` has no counterpart")
    thresholds = [Threshold(NO_VIOLATIONS)]
    if body.get("fail") or body.get("warn"):
        thresholds = _read_thresholds(None, body)
    condition = body.get("fail condition")
    if condition:
        text = str(condition).strip()
        rule = ImportedRule(f"{table.short_name} never {text}"[:80], "never", text)
    else:
        rule = _failed_rows_query(body, table)
    return limit_violations([rule], thresholds, percent=False)


def _failed_rows_query(body: dict[str, Any], table: CheckedTable) -> ImportedRule:
    sql = strip_semicolon(str(body.get("fail query") or ""))
    if not sql:
        raise UnsupportedCheck("it has neither `fail condition` nor `fail query`")
    title = f"{table.short_name or 'the database'} has no failed rows"
    keys = {"source": table.source, "key": key_columns(sql)}
    return ImportedRule(title, "query", sql, keys, (KEY_CHOSEN_NOTE,))


def _schema(body: dict[str, Any], table: CheckedTable) -> Iterator[ImportedRule]:
    if not isinstance(body.get("fail"), dict) and not isinstance(body.get("warn"), dict):
        raise UnsupportedCheck("it has neither `fail` nor `warn`")
    for level, severity in _LEVELS.items():
        conditions = body.get(level)
        if not isinstance(conditions, dict):
            continue
        title = f"{table.short_name} has its columns"
        if severity:
            title = f"{title} or warns"
        options, keys = _schema_options(conditions), severity_keys(severity)
        yield ImportedRule(title, "columns", options, keys, (TYPE_FAMILIES_NOTE,))


def _schema_options(conditions: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a `columns` rule."""
    types: dict[str, str] = {}
    for condition, value in conditions.items():
        if condition == "when required column missing" and isinstance(value, list):
            types = {**dict.fromkeys([str(name) for name in value], "any"), **types}
        elif condition in ("when wrong column type", "when mismatching columns") and isinstance(
            value, dict
        ):
            for name, column_type in value.items():
                types[name] = type_family(column_type)
        else:
            raise UnsupportedCheck(f"`{condition}` has no counterpart")
    if "when mismatching columns" in conditions:
        return {"columns": types, "extra": "fail"}
    return types
