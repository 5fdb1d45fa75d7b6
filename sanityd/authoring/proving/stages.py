"""Scratch databases on which examples are played: made, filled, and removed by us. Knows nothing of rules.

Stage        tables of several sources, on one kind of database
├── SqliteStage, DuckdbStage     files in a temporary folder
└── PostgresqlStage, MysqlStage  schemas of our own on a server that the user lends (`--scratch`)
"""

import importlib.util
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from sqlalchemy import URL, Connection, Engine, NullPool, column, create_engine, insert, make_url, table, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from sanityd.authoring.proving.sheets import Sheet
from sanityd.errors import SourceError
from sanityd.model import Value
from sanityd.sources.base import SourceSettings
from sanityd.sources.catalog import Family
from sanityd.sources.mysql import MysqlSource
from sanityd.sources.open import dialect_of
from sanityd.sources.postgresql import PostgresqlSource

#: What names of ours begin with, on servers that others use, too.
PREFIX = "sanityd_test"


class Stage(ABC):
    """Scratch databases of one kind, one for each source."""

    #: sqlglot's name of the dialect.
    dialect: ClassVar[str]
    #: The word for a column of each family.
    types: ClassVar[Mapping[Family, str]]

    @abstractmethod
    def fill(self, source: str, sheets: Sequence[Sheet]) -> str:
        """Make the tables of a source anew. Returns the URL under which they are found."""

    @abstractmethod
    def close(self) -> None:
        """Remove everything."""

    def _make(self, connection: Connection, sheets: Iterable[Sheet]) -> None:
        for sheet in sheets:
            columns = sheet.columns or {"sanityd_nothing": Family.INTEGER}
            target = table(sheet.table.name, *(column(name) for name in columns), schema=sheet.table.schema)
            quoted = connection.dialect.identifier_preparer
            parts = ", ".join(f"{quoted.quote_identifier(name)} {self.types[kind]}" for name, kind in columns.items())
            self._run(connection, f"CREATE TABLE {quoted.format_table(target)} ({parts})")
            if sheet.rows:
                rows = [{name: self.value(value) for name, value in row.items()} for row in sheet.rows]
                connection.execute(insert(target), rows)

    @staticmethod
    def _run(connection: Connection, statement: str) -> None:
        connection.execution_options(no_parameters=True).exec_driver_sql(statement)

    def value(self, value: Value) -> Any:
        """A value as the driver takes it."""
        return value


