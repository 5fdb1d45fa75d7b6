"""SQL of PostgreSQL."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from sqlalchemy import (
    REAL,
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Numeric,
    Text,
    and_,
    cast,
    collate,
    func,
    literal_column,
    select,
    tablesample,
)

from sanityd.sources.base import AnySelect, Bitmap, Dialect
from sanityd.sources.catalog import ColumnInfo, Family, TableInfo
from sanityd.sources.postgresql_regex import rewrite
from sanityd.sources.values import bound, epoch_seconds, seconds_since_1970, wall_clock

#: The number of rows from which a sample of pages is as good as one of rows.
_LARGE_TABLE = 500_000
#: Types whose values are compared as text: the type is not exact, or has no comparison.
_AS_TEXT = frozenset(
    ("citext", "json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle")
)
#: Options of a pattern, which work only at its start.
_OPTIONS = re.compile(r"\(\?[a-z]+\)")


class PostgresqlDialect(Dialect):
    """Dialect of PostgreSQL.

    Deterministic collations compare exactly, so columns are used as they are, with their indexes.
    """

    name: ClassVar[str] = "postgres"

    def __init__(self) -> None:
        #: Whether the server has ICU collations; otherwise lower() uses the database's locale.
        self.has_icu = False

    def exact(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return it as text if the type or its collation takes different texts for equal."""
        has_collation = bool(info.collation) and info.family is Family.TEXT
        if info.base in _AS_TEXT or info.family is Family.ENUM or has_collation:
            return self.text(element, info)
        return element

    def opaque(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return the value itself, as PostgreSQL reads a bound text by the type of the column."""
        return self.exact(element, info)

    def native(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return money as a number, which it can't be compared with."""
        return cast(element, Numeric) if info.base == "money" else element

    def portable(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return JSON as text, as its null is none of SQL; and text without its padding."""
        if info.family is Family.JSON or info.base == "bpchar":
            return cast(element, Text)
        return self.native(element, info)

    def sorts(self, info: ColumnInfo) -> bool:
        """Include enums, in the order of their list."""
        return (
            super().sorts(info)
            or info.family is Family.ENUM
            or info.type in ("interval", "inet", "cidr")
        )

    def text(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return the text form that every type of PostgreSQL has."""
        as_text = cast(element, Text)
        if info.collation or info.base == "citext":
            return collate(as_text, "C")
        if info.family is Family.TEXT and info.base not in ("bpchar", "char"):
            return element
        return as_text

    def folded(self, element: ColumnElement[Any]) -> ColumnElement[Any]:
        """Convert the letters of all alphabets, also where the column's collation is "C"."""
        if not self.has_icu:
            return func.lower(element)
        return collate(func.lower(collate(element, "und-x-icu")), "C")

    def length(self, element: ColumnElement[Any]) -> ColumnElement[int]:
        """Return the number of characters."""
        return func.char_length(element)

    def whole(self, statement: AnySelect) -> AnySelect:
        """Return the statement as a materialized CTE.

        With a LIMIT, PostgreSQL reads two indexes in order to return the first rows early. Mostly
        there is no such row, and it reads them to the end: 8 s instead of 0.6 s for a million rows
        whose order isn't that of the index.
        """
        rows = statement.cte("sanityd_found").prefix_with("MATERIALIZED")
        return select(*rows.c)

    def matches(
        self, element: ColumnElement[Any], pattern: str, *, part: bool
    ) -> ColumnElement[bool]:
        """Match by PostgreSQL's regular expressions, where `^` and `$` are the ends of the text."""
        simpler = None if part else rewrite(pattern)
        if simpler is not None:
            matches = element.op("~", is_comparison=True)(bound(f"^{simpler.pattern}$"))
            return and_(matches, func.char_length(element).between(simpler.low, simpler.high))
        options = _OPTIONS.match(pattern)
        start = options.end() if options else 0
        whole = pattern if part else f"{pattern[:start]}^(?:{pattern[start:]})$"
        return element.op("~", is_comparison=True)(bound(whole))

    def number(self, value: float, info: ColumnInfo) -> ColumnElement[Any]:
        """Round the number to the digits of a `real` column, to compare equal with its values."""
        return cast(bound(value), REAL) if info.type == "real" else bound(value)

    def digest(
        self, elements: Sequence[ColumnElement[Any]], infos: Sequence[ColumnInfo]
    ) -> ColumnElement[Any] | None:
        """Return a hash of PostgreSQL; of one whole number, the number itself.

        `# 0` prevents that PostgreSQL reads it in the order of the index, which may be far from
        the order of the rows.
        """
        [info, *others] = infos
        if not others and info.family is Family.INTEGER:
            return cast(elements[0], BigInteger).op("#")(literal_column("0"))
        if not others and info.family is Family.TEXT:
            return func.hashtextextended(elements[0], literal_column("0"))
        return func.hash_record_extended(func.row(*elements), literal_column("0"))

    def sample(self, table: TableInfo, share: float) -> FromClause | None:
        """Return a sample of pages; of a small table, which has few pages, of rows."""
        method = func.system if (table.estimate or 0) >= _LARGE_TABLE else func.bernoulli
        return tablesample(
            table.clause, method(literal_column(f"{share * 100:.6f}")), "sanityd_sample", bound(1)
        )

    def bitmap(self, element: ColumnElement[Any], info: ColumnInfo) -> Bitmap | None:
        """Shift and mask; both keep the sign."""
        number = cast(element, BigInteger)
        bit = cast(literal_column("1"), BigInteger).op("<<")(
            cast(number.op("&")(literal_column("63")), Integer)
        )
        return number.op(">>")(literal_column("6")), func.bit_or(bit)

    def instant(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return the column itself, so that its index can be used; of numbers, seconds."""
        if info.family in (Family.INTEGER, Family.NUMBER):
            return seconds_since_1970(element)
        return element

    def time_literal(self, at: datetime, info: ColumnInfo, zone: ZoneInfo) -> ColumnElement[Any]:
        """Return the time as the column stores it: with or without zone, or seconds since 1970."""
        match info.family:
            case Family.TIMESTAMP | Family.DATE:
                return bound(wall_clock(at, zone))
            case Family.INTEGER | Family.NUMBER:
                return bound(epoch_seconds(at))
            case _:
                return bound(at)
