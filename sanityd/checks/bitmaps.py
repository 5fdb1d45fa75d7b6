"""Whole numbers of two databases, compared as bitmaps of 64 numbers, made by each database.

Whole numbers are the one type that all databases sort alike, so that two sorted streams can be
merged in bounded memory. Where numbers are too far apart for bitmaps to save anything, the streams
consist of the numbers themselves.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from sqlalchemy import func, select

from sanityd.checks.scope import bind
from sanityd.sources.base import AnySelect, Bitmap, Snapshot
from sanityd.sources.catalog import ColumnInfo

#: How many keys one bitmap holds, as a power of two.
BITS = 6
WIDTH = 1 << BITS
#: Up to so many times as many numbers as keys, bitmaps are worth it.
_SPARSE = 16


class NotWhole(Exception):
    """A column of whole numbers holds something else, as SQLite allows."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """One side: a SELECT of one column of whole numbers, without NULLs, in a snapshot."""

    snapshot: Snapshot
    column: ColumnInfo
    select: AnySelect

    @property
    def bitmap(self) -> Bitmap | None:
        """The bucket and the bits, where the database can make them."""
        [number] = self.select.subquery("numbers").c
        return self.snapshot.source.dialect.bitmap(number, self.column)

    def between(self, low: int, high: int) -> "Numbers":
        """Only those numbers."""
        [number] = self.select.subquery("numbers").c
        return replace(self, select=select(number).where(number.between(bind(low), bind(high))))

    def bounds(self) -> tuple[int, int, int]:
        """How many there are, the smallest and the largest. Raises NotWhole."""
        [number] = self.select.subquery("numbers").c
        [(count, low, high)] = self.snapshot.rows(
            select(func.count(), func.min(number), func.max(number))
        )
        if count and not (isinstance(low, int) and isinstance(high, int)):
            raise NotWhole
        return count, low or 0, high or 0

    def stream(self, *, dense: bool) -> Iterator[tuple[int, int]]:
        """Buckets with their bits, in order; a bucket may occur more than once. Raises NotWhole."""
        bitmap = self.bitmap if dense else None
        if bitmap is None:
            [number] = self.select.subquery("numbers").c
            for [value] in self.snapshot.stream(select(number).order_by(number)):
                if not isinstance(value, int):
                    raise NotWhole
                yield value >> BITS, 1 << (value & WIDTH - 1)
            return
        bucket, bits = bitmap
        for number, mask in self.snapshot.stream(
            select(bucket, bits).group_by(bucket).order_by(bucket)
        ):
            # The 64th bit is a sign in some databases.
            yield int(number), int(mask) & (1 << WIDTH) - 1


def differing(numbers: Numbers, others: Numbers, *, common: bool) -> Iterator[int]:
    """The numbers that aren't among the others (with `common`: that are), each once, in order.

    Raises NotWhole.
    """
    count, low, high = numbers.bounds()
    if not count:
        return
    dense = (high - low) // _SPARSE <= count
    others = others.between(low, high)
    # Both databases work at the same time: bitmaps return no row before all are made.
    with ThreadPoolExecutor(1) as executor:
        future = None
        if dense and others.bitmap:
            future = executor.submit(_Bitmaps, others.stream(dense=True))
        bitmaps = _Bitmaps(numbers.stream(dense=dense))
        if future:
            other_bitmaps = future.result()
        else:
            other_bitmaps = _Bitmaps(others.stream(dense=dense))
    for bucket, bits in bitmaps:
        other_bits = other_bitmaps.at(bucket)
        differing_bits = bits & other_bits if common else bits & ~other_bits
        yield from _numbers(bucket, differing_bits)


class _Bitmaps:
    """Bitmaps in the order of their buckets; rows of one bucket become one."""

    def __init__(self, rows: Iterator[tuple[int, int]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        while self._next is not None:
            bucket = self._next[0]
            yield bucket, self.at(bucket)

    def at(self, bucket: int) -> int:
        """The bits of a bucket that isn't before one asked for earlier."""
        bits = 0
        while self._next is not None and self._next[0] <= bucket:
            if self._next[0] == bucket:
                bits |= self._next[1]
            self._next = next(self._rows, None)
        return bits


def _numbers(bucket: int, bits: int) -> Iterator[int]:
    while bits:
        last = bits & -bits
        yield (bucket << BITS) + last.bit_length() - 1
        bits ^= last
