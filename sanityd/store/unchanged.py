"""What rules saw that held, so that they need not look again while nothing has changed."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, select

from sanityd.model import Outcome, Run, UnchangedState
from sanityd.store.tables import insert_into, unchanged


def of_rules(connection: Connection, rules: Mapping[str, str]) -> dict[str, UnchangedState]:
    """What is known of these rules, given with what each means now."""
    found = connection.execute(select(unchanged).where(unchanged.c.rule.in_([*rules])))
    return {
        row.rule: UnchangedState(row.state, row.at, row.checked)
        for row in found
        if row.meaning == rules[row.rule]
    }


def remember(connection: Connection, meaning: str, run: Run) -> None:
    """What a run leaves to the next one: its look at all rows, if it found nothing; else nothing."""
    if not run.answered or run.proved_by is not None:
        return
    if (
        run.state is None
        or run.violations
        or run.incremental
        or run.outcome is not Outcome.COMPLETE
    ):
        forget(connection, run.rule)
        return
    values = {"meaning": meaning, "state": run.state, "at": run.at, "checked": run.checked}
    insert = insert_into(connection, unchanged).values(rule=run.rule, **values)
    connection.execute(insert.on_conflict_do_update(index_elements=["rule"], set_=values))


def forget(connection: Connection, rule: str) -> None:
    """A rule that changed or went looks again."""
    connection.execute(delete(unchanged).where(unchanged.c.rule == rule))
