"""`no_gaps`: invoice numbers without holes; `no_overlap`: intervals of one thing. Only where nearly all rows say so."""

from collections.abc import Iterator

from sanityd.authoring.suggest.naming import slug, words
from sanityd.authoring.suggest.profile import NUMBERS, TableProfile
from sanityd.authoring.suggest.proposals.base import (
    ENOUGH,
    SEQUENCE,
    Candidate,
    Surroundings,
    counted,
)
from sanityd.authoring.yaml_text import named
from sanityd.sources.catalog import Family

_NUMBERED = frozenset({"invoice", "receipt", "bill", "voucher", "document", "journal"})
_PAIRS = (
    (("valid", "from"), ("valid", "to")),
    (("starts",), ("ends",)),
    (("start",), ("end",)),
    (("from",), ("to",)),
)
#: How many numbers may be missing for it to be a mistake.
_HOLES = 0.001


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """At most one of each for a table."""
    del tables
    yield from _numbers(table)
    yield from _intervals(table)


def _numbers(table: TableProfile) -> Iterator[Candidate]:
    for column in table.of(Family.INTEGER):
        said = words(column.name)
        is_numbered = said[-1:] in (("number",), ("no",), ("nr",)) and _NUMBERED & {
            *said,
            *words(table.name.rstrip("s")),
        }
        if (
            not is_numbered
            or not table.is_whole
            or column.filled < ENOUGH
            or not (isinstance(column.low, int) and isinstance(column.high, int))
        ):
            continue
        missing = column.high - column.low + 1 - column.filled
        if -1 <= missing <= max(1, _HOLES * column.filled):
            evidence = f"no_gaps: {counted(column.filled, 'number')} of {named(column.name)} without a hole"
            rule = f"{slug(column.name)}-of-{{table}}-has-no-holes"
            yield Candidate(
                table,
                rule,
                "no_gaps",
                column.name,
                SEQUENCE,
                evidence,
                tolerance=_HOLES,
                about=(column.name,),
            )
            return


def _intervals(table: TableProfile) -> Iterator[Candidate]:
    if not table.info.key or not table.is_whole:
        return
    for first, last in (
        (a, b) for a in table.columns.values() for b in table.columns.values() if a is not b
    ):
        if (
            first.family is not last.family
            or not (first.is_time or first.family in NUMBERS)
            or not _is_pair(first.name, last.name)
        ):
            continue
        for owner in (
            name
            for name in table.columns
            if words(name)[-1:] == ("id",) and name not in table.info.key
        ):
            values = table.seen(owner)
            # What has one interval each says nothing.
            if len(values) < ENOUGH or len({*values}) > len(values) * 0.7:
                continue
            yield Candidate(
                table,
                f"{{table}}-of-one-{slug(owner.removesuffix('_id'))}-never-overlap",
                "no_overlap",
                {"from": first.name, "to": last.name, "per": owner},
                SEQUENCE,
                f"no_overlap: {counted(table.read, 'interval')} from {named(first.name)} to {named(last.name)}, "
                f"per {named(owner)}",
                tolerance=0.005,
                about=(first.name, last.name, owner),
            )


def _is_pair(first: str, last: str) -> bool:
    """`valid_from` and `valid_to`; also with `at` or `on` behind."""
    a, b = (
        [word for word in words(name) if word not in ("at", "on", "date", "time")]
        for name in (first, last)
    )
    return (tuple(a), tuple(b)) in _PAIRS
