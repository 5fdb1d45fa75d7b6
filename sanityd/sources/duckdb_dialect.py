"""SQL of DuckDB."""

import re
from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from sqlalchemy import (
    DECIMAL,
    REAL,
    ColumnElement,
    FromClause,
    String,
    case,
    cast,
    collate,
    column,
    func,
    literal_column,
    select,
    try_cast,
)

from sanityd.sources.base import Dialect
from sanityd.sources.catalog import ColumnInfo, Family, TableInfo
from sanityd.sources.values import UNITS, bound, epoch_microseconds, wall_clock


class DuckdbDialect(Dialect):
    """Dialect of DuckDB, whose collations may ignore case and accents; `C` doesn't."""

    name: ClassVar[str] = "duckdb"

    def exact(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Set the collation of every text, as the catalog doesn't tell which columns have one."""
        return collate(element, "C") if info.family is Family.TEXT else element

    def text(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return the text form that every type of DuckDB has."""
        return collate(element if info.family is Family.TEXT else cast(element, String), "C")

    def portable(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return JSON as text, as the driver reads its null as NULL, and its numbers as floats."""
        return cast(element, String) if info.family is Family.JSON else element

    def folded(self, element: ColumnElement[Any]) -> ColumnElement[Any]:
        """Convert by lower(), which knows the letters of all alphabets."""
        return func.lower(element)

    def length(self, element: ColumnElement[Any]) -> ColumnElement[int]:
        """Return the number of characters."""
        return func.length(element)

    def matches(
        self, element: ColumnElement[Any], pattern: str, *, part: bool
    ) -> ColumnElement[bool]:
        """Match by RE2; with `s` a dot matches a line break, as in PostgreSQL."""
        function = func.regexp_matches if part else func.regexp_full_match
        return function(element, bound(pattern), bound("s"))

    def number(self, value: float, info: ColumnInfo) -> ColumnElement[Any]:
        """Round the number to the digits of a FLOAT column, to compare equal with its values.

        A whole number that is too large for a DECIMAL would be an error, a fraction is not.
        """
        if info.type == "FLOAT":
            return cast(bound(value), REAL)
        size = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", info.type)
        is_large = size is not None and abs(value) >= 10 ** (int(size[1]) - int(size[2]))
        return bound(float(value) if is_large else value)

    def sample(self, table: TableInfo, share: float) -> FromClause | None:
        """Return every n-th block of a thousand rows."""
        every: ColumnElement[Any] = literal_column(str(max(1, round(1 / share))))
        block = column("rowid").op("//")(literal_column("1000"))
        in_sample = block.op("%")(every) == literal_column("0")
        return select(*table.clause.c).where(in_sample).subquery("sanityd_sample")

    def instant(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return the column itself; of numbers, microseconds since 1970."""
        return _microseconds(element) if info.family in (Family.INTEGER, Family.NUMBER) else element

    def time_literal(self, at: datetime, info: ColumnInfo, zone: ZoneInfo) -> ColumnElement[Any]:
        """Return the time as the column stores it: with or without zone, or as a number."""
        match info.family:
            case Family.TIMESTAMP | Family.DATE:
                return bound(wall_clock(at, zone))
            case Family.INTEGER | Family.NUMBER:
                return bound(epoch_microseconds(at))
            case _:
                return bound(at)


def _microseconds(element: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column of seconds, milliseconds or microseconds since 1970 as microseconds.

    The size of a number tells its unit; a number that is no time is NULL.
    """
    number: ColumnElement[Any] = try_cast(element, DECIMAL(38, 6))
    size = func.abs(number)
    return case(*((size < bound(int(limit)), number * bound(factor)) for limit, factor in UNITS))
