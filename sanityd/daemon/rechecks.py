"""Rechecks as batches: a rule about two sources that found something is evaluated again when due.

The store says what is due, so that any process can do it; a claim of the slot keeps out the others.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from sanityd.daemon.batches import batch_of
from sanityd.rules.rule import Rule, RuleSet
from sanityd.scheduler import Batch
from sanityd.store import rechecks

#: Ends the names of these batches.
_RECHECK = " (recheck)"


def due_rechecks(connection: Connection, rules: RuleSet, at: datetime) -> list[Batch]:
    """Return the enabled rules whose recheck is due, in batches of one source and schedule."""
    meanings = {rule.id: rule.meaning for rule in rules.enabled()}
    groups: dict[tuple[str, str], list[Rule]] = {}
    for rule_id, recheck in rechecks.of_rules(connection, meanings, at).items():
        if recheck.due_at <= at:
            rule = rules.rules[rule_id]
            groups.setdefault((rule.source, str(rule.schedule)), []).append(rule)
    return [
        batch_of(rules, members, name=f"{source} {schedule}{_RECHECK}", slot=at)
        for (source, schedule), members in groups.items()
    ]


def rules_to_evaluate(
    connection: Connection, batch: Batch, members: Sequence[Rule], at: datetime
) -> list[Rule]:
    """Return the rules of a batch that are to be evaluated now.

    Of a batch of rechecks those that are still due, as another process may have been first; of
    others those whose recheck does not wait, as it is the evaluation that counts.
    """
    meanings = {rule.id: rule.meaning for rule in members}
    waiting = rechecks.of_rules(connection, meanings, at)
    if not batch.name.endswith(_RECHECK):
        return [rule for rule in members if rule.id not in waiting]
    return [rule for rule in members if rule.id in waiting and waiting[rule.id].due_at <= at]
