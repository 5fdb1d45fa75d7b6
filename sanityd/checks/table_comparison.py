"""Two tables (or queries) compared row for row in bounded memory.

Rows of both sides are read once, as a digest of their key and a short one of each compared value.
Only when something differs are the keys read a second time, to find out which they are.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, case, literal_column, select

from sanityd.checks.comparison import SHORT, SIZE, Canonical, digest, short_digest
from sanityd.checks.crosscheck import canonical_columns
from sanityd.checks.partitions import Partitions
from sanityd.checks.requirements import TableComparison
from sanityd.checks.scope import Scope
from sanityd.model import Violation
from sanityd.sources.base import AnySelect

#: Whether a row is judged or too young to be judged; else it is too old (0). Whichever it is, it is
#: a counterpart.
_IN_SCOPE, _TOO_YOUNG = b"\x01", b"\x02"


@dataclass(slots=True)
class TableDifferences:
    """How many keys and rows differ, and what is wrong with some of the keys.

    `faults` has words for the first `limit` keys, by their digest; `young`, if it is followed, for
    the keys that differ and whose rows are too young to be judged.
    """

    limit: int
    follow_young: bool = False
    violations: int = 0
    rows: int = 0
    faults: dict[bytes, str] = field(default_factory=dict)
    young: dict[bytes, str] = field(default_factory=dict)

    def add(self, key: bytes, fault: str, rows: int) -> None:
        """Count one key and its rows."""
        self.violations += 1
        self.rows += rows
        if len(self.faults) < self.limit:
            self.faults[key] = fault

    def spare(self, key: bytes, fault: str) -> None:
        """Note a key that differs, and is not judged yet."""
        if self.follow_young:
            self.young[key] = fault


@dataclass(frozen=True, slots=True)
class Tables:
    """Both sides of a comparison: the rule's own rows, and those of the other table."""

    comparison: TableComparison
    scope: Scope
    other: Scope

    @property
    def own_rows(self) -> AnySelect:
        """All own rows that can be a counterpart, each with whether it is in scope."""
        names = (*self.comparison.on, *self.comparison.compare)
        columns = [self.scope.portable(name) for name in names]
        has_key = self.scope.not_null(self.comparison.on)
        statement = select(*columns, _state(self.scope)).select_from(self.scope.table)
        return statement.where(self.scope.picked, has_key)

    @property
    def other_rows(self) -> AnySelect:
        """All rows of the other table."""
        names = (*self.comparison.on.values(), *self.comparison.compare.values())
        columns = [self.other.portable(name) for name in names]
        has_key = self.other.not_null(self.comparison.on.values())
        statement = select(*columns, _state(self.other)).select_from(self.other.table)
        return statement.where(self.other.picked, has_key)


def _state(scope: Scope) -> ColumnElement[int]:
    """Whether a row is judged (1), too young for `within` (2), or outside of the window (0)."""
    judged: ColumnElement[int] = literal_column("1")
    young: ColumnElement[int] = literal_column("2")
    outside: ColumnElement[int] = literal_column("0")
    if scope.subject.within is None and scope.subject.window is None:
        return judged
    return case((scope.rows, judged), (scope.in_window, young), else_=outside)


def compare(tables: Tables, limit: int, *, follow_young: bool = False) -> TableDifferences:
    """Find the keys that differ.

    Parameters: `limit` is for how many of them it is said what is wrong; all are counted;
    `follow_young` tells also of keys that are not judged yet.
    """
    comparison = tables.comparison
    own_keys, other_keys = canonical_columns(tables.scope, tables.other, comparison.on)
    own_values, other_values = canonical_columns(tables.scope, tables.other, comparison.compare)
    size = SIZE + SHORT * len(comparison.compare) + 1
    differences = TableDifferences(limit, follow_young)
    with ExitStack() as files:
        own_parts, other_parts = Partitions(size, files), Partitions(size, files)
        own_rows = tables.scope.snapshot.stream(tables.own_rows)
        own_parts.fill(_records(own_rows, own_keys, own_values))
        other_rows = tables.other.snapshot.stream(tables.other_rows)
        other_parts.fill(_records(other_rows, other_keys, other_values))
        for own_records, other_records in zip(own_parts, other_parts, strict=True):
            _compare_part(tables, own_records, other_records, differences)
    return differences


def _compare_part(
    tables: Tables,
    own_records: Iterable[bytes],
    other_records: Iterable[bytes],
    differences: TableDifferences,
) -> None:
    """Compare the rows whose keys are in one part of the partitions."""
    unmatched = _by_key(other_records)
    for key, joined in _by_key(own_records).items():
        records = _split(tables, joined)
        counterparts = _split(tables, unmatched.pop(key, b""))
        if not _in_state(records, _IN_SCOPE) and not _in_state(records, _TOO_YOUNG):
            continue
        fault = _fault(tables, records, counterparts)
        if fault:
            _judge(key, fault, [records, counterparts] if counterparts else [records], differences)
    if tables.comparison.extra_fails:
        for key, joined in unmatched.items():
            fault = f"not in {tables.scope.name}"
            _judge(key, fault, [_split(tables, joined)], differences)


