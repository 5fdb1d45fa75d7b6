"""Evidence: what was read about violations when they began, and why something was not available.

A row of a rule keeps the evidence of its last times as a violation (`KEPT`). It is deleted with the
violation.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    select,
    update,
)

from sanityd.model import Evidence, Run, decode_values, encode_values
from sanityd.store.column_types import Instant
from sanityd.store.name_list import name_list, pair_list
from sanityd.store.secure_delete import overwrite_deleted
from sanityd.store.tables import insert_into, metadata

#: Of how many times as a violation the evidence of a row is kept.
KEPT = 5

#: One row per violation, query and time at which the violation began.
evidence = Table(
    "evidence",
    metadata,
    Column("rule", String, primary_key=True),
    Column("fingerprint", String, primary_key=True),
    #: The name of the query.
    Column("name", String, primary_key=True),
    Column("at", Instant, primary_key=True),
    #: The place of the query in the rules file.
    Column("position", Integer, nullable=False),
    Column("source", String, nullable=False),
    #: The values that may be stored, with their types, by column.
    Column("rows", JSON, nullable=False),
    #: The names of the columns whose values may not be stored.
    Column("hidden", JSON, nullable=False),
    Column("count", Integer, nullable=False),
    #: Whether there were more rows than `count`.
    Column("more", Boolean, nullable=False),
    #: Why it is not available; empty when it is.
    Column("error", Text, nullable=False),
)

_REMOVE_BEFORE = delete(evidence).where(
    evidence.c.rule == bindparam("of"),
    evidence.c.fingerprint == bindparam("mark"),
    evidence.c.at < bindparam("oldest"),
)


def save_all(connection: Connection, runs: Iterable[tuple[Run, Collection[str]]]) -> None:
    """Save the evidence of runs in the same statements however many there are.

    Parameters: each run has the fingerprints of the violations that it opened.
    """
    rows = []
    for run, opened in runs:
        for mark in sorted(run.evidence.keys() & set(opened)):
            for position, item in enumerate(run.evidence[mark]):
                rows.append(_row(run.rule, mark, position, item))
    if not rows:
        return
    new = insert_into(connection, evidence)
    keys = [column.name for column in evidence.primary_key]
    values = {name: new.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(new.on_conflict_do_update(index_elements=keys, set_=values), rows)
    _remove_old(connection, {(row["rule"], row["fingerprint"]) for row in rows})


def of_rows(
    connection: Connection, rule: str, marks: Iterable[str]
) -> dict[str, tuple[Evidence, ...]]:
    """Return the evidence of rows from when they last began to violate a rule, by fingerprint.

    Rows without evidence are left out.
    """
    newest: dict[str, tuple[Evidence, ...]] = {}
    for mark, items in all_of_rows(connection, rule, marks).items():
        newest[mark] = tuple(item for item in items if item.at == items[-1].at)
    return newest


def all_of_rows(
    connection: Connection, rule: str, marks: Iterable[str]
) -> dict[str, list[Evidence]]:
    """Return all evidence of rows, oldest first, by fingerprint."""
    names = name_list(connection, marks)
    query = (
        select(evidence)
        .where(evidence.c.rule == rule, evidence.c.fingerprint.in_(select(names.c.value)))
        .order_by(evidence.c.at, evidence.c.position)
    )
    by_row: dict[str, list[Evidence]] = {}
    for row in connection.execute(query).mappings():
        by_row.setdefault(row["fingerprint"], []).append(_evidence(row))
    return by_row


def since(connection: Connection, rule: str, begin: datetime) -> list[tuple[str, Evidence]]:
    """Return the evidence of a rule since then, oldest first, with the rows' fingerprints."""
    query = (
        select(evidence)
        .where(evidence.c.rule == rule, evidence.c.at >= begin)
        .order_by(evidence.c.at, evidence.c.fingerprint, evidence.c.position)
    )
    return [(row["fingerprint"], _evidence(row)) for row in connection.execute(query).mappings()]


