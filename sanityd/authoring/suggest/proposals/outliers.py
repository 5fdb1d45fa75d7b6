"""`between`: a few numbers far from all others, such as one level of 9,999 among thousands below 100.

Told only where there are such: bounds that all numbers keep would be a guess.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sanityd.authoring.suggest.naming import POINTERS, slug, vocabulary, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import RANGE, Candidate, Surroundings, counted
from sanityd.authoring.suggest.proposals.ranges import ends_of, is_never_negative, is_number
from sanityd.authoring.yaml_text import named
from sanityd.sources.catalog import Family

#: Words of numbers that may be less than nothing though they rarely are, or that count nothing.
_SIGNED = vocabulary(
    "balance delta diff difference change offset temperature temp profit net margin adjustment correction credit debit "
    "gain loss growth alt lat lon lng latitude longitude x y z altitude elevation rank position order sort parent"
)
#: What is written for "unknown" among numbers that are never below nothing. An airport may well lie below the sea.
_UNKNOWN = (-1, -9, -99, -999, -9999, -99999)
#: So many rows, and so many values among those that were seen, say what is usual.
_MANY, _SEEN = 1_000, 50
#: So many rows may be far out, or such a share.
_FEW, _SHARE = 3, 0.00001
#: The seen values lie close together when all of them take no more room than so many times what most of them take.
_CLOSE = 4
#: What is far out is so many times as large as all that was seen, and so many times as far away as these are apart.
_TIMES, _AWAY = 8, 5
#: So many columns are tried, by the statement that tries all else.
_MOST = 12


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """One rule for each column with a few values far out."""
    del tables
    if table.read < _MANY:
        return
    found = 0
    for column in table.of(Family.INTEGER, Family.NUMBER):
        bounds = _bounds(table, column) if _measures(table, column) else {}
        if bounds and found < _MOST:
            found += 1
            yield Candidate(
                table,
                f"no-{slug(column.name)}-of-{{table}}-is-far-out",
                "between",
                {column.name: bounds},
                RANGE - 1,
                f"between: nearly all of {counted(column.filled, 'value')} of {named(column.name)} are close together",
                tolerance=(max(_FEW, _SHARE * table.read) + 0.5) / table.read,
                only_broken=True,
                about=(column.name,),
            )


def _measures(table: TableProfile, column: ColumnProfile) -> bool:
    """Whether it is a number of something, and no name of a row; and none that has its ends by its name."""
    said = words(column.name)
    is_name = (bool(said) and said[-1] in POINTERS) or any(
        column.name in key for key in table.info.keys
    )
    ends = (column.low, column.high)
    return (
        bool(said)
        and not is_name
        and ends_of(column.name) is None
        and all(is_number(end) for end in ends)
    )


def _bounds(table: TableProfile, column: ColumnProfile) -> dict[str, Any]:
    """The ends that a few values lie beyond: round numbers, far from what was seen, so that they tell none of it."""
    seen = sorted(float(value) for value in table.seen(column.name) if is_number(value))
    if len(seen) < _SEEN:
        return {}
    # What is far out may be among those that were seen.
    seen = seen[len(seen) // 100 : len(seen) - len(seen) // 100]
    low, high = seen[0], seen[-1]
    usual = seen[len(seen) * 9 // 10] - seen[len(seen) // 10]
    span, size = high - low, max(abs(low), abs(high))
    if not 0 < span <= _CLOSE * usual:
        return {}
    far, bound = max(_TIMES * size, size + _AWAY * span), _rounded(2 * size)
    bounds: dict[str, Any] = {}
    is_told = is_never_negative(column.name) or _SIGNED & {*words(column.name)}
    if low >= 0 and column.low in _UNKNOWN and not is_told:
        bounds["min"] = 0
    elif -float(column.low) >= far:
        bounds["min"] = -bound
    if float(column.high) >= far:
        bounds["max"] = bound
    return bounds


def _rounded(size: float) -> int | float:
    """Up to one digit and noughts: 190 → 200, 0.34 → 0.4."""
    number = Decimal(repr(size))
    step = Decimal(1).scaleb(number.adjusted())
    found = (number / step).to_integral_value(rounding="ROUND_CEILING") * step
    return int(found) if found == found.to_integral_value() else float(found)
