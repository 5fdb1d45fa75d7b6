"""`always`: a total is the sum (or the product) of other columns, in nearly all of the rows that were looked at."""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations, product
from typing import Any

from sanityd.authoring.suggest.naming import slug, vocabulary, words
from sanityd.authoring.suggest.profile import NUMBERS, ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import ENOUGH, SUM, Candidate, Surroundings, counted
from sanityd.authoring.yaml_text import named

#: Words for what other numbers make together; where several could be it, the first of these is.
_TOTALS = ("total", "gross", "sum", "balance", "due", "amount", "net")
#: Words of what is a number but no amount.
_NO_AMOUNT = vocabulary("id no nr number year month day key code version position rank lat lon lng")
_MOST_COLUMNS = 9
#: How many of the rows must add up for it to be more than chance, and for it to be a mistake where they don't.
_NEARLY = 0.9
#: Half a cent: as near as numbers come that are kept in binary.
_NEAR = "0.005"


#: The values of a column in the rows that were looked at, None for no number.
Values = list[float | None]


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """At most one rule for each total."""
    amounts = [column for column in table.columns.values() if _is_amount(column)]
    if len(table.sample) < ENOUGH or len(amounts) > _MOST_COLUMNS:
        return
    values = {column.name: _values(table, column.name) for column in amounts}
    # What is always the same adds up with anything.
    amounts = [column for column in amounts if len({*values[column.name]} - {None}) > 1]
    told: list[set[str]] = []
    for total in sorted((column for column in amounts if _rank(column) < len(_TOTALS)), key=_rank):
        parts = [column for column in amounts if column is not total]
        for signs, columns in _ways(parts):
            names = {total.name, *(column.name for column in columns)}
            # `net = total - tax` says nothing that `total = net + tax` hasn't said.
            if names not in told and _adds_up(
                values[total.name], signs, [values[column.name] for column in columns]
            ):
                told.append(names)
                yield _rule(table, tables, total, signs, columns)
                break


def _rank(column: ColumnProfile) -> int:
    """How likely it is a total, by its name; the number of words for totals if it isn't one."""
    said = words(column.name)
    return min((place for place, word in enumerate(_TOTALS) if word in said), default=len(_TOTALS))


def _ways(parts: Sequence[ColumnProfile]) -> Iterator[tuple[str, tuple[ColumnProfile, ...]]]:
    """Products of two, then sums and differences of two and of three."""
    yield from (("**", pair) for pair in combinations(parts, 2))
    for size in (2, 3):
        for columns in combinations(parts, size):
            for signs in product("+-", repeat=size):
                if "+" in signs:
                    yield "".join(signs), columns


def _rule(
    table: TableProfile,
    tables: Surroundings,
    total: ColumnProfile,
    signs: str,
    columns: Sequence[ColumnProfile],
) -> Candidate:
    right = _written(signs, [tables.quoted(column.name) for column in columns])
    left = tables.quoted(total.name)
    is_exact = not any(
        isinstance(value, float) for one in (total, *columns) for value in table.seen(one.name)
    )
    condition = f"{left} = {right}" if is_exact else f"abs({left} - ({right})) < {_NEAR}"
    said = _written(signs, [named(column.name) for column in columns])
    return Candidate(
        table,
        f"{slug(total.name)}-of-{{table}}-adds-up",
        "always",
        condition,
        SUM,
        f"always: {named(total.name)} = {said} in {counted(table.read, 'row')}",
        tolerance=0.02,
        about=(total.name,),
    )


def _written(signs: str, names: Sequence[str]) -> str:
    """`subtotal + tax - discount`: what is added first."""
    if signs == "**":
        return f"{names[0]} * {names[1]}"
    ordered = sorted(zip(signs, names, strict=True), key=lambda part: part[0] == "-")
    return ordered[0][1] + "".join(f" {sign} {name}" for sign, name in ordered[1:])


def _adds_up(totals: Values, signs: str, parts: Sequence[Values]) -> bool:
    """Whether nearly all rows do, as far as they tell; most ways are given up after a few rows."""
    known = telling = wrong = 0
    for total, *row in zip(totals, *parts, strict=True):
        numbers = [number for number in row if number is not None]
        if total is None or len(numbers) < len(row):
            continue
        known += 1
        # Where all parts but one are nothing, nothing is added.
        telling += sum(number != 0 for number in numbers) > 1
        wrong += not abs(total - _value(signs, numbers)) < float(_NEAR)
        if wrong > len(totals) * (1 - _NEARLY):
            return False
    return known >= ENOUGH and telling >= ENOUGH // 2 and wrong <= known * (1 - _NEARLY)


def _value(signs: str, numbers: Sequence[float]) -> float:
    if signs == "**":
        return numbers[0] * numbers[1]
    return sum(
        number if sign == "+" else -number for sign, number in zip(signs, numbers, strict=True)
    )


def _values(table: TableProfile, name: str) -> Values:
    return [_number(row.get(name)) for row in table.sample]


def _number(value: Any) -> float | None:
    if isinstance(value, str | bool) or not hasattr(value, "__float__"):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _is_amount(column: ColumnProfile) -> bool:
    return (
        column.family in NUMBERS and bool(column.filled) and not _NO_AMOUNT & {*words(column.name)}
    )
