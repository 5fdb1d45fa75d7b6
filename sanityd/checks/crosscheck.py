"""Rows of one source and their counterparts in another, compared in bounded memory.

Keys of both sides are read as streams and put as digests into partitions on disk, by their first bits; two partitions
of the same bits are then compared in memory, one pair at a time. Only digests touch the disk, in files without a name.
A merge of two sorted streams would need both databases to sort alike, and a doubt about that is a false alarm.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Any

from sqlalchemy import ColumnElement, and_, func, select

from sanityd.checks.base import Claim
from sanityd.checks.comparison import SIZE, Canonical, canonicals, digest
from sanityd.checks.scope import Scope
from sanityd.model import Violation
from sanityd.sources.base import AnySelect

#: Into how many parts the keys are put. With 64, ten million keys make parts of 2.5 MB a side.
PARTS = 64


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
        zones = (self.scope.snapshot.source.settings.zone, self.other.snapshot.source.settings.zone)
        pairs = [
            canonicals(self.scope.column_info(mine).family, zones[0], self.other.column_info(theirs).family, zones[1])
            for mine, theirs in self.claim.on.items()
        ]
        return [mine for mine, _ in pairs], [theirs for _, theirs in pairs]

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


def compare(sides: Sides, most: int) -> Found:
    """Which of my rows have a wrong number of counterparts.

    Parameters: `most` is how many wrong keys are told; all are counted.
    """
    mine, theirs = sides.canonical
    mine_keys = select(*(sides.scope.exact(name) for name in sides.claim.on)).select_from(sides.scope.table)
    with ExitStack() as files:
        left = _partition(sides.scope.snapshot.stream(mine_keys.where(sides.known)), mine, files)
        right = _partition(sides.other.snapshot.stream(sides.evidence()), theirs, files)
        rows, wrong = 0, set[bytes]()
        for here, there in zip(left, right, strict=True):
            listed = set(_digests(there))
            for one in _digests(here):
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


def _partition(rows: Iterator[Sequence[Any]], canonical: Sequence[Canonical], files: ExitStack) -> list[IO[bytes]]:
    parts: list[IO[bytes]] = [files.enter_context(TemporaryFile(prefix="sanityd-")) for _ in range(PARTS)]  # noqa: SIM115
    for row in rows:
        one = digest(row, canonical)
        parts[one[0] % PARTS].write(one)
    return parts


def _digests(part: IO[bytes]) -> Iterator[bytes]:
    part.seek(0)
    while block := part.read(SIZE * 4096):
        for start in range(0, len(block), SIZE):
            yield block[start : start + SIZE]
