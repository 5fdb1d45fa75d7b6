"""Choosing the `key` of rules about rows, for tables that have no primary key.

Rules about rows need a key, and tables in warehouses often have none. The column is one that the
other tool itself checks to be unique.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sanityd import plugins
from sanityd.authoring.migrate.import_result import ImportedCheck, ImportedRule
from sanityd.authoring.migrate.query_key import KEY_NAME
from sanityd.checks.base import RowCheck

_NOTE = (
    "`key` is a column that was checked to be unique. Its values stand in mails: "
    "say another where that won't do."
)


def add_row_keys(checks: Sequence[ImportedCheck]) -> list[ImportedCheck]:
    """Return the checks, with a `key` in each rule about rows of a table that has a unique key."""
    keys = _keys_by_table(checks)
    return [
        replace(check, rules=tuple(_with_key(rule, keys) for rule in check.rules))
        for check in checks
    ]


def row_key_notes(checks: Iterable[ImportedCheck]) -> tuple[str, ...]:
    """Return the notes about the keys that `add_row_keys` chose."""
    for rule in _rules_of(checks):
        if "key" in rule.keys and rule.kind != "query":
            return (_NOTE,)
    return ()


def _rules_of(checks: Iterable[ImportedCheck]) -> Iterator[ImportedRule]:
    for check in checks:
        yield from check.rules


def _keys_by_table(checks: Iterable[ImportedCheck]) -> dict[str, str]:
    """Return the first unique column of each table that is named like a key.

    Columns with other names may hold personal data, which must not leave the database.
    """
    keys: dict[str, str] = {}
    for rule in _rules_of(checks):
        if rule.kind != "unique" or not _covers_all_rows(rule):
            continue
        column = rule.options
        if isinstance(column, str) and KEY_NAME.fullmatch(column):
            keys.setdefault(_table_of(rule), column)
    return keys


def _table_of(rule: ImportedRule) -> str:
    return str(rule.keys.get("table"))


def _covers_all_rows(rule: ImportedRule) -> bool:
    """Tell whether a rule is about all rows, and allows no violation."""
    return "where" not in rule.keys and not isinstance(rule.keys.get("severity"), dict)


def _with_key(rule: ImportedRule, keys: dict[str, str]) -> ImportedRule:
    key = keys.get(_table_of(rule))
    if key is None or "key" in rule.keys or not _is_about_rows(rule.kind):
        return rule
    return rule.with_keys(key=key)


def _is_about_rows(kind: str) -> bool:
    check = plugins.load_kind("checks", kind)
    return issubclass(check, RowCheck) or bool(getattr(check, "needs_key", False))
