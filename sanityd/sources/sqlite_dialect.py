"""SQL of SQLite."""

import re
from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, String, cast, collate, func

from sanityd.errors import CheckError
from sanityd.sources.base import Dialect
from sanityd.sources.catalog import ColumnInfo, Family
from sanityd.sources.values import bound, epoch_microseconds


class SqliteDialect(Dialect):
    """Dialect of SQLite, with functions that `sqlite_functions` adds to each connection."""

    name: ClassVar[str] = "sqlite"
    stores_times_as_text: ClassVar[bool] = True

    def exact(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Compare byte by byte, also in a column that ignores case."""
        return collate(element, "BINARY")

    def sorts(self, info: ColumnInfo) -> bool:
        """Include columns without a type, such as the result of a sum: values have their own."""
        return super().sorts(info) or info.family is Family.OTHER

    def text(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Cast, as a column of text may contain numbers."""
        return collate(cast(element, String), "BINARY")

    def folded(self, element: ColumnElement[Any]) -> ColumnElement[Any]:
        """Use a function of Python, as SQLite's lower() knows ASCII only."""
        return func.sanityd_lower(element)

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
        return func.sanityd_matches(bound(pattern), element, bound(int(part))) == bound(1)

    def instant(self, element: ColumnElement[Any], info: ColumnInfo) -> ColumnElement[Any]:
        """Return microseconds since 1970, for every form that a time has in SQLite."""
        return func.sanityd_instant(element)

    def time_literal(self, at: datetime, info: ColumnInfo, zone: ZoneInfo) -> ColumnElement[Any]:
        """Return microseconds since 1970."""
        return bound(epoch_microseconds(at))