def _judge(
    key: bytes, fault: str, sides: Sequence[list[bytes]], differences: TableDifferences
) -> None:
    """Count a key, unless its rows on one of the sides are all too young."""
    judged = [_in_state(records, _IN_SCOPE) for records in sides]
    if all(judged):
        differences.add(key, fault, judged[0])
    else:
        differences.spare(key, fault)


def _in_state(records: list[bytes], state: bytes) -> int:
    """The number of the records in a state."""
    return len([record for record in records if record[-1:] == state])


def violations_of(
    tables: Tables, shown: Sequence[str], faults: Mapping[bytes, str]
) -> dict[bytes, Violation]:
    """The keys that differ, with the values of both sides that the rule shows.

    Parameters: `faults` has the words for each, by the digest of the key.
    """
    on, compare = tables.comparison.on, tables.comparison.compare
    own_keys, other_keys = canonical_columns(tables.scope, tables.other, on)
    keys: dict[bytes, dict[str, Any]] = {}
    values: dict[bytes, dict[str, Any]] = {}
    own_columns = _columns(tables.scope, on, shown)
    own_rows = tables.own_rows.with_only_columns(*own_columns)
    for mark, row in _differing_rows(tables.scope, own_rows, own_keys, faults):
        keys[mark] = dict(zip(on, row[len(on) :], strict=False))
        values[mark] = dict(zip(shown, row[2 * len(on) :], strict=True))
    shown_of_both = [name for name in shown if name in compare]
    shown_there = [compare[name] for name in shown_of_both]
    other_columns = _columns(tables.other, on.values(), shown_there)
    other_rows = tables.other_rows.with_only_columns(*other_columns)
    for mark, row in _differing_rows(tables.other, other_rows, other_keys, faults):
        keys.setdefault(mark, dict(zip(on, row[len(on) :], strict=False)))
        shown_values = values.setdefault(mark, {})
        for name, value in zip(shown_of_both, row[2 * len(on) :], strict=True):
            shown_values[f"{name} there"] = value
    return {
        mark: Violation(key, shown=values[mark], detail=faults[mark]) for mark, key in keys.items()
    }


def _columns(scope: Scope, on: Collection[str], shown: Iterable[str]) -> list[ColumnElement[Any]]:
    """The key as it is compared, the key as it is shown, and the columns to show."""
    compared = [scope.portable(name) for name in on]
    return [*compared, *(scope.column(name) for name in (*on, *shown))]


def _records(
    rows: Iterator[Sequence[Any]], keys: list[Canonical], values: list[Canonical]
) -> Iterator[bytes]:
    """Each row as a digest of its key, a short digest of each value, and its state."""
    key_end = len(keys)
    value_end = key_end + len(values)
    for row in rows:
        record = [digest(row[:key_end], keys)]
        for value, write in zip(row[key_end:value_end], values, strict=True):
            record.append(short_digest(value, write))
        record.append(bytes([int(row[value_end])]))
        yield b"".join(record)


def _by_key(records: Iterable[bytes]) -> dict[bytes, bytes]:
    """The records of each key, joined: a list for each would take twice the memory."""
    by_key: dict[bytes, bytes] = {}
    for record in records:
        key, rest = record[:SIZE], record[SIZE:]
        by_key[key] = by_key[key] + rest if key in by_key else rest
    return by_key


def _split(tables: Tables, joined: bytes) -> list[bytes]:
    width = SHORT * len(tables.comparison.compare) + 1
    return [joined[start : start + width] for start in range(0, len(joined), width)]


def _fault(tables: Tables, own_records: list[bytes], other_records: list[bytes]) -> str:
    """What is wrong with the rows of one key, in words; empty when they agree."""
    comparison = tables.comparison
    if not other_records:
        return f"not in {comparison.other}"
    own_values = sorted(record[:-1] for record in own_records)
    other_values = sorted(record[:-1] for record in other_records)
    if own_values == other_values:
        return ""
    if len(own_values) != len(other_values):
        return f"{len(own_values)} here, {len(other_values)} in {comparison.other}"
    if len(own_values) > 1:
        return f"differs ({len(own_values)} rows each)"
    differing: list[str] = []
    for number, name in enumerate(comparison.compare):
        part = slice(number * SHORT, (number + 1) * SHORT)
        if own_values[0][part] != other_values[0][part]:
            differing.append(name)
    return f"{', '.join(differing)} {'differs' if len(differing) == 1 else 'differ'}"


def _differing_rows(
    scope: Scope, statement: AnySelect, keys: list[Canonical], faults: Mapping[bytes, str]
) -> Iterator[tuple[bytes, Sequence[Any]]]:
    """The rows whose key differs, each with the digest of its key."""
    key_length = len(keys)
    if not faults:
        return
    ordered = statement.order_by(*statement.selected_columns[:key_length])
    for row in scope.snapshot.stream(ordered):
        mark = digest(row[:key_length], keys)
        if mark in faults:
            yield mark, row
