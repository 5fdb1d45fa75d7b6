"""Batches of the rules in force: the rules of one source that share a schedule."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sanityd.rules.rule import Rule, RuleSet
from sanityd.scheduler import Batch
from sanityd.store.slots import Slot

#: The time limit of a batch besides its statements, and the longest of all.
_BASE = timedelta(minutes=5)
_LONGEST = timedelta(hours=12)


def batches_of(rules: RuleSet) -> list[Batch]:
    """Return the enabled rules in batches."""
    groups: dict[tuple[str, str], list[Rule]] = {}
    for rule in rules.enabled():
        groups.setdefault((rule.source, str(rule.schedule)), []).append(rule)
    return [batch_of(rules, members) for members in groups.values()]


def batch_of(
    rules: RuleSet, members: Sequence[Rule], *, name: str = "", slot: datetime | None = None
) -> Batch:
    """Return a batch of some rules that share a source and a schedule.

    Parameters: `name` is its name if it is not the usual one; `slot` is the slot that it is for if
    that is not the newest.
    """
    first = members[0]
    ids = tuple(rule.id for rule in members)
    return Batch(first.source, first.schedule, ids, _time_limit(rules, members), name, slot)


def due_part(batch: Batch, due: Sequence[str], newest: Slot | None, at: datetime) -> Batch | None:
    """Return what of a batch is to run now, if only some of its rules are due.

    The batch itself if all are due and no process has claimed its slot; None while it is running.

    Parameters: `newest` is the slot that was claimed last.
    """
    if not due or (newest is not None and newest.running):
        return None
    if len(due) == len(batch.rules) and _is_unclaimed(batch, newest, at):
        return batch
    return batch.some(due)


def _is_unclaimed(batch: Batch, newest: Slot | None, at: datetime) -> bool:
    """Return whether no process has claimed the slot of the batch that is due at that time."""
    if newest is None:
        return True
    slot = batch.slot_at(at)
    return slot is not None and newest.at < slot


def _time_limit(rules: RuleSet, members: Sequence[Rule]) -> timedelta:
    """Return how long a batch may take: each rule two statements, and as many to confirm it."""
    settings = rules.sources[members[0].source]
    per_rule = settings.statement_timeout * 4
    return min(_BASE + per_rule * len(members), _LONGEST)
