"""Rows of one source and their counterparts in another, counted in bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select

from sanityd.checks.bitmaps import NotWhole, Numbers, differing
from sanityd.checks.chunks import chunks
from sanityd.checks.comparison import SIZE, Canonical, canonicals, digest
from sanityd.checks.partitions import Partitions
from sanityd.checks.requirements import Requirement
from sanityd.checks.scope import Scope, bind
from sanityd.model import Violation
from sanityd.sources.base import AnySelect
from sanityd.sources.catalog import Family

#: For how many wrong numbers it is asked, at most, how many rows each has.
_MAX_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class KeyDifferences:
    """How many rows have a wrong number of counterparts, and the keys of some of them.

    Keys are `numbers` where they are whole numbers, else `digests`.
    """

    rows: int
    digests: frozenset[bytes] = frozenset()
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of a requirement: the rule's own rows, and the table of the counterparts."""

    requirement: Requirement
    scope: Scope
    other: Scope

    @property
    def canonical(self) -> tuple[list[Canonical], list[Canonical]]:
        """How the values of each column are written as text, on this side and on the other."""
        return canonical_columns(self.scope, self.other, self.requirement.on)

    @property
    def comparable_rows(self) -> ColumnElement[bool]:
        """The own rows in scope whose key is not NULL in any part."""
        return and_(self.scope.rows, self.scope.not_null(self.requirement.on))

    @property
    def own_keys(self) -> AnySelect:
        """The keys of the own rows in scope."""
        keys = (_exact(self.scope, name) for name in self.requirement.on)
        return select(*keys).select_from(self.scope.table).where(self.comparable_rows)

    @property
    def are_whole_numbers(self) -> bool:
        """Whether the key is one whole number on both sides."""
        if len(self.requirement.on) != 1:
            return False
        [(own_name, other_name)] = self.requirement.on.items()
        columns = (self.scope.column_info(own_name), self.other.column_info(other_name))
        return all(column.family is Family.INTEGER for column in columns)

    def other_keys(self) -> AnySelect:
        """The keys of the other table that occur often enough, or too often."""
        low, high = self.requirement.low, self.requirement.high
        names = self.requirement.on.values()
        keys = [_exact(self.other, name) for name in names]
        rows = and_(self.other.rows, self.other.not_null(names))
        all_keys = select(*keys).select_from(self.other.table).where(rows)
        if (low, high) == (1, None) or high == 0:
            return all_keys
        count = func.count()
        if low == 0:
            is_counted = count > high
        elif high is None:
            is_counted = count >= low
        else:
            is_counted = count == high
        return all_keys.group_by(*keys).having(is_counted)


def _exact(scope: Scope, name: str) -> ColumnElement[Any]:
    """A column in the form in which it is compared with another database, to group by, too."""
    return scope.exact(name) if scope.is_text(name) else scope.portable(name)


def canonical_columns(
    scope: Scope, other: Scope, columns: Mapping[str, str]
) -> tuple[list[Canonical], list[Canonical]]:
    """How to write the values of each column of `scope` and of its counterpart in `other`.

    Equal values are written as equal texts.
    """
    zone = scope.snapshot.source.settings.zone
    other_zone = other.snapshot.source.settings.zone
    own_writers: list[Canonical] = []
    other_writers: list[Canonical] = []
    for name, other_name in columns.items():
        family = scope.column_info(name).family
        other_family = other.column_info(other_name).family
        own_writer, other_writer = canonicals(family, zone, other_family, other_zone)
        own_writers.append(own_writer)
        other_writers.append(other_writer)
    return own_writers, other_writers


def compare(sides: Sides, limit: int) -> KeyDifferences:
    """Find the own rows that have a wrong number of counterparts.

    Parameters: `limit` is how many wrong keys are returned; all are counted.
    """
    if sides.are_whole_numbers:
        with suppress(NotWhole, _TooManyToCount):
            return _compare_numbers(sides, limit)
    return _compare_digests(sides, limit)


class _TooManyToCount(Exception):
    """There are too many wrong keys to ask how many rows each has."""


