"""Rules for the thresholds of Soda and data contracts: warn at one, fail at another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sanityd.authoring.migrate.import_result import ImportedRule, UnsupportedCheck
from sanityd.authoring.migrate.thresholds import (
    ValueRange,
    aggregate_options,
    row_count_check,
    scalar_query,
)

_VIOLATIONS_REQUIRED = (
    "its threshold asks for rows that are wrong: sanityd counts those that break the rule"
)
_ROUNDED = "Soda rounds the share to two decimals, sanityd compares it exactly."


@dataclass(frozen=True, slots=True)
class Threshold:
    """The allowed values, and the severity of all others (None: the default severity)."""

    allowed: ValueRange
    severity: str | None = None

    @property
    def keys(self) -> dict[str, Any]:
        """The rule's key `severity`, where there is one."""
        return severity_keys(self.severity)

    def title(self, words: str) -> str:
        """Return the title of the rule for this threshold."""
        if self.severity:
            return f"{words} or warns"
        return words


def severity_keys(severity: str | None) -> dict[str, Any]:
    """Return the rule's key `severity`; no key for the default severity."""
    if severity:
        return {"severity": severity}
    return {}


def limit_violations(
    rules: list[ImportedRule],
    thresholds: Sequence[Threshold],
    *,
    percent: bool,
    rounded: bool = False,
) -> list[ImportedRule]:
    """Return the rules with the number of violations from which on they fail, as `severity`.

    Parameters: with `percent` the thresholds are shares of the rows; with `rounded` the other tool
    rounds them. Raises UnsupportedCheck for thresholds that a rule can't have.
    """
    ladder, notes = _read_ladder(thresholds, percent=percent)
    if len(rules) > 1 and any(start != 1 for start in ladder.values()):
        raise UnsupportedCheck(
            "several conditions share one threshold: each is a rule of its own here"
        )
    if any(isinstance(start, str) for start in ladder.values()):
        if any(rule.kind == "unique" for rule in rules):
            raise UnsupportedCheck(
                "a share of duplicates is one of values there, and one of rows here"
            )
        if rounded:
            notes.append(_ROUNDED)
    severity = _simplest_severity(ladder)
    return [rule.with_notes(*notes).with_keys(severity=severity) for rule in rules]


def _read_ladder(
    thresholds: Sequence[Threshold], *, percent: bool
) -> tuple[dict[str, int | str], list[str]]:
    """Return the count or share from which on each severity begins, warnings first, and notes."""
    warnings = [threshold for threshold in thresholds if threshold.severity == "warning"]
    errors = [threshold for threshold in thresholds if threshold.severity != "warning"]
    ladder: dict[str, int | str] = {}
    notes: list[str] = []
    for threshold in (*warnings, *errors):
        start, note = _first_violation(_open_upwards(threshold, thresholds), percent=percent)
        ladder[threshold.severity or "error"] = start
        notes.append(note)
    _drop_needless_warning(ladder)
    return ladder, notes


def _drop_needless_warning(ladder: dict[str, int | str]) -> None:
    """Remove the warning from a ladder where the error begins at the same count, or earlier."""
    warning, error = ladder.get("warning"), ladder.get("error")
    if warning is None or error is None:
        return
    is_needless = warning == error
    if isinstance(warning, int) and isinstance(error, int):
        is_needless = warning >= error
    if is_needless:
        del ladder["warning"]


def _simplest_severity(ladder: dict[str, int | str]) -> Any:
    """Return the severity of a rule; None where every violation is an error, as is the default."""
    match list(ladder.items()):
        case [("error", 1)]:
            return None
        case [(severity, 1)]:
            return severity
    return ladder


def _open_upwards(threshold: Threshold, thresholds: Sequence[Threshold]) -> ValueRange:
    """Return the allowed values of a threshold, without those that another threshold forbids.

    `warn: when between 1 and 10` beside `fail: when > 10` warns from 1 on: what is above 10 is
    not allowed, but worse.
    """
    allowed = threshold.allowed
    forbidden = allowed.complement()
    if not allowed.outside or forbidden.high is None:
        return allowed
    for other in thresholds:
        if other is threshold or other.allowed.high is None:
            continue
        if other.allowed.high <= forbidden.high:
            return ValueRange(high=forbidden.low, high_open=not forbidden.low_open)
    return allowed


def _first_violation(allowed: ValueRange, *, percent: bool) -> tuple[int | str, str]:
    """Return the count or share of violations from which on a rule fails, and a note."""
    if not percent:
        first = allowed.first_count_above()
        if first is None:
            raise UnsupportedCheck(_VIOLATIONS_REQUIRED)
        return first, ""
    if allowed.outside or allowed.high is None or allowed.low not in (None, 0):
        raise UnsupportedCheck(_VIOLATIONS_REQUIRED)
    if allowed.high == 0:
        return 1, ""
    share = f"{allowed.high}%"
    if allowed.high_open:
        return share, ""
    return share, f"Exactly {allowed.high} % is too much here, and not yet there."


def measure_rules(
    expression: str, title: str, thresholds: Sequence[Threshold]
) -> list[ImportedRule]:
    """Return a rule for each threshold on an aggregate of the whole table. A NULL passes."""
    rules = []
    for threshold in thresholds:
        options = aggregate_options(expression, threshold.allowed)
        rule = ImportedRule(threshold.title(title), "aggregate", options, threshold.keys)
        rules.append(rule)
    return rules


def row_count_rules(table: str, thresholds: Sequence[Threshold]) -> list[ImportedRule]:
    """Return a rule for each threshold on the number of rows."""
    rules = []
    for threshold in thresholds:
        kind, options = row_count_check(threshold.allowed)
        title = threshold.title(f"{table} has a right number of rows")
        rules.append(ImportedRule(title, kind, options, threshold.keys))
    return rules


def query_rules(
    query: str, title: str, thresholds: Sequence[Threshold], source: str
) -> list[ImportedRule]:
    """Return a rule for each threshold on the only value that a query returns."""
    rules = []
    for threshold in thresholds:
        sql = scalar_query(query, threshold.allowed)
        keys = {"source": source, "key": "what", **threshold.keys}
        rules.append(ImportedRule(threshold.title(title), "query", sql, keys))
    return rules


def freshness_rules(
    column: str, table: str, limits: Sequence[tuple[str, str | None]]
) -> list[ImportedRule]:
    """Return a rule for each greatest age of the newest row.

    Parameters: `limits` are durations such as `1d6h`, with the severity of older rows. A table
    without rows violates the rule, in the other tool as in sanityd.
    """
    note = "Rows from the future hide nothing here, and violate."
    rules = []
    for age, severity in limits:
        keys = severity_keys(severity)
        title = f"{table} is younger than {age}"
        rules.append(ImportedRule(title, "fresh", {column: age}, keys, (note,)))
    return rules
