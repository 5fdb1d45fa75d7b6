"""Which rows of a table are read: all, or of a large one a sample from all over it."""

from dataclasses import dataclass

from sqlalchemy import FromClause, func, select, union_all

from sanityd.checks.scope import bind
from sanityd.errors import CheckError
from sanityd.sources.base import Snapshot
from sanityd.sources.catalog import Family, TableInfo

#: Tables with up to so many rows are read as a whole, unless the user says otherwise.
WHOLE = 2_000_000
#: A sample is such a part of that.
PART = 10
#: Where the database can't sample: how many ranges of the key the rows come from.
RANGES = 20


@dataclass(frozen=True, slots=True)
class Extent:
    """What to read of a table: `sample` is None for all of it; `rows` is how many it has, if that is known."""

    rows: int | None
    sample: FromClause | None = None
    #: How the sample was taken, as words.
    how: str = ""


def extent(snapshot: Snapshot, info: TableInfo, whole: int) -> Extent:
    """How much of the table to read, when no more than `whole` rows may be. Raises CheckError."""
    rows = _estimate(snapshot, info)
    if rows is None or rows <= whole:
        return Extent(rows)
    wanted = max(1, whole // PART)
    sample = snapshot.source.dialect.sample(info, wanted / rows)
    if sample is not None and _can_be_read(snapshot, sample):
        return Extent(rows, sample, "from all over the table")
    if (spread := _ranges(snapshot, info, wanted)) is not None:
        return Extent(rows, spread, f"{RANGES} stretches of its key")
    first = select(*info.clause.c).limit(wanted).subquery("sanityd_sample")
    return Extent(rows, first, "the first ones")


def _estimate(snapshot: Snapshot, info: TableInfo) -> int | None:
    """By the catalog, else by the planner, else by counting: the databases that only count do so quickly."""
    if info.estimate is not None:
        return info.estimate
    forecast = snapshot.forecast(select(bind(1)).select_from(info.clause))
    if forecast is not None:
        return forecast.rows
    [(rows,)] = snapshot.rows(select(func.count()).select_from(info.clause))
    return int(rows)


def _can_be_read(snapshot: Snapshot, sample: FromClause) -> bool:
    """A view and a table on another server can't be sampled; of a table smaller than believed nothing may come."""
    try:
        return bool(snapshot.rows(select(*sample.c).limit(1)))
    except CheckError:
        return False


def _ranges(snapshot: Snapshot, info: TableInfo, wanted: int) -> FromClause | None:
    """Stretches of rows that follow each other, at even steps of a key of whole numbers; None without such a key."""
    [name, *others] = info.key or [""]
    if others or name not in info.columns or info.columns[name].family is not Family.INTEGER:
        return None
    key = info.clause.c[name]
    [(low, high)] = snapshot.rows(select(func.min(key), func.max(key)).select_from(info.clause))
    if not isinstance(low, int) or not isinstance(high, int):
        return None
    step = max(1, (high - low + 1) // RANGES)
    parts = []
    for place in range(RANGES):
        begin = low + place * step
        end = high + 1 if place == RANGES - 1 else begin + step
        part = select(*info.clause.c).where(key >= bind(begin), key < bind(end)).order_by(key)
        parts.append(select(*part.limit(max(1, wanted // RANGES)).subquery().c))
    return union_all(*parts).subquery("sanityd_sample")
