"""Which check a rule says: the one key of it that is a check, or what is wrong instead."""

from collections.abc import Collection, Mapping
from typing import Any

from sanityd import plugins
from sanityd.errors import Problem
from sanityd.rules import misplaced_keys, recovery, validation_errors
from sanityd.rules.yaml.reader import KeyPath
from sanityd.rules.yaml.rules_document import Document


def choose(
    document: Document, name: str, raw: Mapping[str, Any], kinds: Collection[str]
) -> tuple[str, str] | Problem | None:
    """The key of the check and its kind, which are the same unless it is misspelt; or what is wrong, if that is known.

    Parameters: `kinds` are those that there are.
    """
    found = [key for key in raw if key in kinds]
    place: KeyPath = ("rules", name)
    if len(found) == 1:
        return found[0], found[0]
    if found:
        return _several(document, place, found, raw)
    if (
        raw.keys() <= misplaced_keys.rule_keys()
        and not document.problems
        and not misplaced_keys.loses_keys(document, name)
    ):
        advice = "say what must hold, as in `unique: email`; `sanityd kinds` lists all checks"
        return document.problem(place, f"rule `{name}` has no check", advice, key=True)
    return recovery.kind(raw, kinds)


def _several(
    document: Document, place: KeyPath, kinds: list[str], raw: Mapping[str, Any]
) -> Problem:
    """Two checks in a rule; or one, whose options stand in its own column."""
    for kind in kinds:
        options = (
            validation_errors.keys_of(plugins.lookup("checks", kind)) if raw[kind] is None else []
        )
        if (
            option := next((other for other in kinds if other != kind and other in options), None)
        ) is not None:
            message, advice = (
                f"`{option}` stands beside `{kind}`, which is empty",
                f"indent it below `{kind}:`",
            )
            return document.problem((*place, option), message, advice, key=True)
    message = f"rule `{place[-1]}` has {len(kinds)} checks: {', '.join(kinds)}"
    return document.problem((*place, kinds[1]), message, "make one rule of each", key=True)
