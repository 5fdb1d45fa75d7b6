"""`always`: what ends doesn't end before it begins. Pairs of times, and of numbers, whose names belong together; and
pairs of times that keep an order in nearly all rows which chance would not.
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import permutations
from typing import Any

from sanityd.authoring.suggest.naming import slug, vocabulary, words
from sanityd.authoring.suggest.profile import NUMBERS, ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import ENOUGH, ORDER, Candidate, Surroundings, counted
from sanityd.authoring.yaml_text import named

Pair = tuple[ColumnProfile, ColumnProfile]
#: Words for what comes first, with those for what comes later.
_AFTER = {
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
#: Words for what is meant to be: what comes of it may well be earlier, or later.
_MEANT = vocabulary(
    "due expected planned scheduled estimated target deadline expires expiry until next promised"
)
_SEEN = 5
_MOST, _WIDE = 4, 60
#: Of the rows that were seen, how many must be in order; of all ways to deal the times to rows, how many must not be.
_KEPT, _DEALT_BROKEN = 0.95, 0.2
#: In how many rows the one must be truly later: what is the same nearly everywhere has no order.
_LATER = 0.25


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """One rule for each pair; those by names first."""
    columns = [
        column
        for column in table.columns.values()
        if (column.is_time or column.family in NUMBERS) and column.filled
    ]
    # Of hundreds of columns, comparing each with each would take longer than reading the table.
    pairs = [pair for pair in permutations(columns[:_WIDE], 2) if pair[0].family is pair[1].family]
    by_name = [pair for pair in pairs if _belong_together(*pair) and _mostly_in_order(table, *pair)]
    by_value = [
        pair for pair in pairs if not _are_told(pair, by_name) and _keep_an_order(table, *pair)
    ]
    known = {(first.name, last.name) for first, last in by_name + by_value}
    # That the first isn't after the third needs no word where the second lies between them.
    by_value = [
        (first, last)
        for first, last in by_value
        if not any(
            (first.name, other.name) in known and (other.name, last.name) in known
            for other in columns
        )
    ]
    for first, last in (by_name + by_value)[:_MOST]:
        is_by_name = (first, last) in by_name
        yield Candidate(
            table,
            f"{slug(last.name)}-of-{{table}}-is-not-before-{slug(first.name)}",
            "always",
            f"{tables.quoted(last.name)} >= {tables.quoted(first.name)}",
            ORDER - (not is_by_name),
            f"always: no {named(last.name)} before its {named(first.name)}, in {counted(last.filled, 'row')}",
            tolerance=0.02 if is_by_name else 0.01,
            about=(first.name, last.name),
        )


def _belong_together(first: ColumnProfile, last: ColumnProfile) -> bool:
    """By one word that differs, of which one comes after the other."""
    a, b = words(first.name), words(last.name)
    if len(a) != len(b):
        return False
    different = [(x, y) for x, y in zip(a, b, strict=True) if x != y]
    return len(different) == 1 and different[0][1] in _AFTER.get(different[0][0], ())


def _are_told(pair: Pair, others: list[Pair]) -> bool:
    """Whether their names have said in which order they are, if only the other way round."""
    return pair in others or pair[::-1] in others


def _mostly_in_order(table: TableProfile, first: ColumnProfile, last: ColumnProfile) -> bool:
    """As far as the few rows tell."""
    known = _both(table, first, last)
    try:
        return len(known) >= _SEEN and sum(b >= a for a, b in known) >= len(known) * 0.9
    except (TypeError, ArithmeticError):
        return False


def _keep_an_order(table: TableProfile, first: ColumnProfile, last: ColumnProfile) -> bool:
    """Whether these times are in order in nearly all rows, and would not be if they were dealt to the rows by chance:
    everybody was born before they signed up, which says nothing of a row."""
    if not (first.is_time and last.is_time) or _MEANT & {*words(first.name), *words(last.name)}:
        return False
    known = _both(table, first, last)
    if len(known) < ENOUGH:
        return False
    try:
        kept, later = sum(b >= a for a, b in known), sum(b > a for a, b in known)
        if kept < len(known) * _KEPT or later < len(known) * _LATER:
            return False
        firsts = sorted(a for a, _ in known)
        broken = sum(len(firsts) - bisect_right(firsts, b) for _, b in known)
    except (TypeError, ArithmeticError):
        return False
    return broken >= len(known) ** 2 * _DEALT_BROKEN


def _both(table: TableProfile, first: ColumnProfile, last: ColumnProfile) -> list[tuple[Any, Any]]:
    """The values of the few rows that have both."""
    pairs = [(row.get(first.name), row.get(last.name)) for row in table.sample]
    return [(a, b) for a, b in pairs if a is not None and b is not None and type(a) is type(b)]
