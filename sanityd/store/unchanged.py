"""The last runs of rules that held: while nothing they depend on changes, no new run is needed."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, select

from sanityd.model import Outcome, Run, UnchangedState
from sanityd.store.tables import insert_into, unchanged


def of_rules(connection: Connection, rules: Mapping[str, str]) -> dict[str, UnchangedState]:
    """Return the stored states; `rules` maps each rule to its meaning now."""
    rows = connection.execute(select(unchanged).where(unchanged.c.rule.in_([*rules])))
    return {
        row.rule: UnchangedState(row.state, row.at, row.checked)
        for row in rows
        if row.meaning == rules[row.rule]
    }


def save(connection: Connection, meaning: str, run: Run) -> None:
    """Store the state after a run that read all rows and found nothing; else delete it.

    A run without an answer, or one that read no rows, changes nothing.
    """
    if not run.answered or run.proved_by is not None:
        return
    if (
        run.state is None
        or run.violations
        or run.incremental
        or run.outcome is not Outcome.COMPLETE
    ):
        remove(connection, run.rule)
        return
    values = {"meaning": meaning, "state": run.state, "at": run.at, "checked": run.checked}
    insert = insert_into(connection, unchanged).values(rule=run.rule, **values)
    connection.execute(insert.on_conflict_do_update(index_elements=["rule"], set_=values))


def remove(connection: Connection, rule: str) -> None:
    """Delete the state of a rule, so that its next run reads the rows."""
    connection.execute(delete(unchanged).where(unchanged.c.rule == rule))
