"""Selects rules by owner, tag, severity and source, and the incidents that a person names."""

import fnmatch
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.options import find_incident, no_such

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sanityd.model import Severity
    from sanityd.rules.rule import RuleSet

_SEVERITIES = ("info", "warning", "error", "critical")


def filter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options `--owner`, `--tag`, `--severity` and `--source` to a command."""
    for option in (
        click.option("--source", "sources", multiple=True, help="Only rules of this source."),
        click.option(
            "--severity",
            type=click.Choice(_SEVERITIES),
            help="Only rules, and open incidents, with this severity or a higher one.",
        ),
        click.option("--tag", "tags", multiple=True, help="Only rules with this tag."),
        click.option("--owner", "owners", multiple=True, help="Only rules of this owner."),
    ):
        function = option(function)
    return function


def select_rules(
    rules: "RuleSet",
    owners: Sequence[str],
    tags: Sequence[str],
    least: "Severity",
    sources: Sequence[str],
) -> "RuleSet":
    """Return the rule set with only the rules of these owners, tags and sources, where empty ones
    select all, whose severity can be `least`. It is the same object if all are selected.

    Raises a usage error for an owner, tag or source that no rule has.
    """
    existing_owners = {rule.owner for rule in rules.rules.values()}
    check_words("owner", owners, existing_owners - {""})
    check_words("tag", tags, rules.tags)
    check_words("source", sources, rules.sources)
    selected = {}
    for rule in rules.rules.values():
        is_of_owner = not owners or rule.owner in owners
        is_severe = rule.invariant.ladder.worst >= least
        if is_of_owner and is_severe and rule.is_of(tags, sources):
            selected[rule.id] = rule
    if len(selected) == len(rules.rules):
        return rules
    return replace(rules, rules=selected)


def check_words(kind: str, words: Iterable[str], existing: Iterable[str]) -> None:
    """Raise a usage error for a word that is not among the existing ones.

    Parameters: `kind` is what the words are, as in `tag`.
    """
    candidates = set(existing)
    for word in words:
        if word not in candidates:
            raise no_such(f"no rule has the {kind} `{word}`", word, candidates)


def select_open(connection: "Connection", rules: "RuleSet", words: Sequence[str]) -> list[str]:
    """Return the rules and incidents that the words name, each once: by id, by a pattern with `*`
    of rules with something open, or by the beginning of an incident's id.

    Raises a usage error for a word that names nothing.
    """
    names: list[str] = []
    for word in words:
        names += _named(connection, rules, word)
    return list(dict.fromkeys(names))


def _named(connection: "Connection", rules: "RuleSet", word: str) -> list[str]:
    from sanityd.model import source_rule_id
    from sanityd.store import incidents

    incident = incidents.get(connection, word)
    rule_ids = {*rules.rules, *map(source_rule_id, rules.sources)}
    if incident is not None or word in rule_ids:
        return [word]
    if "*" in word:
        open_rules = [incident.rule for incident in incidents.list_open(connection)]
        # The ids of rules that `for_each` makes have brackets.
        matching = fnmatch.filter(open_rules, word.replace("[", "[[]"))
        if matching:
            return matching
        raise click.UsageError(f"nothing is open of a rule like `{word}`")
    incident = find_incident(connection, word)
    if incident is not None:
        return [incident.id]
    raise no_such(f"there is no rule or incident `{word}`", word, rule_ids)
