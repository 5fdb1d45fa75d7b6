"""One table, one name: SQLite's `main.people` and `People`, PostgreSQL's `public.people`, are listed as `people`."""

from contextlib import suppress
from dataclasses import replace

from sqlalchemy import func, select

from sanityd.checks.invariant import Invariant, TableName
from sanityd.errors import CheckError
from sanityd.sources.base import Snapshot

#: What gives the schema that needn't be said, where tables have no numbers to tell them by.
_ASKED = {"mysql": func.database(), "duckdb": func.current_schema()}


def listed(snapshot: Snapshot, name: str, schema: str | None) -> tuple[str | None, str]:
    """A table's schema and name as `places` lists them: without the schema where SQL finds it so.

    Raises CheckError when there is none.
    """
    info = snapshot.table(name, schema)
    if schema is None or not _is_bare(snapshot, info.name, schema, info.id):
        return schema, info.name
    return None, info.name


def respelled(invariant: Invariant, snapshot: Snapshot) -> Invariant:
    """The same with the tables of this source as they are listed, also those that it looks into."""
    subject = invariant.subject

    def one(table: TableName) -> TableName:
        with suppress(CheckError):
            if table.source == snapshot.source.settings.name:
                schema, name = listed(snapshot, table.name, table.schema)
                return TableName(table.source, name, schema)
        return table

    names = {
        text: str(one(TableName.parse(text, subject.sources, subject.source)))
        for text in invariant.check.tables()
    }
    there = {
        field: names[value]
        for field, value in invariant.check.__dict__.items()
        if isinstance(value, str) and value in names
    }
    table = None if subject.table is None else one(subject.table)
    return replace(
        invariant,
        subject=replace(subject, table=table),
        check=invariant.check.model_copy(update=there),
    )


def _is_bare(snapshot: Snapshot, name: str, schema: str, number: int) -> bool:
    """Whether the name alone means the table of that schema."""
    try:
        bare = snapshot.table(name)
        if number:
            return bare.id == number
        asked = _ASKED.get(snapshot.source.dialect.name)
        # SQLite's only schema is `main`.
        return asked is None or snapshot.rows(select(asked))[0][0] == schema
    except CheckError:
        return False
