"""The settings of checks in Soda 4's contracts: thresholds, ages, missing and valid values."""

from collections.abc import Mapping
from typing import Any

from sanityd.authoring.migrate.foreign_yaml import YamlNode
from sanityd.authoring.migrate.import_result import UnsupportedCheck
from sanityd.authoring.migrate.plain_data import (
    read_mapping,
    read_number,
    read_optional_number,
)
from sanityd.authoring.migrate.threshold_rules import Threshold
from sanityd.authoring.migrate.thresholds import (
    NO_VIOLATIONS,
    ValueRange,
    range_of_comparison,
)

_OPERATORS = {
    "must_be": "=",
    "must_not_be": "!=",
    "must_be_greater_than": ">",
    "must_be_greater_than_or_equal": ">=",
    "must_be_less_than": "<",
    "must_be_less_than_or_equal": "<=",
}
_RANGES = {"must_be_between": False, "must_be_not_between": True}
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
VALIDITY_SETTINGS = {
    "missing_values",
    "missing_format",
    "valid_values",
    "invalid_values",
    "valid_format",
    "invalid_format",
    "valid_length",
    "valid_min_length",
    "valid_max_length",
    "valid_min",
    "valid_max",
    "valid_reference_data",
}


def read_thresholds(threshold: Mapping[str, Any]) -> list[Threshold]:
    """Return the thresholds of a check: `threshold`, and `additional` below it."""
    parts = (threshold, read_mapping(threshold, "additional"))
    thresholds = [_read_threshold(part) for part in parts]
    return [threshold for threshold in thresholds if threshold is not None]


def is_percentage(threshold: Mapping[str, Any]) -> bool:
    """Tell whether a threshold is a share of the rows."""
    return threshold.get("metric") == "percent"


def _read_threshold(part: Mapping[str, Any]) -> Threshold | None:
    severity = "warning" if part.get("level") == "warn" else None
    for word, operator in _OPERATORS.items():
        if word in part:
            return Threshold(range_of_comparison(operator, read_number(part[word])), severity)
    for word, outside in _RANGES.items():
        bounds = part.get(word)
        if isinstance(bounds, dict):
            return Threshold(_read_range(bounds, outside=outside), severity)
    if severity:
        return Threshold(NO_VIOLATIONS, severity)
    return None


def _read_range(bounds: Mapping[str, Any], *, outside: bool) -> ValueRange:
    low = bounds.get("greater_than", bounds.get("greater_than_or_equal"))
    high = bounds.get("less_than", bounds.get("less_than_or_equal"))
    return ValueRange(
        read_optional_number(low),
        read_optional_number(high),
        low_open="greater_than" in bounds,
        high_open="less_than" in bounds,
        outside=outside,
    )


def read_max_ages(threshold: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Return the greatest ages of the newest row as durations, each with a severity.

    Raises UnsupportedCheck for a threshold that is not a greatest age.
    """
    unit = _SECONDS.get(str(threshold.get("unit", "hour")))
    without_unit = {key: value for key, value in threshold.items() if key != "unit"}
    thresholds = read_thresholds(without_unit)
    if unit is None or not thresholds:
        raise _not_an_age()
    limits: list[tuple[str, str | None]] = []
    for level in thresholds:
        if level.allowed.high is None or level.allowed.low is not None:
            raise _not_an_age()
        seconds = round(float(level.allowed.high) * unit)
        limits.append((_duration(seconds), level.severity))
    return limits


def _not_an_age() -> UnsupportedCheck:
    return UnsupportedCheck("`fresh` knows only the greatest age that the newest row may have")


def _duration(seconds: int) -> str:
    """Return a duration in the largest unit in which it is whole."""
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def read_validity(body: Mapping[str, Any], column: YamlNode | None) -> dict[str, Any]:
    """Return what counts as missing and as valid, with the names that SodaCL has for it.

    What a check says about missing values replaces all that its column says about them; the same
    for valid values.
    """
    settings: dict[str, Any] = {}
    for subject in ("missing", "valid"):
        own = {key: value for key, value in body.items() if _is_about(key, subject)}
        if not own and column is not None:
            nodes = {key: node for key, node in column.value.items() if _is_about(key, subject)}
            own = {key: node.plain() for key, node in nodes.items()}
        settings |= own
    return _with_soda_cl_names(settings)


def _with_soda_cl_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    named = {key.replace("_", " "): value for key, value in settings.items()}
    missing_format = named.pop("missing format", None)
    if isinstance(missing_format, dict) and missing_format.get("regex"):
        named["missing regex"] = missing_format["regex"]
    return named


def _is_about(setting: str, subject: str) -> bool:
    return setting in VALIDITY_SETTINGS and subject in setting
