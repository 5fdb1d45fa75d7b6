"""`between`: a number far from all others, such as a 9999 that is meant as "unknown". Told only when there is one.

The few rows say how far values spread. Only where they lie close together, so that a long tail is no surprise, does a
value at many times that distance say something. Bounds are rounded away, so that they tell no value.
"""

import math
from collections.abc import Iterator
from statistics import quantiles

from sanityd.authoring.naming import POINTERS, slug, words
from sanityd.authoring.profile import NUMBERS, ColumnProfile, TableProfile
from sanityd.authoring.proposals.base import RANGE, Candidate, Surroundings, counted
from sanityd.authoring.proposals.ranges import is_number
from sanityd.authoring.yamltext import named

#: How many values must be seen, and how many of them, at either end, may be outliers themselves.
_SEEN, _ENDS = 50, 2
#: Values beyond so many times the distance between the quartiles make a long tail (Tukey, Exploratory Data Analysis).
_TAIL = 3.0
#: How many times the spread of the values away is far, and where the bound is put.
_FAR, _BOUND = 10.0, 5.0


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """One rule for each column with a value that lies far away."""
    del tables
    for column in table.of(*NUMBERS):
        said = words(column.name)
        if not said or said[-1] in POINTERS or not (is_number(column.low) and is_number(column.high)):
            continue
        if (bounds := _bounds(table, column)) is not None:
            yield Candidate(
                table,
                f"{slug(column.name)}-of-{{table}}-is-plausible",
                "between",
                {column.name: bounds},
                RANGE - 1,
                f"between: {counted(column.filled, 'value')} of {named(column.name)} where nearly all of them lie",
                tolerance=0.0005,
                only_broken=True,
                about=(column.name,),
            )


def _bounds(table: TableProfile, column: ColumnProfile) -> dict[str, int] | None:
    """Around what is usual, at the side where a value lies far away; None where none does."""
    values = sorted(float(value) for value in table.seen(column.name) if is_number(value))
    if len(values) < _SEEN:
        return None
    usual = values[_ENDS:-_ENDS]
    first, _, third = quantiles(usual, n=4)
    spread, tail = usual[-1] - usual[0], _TAIL * (third - first)
    if not tail or usual[-1] - third > tail or first - usual[0] > tail:
        return None
    found = {}
    if usual[0] - float(column.low) > _FAR * spread:
        found["min"] = -_rounded_up(_BOUND * spread - usual[0])
    if float(column.high) - usual[-1] > _FAR * spread:
        found["max"] = _rounded_up(usual[-1] + _BOUND * spread)
    return found or None


def _rounded_up(value: float) -> int:
    """To two digits, away from what is usual: 1371 → 1400, 0.3 → 1, -1371 → -1300."""
    unit: int = 10 ** max(0, math.floor(math.log10(max(abs(value), 1))) - 1)
    return math.ceil(value / unit) * unit
