"""Canonical table names: SQLite's `main.people` and `People` are both `people`.

So is PostgreSQL's `public.people`: the schema is left out where SQL finds the table without it.
"""

from contextlib import suppress
from dataclasses import replace

from sqlalchemy import func, select

from sanityd.checks.invariant import Invariant, TableName
from sanityd.errors import CheckError
from sanityd.sources.base import Snapshot

#: Functions that return the default schema, of databases whose tables have no numeric id.
_DEFAULT_SCHEMAS = {"mysql": func.database(), "duckdb": func.current_schema()}


def canonical_name(snapshot: Snapshot, name: str, schema: str | None) -> tuple[str | None, str]:
    """Return a table's schema and name as `Snapshot.all_tables` lists them.

    The schema is None where SQL finds the table without it. Raises CheckError for a missing table.
    """
    info = snapshot.table(name, schema)
    if schema is not None and _is_in_default_schema(snapshot, info.name, schema, info.id):
        schema = None
    return schema, info.name


def with_canonical_names(invariant: Invariant, snapshot: Snapshot) -> Invariant:
    """Return the same rule with canonical names for all tables of this source that it names."""
    subject, check = invariant.subject, invariant.check
    names = {}
    for text in check.tables():
        table = TableName.parse(text, subject.sources, subject.source)
        names[text] = str(_canonical(snapshot, table))
    changes = {}
    for field, value in check.__dict__.items():
        if isinstance(value, str) and value in names:
            changes[field] = names[value]
    subject_table = subject.table
    if subject_table is not None:
        subject_table = _canonical(snapshot, subject_table)
    return replace(
        invariant,
        subject=replace(subject, table=subject_table),
        check=check.model_copy(update=changes),
    )


def _canonical(snapshot: Snapshot, table: TableName) -> TableName:
    """Return the table by its canonical name; as it is when it is of another source, or missing."""
    if table.source != snapshot.source.settings.name:
        return table
    with suppress(CheckError):
        schema, name = canonical_name(snapshot, table.name, table.schema)
        return TableName(table.source, name, schema)
    return table


def _is_in_default_schema(snapshot: Snapshot, name: str, schema: str, table_id: int) -> bool:
    """Return whether the name without this schema means the same table."""
    try:
        default_table = snapshot.table(name)
        if table_id:
            return default_table.id == table_id
        default_schema = _DEFAULT_SCHEMAS.get(snapshot.source.dialect.name)
        # SQLite's only schema is `main`.
        if default_schema is None:
            return True
        [(default_name,), *_] = snapshot.rows(select(default_schema))
        return bool(default_name == schema)
    except CheckError:
        return False