def _compare_numbers(sides: Sides, limit: int) -> KeyDifferences:
    [(name, other_name)] = sides.requirement.on.items()
    scope, other = sides.scope, sides.other
    own_numbers = Numbers(scope.snapshot, scope.column_info(name), sides.own_keys)
    other_numbers = Numbers(other.snapshot, other.column_info(other_name), sides.other_keys())
    differences = differing(own_numbers, other_numbers, common=sides.requirement.forbids)
    # One more than fits, to know whether these are all.
    wrong = list(islice(differences, max(limit, _MAX_COUNTED) + 1))
    if (name,) in scope.info.keys:
        rest = sum(1 for _ in differences)
        return KeyDifferences(len(wrong) + rest, numbers=tuple(wrong[:limit]))
    if len(wrong) > _MAX_COUNTED:
        raise _TooManyToCount
    rows = 0
    for numbers in chunks(wrong):
        is_wrong = scope.column(name).in_(map(bind, numbers))
        total = select(func.count()).select_from(scope.table)
        [(count,)] = scope.snapshot.rows(total.where(sides.comparable_rows, is_wrong))
        rows += count
    return KeyDifferences(rows, numbers=tuple(wrong[:limit]))


def _compare_digests(sides: Sides, limit: int) -> KeyDifferences:
    own_writers, other_writers = sides.canonical
    rows = 0
    wrong: set[bytes] = set()
    with ExitStack() as files:
        own_parts, other_parts = Partitions(SIZE, files), Partitions(SIZE, files)
        own_rows = sides.scope.snapshot.stream(sides.own_keys)
        own_parts.fill(digest(row, own_writers) for row in own_rows)
        other_rows = sides.other.snapshot.stream(sides.other_keys())
        other_parts.fill(digest(row, other_writers) for row in other_rows)
        for own_digests, other_digests in zip(own_parts, other_parts, strict=True):
            in_other = set(other_digests)
            for key in own_digests:
                if (key in in_other) is not sides.requirement.forbids:
                    continue
                rows += 1
                if len(wrong) < limit:
                    wrong.add(key)
    return KeyDifferences(rows, frozenset(wrong))


def rows_of(
    sides: Sides,
    key: Sequence[str],
    shown: Sequence[str],
    differences: KeyDifferences,
    limit: int,
) -> Iterator[Violation]:
    """The own rows with the wrong keys, at most `limit` of them."""
    end = len(key) + len(shown)
    columns = [sides.scope.column(name) for name in (*key, *shown)]
    if differences.numbers:
        rows = _rows_of_numbers(sides, columns, len(key), differences.numbers)
    else:
        rows = _rows_of_digests(sides, columns, len(key), differences.digests)
    for row in islice(rows, limit):
        yield Violation(
            dict(zip(key, row, strict=False)),
            shown=dict(zip(shown, row[len(key) : end], strict=True)),
        )


def _rows_of_numbers(
    sides: Sides,
    columns: Sequence[ColumnElement[Any]],
    key_length: int,
    wrong_numbers: Sequence[int],
) -> Iterator[Sequence[Any]]:
    [name] = sides.requirement.on
    for numbers in chunks(wrong_numbers):
        is_wrong = sides.scope.column(name).in_(map(bind, numbers))
        statement = select(*columns).select_from(sides.scope.table)
        statement = statement.where(sides.comparable_rows, is_wrong)
        yield from sides.scope.snapshot.rows(statement.order_by(*columns[:key_length]))


def _rows_of_digests(
    sides: Sides,
    columns: Sequence[ColumnElement[Any]],
    key_length: int,
    wrong_digests: frozenset[bytes],
) -> Iterator[Sequence[Any]]:
    writers, _ = sides.canonical
    end = len(columns)
    compared = [_exact(sides.scope, name) for name in sides.requirement.on]
    statement = select(*columns, *compared).select_from(sides.scope.table)
    statement = statement.where(sides.comparable_rows).order_by(*columns[:key_length])
    for row in sides.scope.snapshot.stream(statement):
        if digest(row[end:], writers) in wrong_digests:
            yield row
