"""Two tables (or queries) compared row for row in bounded memory: what is missing, too much, or different, and where.

Rows of both sides are read once, as a digest of their key and a short one of each compared value. Only when something
differs are the keys read a second time, to tell which they are.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, literal_column, select

from sanityd.checks.comparison import SHORT, SIZE, Canonical, digest, short_digest
from sanityd.checks.crosscheck import written
from sanityd.checks.partitions import Partitions
from sanityd.checks.requirements import TableComparison
from sanityd.checks.scope import Scope
from sanityd.model import Violation
from sanityd.sources.base import AnySelect

#: Whether a row of ours is in scope; rows out of it still are counterparts.
_IN_SCOPE, _OUT_OF_SCOPE = b"\x01", b"\x00"


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison found: how many keys and rows, and what is wrong with each key that is followed."""

    violations: int
    rows: int
    faults: Mapping[bytes, str]


@dataclass(frozen=True, slots=True)
class Tables:
    """Both sides of an agreement: the rule's own rows and those that they are compared with."""

    agreement: TableComparison
    scope: Scope
    other: Scope

    @property
    def mine(self) -> AnySelect:
        """All rows of ours that can be a counterpart, each with whether it is in scope."""
        columns = [
            self.scope.column(name) for name in (*self.agreement.on, *self.agreement.compare)
        ]
        in_scope = case((self.scope.rows, literal_column("1")), else_=literal_column("0"))
        known = self.scope.known(self.agreement.on)
        return (
            select(*columns, in_scope).select_from(self.scope.table).where(self.scope.picked, known)
        )

    @property
    def theirs(self) -> AnySelect:
        """All rows there."""
        names = (*self.agreement.on.values(), *self.agreement.compare.values())
        columns = [self.other.column(name) for name in names]
        known = self.other.known(self.agreement.on.values())
        return select(*columns).select_from(self.other.table).where(self.other.rows, known)


def compare(tables: Tables, most: int) -> Compared:
    """Which keys differ. Parameters: `most` is how many of them are told; all are counted."""
    agreement = tables.agreement
    keys, values = (
        written(tables.scope, tables.other, columns)
        for columns in (agreement.on, agreement.compare)
    )
    size = SIZE + SHORT * len(agreement.compare) + 1
    violations = rows = 0
    faults: dict[bytes, str] = {}
    with ExitStack() as files:
        here, there = Partitions(size, files), Partitions(size, files)
        here.fill(_records(tables.scope.snapshot.stream(tables.mine), keys[0], values[0]))
        there.fill(_records(tables.other.snapshot.stream(tables.theirs), keys[1], values[1]))
        for ours, others in zip(here, there, strict=True):
            expected = _by_key(others)
            for key, joined in _by_key(ours).items():
                theirs, records = _split(expected.pop(key, b""), size), _split(joined, size)
                in_scope = sum(record[-1:] == _IN_SCOPE for record in records)
                if in_scope and (fault := _fault(tables, records, theirs)):
                    violations, rows = violations + 1, rows + in_scope
                    if len(faults) < most:
                        faults[key] = fault
            for key, joined in expected.items() if agreement.extra_fails else ():
                violations, rows = violations + 1, rows + len(_split(joined, size))
                if len(faults) < most:
                    faults[key] = f"not in {tables.scope.name}"
    return Compared(violations, rows, faults)


def violations_of(tables: Tables, shown: Sequence[str], found: Compared) -> list[Violation]:
    """The keys with those faults, and the values that the rule allows to leave the databases, of both sides."""
    on = tables.agreement.on
    keys = written(tables.scope, tables.other, on)
    of_both = [name for name in shown if name in tables.agreement.compare]
    by_mark: dict[bytes, tuple[dict[str, Any], dict[str, Any]]] = {}
    ours = [tables.scope.column(name) for name in (*on, *shown)]
    for mark, row in _marked(
        tables.scope, tables.mine.with_only_columns(*ours), keys[0], found.faults
    ):
        by_mark[mark] = _named(on, row), dict(zip(shown, row[len(on) :], strict=True))
    names_there = (*on.values(), *(tables.agreement.compare[name] for name in of_both))
    there = [tables.other.column(name) for name in names_there]
    for mark, row in _marked(
        tables.other, tables.theirs.with_only_columns(*there), keys[1], found.faults
    ):
        _, values = by_mark.setdefault(mark, (_named(on, row), {}))
        values |= {
            f"{name} there": value for name, value in zip(of_both, row[len(on) :], strict=True)
        }
    return [
        Violation(key, shown=values, detail=found.faults[mark])
        for mark, (key, values) in by_mark.items()
    ]


def _records(
    rows: Iterator[Sequence[Any]], keys: list[Canonical], values: list[Canonical]
) -> Iterator[bytes]:
    end = len(keys)
    last = end + len(values)
    for row in rows:
        shorts = (
            short_digest(value, write) for value, write in zip(row[end:last], values, strict=True)
        )
        # Rows there have no scope of their own.
        flag = _OUT_OF_SCOPE if len(row) > last and not row[last] else _IN_SCOPE
        yield digest(row[:end], keys) + b"".join(shorts) + flag


def _by_key(records: Iterable[bytes]) -> dict[bytes, bytes]:
    """What is known of the rows of each key, one after the other: a list for each would take twice the memory."""
    by_key: dict[bytes, bytes] = {}
    for record in records:
        key, rest = record[:SIZE], record[SIZE:]
        by_key[key] = by_key[key] + rest if key in by_key else rest
    return by_key


def _split(joined: bytes, size: int) -> list[bytes]:
    width = size - SIZE
    return [joined[start : start + width] for start in range(0, len(joined), width)]


def _fault(tables: Tables, ours: list[bytes], theirs: list[bytes]) -> str:
    """What is wrong with the rows of one key, in words; nothing when they agree."""
    if not theirs:
        return f"not in {tables.agreement.there}"
    mine, there = sorted(record[:-1] for record in ours), sorted(record[:-1] for record in theirs)
    if mine == there:
        return ""
    if len(mine) != len(there):
        return f"{len(mine)} here, {len(there)} in {tables.agreement.there}"
    if len(mine) > 1:
        return f"differs ({len(mine)} rows each)"
    differing = [
        name
        for place, name in enumerate(tables.agreement.compare)
        if mine[0][place * SHORT : (place + 1) * SHORT]
        != there[0][place * SHORT : (place + 1) * SHORT]
    ]
    return f"{', '.join(differing)} {'differs' if len(differing) == 1 else 'differ'}"


def _marked(
    scope: Scope, statement: AnySelect, keys: list[Canonical], faults: Mapping[bytes, str]
) -> Iterator[tuple[bytes, Sequence[Any]]]:
    """The rows whose key has a fault, each with its key's digest."""
    size = len(keys)
    if not faults:
        return
    for row in scope.snapshot.stream(statement.order_by(*statement.selected_columns[:size])):
        mark = digest(row[:size], keys)
        if mark in faults:
            yield mark, row


def _named(on: Mapping[str, str], row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(on, row, strict=False))
