"""Rows of one source and their counterparts in another, counted in bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, select

from sanityd.checks.base import Claim
from sanityd.checks.comparison import SIZE, Canonical, canonicals, digest
from sanityd.checks.partitions import Partitions
from sanityd.checks.scope import Scope
from sanityd.model import Violation
from sanityd.sources.base import AnySelect


@dataclass(frozen=True, slots=True)
class Found:
    """What a comparison found. `digests` are the keys that are wrong, at most as many as are followed."""

    rows: int
    digests: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of a claim: where its rows are, where its evidence is, and how their values are written."""

    claim: Claim
    scope: Scope
    other: Scope

    @property
    def canonical(self) -> tuple[list[Canonical], list[Canonical]]:
        """How to write each column's values, mine and theirs."""
        return written(self.scope, self.other, self.claim.on)

    @property
    def known(self) -> ColumnElement[bool]:
        """My rows in scope whose key is not NULL in any part."""
        return and_(self.scope.rows, *(self.scope.column(name).is_not(None) for name in self.claim.on))

    def evidence(self) -> AnySelect:
        """The keys there: those that suffice, or those that are too many."""
        low, high = self.claim.low, self.claim.high
        keys = [self.other.exact(name) for name in self.claim.on.values()]
        known = (self.other.column(name).is_not(None) for name in self.claim.on.values())
        plain = select(*keys).select_from(self.other.table).where(self.other.rows, *known)
        if (low, high) == (1, None) or high == 0:
            return plain
        count = func.count()
        if low == 0:
            return plain.group_by(*keys).having(count > high)
        return plain.group_by(*keys).having(count >= low if high is None else count == high)


def written(scope: Scope, other: Scope, columns: Mapping[str, str]) -> tuple[list[Canonical], list[Canonical]]:
    """How to write the values of each column of `scope` and of its counterpart in `other`, to compare them."""
    zones = (scope.snapshot.source.settings.zone, other.snapshot.source.settings.zone)
    pairs = [
        canonicals(scope.column_info(mine).family, zones[0], other.column_info(theirs).family, zones[1])
        for mine, theirs in columns.items()
    ]
    return [mine for mine, _ in pairs], [theirs for _, theirs in pairs]


def compare(sides: Sides, most: int) -> Found:
    """Which of my rows have a wrong number of counterparts.

    Parameters: `most` is how many wrong keys are told; all are counted.
    """
    mine, theirs = sides.canonical
    mine_keys = select(*(sides.scope.exact(name) for name in sides.claim.on)).select_from(sides.scope.table)
    with ExitStack() as files:
        left, right = Partitions(SIZE, files), Partitions(SIZE, files)
        left.fill(digest(row, mine) for row in sides.scope.snapshot.stream(mine_keys.where(sides.known)))
        right.fill(digest(row, theirs) for row in sides.other.snapshot.stream(sides.evidence()))
        rows, wrong = 0, set[bytes]()
        for here, there in zip(left, right, strict=True):
            listed = set(there)
            for one in here:
                if (one in listed) is sides.claim.forbids:
                    rows += 1
                    if len(wrong) < most:
                        wrong.add(one)
    return Found(rows, frozenset(wrong))


def rows_of(sides: Sides, key: Sequence[str], shown: Sequence[str], found: Found, most: int) -> Iterator[Violation]:
    """My rows with those keys, at most so many."""
    scope, canonical = sides.scope, sides.canonical[0]
    columns = [scope.column(name) for name in (*key, *shown)]
    on = [scope.exact(name) for name in sides.claim.on]
    statement = select(*columns, *on).select_from(scope.table).where(sides.known)
    left = most
    for row in scope.snapshot.stream(statement.order_by(*columns[: len(key)])):
        end = len(key) + len(shown)
        if left and digest(row[end:], canonical) in found.digests:
            left -= 1
            yield Violation(dict(zip(key, row, strict=False)), shown=dict(zip(shown, row[len(key) : end], strict=True)))
        if not left:
            break
