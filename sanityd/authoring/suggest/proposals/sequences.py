"""`no_gaps`: invoice numbers without gaps; `no_overlap`: intervals that don't overlap.

Proposed only where the names, and nearly all rows, say so.
"""

from collections.abc import Iterator
from itertools import permutations

from sanityd.authoring.suggest.naming import slug, words
from sanityd.authoring.suggest.profile import NUMBERS, ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import (
    MIN_ROWS,
    SEQUENCE,
    Candidate,
    SourceContext,
    counted,
)
from sanityd.authoring.yaml_text import escaped_name
from sanityd.sources.catalog import Family

#: Documents that are numbered without gaps.
_DOCUMENT_WORDS = frozenset({"invoice", "receipt", "bill", "voucher", "document", "journal"})
#: The words in the names of the two columns of an interval.
_INTERVALS = (
    (("valid", "from"), ("valid", "to")),
    (("starts",), ("ends",)),
    (("start",), ("end",)),
    (("from",), ("to",)),
)
#: Words that may follow in the name of a time, such as `starts_at`.
_TIME_SUFFIXES = ("at", "on", "date", "time")
#: Up to this share of the numbers may be missing by mistake.
_MAX_MISSING = 0.001
#: If the owners of intervals are more distinct than that, most have only one interval.
_MAX_DISTINCT_OWNERS = 0.7


def candidates(table: TableProfile, context: SourceContext) -> Iterator[Candidate]:
    """Iterate over at most one `no_gaps` rule, and over the `no_overlap` rules."""
    del context
    if not table.is_whole:
        return
    numbers_rule = _numbers_rule(table)
    if numbers_rule is not None:
        yield numbers_rule
    if table.info.key:
        yield from _interval_rules(table)


def _numbers_rule(table: TableProfile) -> Candidate | None:
    """Return the rule for the first column of document numbers without gaps."""
    for column in table.columns_of(Family.INTEGER):
        if _is_document_number(table, column) and _is_gapless(column):
            numbers = counted(column.non_null, "number")
            return Candidate(
                table,
                f"{slug(column.name)}-of-{{table}}-has-no-holes",
                "no_gaps",
                column.name,
                SEQUENCE,
                f"no_gaps: {numbers} of {escaped_name(column.name)} without a hole",
                tolerance=_MAX_MISSING,
                columns=(column.name,),
            )
    return None


def _is_document_number(table: TableProfile, column: ColumnProfile) -> bool:
    """Return whether a column holds document numbers, by the names of column and table."""
    name_words = words(column.name)
    if not name_words or name_words[-1] not in ("number", "no", "nr"):
        return False
    table_words = words(table.name.rstrip("s"))
    return not _DOCUMENT_WORDS.isdisjoint((*name_words, *table_words))


def _is_gapless(column: ColumnProfile) -> bool:
    """Return whether nearly no number is missing between the smallest and the largest."""
    if column.non_null < MIN_ROWS:
        return False
    if not isinstance(column.minimum, int) or not isinstance(column.maximum, int):
        return False
    missing = column.maximum - column.minimum + 1 - column.non_null
    return -1 <= missing <= max(1, _MAX_MISSING * column.non_null)


def _interval_rules(table: TableProfile) -> Iterator[Candidate]:
    """Iterate over one rule for each interval, and each column that owns intervals."""
    for first, last in permutations(table.columns.values(), 2):
        if not _is_interval(first, last):
            continue
        for owner in table.columns:
            if _owns_intervals(table, owner):
                yield _interval_rule(table, first.name, last.name, owner)


def _interval_rule(table: TableProfile, first: str, last: str, owner: str) -> Candidate:
    intervals = counted(table.rows_read, "interval")
    return Candidate(
        table,
        f"{{table}}-of-one-{slug(owner.removesuffix('_id'))}-never-overlap",
        "no_overlap",
        {"from": first, "to": last, "per": owner},
        SEQUENCE,
        f"no_overlap: {intervals} from {escaped_name(first)} to {escaped_name(last)},"
        f" per {escaped_name(owner)}",
        tolerance=0.005,
        columns=(first, last, owner),
    )


def _is_interval(first: ColumnProfile, last: ColumnProfile) -> bool:
    """Return whether two columns are the begin and the end of an interval."""
    if first.family is not last.family or not (first.is_time or first.family in NUMBERS):
        return False
    return (_interval_words(first.name), _interval_words(last.name)) in _INTERVALS


def _interval_words(name: str) -> tuple[str, ...]:
    """Return the words of a name, without those like the `at` of `valid_from_at`."""
    return tuple(word for word in words(name) if word not in _TIME_SUFFIXES)


def _owns_intervals(table: TableProfile, name: str) -> bool:
    """Return whether a column references owners that have several intervals each."""
    if words(name)[-1:] != ("id",) or name in table.info.key:
        return False
    values = table.sample_values(name)
    return len(values) >= MIN_ROWS and len(set(values)) <= len(values) * _MAX_DISTINCT_OWNERS
