"""Which rules name a table. What a rule's own SELECT reads is not known here."""

from sanityd.checks.invariant import TableName
from sanityd.rules.rule import Rule, RuleSet


def readers_of(rules: RuleSet, table: str) -> list[str]:
    """Return the ids of the rules that name a table, as their own or as another one.

    Parameters: `table` is `source.table`; without a source if there is only one. Raises ValueError
    when it is no name of a table.
    """
    default = next(iter(rules.sources)) if len(rules.sources) == 1 else None
    name = str(TableName.parse(table, rules.sources, default))
    return [rule.id for rule in rules.rules.values() if name in _named_by(rules, rule)]


def tables_of(rules: RuleSet) -> list[str]:
    """Return all tables that rules name, each with its source, once."""
    names: dict[str, None] = {}
    for rule in rules.rules.values():
        names.update(dict.fromkeys(_named_by(rules, rule)))
    return list(names)


def _named_by(rules: RuleSet, rule: Rule) -> list[str]:
    own = rule.invariant.subject.table
    names = [str(own)] if own is not None else []
    others = rule.invariant.check.tables()
    return names + [str(TableName.parse(name, rules.sources, rule.source)) for name in others]
