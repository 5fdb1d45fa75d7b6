"""`references`: what points at a row of another table points at one that exists; `acyclic`: no row is its own ancestor.

The table that is meant is found by names, in any schema; of several, by which has the values. Columns of UUIDs and
codes whose names say nothing are found by their values alone.
"""

from collections.abc import Iterator
from itertools import zip_longest

from sanityd.authoring.suggest.naming import POINTERS, slug, vocabulary, words
from sanityd.authoring.suggest.profile import ColumnProfile, Declared, TableProfile, is_nameable
from sanityd.authoring.suggest.proposals.base import (
    ENOUGH,
    REFERENCE,
    Candidate,
    Surroundings,
    counted,
)
from sanityd.authoring.suggest.proposals.pointing import key_of
from sanityd.authoring.yaml_text import named
from sanityd.sources.catalog import Family

#: Words for the row that a row of the same table hangs on.
_PARENTS = vocabulary("parent manager supervisor ancestor superior predecessor reply reports")
_VALUES = 100
#: How many tables are asked for values: of those that a name speaks for, and of all others.
_NAMED, _OTHERS = 5, 20
#: Such a share of the values must be there for names to be believed, and for values alone.
_BY_NAME, _BY_VALUE = 0.7, 0.95


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """At most one rule for each column that points somewhere."""
    declared = {name for key in table.declared for name in key.columns}
    for key in table.declared:
        yield from _declared(table, key, tables)
    for name, column in table.columns.items():
        said = words(name)
        if not column.filled or not said or name in declared or not is_nameable(name, table.name):
            continue
        if said[0] in _PARENTS and (own := key_of(table, column)) and name != own:
            yield from _to_its_own(table, name, own)
        elif (target := _target(table, column, tables)) is not None:
            yield _reference(table, name, *target)


def _reference(table: TableProfile, name: str, target: TableProfile, key: str) -> Candidate:
    filled = table.columns[name].filled
    return Candidate(
        table,
        f"every-{slug(name)}-of-{{table}}-exists",
        "references",
        {name: f"{target.title}.{key}"},
        REFERENCE,
        f"references: all {counted(filled, 'value')} of {named(name)} exist in {named(target.name)}.{named(key)}",
        tolerance=0.1,
        about=(name,),
    )


def _declared(table: TableProfile, key: Declared, tables: Surroundings) -> Iterator[Candidate]:
    """As the table says itself."""
    there = next(
        (t for t in tables.pointers.tables if (t.info.schema, t.name) == (key.schema, key.table)),
        None,
    )
    if there is None or not all(
        name in table.columns and table.columns[name].filled for name in key.columns
    ):
        return
    theirs = [
        name or main for name, main in zip_longest(key.columns.values(), there.info.primary_key)
    ]
    on = dict(zip(key.columns, theirs, strict=False))
    if not is_nameable(*on, *on.values()) or None in on.values():
        return
    rows = min(table.columns[name].filled for name in on)
    yield Candidate(
        table,
        f"every-{slug(*on)}-of-{{table}}-exists",
        "references",
        {name: f"{there.title}.{column}" for name, column in on.items()},
        REFERENCE + 2,
        f"references: a declared foreign key to {named(there.name)} that the database sees to only when it is told to; "
        f"it holds in {counted(rows, 'row')}",
        tolerance=1.0,
        only_broken=key.kept,
        about=tuple(on),
    )


def _to_its_own(table: TableProfile, name: str, key: str) -> Iterator[Candidate]:
    yield _reference(table, name, table, key)
    if not table.is_whole:
        return
    yield Candidate(
        table,
        f"no-row-of-{{table}}-is-its-own-{slug(name.removesuffix('_id'))}",
        "acyclic",
        {key: name},
        REFERENCE - 3,
        f"acyclic: {counted(table.columns[name].filled, 'row')} with a {named(name)}, no ring",
        about=(name, key),
    )


def _target(
    table: TableProfile, column: ColumnProfile, tables: Surroundings
) -> tuple[TableProfile, str] | None:
    """The table and its key that a column points at, or None."""
    values = list(dict.fromkeys(table.seen(column.name)))[:_VALUES]
    if not values:
        return None
    close = tables.pointers.targets(table, column)[:_NAMED]
    shares = [(tables.contained(other, key, values), other, key) for other, key in close]
    if shares and (best := max(shares, key=lambda share: share[0]))[0] >= _BY_NAME:
        return best[1], best[2]
    return None if shares else _by_value(table, column, tables, values)


def _by_value(
    table: TableProfile, column: ColumnProfile, tables: Surroundings, values: list[object]
) -> tuple[TableProfile, str] | None:
    """Whole numbers from 1 on are everywhere; a UUID or a code that exists in a table was taken from there."""
    is_pointer = words(column.name)[-1] in POINTERS and (column.name,) not in table.info.keys
    if column.family not in (Family.UUID, Family.TEXT) or not is_pointer or len(values) < ENOUGH:
        return None
    others = [
        (other, key_of(other, column))
        for other in tables.pointers.tables
        if other.title != table.title
    ]
    for other, key in [(other, key) for other, key in others if key is not None][:_OTHERS]:
        if tables.contained(other, key, values) >= _BY_VALUE:
            return other, key
    return None
