"""Choose the rows of a table to read: all of them, or a sample of a large table."""

from dataclasses import dataclass

from sqlalchemy import FromClause, func, select, union_all

from sanityd.checks.scope import bind
from sanityd.errors import CheckError
from sanityd.sources.base import Snapshot
from sanityd.sources.catalog import Family, TableInfo

#: A sample has this fraction (1/10) of the largest number of rows that may be read.
_SAMPLE_DIVISOR = 10
#: For databases without sampling: the number of key ranges that the sample rows come from.
_RANGES = 20


@dataclass(frozen=True, slots=True)
class TableSample:
    """The rows to read of a table: `clause` is None for all rows.

    `rows` is the estimated number of rows in the table, None when it is unknown.
    """

    rows: int | None
    clause: FromClause | None = None


def choose_sample(snapshot: Snapshot, info: TableInfo, whole: int) -> TableSample:
    """Return the rows to read of a table, when at most `whole` rows may be read.

    Raises CheckError.
    """
    rows = _estimate(snapshot, info)
    if rows is None or rows <= whole:
        return TableSample(rows)
    size = max(1, whole // _SAMPLE_DIVISOR)
    sample = snapshot.source.dialect.sample(info, size / rows)
    if sample is not None and _is_readable(snapshot, sample):
        return TableSample(rows, sample)
    ranges = _key_ranges(snapshot, info, size)
    if ranges is not None:
        return TableSample(rows, ranges)
    first_rows = select(*info.clause.c).limit(size).subquery("sanityd_sample")
    return TableSample(rows, first_rows)


def _estimate(snapshot: Snapshot, info: TableInfo) -> int | None:
    """Return the row count from the catalog, else from the query planner, else by counting.

    Databases without the first two count quickly.
    """
    if info.estimate is not None:
        return info.estimate
    forecast = snapshot.forecast(select(bind(1)).select_from(info.clause))
    if forecast is not None:
        return forecast.rows
    [(rows,)] = snapshot.rows(select(func.count()).select_from(info.clause))
    return int(rows)


def _is_readable(snapshot: Snapshot, sample: FromClause) -> bool:
    """Return whether the sample has a row.

    Views and foreign tables can't be sampled; a table smaller than estimated may yield no row.
    """
    try:
        return bool(snapshot.rows(select(*sample.c).limit(1)))
    except CheckError:
        return False


def _key_ranges(snapshot: Snapshot, info: TableInfo, size: int) -> FromClause | None:
    """Return a sample of about `size` rows, from evenly spaced ranges of an integer key.

    Returns None for a table without such a key.
    """
    if len(info.key) != 1:
        return None
    name = info.key[0]
    if name not in info.columns or info.columns[name].family is not Family.INTEGER:
        return None
    key = info.clause.c[name]
    [(low, high)] = snapshot.rows(select(func.min(key), func.max(key)).select_from(info.clause))
    if not isinstance(low, int) or not isinstance(high, int):
        return None
    step = max(1, (high - low + 1) // _RANGES)
    rows_per_range = max(1, size // _RANGES)
    parts = []
    for number in range(_RANGES):
        begin = low + number * step
        is_last = number == _RANGES - 1
        end = high + 1 if is_last else begin + step
        part = select(*info.clause.c).where(key >= bind(begin), key < bind(end)).order_by(key)
        parts.append(select(*part.limit(rows_per_range).subquery().c))
    return union_all(*parts).subquery("sanityd_sample")
