"""Scratch databases for examples: created, filled and removed here. Knows nothing of rules.

ScratchDatabase: tables of several sources, in one kind of database
├── SqliteScratch, DuckdbScratch: files in a temporary folder
└── PostgresqlScratch, MysqlScratch: schemas on the server of `--scratch` (see scratch_server)
"""

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from sqlalchemy import Connection, NullPool, column, create_engine, insert, table
from sqlalchemy.exc import SQLAlchemyError

from sanityd.authoring.ruletests.fixtures import TableFixture
from sanityd.errors import CheckError, SourceError
from sanityd.model import Value
from sanityd.sources.catalog import Family

#: Prefix of all names that are created on servers.
PREFIX = "sanityd_test"
#: From this size on, SQLite stores an integer inexactly.
_INTEGER_LIMIT = 2**63


class ScratchDatabase(ABC):
    """Scratch databases of one kind, one for each source."""

    #: sqlglot's name of the dialect.
    dialect: ClassVar[str]
    #: The SQL type for a column of each family.
    types: ClassVar[Mapping[Family, str]]
    #: The SQL type for decimal numbers that don't fit into the usual one.
    inexact: ClassVar[str] = "double"

    @abstractmethod
    def fill(self, source: str, fixtures: Sequence[TableFixture]) -> str:
        """Create the tables of a source again. Returns the URL to read them with."""

    @abstractmethod
    def close(self) -> None:
        """Remove everything."""

    def _create_tables(self, connection: Connection, fixtures: Iterable[TableFixture]) -> None:
        """Create and fill tables. Raises CheckError when the database refuses one."""
        for fixture in fixtures:
            with self._refusal(fixture):
                self._create_table(connection, fixture)
                self._insert(connection, fixture)

    def _insert_rows(self, connection: Connection, fixtures: Iterable[TableFixture]) -> None:
        """Fill tables that exist. Raises CheckError when the database refuses a row."""
        for fixture in fixtures:
            with self._refusal(fixture):
                self._insert(connection, fixture)

    @contextmanager
    def _refusal(self, fixture: TableFixture) -> Iterator[None]:
        """Raise CheckError instead of the driver's error."""
        try:
            yield
        except (SQLAlchemyError, OverflowError, ValueError) as error:
            cause = reason(error)
            message = f"the rows of `{fixture.table}` can't be kept in {self.dialect} ({cause})"
            advice = "Look at its values, and at the types that the example says or lets us think."
            raise CheckError(message, advice) from None

    def _create_table(self, connection: Connection, fixture: TableFixture) -> None:
        columns = [
            f"{self._quoted(connection, name)} {self.type(name, fixture)}"
            for name in fixture.columns
        ]
        table_name = self._name(connection, fixture)
        self._run(connection, f"CREATE TABLE {table_name} ({', '.join(columns)})")

    def _insert(self, connection: Connection, fixture: TableFixture) -> None:
        if not fixture.rows:
            return
        target = table(
            fixture.table.name, *map(column, fixture.columns), schema=fixture.table.schema
        )
        connection.execute(insert(target), [self._driver_row(row) for row in fixture.rows])

    def _driver_row(self, row: Mapping[str, Value]) -> dict[str, Any]:
        return {name: self.value(value) for name, value in row.items()}

    def _name(self, connection: Connection, fixture: TableFixture) -> str:
        name = self._quoted(connection, fixture.table.name)
        if fixture.table.schema:
            return f"{self._quoted(connection, fixture.table.schema)}.{name}"
        return name

    @staticmethod
    def _quoted(connection: Connection, name: str) -> str:
        # Statements without parameters need no doubled `%`.
        return connection.dialect.identifier_preparer.quote_identifier(name).replace("%%", "%")

    @staticmethod
    def _run(connection: Connection, statement: str) -> None:
        connection.execution_options(no_parameters=True).exec_driver_sql(statement)

    def type(self, name: str, fixture: TableFixture) -> str:
        """Return the SQL type of a column, which stores numbers exactly where possible."""
        family = fixture.columns.get(name, Family.INTEGER)
        if family is Family.NUMBER:
            for row in fixture.rows:
                value = row[name]
                if isinstance(value, Decimal) and not _fits_decimal(value):
                    return self.inexact
        return self.types[family]

    def value(self, value: Value) -> Any:
        """Return a value as the driver takes it."""
        return value


class _ScratchFile(ScratchDatabase):
    """A file for each source. An existing file is replaced."""

    scheme: ClassVar[str]

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix=f"{PREFIX}-")

    def fill(self, source: str, fixtures: Sequence[TableFixture]) -> str:
        """Create a new file. Returns its URL."""
        file = Path(self._folder.name) / f"{source}.{self.scheme}"
        file.unlink(missing_ok=True)
        url = f"{self.scheme}:///{file}"
        engine = create_engine(url, poolclass=NullPool)
        try:
            with engine.begin() as connection:
                self._disable_durability(connection)
                for schema in schemas_of(fixtures):
                    self._create_schema(connection, schema)
                self._create_tables(connection, fixtures)
        finally:
            engine.dispose()
        return url

    def _disable_durability(self, connection: Connection) -> None:
        """Make writes faster where possible, as the file need not survive a crash."""

    def _create_schema(self, connection: Connection, name: str) -> None:
        self._run(connection, f"CREATE SCHEMA IF NOT EXISTS {self._quoted(connection, name)}")

    def close(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()


class SqliteScratch(_ScratchFile):
    """SQLite has no schemas; it stores times as text, and numbers with a fraction inexactly."""

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
        """Return times as text, without a fraction of a second of zero, as CURRENT_TIMESTAMP."""
        if isinstance(value, datetime):
            return value.isoformat(" ")
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, Decimal):
            if value == value.to_integral_value() and abs(value) < _INTEGER_LIMIT:
                return int(value)
            return float(value)
        return value

    def _disable_durability(self, connection: Connection) -> None:
        for pragma in ("synchronous = OFF", "journal_mode = MEMORY"):
            self._run(connection, f"PRAGMA {pragma}")

    def _create_schema(self, connection: Connection, name: str) -> None:
        if name != "main":
            advice = (
                "Install DuckDB (`pip install 'sanityd[duckdb]'`), or lend a database by "
                "`--scratch`."
            )
            raise SourceError(f"SQLite has no schema `{name}`", advice)


class DuckdbScratch(_ScratchFile):
    """DuckDB understands much of PostgreSQL's SQL, and stores numbers exactly."""

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
    def is_installed() -> bool:
        """Whether DuckDB and its driver are installed."""
        return all(importlib.util.find_spec(name) for name in ("duckdb", "duckdb_sqlalchemy"))


def _fits_decimal(value: Decimal) -> bool:
    """Whether a number fits into decimal(38, 10)."""
    _, digits, exponent = value.as_tuple()
    return isinstance(exponent, int) and exponent >= -10 and len(digits) + exponent <= 28


def schemas_of(fixtures: Iterable[TableFixture]) -> list[str]:
    """Return the schemas that tables name, without duplicates."""
    schemas: list[str] = []
    for fixture in fixtures:
        schema = fixture.table.schema
        if schema and schema not in schemas:
            schemas.append(schema)
    return schemas


def reason(error: Exception) -> str:
    """Return the class of the driver's error; its text may quote the URL, or a value."""
    cause = getattr(error, "orig", None) or error
    return type(cause).__name__
