"""`always`: what ends doesn't end before it begins. Pairs of times, and of numbers, whose names belong together.

Of times whose names say nothing of an order, those that have one in nearly all rows that were seen.
"""

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
    "lent": ("returned",),
    "borrowed": ("returned",),
    "requested": ("approved", "rejected", "granted", "answered"),
    "submitted": ("approved", "rejected", "reviewed"),
    "sent": ("received", "delivered", "opened", "read"),
    "joined": ("left",),
    "entered": ("exited", "left"),
    "admitted": ("discharged",),
    "received": ("processed", "answered"),
}
#: How many pairs must be seen, and which share of them in order: where the names say which is first, and where not.
_SEEN, _NEARLY = 5, 0.9
_MANY, _ALMOST_ALL = 30, 0.98
_MOST = 4


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """One rule for each pair."""
    columns = [
        column for column in table.columns.values() if (column.is_time or column.family in NUMBERS) and column.filled
    ]
    pairs = [(first, last) for first in columns for last in columns if _are_kin(first, last)]
    said = [pair for pair in pairs if _speak_of_order(*pair) and _in_order(table, *pair, _SEEN, _NEARLY)]
    spoken_for = {frozenset((first.name, last.name)) for first, last in pairs if _speak_of_order(first, last)}
    seen = [
        (first, last)
        for first, last in pairs
        if first.is_time
        and frozenset((first.name, last.name)) not in spoken_for
        and _in_order(table, first, last, _MANY, _ALMOST_ALL)
        and not _in_order(table, last, first, _MANY, 0.5)
    ]
    for first, last in [*said, *seen][:_MOST]:
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


def _are_kin(first: ColumnProfile, last: ColumnProfile) -> bool:
    """Whether the names differ in one word."""
    return first.family is last.family and len(_different(first, last)) == 1


def _speak_of_order(first: ColumnProfile, last: ColumnProfile) -> bool:
    """Whether what differs in the names says which comes first."""
    [(one, other)] = _different(first, last)
    return other in _AFTER.get(one, ())


def _different(first: ColumnProfile, last: ColumnProfile) -> list[tuple[str, str]]:
    a, b = words(first.name), words(last.name)
    return [(x, y) for x, y in zip(a, b, strict=True) if x != y] if len(a) == len(b) else []


def _in_order(table: TableProfile, first: ColumnProfile, last: ColumnProfile, least: int, share: float) -> bool:
    """Whether in so many of the few rows, and such a share of them, the last is not before the first."""
    pairs = [(row.get(first.name), row.get(last.name)) for row in table.sample]
    known = [(a, b) for a, b in pairs if a is not None and b is not None and type(a) is type(b)]
    try:
        return len(known) >= least and sum(b >= a for a, b in known) >= len(known) * share
    except (TypeError, ArithmeticError):
        return False
