"""Rules that were renamed: what the store knows of them goes on under the new id."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection

from sanityd.model import Resolution
from sanityd.pipeline.recording import close_rule
from sanityd.rules.rule import RuleSet
from sanityd.store import rule_rename, rules_seen


def renames(connection: Connection, rules: RuleSet) -> list[tuple[str, str]]:
    """Return the old and the new id of each rule that the store knows by its old id (`formerly`).

    The ids that it had earlier come last.
    """
    pairs = [(old, rule.id) for rule in rules.rules.values() for old in rule.formerly]
    if not pairs:
        return []
    stored = rules_seen.of_rules(connection, rules.name, [old for old, _ in pairs])
    return [(old, new) for old, new in pairs if old in stored]


def carry_over(connection: Connection, rules: RuleSet, old: str, new: str, at: datetime) -> None:
    """Carry over what the store knows of one rule, inside a write transaction.

    If the rule has run under its new id, that goes on, and what is open under the old one is closed
    as that of a removed rule.
    """
    if rules_seen.meaning(connection, rules.name, new) is not None:
        close_rule(connection, old, Resolution.RULE_REMOVED, at)
    rule_rename.rename(connection, rules.name, old, new)


def suggested_renames(connection: Connection, rules: RuleSet) -> list[tuple[str, str]]:
    """Return the old and the new id of rules that seem to be renamed, without a `formerly`.

    That is where one rule left the file, and one came that means the same. To be asked before the
    rules that left are forgotten.
    """
    left = rules_seen.meanings_of_missing(connection, rules.name, rules.rules)
    stored_ids = set(rules_seen.names(connection, rules.name))
    came: dict[str, list[str]] = {}
    for rule in rules.rules.values():
        if rule.id not in stored_ids and not rule.formerly:
            came.setdefault(rule.meaning, []).append(rule.id)
    return list(_pairs(left, came))


def _pairs(left: dict[str, list[str]], came: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    for meaning, old_ids in left.items():
        new_ids = came.get(meaning, [])
        # Of several it isn't known which is which.
        if len(old_ids) == len(new_ids) == 1:
            yield old_ids[0], new_ids[0]
