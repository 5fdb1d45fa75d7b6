"""Carry all that the store knows of a rule over to a new id of it.

Runs, incidents with their messages, rows, decisions of people, silences, the noise policy and
watermarks. The audit keeps its entries as they are.
"""

from sqlalchemy import Connection, delete, select, update

from sanityd.model import decode_values, fingerprint
from sanityd.store import evidence, remedies, rules_seen, tables
from sanityd.store.history_tables import episodes
from sanityd.store.remedy_tables import remedy_status

#: Tables with any number of rows per rule.
_MANY = (
    tables.runs,
    tables.incidents,
    tables.triage,
    tables.silences,
    tables.news,
    episodes,
)
#: Tables with one row per rule.
_ONE = (
    tables.noise,
    tables.watermarks,
    tables.unchanged,
    tables.pending_confirmations,
    remedy_status,
)


def rename(connection: Connection, file: str, old: str, new: str) -> None:
    """Carry everything over, inside a write transaction. The old id is unknown afterwards.

    What the store has of the new id already stays. Nothing may be open under both ids.
    """
    fingerprints = _carry_rows(connection, old, new)
    remedies.rename(connection, old, new, fingerprints)
    _carry_days(connection, old, new)
    for table in _ONE:
        has_own = connection.execute(select(table.c.rule).where(table.c.rule == new)).first()
        if has_own is None:
            connection.execute(update(table).where(table.c.rule == old).values(rule=new))
        else:
            connection.execute(delete(table).where(table.c.rule == old))
    for table in _MANY:
        connection.execute(update(table).where(table.c.rule == old).values(rule=new))
    _carry_meaning(connection, file, old, new)


def _carry_meaning(connection: Connection, file: str, old: str, new: str) -> None:
    seen = tables.rules_seen
    of_old = (seen.c.file == file) & (seen.c.rule == old)
    of_new = (seen.c.file == file) & (seen.c.rule == new)
    if rules_seen.meaning(connection, file, new) is not None:
        connection.execute(delete(seen).where(of_old))
        return
    connection.execute(delete(seen).where(of_new))
    connection.execute(update(seen).where(of_old).values(rule=new, removed_at=None))


def _carry_days(connection: Connection, old: str, new: str) -> None:
    """Carry the summaries of days over; of a day that both have, that of the new id stays."""
    days = tables.days
    own_days = connection.execute(select(days.c.day).where(days.c.rule == new)).scalars().all()
    connection.execute(delete(days).where(days.c.rule == old, days.c.day.in_(own_days)))
    connection.execute(update(days).where(days.c.rule == old).values(rule=new))


def _carry_rows(connection: Connection, old: str, new: str) -> dict[str, str]:
    """Carry the violating rows over. The id is part of their fingerprints.

    Returns the new fingerprints by the old ones.
    """
    rows = tables.violations
    fingerprints = {}
    own = set(connection.execute(select(rows.c.fingerprint).where(rows.c.rule == new)).scalars())
    query = select(rows.c.fingerprint, rows.c.source, rows.c.key).where(rows.c.rule == old)
    for mark, source, key in connection.execute(query).all():
        new_mark = fingerprint(new, source, decode_values(key))
        fingerprints[mark] = new_mark
        decisions = tables.triage
        is_about_row = (decisions.c.rule == old) & (decisions.c.fingerprint == mark)
        connection.execute(update(decisions).where(is_about_row).values(fingerprint=new_mark))
        is_of_row = (episodes.c.rule == old) & (episodes.c.fingerprint == mark)
        connection.execute(update(episodes).where(is_of_row).values(fingerprint=new_mark))
        this_row = (rows.c.rule == old) & (rows.c.fingerprint == mark)
        if new_mark in own:
            connection.execute(delete(rows).where(this_row))
            evidence.remove(connection, old, [mark])
        else:
            values = {"rule": new, "fingerprint": new_mark}
            connection.execute(update(rows).where(this_row).values(**values))
            evidence.rename(connection, (old, mark), (new, new_mark))
    return fingerprints