class _FileStage(Stage):
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
                for schema in dict.fromkeys(sheet.table.schema for sheet in sheets if sheet.table.schema):
                    self._schema(connection, schema)
                self._make(connection, sheets)
        finally:
            engine.dispose()
        return url

    def _schema(self, connection: Connection, name: str) -> None:
        self._run(
            connection, f"CREATE SCHEMA IF NOT EXISTS {connection.dialect.identifier_preparer.quote_identifier(name)}"
        )

    def close(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()


class SqliteStage(_FileStage):
    """SQLite has no schemas; it keeps times as text, and numbers with a fraction inexactly."""

    dialect: ClassVar[str] = "sqlite"
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
            return int(value) if value == value.to_integral_value() else float(value)
        return value

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


class _ServerStage(Stage):
    """A schema (in MariaDB the same as a database) for each source, and those that tables name themselves."""

    driver: ClassVar[str]

    def __init__(self, url: URL) -> None:
        self._url = url
        self._token = f"{PREFIX}_{secrets.token_hex(4)}"
        self._made: set[str] = set()
        url = url.set(drivername=self.driver)
        self._engine: Engine = create_engine(
            url, poolclass=NullPool, isolation_level="AUTOCOMMIT", hide_parameters=True
        )

    def fill(self, source: str, sheets: Sequence[Sheet]) -> str:
        """New schemas."""
        own = f"{self._token}_{source}"
        try:
            with self._engine.connect() as connection:
                for name in [own, *dict.fromkeys(sheet.table.schema for sheet in sheets if sheet.table.schema)]:
                    self._renew(connection, name)
                self._enter(connection, own)
                self._make(connection, sheets)
        except SQLAlchemyError as error:
            raise SourceError(f"the scratch database refused: {_reason(error)}", _RIGHTS) from None
        return self._address(self._url, own).render_as_string(hide_password=False)

    def close(self) -> None:
        """Drop the schemas."""
        with suppress(SQLAlchemyError), self._engine.connect() as connection:
            for name in self._made:
                self._drop(connection, name)
        self._engine.dispose()

    def _renew(self, connection: Connection, name: str) -> None:
        if name in self._made:
            self._drop(connection, name)
        elif self._exists(connection, name):
            advice = "Lend a database that is empty: what the example's tables are called mustn't be there."
            raise SourceError(f"the scratch database has a schema `{name}` of its own", advice)
        self._create(connection, name)
        self._made.add(name)

    def _quoted(self, name: str) -> str:
        return self._engine.dialect.identifier_preparer.quote_identifier(name)

    def _exists(self, connection: Connection, name: str) -> bool:
        query = text("SELECT count(*) FROM information_schema.schemata WHERE schema_name = :name")
        return bool(connection.execute(query, {"name": name}).scalar_one())

    @abstractmethod
    def _create(self, connection: Connection, name: str) -> None: ...

    @abstractmethod
    def _drop(self, connection: Connection, name: str) -> None: ...

    @abstractmethod
    def _enter(self, connection: Connection, name: str) -> None: ...

    @abstractmethod
    def _address(self, url: URL, name: str) -> URL: ...


class PostgresqlStage(_ServerStage):
    """Schemas, found by the search path."""

    dialect: ClassVar[str] = "postgres"
    driver: ClassVar[str] = PostgresqlSource.drivername
    types: ClassVar[Mapping[Family, str]] = {
        Family.TEXT: "text",
        Family.INTEGER: "bigint",
        Family.NUMBER: "numeric",
        Family.BOOLEAN: "boolean",
        Family.DATE: "date",
        Family.TIMESTAMP: "timestamp",
        Family.TIMESTAMPTZ: "timestamptz",
        Family.UUID: "uuid",
        Family.BYTES: "bytea",
    }

    def _create(self, connection: Connection, name: str) -> None:
        self._run(connection, f"CREATE SCHEMA {self._quoted(name)}")

    def _drop(self, connection: Connection, name: str) -> None:
        self._run(connection, f"DROP SCHEMA IF EXISTS {self._quoted(name)} CASCADE")

    def _enter(self, connection: Connection, name: str) -> None:
        self._run(connection, f"SET search_path TO {self._quoted(name)}")

    def _address(self, url: URL, name: str) -> URL:
        own = url.query.get("options", "")
        options = f"{own if isinstance(own, str) else ' '.join(own)} -c search_path={name}".strip()
        return url.update_query_dict({"options": options})


class MysqlStage(_ServerStage):
    """Databases of MariaDB or MySQL."""

    dialect: ClassVar[str] = "mysql"
    driver: ClassVar[str] = MysqlSource.drivername
    types: ClassVar[Mapping[Family, str]] = {
        Family.TEXT: "longtext",
        Family.INTEGER: "bigint",
        Family.NUMBER: "decimal(38, 10)",
        Family.BOOLEAN: "boolean",
        Family.DATE: "date",
        Family.TIMESTAMP: "datetime(6)",
        Family.TIMESTAMPTZ: "timestamp(6) null",
        Family.UUID: "char(36)",
        Family.BYTES: "longblob",
    }

    def value(self, value: Value) -> Any:
        """Instants in the session's zone, which is UTC."""
        if isinstance(value, datetime) and (offset := value.utcoffset()) is not None:
            return value.replace(tzinfo=None) - offset
        return value

    def _create(self, connection: Connection, name: str) -> None:
        self._run(connection, f"CREATE DATABASE {self._quoted(name)} CHARACTER SET utf8mb4")

    def _drop(self, connection: Connection, name: str) -> None:
        self._run(connection, f"DROP DATABASE IF EXISTS {self._quoted(name)}")

    def _enter(self, connection: Connection, name: str) -> None:
        self._run(connection, f"USE {self._quoted(name)}")
        self._run(connection, "SET time_zone = '+00:00'")

    def _address(self, url: URL, name: str) -> URL:
        return url.set(database=name)


_RIGHTS = "Its login must be able to make schemas (in MariaDB: databases), which are removed afterwards."
_SERVERS: Mapping[str, type[_ServerStage]] = {"postgres": PostgresqlStage, "mysql": MysqlStage}


def scratch(url: str, watched: Mapping[str, SourceSettings]) -> Stage:
    """The stage on a server that the user lends. Raises SourceError where it can't be one.

    Parameters: `watched` are the sources of the rules file, none of which may be the same database.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise SourceError("the URL of `--scratch` can't be read", "Write `postgresql://user@host/database`.") from None
    server = _SERVERS.get(dialect_of(url) or "")
    if server is None:
        advice = "It is for PostgreSQL, MariaDB and MySQL; SQLite and DuckDB need none: see `--on`."
        raise SourceError("`--scratch` is no server that examples can be played on", advice)
    for name, settings in watched.items():
        if _place(make_url(settings.url)) == _place(parsed):
            advice = "Lend a database that nobody uses: examples make tables there."
            raise SourceError(f"`--scratch` is the database that `{name}` watches", advice)
    try:
        return server(parsed)
    except ImportError:
        raise SourceError(
            "`--scratch` needs a driver that isn't installed", "pip install 'sanityd[postgresql]'"
        ) from None


def _place(url: URL) -> tuple[object, ...]:
    """What tells one database from another."""
    kind = dialect_of(url.render_as_string(hide_password=False))
    host = (url.host or "localhost").lower()
    port = url.port or {"postgres": 5432, "mysql": 3306}.get(kind or "")
    return kind, "localhost" if host in ("127.0.0.1", "::1") else host, port, url.database


def _reason(error: SQLAlchemyError) -> str:
    """The kind of the driver's error; its text may quote the URL."""
    cause = getattr(error, "orig", None) or error
    return type(cause).__name__
