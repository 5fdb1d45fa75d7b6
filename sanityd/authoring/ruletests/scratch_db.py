"""Scratch databases on which examples are played: made, filled, and removed by us. Knows nothing of
rules.

Stage        tables of several sources, on one kind of database
├── SqliteStage, DuckdbStage     files in a temporary folder
└── PostgresqlStage, MysqlStage  schemas of our own on a server that the user lends (`--scratch`)
"""

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from sqlalchemy import Connection, NullPool, column, create_engine, insert, table
from sqlalchemy.exc import SQLAlchemyError

from sanityd.authoring.ruletests.fixtures import Sheet
from sanityd.errors import CheckError, SourceError
from sanityd.model import Value
from sanityd.sources.catalog import Family

#: What names of ours begin with, on servers that others use, too.
PREFIX = "sanityd_test"
#: Beyond that, SQLite keeps a number inexactly.
_LONG = 2**63


class ScratchDatabase(ABC):
    """Scratch databases of one kind, one for each source."""

    #: sqlglot's name of the dialect.
    dialect: ClassVar[str]
    #: The word for a column of each family.
    types: ClassVar[Mapping[Family, str]]
    #: The word for numbers that the type of its numbers has no room for.
    inexact: ClassVar[str] = "double"

    @abstractmethod
    def fill(self, source: str, sheets: Sequence[Sheet]) -> str:
        """Make the tables of a source anew. Returns the URL under which they are found."""

    @abstractmethod
    def close(self) -> None:
        """Remove everything."""

    def _make(
        self, connection: Connection, sheets: Iterable[Sheet], *, only_rows: bool = False
    ) -> None:
        """Make and fill tables. Raises CheckError when the database won't have one."""
        for sheet in sheets:
            try:
                if not only_rows:
                    self._make_one(connection, sheet)
                self._put(connection, sheet)
            except (SQLAlchemyError, OverflowError, ValueError) as error:
                advice = (
                    "Look at its values, and at the types that the example says or lets us think."
                )
                message = (
                    f"the rows of `{sheet.table}` can't be kept in {self.dialect} ({reason(error)})"
                )
                raise CheckError(message, advice) from None

    def _make_one(self, connection: Connection, sheet: Sheet) -> None:
        parts = ", ".join(
            f"{self._quoted(connection, name)} {self.type(name, sheet)}" for name in sheet.columns
        )
        self._run(connection, f"CREATE TABLE {self._name(connection, sheet)} ({parts})")

    def _put(self, connection: Connection, sheet: Sheet) -> None:
        if sheet.rows:
            target = table(sheet.table.name, *map(column, sheet.columns), schema=sheet.table.schema)
            rows = [{name: self.value(value) for name, value in row.items()} for row in sheet.rows]
            connection.execute(insert(target), rows)

    def _name(self, connection: Connection, sheet: Sheet) -> str:
        parts = (sheet.table.schema, sheet.table.name)
        return ".".join(self._quoted(connection, part) for part in parts if part)

    @staticmethod
    def _quoted(connection: Connection, name: str) -> str:
        # What is run without parameters needs no doubled `%`.
        return connection.dialect.identifier_preparer.quote_identifier(name).replace("%%", "%")

    @staticmethod
    def _run(connection: Connection, statement: str) -> None:
        connection.execution_options(no_parameters=True).exec_driver_sql(statement)

    def type(self, name: str, sheet: Sheet) -> str:
        """The word for a column's type. Numbers are kept exactly where the type has room for
        them."""
        family = sheet.columns.get(name, Family.INTEGER)
        values = [row[name] for row in sheet.rows] if family is Family.NUMBER else []
        has_room = all(_has_room(value) for value in values if isinstance(value, Decimal))
        return self.types[family] if has_room else self.inexact

    def value(self, value: Value) -> Any:
        """A value as the driver takes it."""
        return value


