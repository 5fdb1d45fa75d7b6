"""The column types that the databases of the store have not in common."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, TypeDecorator


class Instant(TypeDecorator[datetime]):
    """A time with a zone, stored in UTC.

    SQLite has no zones: it stores the time alone, and UTC is added on reading.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a value for the database."""
        if value is None:
            return None
        in_utc = value.astimezone(UTC)
        if dialect.name == "sqlite":
            return in_utc.replace(tzinfo=None)
        return in_utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Convert a value of the database."""
        if value is None:
            return None
        time: datetime = value
        if time.tzinfo is None:
            return time.replace(tzinfo=UTC)
        return time.astimezone(UTC)


#: A key that the database counts up. SQLite does that for the type INTEGER only.
Serial = BigInteger().with_variant(Integer, "sqlite")
