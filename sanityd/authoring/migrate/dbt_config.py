"""The configuration of dbt's tests: severity and thresholds, `where`, tags, owner, `enabled`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sanityd.authoring.migrate.foreign_yaml import YamlNode, plain_or_none
from sanityd.authoring.migrate.import_result import FailureUnit, ImportedRule, UnsupportedCheck
from sanityd.authoring.migrate.thresholds import parse_threshold

#: Keys of the configuration, which may also stand beside a test's arguments.
CONFIG_KEYS = {
    "severity",
    "tags",
    "enabled",
    "where",
    "limit",
    "warn_if",
    "error_if",
    "fail_calc",
    "store_failures",
    "store_failures_as",
    "meta",
    "database",
    "schema",
    "alias",
    "group",
    "docs",
    "sql_header",
    "weight",
}
_JINJA = ("{{", "{%", "{#")


@dataclass(frozen=True, slots=True)
class ResourceConfig:
    """What a model, source, table or column says about all of its tests."""

    tags: list[str]
    owner: Any
    is_enabled: bool


def has_jinja(value: Any) -> bool:
    """Tell whether a text in a piece of data has Jinja, which dbt must evaluate."""
    if isinstance(value, dict):
        return any(has_jinja(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(has_jinja(item) for item in value)
    return isinstance(value, str) and any(mark in value for mark in _JINJA)


def read_test_config(body: YamlNode | None) -> dict[str, Any]:
    """Return the configuration of a test, from `config` and from beside it."""
    if body is None or not isinstance(body.value, dict):
        return {}
    config = {key: node.plain() for key, node in body.value.items() if key in CONFIG_KEYS}
    inner = body.get("config")
    if inner is not None:
        config.update(inner.plain_mapping())
    return config


def read_resource_config(node: YamlNode) -> ResourceConfig:
    """Return the configuration of a model, source, table or column."""
    config_node = node.get("config")
    config = {} if config_node is None else config_node.plain_mapping()
    meta = {
        **_mapping_or_empty(plain_or_none(node.get("meta"))),
        **_mapping_or_empty(config.get("meta")),
    }
    tags = [*_names(plain_or_none(node.get("tags"))), *_names(config.get("tags"))]
    return ResourceConfig(tags, meta.get("owner"), config.get("enabled", True) is not False)


def _mapping_or_empty(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def with_config(
    rule: ImportedRule, config: Mapping[str, Any], resources: Sequence[ResourceConfig]
) -> ImportedRule:
    """Return the rule with the configuration of its test.

    Parameters: `resources` are the configurations of its source, model and column, outermost
    first. Raises UnsupportedCheck for what a rule can't express.
    """
    _refuse_unsupported(config)
    tags: dict[str, None] = {}
    for resource in resources:
        tags.update(dict.fromkeys(resource.tags))
    tags.update(dict.fromkeys(_names(config.get("tags"))))
    is_enabled = config.get("enabled", True) is not False
    is_enabled = is_enabled and all(resource.is_enabled for resource in resources)
    severity, note = _read_severity(config, rule.failure_unit)
    condition = config.get("where")
    if condition is not None and rule.kind not in ("query", "columns"):
        rule = rule.with_keys(where=str(condition))
    limit = config.get("limit")
    limit_note = f"`limit: {limit}` is left out: all violations are counted." if limit else ""
    return rule.with_notes(note, limit_note).with_keys(
        severity=severity,
        owner=_find_owner(config, resources),
        tags=list(tags) or None,
        enabled=None if is_enabled else False,
    )


def _refuse_unsupported(config: Mapping[str, Any]) -> None:
    """Raise UnsupportedCheck for a configuration whose meaning the file does not tell."""
    for key in ("where", "severity", "enabled", "warn_if", "error_if"):
        if has_jinja(config.get(key)):
            raise UnsupportedCheck(f"`{key}` is Jinja, which dbt alone can evaluate")
    failures = str(config.get("fail_calc", "count(*)")).replace(" ", "").lower()
    if failures != "count(*)":
        raise UnsupportedCheck("`fail_calc` has no counterpart: a rule counts its violations")


def _read_severity(config: Mapping[str, Any], unit: FailureUnit) -> tuple[Any, str]:
    """Return the severity (None: the default), or counts by severity, and a note."""
    word = str(config.get("severity", "error")).lower()
    if word not in ("error", "warn"):
        raise UnsupportedCheck(f"`severity: {word}` is neither error nor warn")
    warn, error = _first_failing_count(config, "warn_if"), _first_failing_count(config, "error_if")
    if unit is FailureUnit.TABLE and (warn, error) != (1, 1):
        raise UnsupportedCheck(
            "its threshold counts rows, and the rule is about the table as a whole"
        )
    note = ""
    if unit is FailureUnit.VALUES and max(warn, error) > 1:
        note = "The threshold counts distinct values in dbt, rows here."
    if word == "warn":
        return "warning" if warn == 1 else {"warning": warn}, note
    if warn < error:
        return {"warning": warn, "error": error}, note
    return None if error == 1 else {"error": error}, note


def _first_failing_count(config: Mapping[str, Any], key: str) -> int:
    """Return the first count of failures for which `warn_if` or `error_if` holds."""
    condition = config.get(key)
    if condition is None:
        return 1
    passing = parse_threshold(str(condition)).complement()
    first = passing.first_count_above()
    if first is None:
        raise UnsupportedCheck(
            f"`{key}: {condition}` has no counterpart: "
            "rules have a count from which on they are violated"
        )
    return first


def _find_owner(config: Mapping[str, Any], resources: Sequence[ResourceConfig]) -> str | None:
    """Return the owner of the test; else of its column, model or source."""
    owner = _owner_name(_mapping_or_empty(config.get("meta")).get("owner"))
    for resource in reversed(resources):
        owner = owner or _owner_name(resource.owner)
    return owner


def _owner_name(owner: Any) -> str | None:
    if isinstance(owner, dict):
        owner = owner.get("name") or owner.get("email")
    if not isinstance(owner, str) or not owner.strip() or has_jinja(owner):
        return None
    return owner


def _names(value: Any) -> list[str]:
    names = value if isinstance(value, list) else [value]
    return [str(name) for name in names if name is not None and not has_jinja(name)]
