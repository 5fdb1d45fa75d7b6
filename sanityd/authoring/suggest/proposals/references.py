"""`references`: each reference is to an existing row; `acyclic`: no row is its own ancestor.

The referenced table is found by names, in any schema; of several, it is the one with the values.
Columns of UUIDs and codes whose names say nothing are found by their values alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from sanityd.authoring.suggest.naming import REFERENCE_SUFFIXES, slug, vocabulary, words
from sanityd.authoring.suggest.profile import (
    ColumnProfile,
    DeclaredForeignKey,
    TableProfile,
    is_nameable,
)
from sanityd.authoring.suggest.proposals.base import (
    MIN_ROWS,
    REFERENCE,
    Candidate,
    SourceContext,
    counted,
)
from sanityd.authoring.suggest.relationships import key_of
from sanityd.authoring.yaml_text import escaped_name
from sanityd.sources.catalog import Family

#: Words for the parent of a row, in the same table.
_PARENT_WORDS = vocabulary("parent manager supervisor ancestor superior predecessor reply reports")
#: Number of values that are looked up.
_MAX_VALUES = 100
#: Number of tables in which they are looked up: of those with a fitting name, and of the others.
_MAX_NAMED_TABLES, _MAX_OTHER_TABLES = 5, 20
#: The share of the values that must exist in a table with a fitting name, and in another one.
_MIN_SHARE_BY_NAME, _MIN_SHARE_BY_VALUES = 0.7, 0.95


def candidates(table: TableProfile, context: SourceContext) -> Iterator[Candidate]:
    """Iterate over the rules for declared foreign keys, and for other columns with references."""
    declared_columns: set[str] = set()
    for foreign_key in table.declared_foreign_keys:
        declared_columns.update(foreign_key.columns)
    for foreign_key in table.declared_foreign_keys:
        candidate = _for_declared(table, foreign_key, context)
        if candidate is not None:
            yield candidate
    for name, column in table.columns.items():
        if not column.non_null or name in declared_columns or not words(name):
            continue
        if is_nameable(name, table.name):
            yield from _for_column(table, column, context)


def _for_column(
    table: TableProfile, column: ColumnProfile, context: SourceContext
) -> Iterator[Candidate]:
    """Iterate over the rules for a column that may be a reference."""
    name = column.name
    if words(name)[0] in _PARENT_WORDS:
        own_key = key_of(table, column)
        if own_key is not None and name != own_key:
            yield _reference(table, name, table, own_key)
            if table.is_whole:
                yield _acyclic(table, name, own_key)
            return
    target = _find_target(table, column, context)
    if target is not None:
        target_table, target_key = target
        yield _reference(table, name, target_table, target_key)


def _reference(table: TableProfile, name: str, target: TableProfile, key: str) -> Candidate:
    values = counted(table.columns[name].non_null, "value")
    target_column = f"{escaped_name(target.name)}.{escaped_name(key)}"
    return Candidate(
        table,
        f"every-{slug(name)}-of-{{table}}-exists",
        "references",
        {name: f"{target.title}.{key}"},
        REFERENCE,
        f"references: all {values} of {escaped_name(name)} exist in {target_column}",
        tolerance=0.1,
        columns=(name,),
    )


def _acyclic(table: TableProfile, parent_column: str, key: str) -> Candidate:
    rows = counted(table.columns[parent_column].non_null, "row")
    return Candidate(
        table,
        f"no-row-of-{{table}}-is-its-own-{slug(parent_column.removesuffix('_id'))}",
        "acyclic",
        {key: parent_column},
        REFERENCE - 3,
        f"acyclic: {rows} with a {escaped_name(parent_column)}, no ring",
        columns=(parent_column, key),
    )


def _for_declared(
    table: TableProfile, foreign_key: DeclaredForeignKey, context: SourceContext
) -> Candidate | None:
    """Return the rule for a declared foreign key, None when rules can't express it."""
    target = _table_of(foreign_key, context)
    if target is None:
        return None
    for name in foreign_key.columns:
        if name not in table.columns or not table.columns[name].non_null:
            return None
    column_pairs = _column_pairs(foreign_key, target)
    if column_pairs is None:
        return None
    rows = counted(min(table.columns[name].non_null for name in column_pairs), "row")
    return Candidate(
        table,
        f"every-{slug(*column_pairs)}-of-{{table}}-exists",
        "references",
        {name: f"{target.title}.{column}" for name, column in column_pairs.items()},
        REFERENCE + 2,
        f"references: a declared foreign key to {escaped_name(target.name)}"
        f" that SQLite enforces only with `PRAGMA foreign_keys = ON`; it holds in {rows}",
        tolerance=1.0,
        only_if_violated=foreign_key.is_enforced,
        columns=tuple(column_pairs),
    )


def _table_of(foreign_key: DeclaredForeignKey, context: SourceContext) -> TableProfile | None:
    """Return the table that a declared foreign key references."""
    for table in context.relationships.tables:
        if table.info.schema == foreign_key.schema and table.name == foreign_key.table:
            return table
    return None


def _column_pairs(
    foreign_key: DeclaredForeignKey, target: TableProfile
) -> Mapping[str, str] | None:
    """Return the columns of a foreign key, each with the column that it references.

    Returns None when one of them is unknown, or can't be named in a rule.
    """
    target_columns = []
    for declared, primary in zip_longest(foreign_key.columns.values(), target.info.primary_key):
        target_columns.append(declared or primary)
    pairs = {}
    for name, target_column in zip(foreign_key.columns, target_columns, strict=False):
        if target_column is None or not is_nameable(name, target_column):
            return None
        pairs[name] = target_column
    return pairs


def _find_target(
    table: TableProfile, column: ColumnProfile, context: SourceContext
) -> tuple[TableProfile, str] | None:
    """Return the table that a column references, with its key; None when it references none."""
    values = list(dict.fromkeys(table.sample_values(column.name)))[:_MAX_VALUES]
    if not values:
        return None
    targets = context.relationships.targets(table, column)[:_MAX_NAMED_TABLES]
    if not targets:
        return _find_by_values(table, column, context, values)
    best_target = None
    best_share = 0.0
    for target_table, key in targets:
        share = context.share_contained(target_table, key, values)
        if best_target is None or share > best_share:
            best_target, best_share = (target_table, key), share
    return best_target if best_share >= _MIN_SHARE_BY_NAME else None


def _find_by_values(
    table: TableProfile, column: ColumnProfile, context: SourceContext, values: Sequence[object]
) -> tuple[TableProfile, str] | None:
    """Return the first table that contains the values of a column of UUIDs or codes.

    Integers from 1 on exist in every table, and show nothing.
    """
    if column.family not in (Family.UUID, Family.TEXT) or len(values) < MIN_ROWS:
        return None
    if words(column.name)[-1] not in REFERENCE_SUFFIXES or (column.name,) in table.info.keys:
        return None
    targets = []
    for other in context.relationships.tables:
        if other.title == table.title:
            continue
        key = key_of(other, column)
        if key is not None:
            targets.append((other, key))
    for other, key in targets[:_MAX_OTHER_TABLES]:
        if context.share_contained(other, key, values) >= _MIN_SHARE_BY_VALUES:
            return other, key
    return None
