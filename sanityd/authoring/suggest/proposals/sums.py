"""`always`: a total is the sum or the product of other columns, in nearly all sample rows."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

from sanityd.authoring.suggest.naming import slug, vocabulary, words
from sanityd.authoring.suggest.profile import NUMBERS, ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import (
    MIN_ROWS,
    SUM,
    Candidate,
    SourceContext,
    counted,
)
from sanityd.authoring.yaml_text import escaped_name

#: Words for totals, the most likely first.
_TOTAL_WORDS = ("total", "gross", "sum", "balance", "due", "amount", "net")
#: Words for numbers that are no amounts.
_NO_AMOUNT_WORDS = vocabulary(
    "id no nr number year month day key code version position rank lat lon lng"
)
#: A table with more amounts has too many combinations to try.
_MAX_AMOUNTS = 9
#: The share of the rows in which a formula must hold.
_MIN_SHARE = 0.9
#: Half a cent: the precision of amounts that are stored as binary floating-point numbers.
_PRECISION = "0.005"

#: The values of a column in the sample rows, None for NULL and for anything else but numbers.
Values = list[float | None]


@dataclass(frozen=True, slots=True)
class _Formula:
    """A sum of columns, each with its sign; or a product of two columns, with the signs `**`."""

    signs: str
    columns: tuple[ColumnProfile, ...]

    @property
    def is_product(self) -> bool:
        return self.signs == "**"

    def text(self, names: Sequence[str]) -> str:
        """Return it with these names of the columns: `subtotal + tax - discount`."""
        if self.is_product:
            return f"{names[0]} * {names[1]}"
        added = [name for sign, name in zip(self.signs, names, strict=True) if sign == "+"]
        subtracted = [name for sign, name in zip(self.signs, names, strict=True) if sign == "-"]
        return " - ".join([" + ".join(added), *subtracted])

    def result(self, numbers: Sequence[float]) -> float:
        """Return its result for these values of the columns."""
        if self.is_product:
            return numbers[0] * numbers[1]
        total = 0.0
        for sign, number in zip(self.signs, numbers, strict=True):
            total += number if sign == "+" else -number
        return total


def candidates(table: TableProfile, context: SourceContext) -> Iterator[Candidate]:
    """Iterate over at most one rule for each total."""
    values = _amounts(table)
    if len(table.sample) < MIN_ROWS or len(values) > _MAX_AMOUNTS:
        return
    # A constant column fits too many formulas.
    amounts = [table.columns[name] for name in values if _is_variable(values[name])]
    proposed: list[set[str]] = []
    for total in _totals(amounts):
        parts = [column for column in amounts if column is not total]
        formula = _find_formula(total, parts, values, proposed)
        if formula is not None:
            proposed.append(_names(total, formula))
            yield _rule(table, context, total, formula)


def _amounts(table: TableProfile) -> dict[str, Values]:
    """Return the values of the columns that hold amounts, by the names of the columns."""
    values = {}
    for name, column in table.columns.items():
        if _is_amount(column):
            values[name] = _values(table, name)
    return values


def _find_formula(
    total: ColumnProfile,
    parts: Sequence[ColumnProfile],
    values: Mapping[str, Values],
    proposed: Sequence[set[str]],
) -> _Formula | None:
    """Return the first formula for a total that holds in nearly all sample rows, or None.

    `proposed` has the columns of earlier rules: `net = total - tax` says nothing new after
    `total = net + tax`.
    """
    for formula in _formulas(parts):
        if _names(total, formula) in proposed:
            continue
        part_values = [values[column.name] for column in formula.columns]
        if _holds(formula, values[total.name], part_values):
            return formula
    return None


def _names(total: ColumnProfile, formula: _Formula) -> set[str]:
    return {total.name, *(column.name for column in formula.columns)}


def _totals(amounts: Sequence[ColumnProfile]) -> list[ColumnProfile]:
    """Return the columns that may be totals by their names, the most likely first."""
    totals = [column for column in amounts if _total_rank(column) < len(_TOTAL_WORDS)]
    return sorted(totals, key=_total_rank)


def _total_rank(column: ColumnProfile) -> int:
    """Return the rank of a column's most likely word for totals; their number without any."""
    name_words = words(column.name)
    for rank, word in enumerate(_TOTAL_WORDS):
        if word in name_words:
            return rank
    return len(_TOTAL_WORDS)


def _formulas(parts: Sequence[ColumnProfile]) -> Iterator[_Formula]:
    """Iterate over products of two columns, then sums and differences of two and of three."""
    for pair in combinations(parts, 2):
        yield _Formula("**", pair)
    for size in (2, 3):
        for columns in combinations(parts, size):
            for signs in product("+-", repeat=size):
                if "+" in signs:
                    yield _Formula("".join(signs), columns)


def _rule(
    table: TableProfile, context: SourceContext, total: ColumnProfile, formula: _Formula
) -> Candidate:
    left = context.quoted(total.name)
    right = formula.text([context.quoted(column.name) for column in formula.columns])
    condition = f"{left} = {right}"
    if _has_floats(table, (total, *formula.columns)):
        condition = f"abs({left} - ({right})) < {_PRECISION}"
    formula_text = formula.text([escaped_name(column.name) for column in formula.columns])
    rows = counted(table.rows_read, "row")
    return Candidate(
        table,
        f"{slug(total.name)}-of-{{table}}-adds-up",
        "always",
        condition,
        SUM,
        f"always: {escaped_name(total.name)} = {formula_text} in {rows}",
        tolerance=0.02,
        columns=(total.name,),
    )


def _has_floats(table: TableProfile, columns: Sequence[ColumnProfile]) -> bool:
    for column in columns:
        if any(isinstance(value, float) for value in table.sample_values(column.name)):
            return True
    return False


def _holds(formula: _Formula, totals: Values, parts: Sequence[Values]) -> bool:
    """Return whether a formula holds in nearly all sample rows that have all values.

    Most formulas are discarded after a few rows.
    """
    complete = significant = wrong = 0
    for total, *row in zip(totals, *parts, strict=True):
        numbers = [number for number in row if number is not None]
        if total is None or len(numbers) < len(row):
            continue
        complete += 1
        # Where all parts but one are zero, nothing is added.
        significant += len(numbers) - numbers.count(0) > 1
        wrong += not abs(total - formula.result(numbers)) < float(_PRECISION)
        if wrong > len(totals) * (1 - _MIN_SHARE):
            return False
    if complete < MIN_ROWS or significant < MIN_ROWS // 2:
        return False
    return wrong <= complete * (1 - _MIN_SHARE)


def _values(table: TableProfile, name: str) -> Values:
    return [_number(row.get(name)) for row in table.sample]


def _is_variable(values: Values) -> bool:
    """Return whether a column has different numbers."""
    return len({number for number in values if number is not None}) > 1


def _number(value: Any) -> float | None:
    """Return a value as a finite number, None when it is none."""
    if isinstance(value, str | bool) or not hasattr(value, "__float__"):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _is_amount(column: ColumnProfile) -> bool:
    """Return whether a column holds amounts, by its type and name."""
    if column.family not in NUMBERS or not column.non_null:
        return False
    return _NO_AMOUNT_WORDS.isdisjoint(words(column.name))
