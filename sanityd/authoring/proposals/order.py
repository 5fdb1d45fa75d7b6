"""`always`: what ends doesn't end before it begins. Pairs of times, and of numbers, whose names belong together."""

from collections.abc import Iterator

from sanityd.authoring.naming import slug, words
from sanityd.authoring.profile import NUMBERS, ColumnProfile, TableProfile
from sanityd.authoring.proposals.base import ORDER, Candidate, Surroundings, counted
from sanityd.authoring.yamltext import named

#: Words for what comes first, with those for what comes later.
_AFTER = {
    "start": ("end", "finish", "stop"),
    "starts": ("ends",),
    "started": ("ended", "finished", "stopped", "completed"),
    "begin": ("end",),
    "begins": ("ends",),
    "from": ("to", "until", "till"),
    "opened": ("closed",),
    "created": ("updated", "modified", "changed", "deleted", "closed", "paid", "shipped", "sent", "completed"),
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
}
_SEEN = 5
_MOST = 4


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """One rule for each pair."""
    found = 0
    columns = [
        column for column in table.columns.values() if (column.is_time or column.family in NUMBERS) and column.filled
    ]
    for first in columns:
        for last in columns:
            if found >= _MOST or not _belong_together(first, last) or not _mostly_in_order(table, first, last):
                continue
            found += 1
            condition = f"{tables.quoted(last.name)} >= {tables.quoted(first.name)}"
            yield Candidate(
                table,
                f"{slug(last.name)}-of-{{table}}-is-not-before-{slug(first.name)}",
                "always",
                condition,
                ORDER,
                f"always: no {named(last.name)} before its {named(first.name)}, in {counted(last.filled, 'row')}",
                tolerance=0.02,
                about=(first.name, last.name),
            )


def _belong_together(first: ColumnProfile, last: ColumnProfile) -> bool:
    """By one word that differs, of which one comes after the other."""
    if first is last or first.family is not last.family:
        return False
    a, b = words(first.name), words(last.name)
    if len(a) != len(b):
        return False
    different = [(x, y) for x, y in zip(a, b, strict=True) if x != y]
    return len(different) == 1 and different[0][1] in _AFTER.get(different[0][0], ())


def _mostly_in_order(table: TableProfile, first: ColumnProfile, last: ColumnProfile) -> bool:
    """As far as the few rows tell."""
    pairs = [(row.get(first.name), row.get(last.name)) for row in table.sample]
    known = [(a, b) for a, b in pairs if a is not None and b is not None and type(a) is type(b)]
    try:
        return len(known) >= _SEEN and sum(b >= a for a, b in known) >= len(known) * 0.9
    except (TypeError, ArithmeticError):
        return False
