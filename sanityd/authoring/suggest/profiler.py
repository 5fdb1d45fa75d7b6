"""Looks at a table in few statements: one that measures all columns, one or two for some rows, one for its codes.

Through the guarded snapshot, as checks look. A column that can't be measured (a type that has no order, a value the
driver can't read) is left out; what takes too long stops the whole table.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, select

from sanityd import clock
from sanityd.authoring.suggest.declared_keys import declared
from sanityd.authoring.suggest.profile import NUMBERS, ColumnProfile, TableProfile, is_nameable
from sanityd.authoring.suggest.proposals.codes import is_code
from sanityd.authoring.suggest.proposals.freshness import is_mark_of_time
from sanityd.authoring.suggest.sampling import extent
from sanityd.checks.invariant import Subject, TableName
from sanityd.checks.scope import Scope
from sanityd.errors import CheckError
from sanityd.sources.base import AnySelect, Snapshot
from sanityd.sources.catalog import Family

#: Columns measured by one statement.
TOGETHER = 60
#: How many of the first and of the last rows are looked at one by one, and how much of a text.
FEW = 100
LONGEST = 200
#: A column with more different words holds no codes; a table with more combinations is asked column by column.
MOST_WORDS = 24
MOST_COMBINATIONS = 2_000
#: How many days of traffic are counted.
DAYS = 8
#: ISO 8601, as SQLite's own functions write it.
_TIME = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
_UNREAD = frozenset({Family.BYTES, Family.OTHER})


def profile(
    snapshot: Snapshot, source: str, place: tuple[str | None, str], whole: int
) -> tuple[TableProfile, Scope]:
    """What a table shows, and the rows that were looked at, which rules can be tried on.

    Parameters: `place` is its schema and name; a table with more than `whole` rows is read as a sample.
    Raises CheckError when it can't be read, or not in time; SourceError when the source is lost.
    """
    schema, name = place
    info = snapshot.table(name, schema)
    part = extent(snapshot, info, whole)
    subject = Subject(source, TableName(source, name, schema), frozenset({source}))
    scope = Scope(snapshot, subject, sample=part.sample)
    names = [column for column in info.columns if is_nameable(column)]
    read, measured = _measure(scope, names)
    rows = read if part.sample is None else max(read, part.rows or 0)
    if not read:
        return TableProfile(source, info, rows, 0, measured), scope
    names = [column.name for column in measured.values() if column.family not in _UNREAD]
    table = TableProfile(source, info, rows, read, measured, _some_rows(scope, read, names))
    columns = dict(_with_times(table)) if snapshot.source.dialect.writes_times else measured
    table = replace(
        table,
        columns=columns,
        words=_words(scope, [column.name for column in columns.values() if is_code(column)]),
        declared=declared(snapshot, info),
    )
    if part.sample is None:
        # A rule about the newest row of a table that is too large to be read would read it, too.
        marks = [column.name for column in columns.values() if is_mark_of_time(column)]
        table = replace(table, days=_days(scope, marks[:2]))
    return table, scope


def _with_times(table: TableProfile) -> Iterator[tuple[str, ColumnProfile]]:
    """The columns, those of text that hold nothing but times marked as such."""
    for name, column in table.columns.items():
        values = table.seen(name) if column.family is Family.TEXT else []
        is_time = bool(values) and all(
            isinstance(value, str) and _TIME.fullmatch(value) for value in values
        )
        yield name, replace(column, is_written_time=is_time)


def _measure(scope: Scope, names: Sequence[str]) -> tuple[int, dict[str, ColumnProfile]]:
    """The number of rows, and what can be told of each column."""
    [(read,)] = _rows(scope, select(func.count()).select_from(scope.table)) if not names else [(0,)]
    found: dict[str, ColumnProfile] = {}
    for at in range(0, len(names), TOGETHER):
        read, columns = _measure_some(scope, names[at : at + TOGETHER])
        found |= columns
    return int(read), found


def _measure_some(scope: Scope, names: Sequence[str]) -> tuple[int, dict[str, ColumnProfile]]:
    measures = {(name, word): value for name in names for word, value in _measures_of(scope, name)}
    labelled = [value.label(f"sanityd_{number}") for number, value in enumerate(measures.values())]
    statement = select(func.count().label("sanityd_rows"), *labelled).select_from(scope.table)
    try:
        [(read, *values)] = _rows(scope, statement)
    except _NotMeasurable:
        if not names:
            raise
        half = len(names) // 2
        if not half:
            return _measure_some(scope, [])
        read, found = _measure_some(scope, names[:half])
        return read, found | _measure_some(scope, names[half:])[1]
    told: dict[str, dict[str, Any]] = {name: {} for name in names}
    for (name, word), value in zip(measures, values, strict=True):
        told[name][word] = value
    return read, {
        name: ColumnProfile(scope.column_info(name), **words) for name, words in told.items()
    }


def _measures_of(scope: Scope, name: str) -> Iterator[tuple[str, ColumnElement[Any]]]:
    column, family = scope.column(name), scope.column_info(name).family
    yield "filled", func.count(column)
    if family is Family.TEXT:
        yield "blank", func.count(case((func.trim(scope.text(name)) == "", 1)))
    if family in NUMBERS:
        yield "low", func.min(column)
        yield "high", func.max(column)


class _NotMeasurable(CheckError):
    """The statement failed, and not because it took long."""


def _rows(scope: Scope, statement: AnySelect) -> Sequence[Any]:
    """Raises _NotMeasurable, or CheckError when it took so long that another try would be no better."""
    started = clock.stopwatch()
    try:
        return scope.snapshot.rows(statement)
    except CheckError as error:
        limit = scope.snapshot.source.settings.statement_timeout.total_seconds()
        if clock.stopwatch() - started > limit * 0.9 or "locked" in error.message:
            raise
        raise _NotMeasurable(error.message, error.hint) from None


def _some_rows(scope: Scope, read: int, names: Sequence[str]) -> list[Mapping[str, Any]]:
    """Some of the first and, where there is a key to find them by, some of the last."""
    if not names:
        return []
    columns = [
        func.substr(scope.text(name), 1, LONGEST).label(f"sanityd_{number}")
        if scope.column_info(name).family is Family.TEXT
        else scope.column(name).label(f"sanityd_{number}")
        for number, name in enumerate(names)
    ]
    statement = select(*columns).select_from(scope.table)
    key = [scope.column(name).desc() for name in scope.info.key]
    found = list(_readable(scope, statement.limit(FEW)))
    # Fewer rows would be among the first ones already.
    if key and read >= 2 * FEW:
        found += _readable(scope, statement.order_by(*key).limit(FEW))
    return [dict(zip(names, row, strict=True)) for row in found]


def _readable(scope: Scope, statement: AnySelect) -> Sequence[Any]:
    """Nothing where a value can't be read by the driver."""
    try:
        return _rows(scope, statement)
    except _NotMeasurable:
        return []


