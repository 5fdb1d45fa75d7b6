"""Profile a table with few statements.

One statement measures all columns, one or two read sample rows, one counts the values of columns of
codes. All go through the guarded snapshot, as checks do. A column that can't be measured (its type
has no order, or the driver can't read a value) is left out. A timeout stops the whole table.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, select

from sanityd import clock
from sanityd.authoring.suggest.declared_keys import declared_foreign_keys
from sanityd.authoring.suggest.profile import NUMBERS, ColumnProfile, TableProfile, is_nameable
from sanityd.authoring.suggest.proposals.accepted_values import is_code_column
from sanityd.authoring.suggest.proposals.freshness import is_row_time
from sanityd.authoring.suggest.table_sample import choose_sample
from sanityd.checks.invariant import Subject, TableName
from sanityd.checks.scope import Scope
from sanityd.errors import CheckError
from sanityd.sources.base import AnySelect, Snapshot
from sanityd.sources.catalog import UNCOMMON, Family

#: Number of columns that one statement measures.
_COLUMNS_PER_STATEMENT = 60
#: Number of first and of last rows in the sample, and of characters of a text in it.
_SAMPLE_ROWS = 100
_MAX_CHARACTERS = 200
#: A column with more distinct values holds no codes.
_MAX_CODES = 24
#: When the columns of codes have more combinations of values, they are counted one by one.
_MAX_COMBINATIONS = 2_000
#: Number of days for which rows are counted.
_DAYS = 8
#: Of these, the columns of creation or change times that are counted.
_MAX_TIME_COLUMNS = 2
#: A statement that ran for this fraction of the timeout, or longer, was stopped by it.
_TIMEOUT_FRACTION = 0.9
#: ISO 8601, as SQLite's own functions write it.
_TIME = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
_UNREADABLE = UNCOMMON | {Family.BYTES}


def profile(
    snapshot: Snapshot, source: str, table_key: tuple[str | None, str], whole: int
) -> tuple[TableProfile, Scope]:
    """Return the profile of a table, and the scope of the rows read, to try rules on.

    Parameters: `table_key` is its schema and name; a table with more than `whole` rows is read as
    a sample. Raises CheckError when the table can't be read, or not in time; SourceError when the
    connection to the source is lost.
    """
    schema, name = table_key
    info = snapshot.table(name, schema)
    sample = choose_sample(snapshot, info, whole)
    subject = Subject(source, TableName(source, name, schema), frozenset({source}))
    scope = Scope(snapshot, subject, sample=sample.clause)
    names = [column for column in info.columns if is_nameable(column)]
    rows_read, columns = _measure(scope, names)
    rows = rows_read
    if sample.clause is not None:
        rows = max(rows_read, sample.rows or 0)
    if not rows_read:
        return TableProfile(source, info, rows, 0, columns), scope
    table = TableProfile(source, info, rows, rows_read, columns)
    return _with_values(table, scope, is_sample=sample.clause is not None), scope


def _with_values(table: TableProfile, scope: Scope, *, is_sample: bool) -> TableProfile:
    """Return the profile with all that is read from single rows. Raises CheckError."""
    snapshot = scope.snapshot
    readable = [
        column.name for column in table.columns.values() if column.family not in _UNREADABLE
    ]
    table = replace(table, sample=_sample_rows(scope, table.rows_read, readable))
    if snapshot.source.dialect.stores_times_as_text:
        table = replace(table, columns=_with_time_texts(table))
    code_columns = [column.name for column in table.columns.values() if is_code_column(column)]
    table = replace(
        table,
        value_counts=_value_counts(scope, code_columns),
        declared_foreign_keys=declared_foreign_keys(snapshot, table.info),
    )
    # A `fresh` rule on a table that is too large to be read in full would read it in full, too.
    if not is_sample:
        time_columns = [column.name for column in table.columns.values() if is_row_time(column)]
        daily_counts = _daily_counts(scope, time_columns[:_MAX_TIME_COLUMNS])
        table = replace(table, daily_counts=daily_counts)
    return table


def _with_time_texts(table: TableProfile) -> dict[str, ColumnProfile]:
    """Return the columns; those of text that hold only times are marked."""
    columns = {}
    for name, column in table.columns.items():
        holds_times = column.family is Family.TEXT and _all_times(table.sample_values(name))
        columns[name] = replace(column, holds_time_text=holds_times)
    return columns


def _all_times(values: Sequence[Any]) -> bool:
    if not values:
        return False
    return all(isinstance(value, str) and _TIME.fullmatch(value) for value in values)


def _measure(scope: Scope, names: Sequence[str]) -> tuple[int, dict[str, ColumnProfile]]:
    """Return the number of rows, and the profiles of these columns."""
    if not names:
        [(rows_read,)] = _rows(scope, select(func.count()).select_from(scope.table))
        return int(rows_read), {}
    rows_read = 0
    columns: dict[str, ColumnProfile] = {}
    for start in range(0, len(names), _COLUMNS_PER_STATEMENT):
        batch = names[start : start + _COLUMNS_PER_STATEMENT]
        rows_read, batch_columns = _measure_batch(scope, batch)
        columns |= batch_columns
    return int(rows_read), columns


def _measure_batch(scope: Scope, names: Sequence[str]) -> tuple[int, dict[str, ColumnProfile]]:
    """Measure some columns with one statement; when it fails, with one for each half of them."""
    measures: list[tuple[str, str, ColumnElement[Any]]] = []
    for name in names:
        for field, expression in _measures_of(scope, name):
            measures.append((name, field, expression))
    labelled = [
        expression.label(f"sanityd_{number}") for number, (_, _, expression) in enumerate(measures)
    ]
    statement = select(func.count().label("sanityd_rows"), *labelled).select_from(scope.table)
    try:
        [(rows_read, *values)] = _rows(scope, statement)
    except _StatementError:
        if not names:
            raise
        return _measure_halves(scope, names)
    fields: dict[str, dict[str, Any]] = {name: {} for name in names}
    for (name, field, _), value in zip(measures, values, strict=True):
        fields[name][field] = value
    columns = {name: ColumnProfile(scope.column_info(name), **fields[name]) for name in names}
    return rows_read, columns


def _measure_halves(scope: Scope, names: Sequence[str]) -> tuple[int, dict[str, ColumnProfile]]:
    """Measure each half of the columns on its own; of a single column, count only the rows."""
    half = len(names) // 2
    if not half:
        return _measure_batch(scope, [])
    rows_read, columns = _measure_batch(scope, names[:half])
    _, other_columns = _measure_batch(scope, names[half:])
    return rows_read, columns | other_columns


def _measures_of(scope: Scope, name: str) -> Iterator[tuple[str, ColumnElement[Any]]]:
    """Iterate over fields of a column's profile, each with the expression that measures it."""
    column = scope.column(name)
    family = scope.column_info(name).family
    yield "non_null", func.count(column)
    if family is Family.TEXT:
        yield "blank", func.count(case((func.trim(scope.text(name)) == "", 1)))
    if family in NUMBERS:
        yield "minimum", func.min(column)
        yield "maximum", func.max(column)


