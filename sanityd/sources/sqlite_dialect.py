"""SQL of SQLite."""

import re
from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, LargeBinary, String, case, cast, collate, func, null

from sanityd.errors import CheckError
from sanityd.sources.base import Dialect
from sanityd.sources.catalog import UNCOMMON, ColumnInfo
from sanityd.sources.values import bound, epoch_microseconds


class SqliteDialect(Dialect):
    """Dialect of SQLite, with functions that `sqlite_functions` adds to each connection."""

    name: ClassVar[str] = "sqlite"
    stores_times_as_text: ClassVar[bool] = True
    has_typed_values: ClassVar[bool] = True
    has_booleans: ClassVar[bool] = False

    def exact(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Compare byte by byte, also in a column that ignores case."""
        return collate(element, "BINARY")

    def sorts(self, info: ColumnInfo) -> bool:
        """Include columns without a type, such as the result of a sum: values have their own."""
        return super().sorts(info) or info.family in UNCOMMON

    def if_text(
        self, element: ColumnElement[Any], changed: ColumnElement[Any]
    ) -> ColumnElement[Any]:
        """Ask each value, as columns of any type may contain text."""
        return case((_type_of(element) == bound("text"), changed), else_=element)

    def text(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Cast, as a column of text may contain numbers."""
        return collate(cast(element, String), "BINARY")

    def folded(self, element: ColumnElement[Any]) -> ColumnElement[Any]:
        """Use a function of Python, as SQLite's lower() knows ASCII only.

        A text that isn't UTF-8, which Python can't take, stays as it is.
        """
        return func.coalesce(func.sanityd_lower(_bytes(element)), element)

    def length(self, element: ColumnElement[Any]) -> ColumnElement[int]:
        """Return the number of characters."""
        return func.length(element)

    def matches(
        self, element: ColumnElement[Any], pattern: str, *, part: bool
    ) -> ColumnElement[bool]:
        """Match by Python's regular expressions. Raises CheckError for an invalid pattern."""
        try:
            re.compile(pattern)
        except re.error as error:
            raise CheckError(
                f"the regular expression can't be read: {error.msg}", word=pattern
            ) from None
        matches = func.sanityd_matches(bound(pattern), _bytes(element), bound(int(part)))
        return matches == bound(1)

    def instant(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return microseconds since 1970, for every form that a time has in SQLite."""
        kind = _type_of(element)
        is_text, is_blob = kind == bound("text"), kind == bound("blob")
        value = case((is_text, _bytes(element)), (is_blob, null()), else_=element)
        return func.sanityd_instant(value)

    def time_literal(self, at: datetime, info: ColumnInfo, zone: ZoneInfo) -> ColumnElement[Any]:
        """Return microseconds since 1970."""
        return bound(epoch_microseconds(at))


def _type_of(element: ColumnElement[Any]) -> ColumnElement[str]:
    return func.typeof(element)


def _bytes(element: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a text as its bytes: SQLite fails at a function of Python whose text isn't UTF-8."""
    return cast(element, LargeBinary)