def remove(connection: Connection, rule: str, marks: Sequence[str] | None = None) -> None:
    """Delete the evidence of rows of a rule; of all of them for None."""
    condition = evidence.c.rule == rule
    if marks is not None:
        condition &= evidence.c.fingerprint.in_(marks)
    connection.execute(delete(evidence).where(condition))


def keep_columns(
    connection: Connection, allowed: Mapping[str, Mapping[str, Collection[str]]]
) -> None:
    """Delete the stored values of rules that may not be stored any more.

    Parameters: `allowed` are the columns that may be, by the rule and the name of the query; the
    evidence of other names is deleted. Other rules keep theirs.
    """
    names = name_list(connection, allowed)
    query = select(evidence).where(evidence.c.rule.in_(select(names.c.value)))
    for row in connection.execute(query).mappings().all():
        _keep_columns_of_row(connection, row, allowed[row["rule"]])


def _keep_columns_of_row(
    connection: Connection, row: RowMapping, allowed: Mapping[str, Collection[str]]
) -> None:
    this = and_(*(column == row[column.name] for column in evidence.primary_key))
    if row["name"] not in allowed:
        overwrite_deleted(connection)
        connection.execute(delete(evidence).where(this))
        return
    # Compared as where they are read.
    columns = {column.casefold() for column in allowed[row["name"]]}
    refused = [name for name in (row["rows"] or [{}])[0] if name.casefold() not in columns]
    if refused:
        overwrite_deleted(connection)
        rows = [_without(values, refused) for values in row["rows"]]
        hidden = [*row["hidden"], *refused]
        connection.execute(update(evidence).where(this).values(rows=rows, hidden=hidden))


def rename(connection: Connection, old: tuple[str, str], new: tuple[str, str]) -> None:
    """Carry the evidence of a row over to another rule; both are (rule, fingerprint)."""
    remove(connection, new[0], [new[1]])
    of_row = (evidence.c.rule == old[0]) & (evidence.c.fingerprint == old[1])
    connection.execute(update(evidence).where(of_row).values(rule=new[0], fingerprint=new[1]))


def _without(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _remove_old(connection: Connection, rows: Iterable[tuple[str, str]]) -> None:
    """Delete the evidence of rows that is older than their last times as a violation.

    Parameters: `rows` are rules and fingerprints.
    """
    pairs = pair_list(connection, rows)
    is_asked = and_(evidence.c.rule == pairs.c.first, evidence.c.fingerprint == pairs.c.second)
    query = (
        select(evidence.c.rule, evidence.c.fingerprint, evidence.c.at)
        .join_from(pairs, evidence, is_asked)
        .distinct()
        .order_by(evidence.c.at.desc())
    )
    times: dict[tuple[str, str], list[datetime]] = {}
    for rule, mark, at in connection.execute(query):
        times.setdefault((rule, mark), []).append(at)
    old = []
    for (rule, mark), newest in times.items():
        if len(newest) > KEPT:
            old.append({"of": rule, "mark": mark, "oldest": newest[KEPT - 1]})
    if old:
        connection.execute(_REMOVE_BEFORE, old)


def _row(rule: str, mark: str, position: int, item: Evidence) -> Mapping[str, Any]:
    return {
        "rule": rule,
        "fingerprint": mark,
        "name": item.name,
        "at": item.at,
        "position": position,
        "source": item.source,
        "rows": [encode_values(row) for row in item.rows],
        "hidden": list(item.hidden),
        "count": item.count,
        "more": item.more,
        "error": item.error,
    }


def _evidence(row: RowMapping) -> Evidence:
    return Evidence(
        name=row["name"],
        source=row["source"],
        at=row["at"],
        rows=tuple(decode_values(values) for values in row["rows"]),
        hidden=tuple(row["hidden"]),
        count=row["count"],
        more=row["more"],
        error=row["error"],
    )