class _FileStage(ScratchDatabase):
    """A file for each source. A present file is replaced, so that nothing of it is left."""

    scheme: ClassVar[str]

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix=f"{PREFIX}-")

    def fill(self, source: str, sheets: Sequence[Sheet]) -> str:
        """A new file."""
        file = Path(self._folder.name) / f"{source}.{self.scheme}"
        file.unlink(missing_ok=True)
        url = f"{self.scheme}:///{file}"
        engine = create_engine(url, poolclass=NullPool)
        try:
            with engine.begin() as connection:
                self._hurry(connection)
                for schema in dict.fromkeys(
                    sheet.table.schema for sheet in sheets if sheet.table.schema
                ):
                    self._schema(connection, schema)
                self._make(connection, sheets)
        finally:
            engine.dispose()
        return url

    def _hurry(self, connection: Connection) -> None:
        """Nothing here must outlive a crash."""

    def _schema(self, connection: Connection, name: str) -> None:
        self._run(connection, f"CREATE SCHEMA IF NOT EXISTS {self._quoted(connection, name)}")

    def close(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()


class SqliteStage(_FileStage):
    """SQLite has no schemas; it keeps times as text, and numbers with a fraction inexactly."""

    dialect: ClassVar[str] = "sqlite"
    inexact: ClassVar[str] = "numeric"
    scheme: ClassVar[str] = "sqlite"
    types: ClassVar[Mapping[Family, str]] = {
        Family.TEXT: "text",
        Family.INTEGER: "integer",
        Family.NUMBER: "numeric",
        Family.BOOLEAN: "boolean",
        Family.DATE: "date",
        Family.TIMESTAMP: "timestamp",
        Family.TIMESTAMPTZ: "timestamptz",
        Family.UUID: "text",
        Family.BYTES: "blob",
    }

    def value(self, value: Value) -> Any:
        """Times as text; seconds have no fraction where there is none, as in CURRENT_TIMESTAMP."""
        if isinstance(value, datetime):
            return value.isoformat(" ")
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, Decimal):
            return (
                int(value)
                if value == value.to_integral_value() and abs(value) < _LONG
                else float(value)
            )
        return value

    def _hurry(self, connection: Connection) -> None:
        for pragma in ("synchronous = OFF", "journal_mode = MEMORY"):
            self._run(connection, f"PRAGMA {pragma}")

    def _schema(self, connection: Connection, name: str) -> None:
        if name != "main":
            advice = "Install DuckDB (`pip install 'sanityd[duckdb]'`), or lend a database by `--scratch`."
            raise SourceError(f"SQLite has no schema `{name}`", advice)


class DuckdbStage(_FileStage):
    """DuckDB understands much of what PostgreSQL does, and keeps numbers exactly."""

    dialect: ClassVar[str] = "duckdb"
    scheme: ClassVar[str] = "duckdb"
    types: ClassVar[Mapping[Family, str]] = {
        Family.TEXT: "varchar",
        Family.INTEGER: "bigint",
        Family.NUMBER: "decimal(38, 10)",
        Family.BOOLEAN: "boolean",
        Family.DATE: "date",
        Family.TIMESTAMP: "timestamp",
        Family.TIMESTAMPTZ: "timestamptz",
        Family.UUID: "uuid",
        Family.BYTES: "blob",
    }

    @staticmethod
    def is_there() -> bool:
        """Whether its driver is installed."""
        return all(importlib.util.find_spec(name) for name in ("duckdb", "duckdb_sqlalchemy"))


def _has_room(value: Decimal) -> bool:
    """Whether a number fits into decimal(38, 10)."""
    _, digits, exponent = value.as_tuple()
    return isinstance(exponent, int) and exponent >= -10 and len(digits) + exponent <= 28


def reason(error: Exception) -> str:
    """The kind of the driver's error; its text may quote the URL, or a value."""
    cause = getattr(error, "orig", None) or error
    return type(cause).__name__