def _words(scope: Scope, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """How often each code occurs: for all columns in one statement, unless there are too many combinations."""
    if not names:
        return {}
    values = [scope.text(name).label(f"sanityd_{number}") for number, name in enumerate(names)]
    statement = (
        select(*values, func.count().label("sanityd_rows"))
        .select_from(scope.table)
        .group_by(*values)
    )
    rows = _readable(scope, statement.limit(MOST_COMBINATIONS + 1))
    if len(rows) > MOST_COMBINATIONS and len(names) > 1:
        return {name: words for one in names for name, words in _words(scope, [one]).items()}
    found: dict[str, dict[str, int]] = {name: {} for name in names}
    for *words, count in rows:
        for name, word in zip(names, words, strict=True):
            if word is not None:
                found[name][str(word)] = found[name].get(str(word), 0) + int(count)
    return {name: counts for name, counts in found.items() if 0 < len(counts) <= MOST_WORDS}


def _days(scope: Scope, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """How many rows are of each of the last days."""
    found: dict[str, tuple[int, ...]] = {}
    for name in names:
        ends = [scope.moment(name, scope.now - timedelta(days=day)) for day in range(DAYS + 1)]
        instant = scope.instant(name)
        counts = [
            func.count(case((and_(instant <= ends[day], instant > ends[day + 1]), 1))).label(
                f"sanityd_{day}"
            )
            for day in range(DAYS)
        ]
        for row in _readable(
            scope, select(*counts).select_from(scope.table).where(instant > ends[DAYS])
        ):
            found[name] = tuple(int(count) for count in row)
    return found
