"""Rows of one source and their counterparts in another, counted in bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select

from sanityd.checks.bitmaps import NotWhole, Numbers, differing
from sanityd.checks.comparison import SIZE, Canonical, canonicals, digest
from sanityd.checks.partitions import Partitions
from sanityd.checks.requirements import Requirement
from sanityd.checks.scope import Scope, bind, chunks
from sanityd.model import Violation
from sanityd.sources.base import AnySelect
from sanityd.sources.catalog import Family

#: Of up to so many wrong numbers it is asked how many rows each has.
_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class KeyDifferences:
    """What a comparison found: how many rows are wrong, and their keys, at most as many as are followed: as `numbers`
    where keys are whole numbers, else as `digests`."""

    rows: int
    digests: frozenset[bytes] = frozenset()
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of a claim: where its rows are, where its evidence is, and how their values are written."""

    claim: Requirement
    scope: Scope
    other: Scope

    @property
    def canonical(self) -> tuple[list[Canonical], list[Canonical]]:
        """How to write each column's values, mine and theirs."""
        return written(self.scope, self.other, self.claim.on)

    @property
    def known(self) -> ColumnElement[bool]:
        """My rows in scope whose key is not NULL in any part."""
        return and_(self.scope.rows, self.scope.known(self.claim.on))

    @property
    def my_keys(self) -> AnySelect:
        """The keys of my rows in scope."""
        keys = (self.scope.exact(name) for name in self.claim.on)
        return select(*keys).select_from(self.scope.table).where(self.known)

    @property
    def are_whole_numbers(self) -> bool:
        """Whether the key is one whole number on both sides."""
        columns = [
            (self.scope.column_info(mine), self.other.column_info(there))
            for mine, there in self.claim.on.items()
        ]
        return len(columns) == 1 and all(column.family is Family.INTEGER for column in columns[0])

    def evidence(self) -> AnySelect:
        """The keys there: those that suffice, or those that are too many."""
        low, high = self.claim.low, self.claim.high
        keys = [self.other.exact(name) for name in self.claim.on.values()]
        plain = (
            select(*keys)
            .select_from(self.other.table)
            .where(self.other.rows, self.other.known(self.claim.on.values()))
        )
        if (low, high) == (1, None) or high == 0:
            return plain
        count = func.count()
        if low == 0:
            return plain.group_by(*keys).having(count > high)
        return plain.group_by(*keys).having(count >= low if high is None else count == high)


def written(
    scope: Scope, other: Scope, columns: Mapping[str, str]
) -> tuple[list[Canonical], list[Canonical]]:
    """How to write the values of each column of `scope` and of its counterpart in `other`, to compare them."""
    zones = (scope.snapshot.source.settings.zone, other.snapshot.source.settings.zone)
    pairs = [
        canonicals(
            scope.column_info(mine).family, zones[0], other.column_info(theirs).family, zones[1]
        )
        for mine, theirs in columns.items()
    ]
    return [mine for mine, _ in pairs], [theirs for _, theirs in pairs]


def compare(sides: Sides, most: int) -> KeyDifferences:
    """Which of my rows have a wrong number of counterparts.

    Parameters: `most` is how many wrong keys are told; all are counted.
    """
    if sides.are_whole_numbers:
        with suppress(NotWhole, _TooManyToCount):
            return _compare_numbers(sides, most)
    return _compare_digests(sides, most)


class _TooManyToCount(Exception):
    """There are too many wrong keys to ask how many rows each has."""


def _compare_numbers(sides: Sides, most: int) -> KeyDifferences:
    [(mine, theirs)] = sides.claim.on.items()
    here = Numbers(sides.scope.snapshot, sides.scope.column_info(mine), sides.my_keys)
    there = Numbers(sides.other.snapshot, sides.other.column_info(theirs), sides.evidence())
    found = differing(here, there, common=sides.claim.forbids)
    # One more than fits, to know whether these are all.
    wrong = list(islice(found, max(most, _COUNTED) + 1))
    if (mine,) in sides.scope.info.keys:
        return KeyDifferences(len(wrong) + sum(1 for _ in found), numbers=tuple(wrong[:most]))
    if len(wrong) > _COUNTED:
        raise _TooManyToCount
    rows = 0
    for keys in chunks(wrong):
        listed = select(func.count()).select_from(sides.scope.table)
        [(count,)] = sides.scope.snapshot.rows(
            listed.where(sides.known, sides.scope.column(mine).in_(map(bind, keys)))
        )
        rows += count
    return KeyDifferences(rows, numbers=tuple(wrong[:most]))


def _compare_digests(sides: Sides, most: int) -> KeyDifferences:
    mine, theirs = sides.canonical
    with ExitStack() as files:
        left, right = Partitions(SIZE, files), Partitions(SIZE, files)
        left.fill(digest(row, mine) for row in sides.scope.snapshot.stream(sides.my_keys))
        right.fill(digest(row, theirs) for row in sides.other.snapshot.stream(sides.evidence()))
        rows, wrong = 0, set[bytes]()
        for here, there in zip(left, right, strict=True):
            listed = set(there)
            for one in here:
                if (one in listed) is sides.claim.forbids:
                    rows += 1
                    if len(wrong) < most:
                        wrong.add(one)
    return KeyDifferences(rows, frozenset(wrong))


def rows_of(
    sides: Sides, key: Sequence[str], shown: Sequence[str], found: KeyDifferences, most: int
) -> Iterator[Violation]:
    """My rows with those keys, at most so many."""
    scope, end = sides.scope, len(key) + len(shown)
    columns = [scope.column(name) for name in (*key, *shown)]
    rows = (
        _of_numbers(sides, columns, len(key), found)
        if found.numbers
        else _of_digests(sides, columns, len(key), found)
    )
    for row in islice(rows, most):
        yield Violation(
            dict(zip(key, row, strict=False)),
            shown=dict(zip(shown, row[len(key) : end], strict=True)),
        )


def _of_numbers(
    sides: Sides, columns: Sequence[ColumnElement[Any]], ordered: int, found: KeyDifferences
) -> Iterator[Sequence[Any]]:
    [mine] = sides.claim.on
    for numbers in chunks(found.numbers):
        wanted = sides.scope.column(mine).in_(map(bind, numbers))
        statement = select(*columns).select_from(sides.scope.table).where(sides.known, wanted)
        yield from sides.scope.snapshot.rows(statement.order_by(*columns[:ordered]))


def _of_digests(
    sides: Sides, columns: Sequence[ColumnElement[Any]], ordered: int, found: KeyDifferences
) -> Iterator[Sequence[Any]]:
    canonical, end = sides.canonical[0], len(columns)
    on = [sides.scope.exact(name) for name in sides.claim.on]
    statement = select(*columns, *on).select_from(sides.scope.table).where(sides.known)
    for row in sides.scope.snapshot.stream(statement.order_by(*columns[:ordered])):
        if digest(row[end:], canonical) in found.digests:
            yield row
