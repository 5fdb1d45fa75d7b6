"""Which key of a rule is its check, or what is wrong instead."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sanityd import plugins
from sanityd.errors import Problem
from sanityd.rules import misplaced_keys, recovery, validation_errors
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document


@dataclass(frozen=True, slots=True)
class CheckKey:
    """The key of a rule that is its check, and the kind of that check: they differ if misspelt."""

    key: str
    kind: str


def select_check(
    document: Document, name: str, raw: Mapping[str, Any], kinds: Collection[str]
) -> CheckKey | Problem | None:
    """Return the key of the rule's check, or what is wrong with the choice of it.

    None says that there is no check, and that the reason is reported as a problem of something
    else. Parameters: `kinds` are all check kinds.
    """
    check_keys = [key for key in raw if key in kinds]
    rule_path: KeyPath = ("rules", name)
    if len(check_keys) == 1:
        return CheckKey(check_keys[0], check_keys[0])
    if check_keys:
        return _several_checks(document, rule_path, check_keys, raw)
    has_only_known_keys = raw.keys() <= misplaced_keys.rule_keys()
    if (
        has_only_known_keys
        and not document.problems
        and not misplaced_keys.loses_keys(document, name)
    ):
        advice = "say what must hold, as in `unique: email`; `sanityd kinds` lists all checks"
        return document.problem(rule_path, f"rule `{name}` has no check", advice, key=True)
    misspelt = recovery.misspelt_check(raw, kinds)
    return None if misspelt is None else CheckKey(*misspelt)


def _several_checks(
    document: Document, rule_path: KeyPath, kinds: list[str], raw: Mapping[str, Any]
) -> Problem:
    """Return the problem of two checks in a rule, or of one whose options are not indented."""
    for kind in kinds:
        if raw[kind] is not None:
            continue
        options = validation_errors.keys_of(plugins.load_kind("checks", kind))
        for other in kinds:
            if other != kind and other in options:
                message = f"`{other}` stands beside `{kind}`, which is empty"
                advice = f"indent it below `{kind}:`"
                return document.problem((*rule_path, other), message, advice, key=True)
    message = f"rule `{rule_path[-1]}` has {len(kinds)} checks: {', '.join(kinds)}"
    return document.problem((*rule_path, kinds[1]), message, "make one rule of each", key=True)
