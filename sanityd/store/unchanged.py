"""The last runs of rules that held: while nothing they depend on changes, no new run is needed."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, select

from sanityd.model import Outcome, Run, UnchangedState
from sanityd.store.name_list import name_list
from sanityd.store.tables import insert_into, unchanged


def of_rules(connection: Connection, rules: Mapping[str, str]) -> dict[str, UnchangedState]:
    """Return the stored states; `rules` maps each rule to its meaning now."""
    rows = connection.execute(select(unchanged).where(unchanged.c.rule.in_([*rules])))
    return {
        row.rule: UnchangedState(row.state, row.at, row.checked)
        for row in rows
        if row.meaning == rules[row.rule]
    }


def save(connection: Connection, changed: Iterable[tuple[str, Run]]) -> None:
    """Store the states after runs that read all rows and found nothing; else delete them.

    A run without an answer, or one that read no rows, changes nothing. Parameters: `changed` are
    the runs, each with the meaning of its rule.
    """
    outdated = []
    rows = []
    for meaning, run in changed:
        if not run.answered or run.proved_by is not None:
            continue
        if _is_clean(run):
            state = {"rule": run.rule, "meaning": meaning, "state": run.state}
            rows.append(state | {"at": run.at, "checked": run.checked})
        else:
            outdated.append(run.rule)
    remove(connection, *outdated)
    if rows:
        insert = insert_into(connection, unchanged)
        columns = ("meaning", "state", "at", "checked")
        latest = {name: insert.excluded[name] for name in columns}
        upsert = insert.on_conflict_do_update(index_elements=["rule"], set_=latest)
        connection.execute(upsert, rows)


def _is_clean(run: Run) -> bool:
    """Return whether a run read all rows of a known state, and found nothing."""
    if run.state is None or run.incremental:
        return False
    return run.outcome is Outcome.COMPLETE and not run.violations


def remove(connection: Connection, *rules: str) -> None:
    """Delete the states of rules, so that their next runs read the rows."""
    if rules:
        names = name_list(connection, rules)
        outdated = unchanged.c.rule.in_(select(names.c.value))
        connection.execute(delete(unchanged).where(outdated))
