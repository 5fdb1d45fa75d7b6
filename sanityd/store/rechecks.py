"""Rechecks: rules about two sources that found something, and must find it again before it counts.

They share a table with `pending_confirmations`, as each rule is confirmed in one of the two ways.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select

from sanityd.model import Run
from sanityd.store.slots import SKEW
from sanityd.store.tables import insert_into, pending_confirmations

#: A recheck that is late by more than that would compare what is too far apart: both evaluations
#: are made again.
KEPT_FOR = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Recheck:
    """When a rule is to be evaluated again, and what it must find again.

    `beyond` is how many violations there were beyond the cap, whose fingerprints aren't known.
    """

    due_at: datetime
    fingerprints: frozenset[str]
    beyond: int = 0

    @property
    def violations(self) -> int:
        """How many violations were found."""
        return len(self.fingerprints) + self.beyond


def of_rules(
    connection: Connection, meanings: Mapping[str, str], at: datetime
) -> dict[str, Recheck]:
    """Return the rechecks that wait, due or not, by rule.

    Not those of rules that mean something else now, that nobody did in time, or that were written
    by a wrong clock. Parameters: `meanings` maps each rule to its meaning now.
    """
    table = pending_confirmations
    query = select(table).where(
        table.c.due_at >= at - KEPT_FOR, table.c.at <= at + SKEW, table.c.meaning.is_not(None)
    )
    return {
        row.rule: Recheck(row.due_at, frozenset(row.times), row.beyond)
        for row in connection.execute(query)
        if meanings.get(row.rule) == row.meaning
    }


def save(connection: Connection, rule: str, meaning: str, recheck: Recheck, at: datetime) -> None:
    """Store a recheck, unless one of the rule waits already: it is never put off.

    Parameters: `at` is when the evaluation began that found the suspects.
    """
    if rule in of_rules(connection, {rule: meaning}, at):
        return
    values = {
        "at": at,
        "times": dict.fromkeys(sorted(recheck.fingerprints), 1),
        "beyond": recheck.beyond,
        "due_at": recheck.due_at,
        "meaning": meaning,
    }
    insert = insert_into(connection, pending_confirmations).values(rule=rule, **values)
    connection.execute(insert.on_conflict_do_update(index_elements=["rule"], set_=values))


def finish(connection: Connection, runs: Iterable[Run]) -> None:
    """Delete the rechecks of rules that were evaluated after these were put down.

    A run without an answer ends only a recheck that was due: others can still be done.
    """
    table = pending_confirmations
    waiting = select(table.c.rule, table.c.at, table.c.due_at).where(table.c.due_at.is_not(None))
    rechecks = {row.rule: row for row in connection.execute(waiting)}
    for run in runs:
        recheck = rechecks.get(run.rule)
        if recheck is None:
            continue
        was_found_before = run.answered and recheck.at <= run.at
        if recheck.due_at <= run.at or was_found_before:
            connection.execute(
                delete(table).where(table.c.rule == run.rule, table.c.due_at.is_not(None))
            )
