"""Proofs by constraints: the rows of a rule that the database itself enforces need not be read.

Pure: from `TableInfo.enforced` to the name of the constraint, which the run has as `proved_by`;
None where nothing proves the rule. A proof is about all rows, and so about those that a rule
selects. Where a collation takes different texts for equal, a unique index is stricter than the
rule, which compares exactly, and proves it all the same.
"""

import re
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


def of_expressions(table: TableInfo, expressions: Iterable[str]) -> str | None:
    """No combination of these values occurs twice, by a unique index over the expressions.

    Parameters: `expressions` are SQL as the rule has it, without the name of the table.
    """
    wanted = {folded_column(sql) for sql in expressions}
    for name, parts in table.enforced.unique_expressions.items():
        if {folded_column(part) for part in parts} <= wanted:
            return name
    return None


def of_exclusion(table: TableInfo, definition: str) -> str | None:
    """No two rows that an EXCLUDE constraint compares, by one with that definition."""
    for name, sql in table.enforced.exclusions.items():
        if _bare(sql) == _bare(definition):
            return name
    return None


#: What changes neither which texts are equal nor their letters: casts, and the last collation.
_NO_CHANGE = re.compile(r'::(?:text|character varying)|\s+collate\s+"(?:c|default)"$')
_NAME_ALONE = re.compile(r'(?<![\w"])\(("[^"]+"|\w+)\)')
_FUNCTION = re.compile(r'(?:main\.)?"?(lower|trim|btrim)"?\((?:both\s+from\s+)?(.*)\)', re.DOTALL)


def folded_column(sql: str) -> tuple[str, frozenset[str]]:
    """Return the column of an expression, and which of LOWER and TRIM it passes through.

    An expression that is more than that is returned as a column of that text, so that it equals
    none other.
    """
    text = _simplified(sql.lower())
    functions: set[str] = set()
    while True:
        function = _FUNCTION.fullmatch(text)
        if function is None:
            return text, frozenset(functions)
        functions.add(function[1].removeprefix("b"))
        text = _simplified(function[2])


def _simplified(sql: str) -> str:
    """Return SQL without casts, the last collation, and parentheses that are not needed."""
    before, text = "", sql
    while text != before:
        before = text
        text = _NO_CHANGE.sub("", text.strip())
        text = _without_parentheses(_NAME_ALONE.sub(r"\1", text))
    return text


def _without_parentheses(text: str) -> str:
    """Return a text without the parentheses around all of it."""
    while text.startswith("(") and _closes_at(text) == len(text) - 1:
        text = text[1:-1].strip()
    return text


def _closes_at(text: str) -> int:
    """Return where the parenthesis closes that a text begins with; -1 if nowhere."""
    depth = 0
    for position, letter in enumerate(text):
        if letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
        if depth == 0:
            return position
    return -1


def _bare(sql: str) -> str:
    """Return SQL without case, blanks and parentheses: these differ as the database writes it."""
    return re.sub(r"[\s()]", "", sql.lower())
