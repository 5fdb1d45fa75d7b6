"""Proofs by constraints: the rows of a rule that the database itself enforces need not be read.

Pure: from `TableInfo.enforced` to the name of the constraint, which the run has as `proved_by`;
None where nothing proves the rule. A proof is about all rows, and so about those that a rule
selects. Where a collation takes different texts for equal, a unique index is stricter than the
rule, which compares exactly, and proves it all the same.
"""

from collections.abc import Iterable, Mapping

from sanityd.sources.catalog import TableInfo


def of_not_null(table: TableInfo, columns: Iterable[str]) -> str | None:
    """None of the columns can be NULL."""
    names = list(columns)
    return (
        ", ".join(f"{name} NOT NULL" for name in names)
        if table.enforced.not_null.issuperset(names)
        else None
    )


def of_unique(table: TableInfo, columns: Iterable[str], *, nulls_equal: bool = False) -> str | None:
    """No combination of these values occurs twice, as some of them alone can't.

    Parameters: `nulls_equal` asks that NULLs don't repeat either.
    """
    names = set(columns)
    for index in table.enforced.unique:
        nulls_excluded = index.nulls_equal or table.enforced.not_null.issuperset(index.columns)
        if names.issuperset(index.columns) and (nulls_excluded or not nulls_equal):
            return index.name
    return None


def of_reference(table: TableInfo, on: Mapping[str, str], target: TableInfo) -> str | None:
    """Every combination of these values exists in the target."""
    for key in table.enforced.foreign_keys:
        if key.table == target.id and dict(key.columns) == dict(on):
            return key.name
    return None