class _StatementError(CheckError):
    """The statement failed, for another reason than a timeout."""


def _rows(scope: Scope, statement: AnySelect) -> Sequence[Any]:
    """Return the rows of a statement.

    Raises _StatementError when another statement may succeed, CheckError after a timeout or when
    the database is locked.
    """
    started = clock.stopwatch()
    try:
        return scope.snapshot.rows(statement)
    except CheckError as error:
        limit = scope.snapshot.source.settings.statement_timeout.total_seconds()
        if clock.stopwatch() - started > limit * _TIMEOUT_FRACTION or "locked" in error.message:
            raise
        raise _StatementError(error.message, error.hint) from None


def _sample_rows(scope: Scope, rows_read: int, names: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return some of the first rows and, of a table with a key, some of the last."""
    if not names:
        return []
    columns = []
    for number, name in enumerate(names):
        expression = scope.column(name)
        if scope.column_info(name).family is Family.TEXT:
            expression = func.substr(scope.text(name), 1, _MAX_CHARACTERS)
        columns.append(expression.label(f"sanityd_{number}"))
    statement = select(*columns).select_from(scope.table)
    rows = list(_readable_rows(scope, statement.limit(_SAMPLE_ROWS)))
    # In a smaller table, some of the last rows would be among the first ones.
    if scope.info.key and rows_read >= 2 * _SAMPLE_ROWS:
        descending = [scope.column(name).desc() for name in scope.info.key]
        rows += _readable_rows(scope, statement.order_by(*descending).limit(_SAMPLE_ROWS))
    return [dict(zip(names, row, strict=True)) for row in rows]


def _readable_rows(scope: Scope, statement: AnySelect) -> Sequence[Any]:
    """Return the rows of a statement; none when the driver can't read a value of them."""
    try:
        return _rows(scope, statement)
    except _StatementError:
        return []


def _value_counts(scope: Scope, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how often each code occurs in each of these columns.

    One statement counts all columns, unless their values have too many combinations.
    """
    if not names:
        return {}
    values = [scope.text(name).label(f"sanityd_{number}") for number, name in enumerate(names)]
    count = func.count().label("sanityd_rows")
    statement = select(*values, count).select_from(scope.table).group_by(*values)
    rows = _readable_rows(scope, statement.limit(_MAX_COMBINATIONS + 1))
    if len(rows) > _MAX_COMBINATIONS and len(names) > 1:
        single_counts: dict[str, dict[str, int]] = {}
        for name in names:
            single_counts |= _value_counts(scope, [name])
        return single_counts
    counts = _sum_counts(rows, names)
    return {name: codes for name, codes in counts.items() if 0 < len(codes) <= _MAX_CODES}


def _sum_counts(rows: Sequence[Any], names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return the count of each column's values, from the counts of their combinations."""
    counts: dict[str, dict[str, int]] = {name: {} for name in names}
    for *values, count in rows:
        for name, value in zip(names, values, strict=True):
            if value is not None:
                counts[name][str(value)] = counts[name].get(str(value), 0) + int(count)
    return counts


def _daily_counts(scope: Scope, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the number of rows on each of the last days, by each of these columns."""
    daily_counts: dict[str, tuple[int, ...]] = {}
    for name in names:
        starts = [scope.now - timedelta(days=day) for day in range(_DAYS + 1)]
        ends = [scope.time_literal(name, start) for start in starts]
        instant = scope.instant(name)
        counts = []
        for day in range(_DAYS):
            is_of_day = and_(instant <= ends[day], instant > ends[day + 1])
            counts.append(func.count(case((is_of_day, 1))).label(f"sanityd_{day}"))
        statement = select(*counts).select_from(scope.table).where(instant > ends[_DAYS])
        for row in _readable_rows(scope, statement):
            daily_counts[name] = tuple(int(count) for count in row)
    return daily_counts
