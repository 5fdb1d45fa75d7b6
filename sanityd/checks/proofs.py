"""What the catalog proves: a rule that the database itself enforces needs no look at the rows.

Pure: from `TableInfo.enforced` to the constraint's name, which the run tells as `proved_by`; None where nothing proves
it. A proof holds for all rows, so for those that a rule picks, too. Where a collation takes different texts for the
same, a unique index is stricter than the rule, which compares to the letter: it proves it all the same.
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
        sure = index.nulls_equal or table.enforced.not_null.issuperset(index.columns)
        if names.issuperset(index.columns) and (sure or not nulls_equal):
            return index.name
    return None


def of_reference(table: TableInfo, on: Mapping[str, str], target: TableInfo) -> str | None:
    """Every combination of these values exists in the target."""
    for key in table.enforced.foreign_keys:
        if key.table == target.id and dict(key.columns) == dict(on):
            return key.name
    return None
