"""`always`: an event doesn't end before it begins.

Rules are proposed for pairs of times, or of numbers, whose names belong together, and for pairs of
times that are in order in nearly all rows, which they would not be by chance.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

from sanityd.authoring.suggest.naming import slug, vocabulary, words
from sanityd.authoring.suggest.profile import NUMBERS, ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import (
    MIN_ROWS,
    ORDER,
    Candidate,
    SourceContext,
    counted,
)
from sanityd.authoring.yaml_text import escaped_name

#: Two columns of which the first has the earlier time or the smaller number.
Pair = tuple[ColumnProfile, ColumnProfile]
#: Words for an event, each with words for events after it.
_LATER_WORDS = {
    "start": ("end", "finish", "stop"),
    "starts": ("ends",),
    "started": ("ended", "finished", "stopped", "completed"),
    "begin": ("end",),
    "begins": ("ends",),
    "from": ("to", "until", "till"),
    "opened": ("closed",),
    "created": (
        "updated",
        "modified",
        "changed",
        "deleted",
        "closed",
        "paid",
        "shipped",
        "sent",
        "completed",
    ),
    "placed": ("paid", "shipped", "delivered", "cancelled", "completed"),
    "ordered": ("paid", "shipped", "delivered"),
    "order": ("ship", "shipped", "delivery"),
    "shipped": ("delivered",),
    "issued": ("paid", "due", "expires"),
    "hired": ("left", "fired"),
    "hire": ("leave", "termination"),
    "birth": ("death",),
    "born": ("died",),
    "checkin": ("checkout",),
    "arrival": ("departure",),
    "min": ("max",),
    "minimum": ("maximum",),
    "rental": ("return",),
    "rented": ("returned", "due"),
    "lent": ("returned", "due"),
    "loaned": ("returned", "due"),
    "borrowed": ("returned", "due"),
    "submitted": ("approved", "accepted", "rejected", "reviewed"),
    "requested": ("approved", "accepted", "rejected", "granted", "completed"),
    "admitted": ("discharged",),
    "admission": ("discharge",),
    "joined": ("left",),
}
#: Words for planned times: the event itself may be earlier, or later.
_PLANNED_WORDS = vocabulary(
    "due expected planned scheduled estimated target deadline expires expiry until next promised"
)
#: Number of rules for a table, and of columns that are compared with each other.
_MAX_RULES, _MAX_COLUMNS = 4, 60
#: For a pair by names: the number of sample rows with both values, and the share in order.
_MIN_ROWS_BY_NAME, _MIN_ORDERED_BY_NAME = 5, 0.9
#: For a pair by values: the share of sample rows in order.
_MIN_ORDERED = 0.95
#: If the times were dealt to the rows at random, this share of them must be out of order.
_MIN_DISORDERED_BY_CHANCE = 0.2
#: The share of rows in which the second is truly later: columns that are nearly equal everywhere
#: have no order.
_MIN_LATER = 0.25


def candidates(table: TableProfile, context: SourceContext) -> Iterator[Candidate]:
    """Iterate over one rule for each pair, those found by names first."""
    columns = _comparable_columns(table)
    # Comparing hundreds of columns with each other takes longer than reading the table.
    compared = permutations(columns[:_MAX_COLUMNS], 2)
    pairs = [pair for pair in compared if pair[0].family is pair[1].family]
    by_name = [pair for pair in pairs if _is_pair_by_name(pair) and _is_mostly_ordered(table, pair)]
    by_values = _pairs_by_values(table, pairs, by_name)
    by_values = _without_implied(by_values, by_name + by_values, columns)
    for pair in (by_name + by_values)[:_MAX_RULES]:
        yield _rule(table, context, pair, by_name=pair in by_name)


def _comparable_columns(table: TableProfile) -> list[ColumnProfile]:
    """Return the columns of times and of numbers."""
    return [
        column
        for column in table.columns.values()
        if (column.is_time or column.family in NUMBERS) and column.non_null
    ]


def _pairs_by_values(
    table: TableProfile, pairs: Sequence[Pair], by_name: Sequence[Pair]
) -> list[Pair]:
    """Return the pairs that are in order by their values, without those found by their names."""
    by_values = []
    for pair in pairs:
        reverse = (pair[1], pair[0])
        if pair not in by_name and reverse not in by_name and _is_ordered(table, pair):
            by_values.append(pair)
    return by_values


def _without_implied(
    pairs: Sequence[Pair], all_pairs: Sequence[Pair], columns: Sequence[ColumnProfile]
) -> list[Pair]:
    """Return the pairs without those that follow from two others: a ≤ b and b ≤ c imply a ≤ c."""
    names = {(first.name, last.name) for first, last in all_pairs}
    remaining = []
    for first, last in pairs:
        is_implied = any(
            (first.name, middle.name) in names and (middle.name, last.name) in names
            for middle in columns
        )
        if not is_implied:
            remaining.append((first, last))
    return remaining


def _rule(table: TableProfile, context: SourceContext, pair: Pair, *, by_name: bool) -> Candidate:
    first, last = pair
    rows = counted(last.non_null, "row")
    priority, tolerance = ORDER - 1, 0.01
    if by_name:
        priority, tolerance = ORDER, 0.02
    return Candidate(
        table,
        f"{slug(last.name)}-of-{{table}}-is-not-before-{slug(first.name)}",
        "always",
        f"{context.quoted(last.name)} >= {context.quoted(first.name)}",
        priority,
        f"always: no {escaped_name(last.name)} before its {escaped_name(first.name)}, in {rows}",
        tolerance=tolerance,
        columns=(first.name, last.name),
    )


def _is_pair_by_name(pair: Pair) -> bool:
    """Return whether the names differ in one word only, which means a later event."""
    first_words, last_words = words(pair[0].name), words(pair[1].name)
    if len(first_words) != len(last_words):
        return False
    different = []
    for first_word, last_word in zip(first_words, last_words, strict=True):
        if first_word != last_word:
            different.append((first_word, last_word))
    if len(different) != 1:
        return False
    [(first_word, last_word)] = different
    return last_word in _LATER_WORDS.get(first_word, ())


def _is_mostly_ordered(table: TableProfile, pair: Pair) -> bool:
    """Return whether the sample rows are mostly in order."""
    values = _values_of_both(table, pair)
    if len(values) < _MIN_ROWS_BY_NAME:
        return False
    try:
        ordered = sum(bool(last >= first) for first, last in values)
    except (TypeError, ArithmeticError):
        return False
    return ordered >= len(values) * _MIN_ORDERED_BY_NAME


def _is_ordered(table: TableProfile, pair: Pair) -> bool:
    """Return whether two times are in order in nearly all rows, and not by chance.

    Everybody was born before they signed up, whichever row the times are from.
    """
    first, last = pair
    if not (first.is_time and last.is_time):
        return False
    if not _PLANNED_WORDS.isdisjoint((*words(first.name), *words(last.name))):
        return False
    values = _values_of_both(table, pair)
    if len(values) < MIN_ROWS:
        return False
    try:
        return _are_ordered(values) and _are_disordered_by_chance(values)
    except (TypeError, ArithmeticError):
        return False


def _are_ordered(values: Sequence[tuple[Any, Any]]) -> bool:
    """Return whether nearly all pairs are in order, and enough of them not equal."""
    ordered = sum(bool(last >= first) for first, last in values)
    later = sum(bool(last > first) for first, last in values)
    return ordered >= len(values) * _MIN_ORDERED and later >= len(values) * _MIN_LATER


def _are_disordered_by_chance(values: Sequence[tuple[Any, Any]]) -> bool:
    """Return whether enough pairs would be out of order if each value met each other one."""
    firsts = sorted(first for first, _ in values)
    disordered = sum(len(firsts) - bisect_right(firsts, last) for _, last in values)
    return disordered >= len(values) ** 2 * _MIN_DISORDERED_BY_CHANCE


def _values_of_both(table: TableProfile, pair: Pair) -> list[tuple[Any, Any]]:
    """Return the values of the sample rows that have both, of the same type."""
    values = []
    for row in table.sample:
        first, last = row.get(pair[0].name), row.get(pair[1].name)
        if first is not None and last is not None and type(first) is type(last):
            values.append((first, last))
    return values
