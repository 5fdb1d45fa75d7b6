"""Finds the columns that a SQL condition compares with literals by `=` and IN. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlglot import exp


@dataclass(frozen=True, slots=True)
class Equality:
    """A column that must be equal to one of some literals.

    `words` are the literals without quotes; `conditions` the SQL that compares with each of them.
    """

    column: str
    words: tuple[str, ...]
    conditions: tuple[str, ...]


def equalities(condition: str | None, dialect: str, columns: Collection[str]) -> list[Equality]:
    """Return the comparisons that are not negated, of columns of the table itself."""
    if condition is None:
        return []
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError

    try:
        tree = parse_one(condition, read=dialect)
    except (SqlglotError, RecursionError):
        return []
    by_name = {name.lower(): name for name in columns}
    result = []
    for compared, literals in _comparisons(tree):
        name = by_name.get(compared.name.lower())
        if name is None:
            continue
        words, conditions = [], []
        for literal in literals:
            words.append(literal.name)
            # Without the table: the condition is asked about a part of its rows.
            equal = exp.EQ(this=exp.column(compared.this.copy()), expression=literal.copy())
            conditions.append(equal.sql(dialect))
        result.append(Equality(name, tuple(words), tuple(conditions)))
    return result


def _comparisons(tree: "exp.Expr") -> "Iterator[tuple[exp.Column, list[exp.Literal]]]":
    """Yield each column with the literals that it is compared with."""
    from sqlglot import exp

    for node in tree.find_all(exp.EQ, exp.In):
        # In a subquery, the column is one of another table.
        if node.find_ancestor(exp.Not, exp.Select, exp.Case, exp.Is) is not None:
            continue
        sides: list[Any] = list(node.iter_expressions())
        compared, *literals = sorted(sides, key=lambda side: isinstance(side, exp.Literal))
        if isinstance(compared, exp.Column) and {type(side) for side in literals} == {exp.Literal}:
            yield compared, literals
