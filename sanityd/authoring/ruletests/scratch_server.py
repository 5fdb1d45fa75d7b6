"""Scratch schemas on a database server that the user provides (`--scratch`), removed afterwards."""

import secrets
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from sanityd.authoring.ruletests.fixtures import TableFixture
from sanityd.authoring.ruletests.scratch_db import PREFIX, ScratchDatabase, reason, schemas_of
from sanityd.errors import SourceError
from sanityd.model import Value
from sanityd.sources.base import SourceSettings
from sanityd.sources.catalog import Family
from sanityd.sources.mysql import MysqlSource
from sanityd.sources.open import dialect_of
from sanityd.sources.postgresql import PostgresqlSource


class ScratchServer(ScratchDatabase):
    """A schema for each source (in MariaDB the same as a database), and those that tables name."""

    driver: ClassVar[str]

    def __init__(self, url: URL) -> None:
        self._url = url
        self._token = f"{PREFIX}_{secrets.token_hex(4)}"
        #: The schemas that were created.
        self._schemas: set[str] = set()
        #: The tables that were created, by source, and the types of those that were filled.
        self._tables: dict[str, Sequence[TableFixture]] = {}
        self._types: dict[str, Sequence[object]] = {}
        url = url.set(drivername=self.driver)
        self._engine: Engine = create_engine(
            url, poolclass=NullPool, isolation_level="AUTOCOMMIT", hide_parameters=True
        )

    def fill(self, source: str, fixtures: Sequence[TableFixture]) -> str:
        """Create new tables; where they are the same as before, replace only the rows."""
        schema = self._schema_of(source)
        types = self._table_types(fixtures)
        previous_types = self._types.pop(source, None)
        try:
            with self._engine.connect() as connection:
                if types == previous_types:
                    self._enter(connection, schema)
                    self._replace_rows(connection, fixtures)
                else:
                    self._drop_tables(connection, source)
                    for name in (schema, *schemas_of(fixtures)):
                        self._prepare_schema(connection, name, fixtures)
                    self._tables[source] = fixtures
                    self._enter(connection, schema)
                    self._create_tables(connection, fixtures)
        except SQLAlchemyError as error:
            raise SourceError(f"the scratch database refused: {reason(error)}", _RIGHTS) from None
        self._types[source] = types
        return self._address(self._url, schema).render_as_string(hide_password=False)

    def close(self) -> None:
        """Drop all tables and schemas that were created."""
        with suppress(SQLAlchemyError), self._engine.connect() as connection:
            for source in list(self._tables):
                self._drop_tables(connection, source)
            for name in self._schemas:
                self._drop(connection, name)
        self._engine.dispose()

    def _schema_of(self, source: str) -> str:
        return f"{self._token}_{source}"

    def _table_types(self, fixtures: Sequence[TableFixture]) -> Sequence[object]:
        """Return each table with the SQL types of its columns."""
        tables = []
        for fixture in fixtures:
            types = {name: self.type(name, fixture) for name in fixture.columns}
            tables.append((fixture.table, types))
        return tables

    def _replace_rows(self, connection: Connection, fixtures: Sequence[TableFixture]) -> None:
        for fixture in fixtures:
            table = self._name(connection, fixture)
            self._run(connection, f"DELETE FROM {table}")  # noqa: S608 (quoted)
        self._insert_rows(connection, fixtures)

    def _drop_tables(self, connection: Connection, source: str) -> None:
        fixtures = self._tables.pop(source, ())
        schema = self._schema_of(source)
        if not fixtures or schema not in self._schemas:
            return
        self._enter(connection, schema)
        for fixture in fixtures:
            self._run(connection, f"DROP TABLE IF EXISTS {self._name(connection, fixture)}")

    def _prepare_schema(
        self, connection: Connection, schema: str, fixtures: Sequence[TableFixture]
    ) -> None:
        """Create a schema unless it exists, such as `public`.

        Raises SourceError when it has one of the tables already.
        """
        is_created = schema in self._schemas
        if not is_created and not self._count(connection, "schemata", schema_name=schema):
            self._create(connection, schema)
            self._schemas.add(schema)
        for fixture in fixtures:
            if fixture.table.schema != schema:
                continue
            name = fixture.table.name
            if self._count(connection, "tables", table_schema=schema, table_name=name):
                advice = (
                    "Lend a database that is empty. Two sources with one table can be played by "
                    "`--on duckdb`."
                )
                raise SourceError(
                    f"the scratch database has a table `{schema}.{name}` already", advice
                )

    def _count(self, connection: Connection, view: str, **names: str) -> int:
        """Return the number of entries of the information schema with these names."""
        conditions = " AND ".join(f"{name} = :{name}" for name in names)
        sql = f"SELECT count(*) FROM information_schema.{view} WHERE {conditions}"  # noqa: S608
        return int(connection.execute(text(sql), names).scalar_one())

    @abstractmethod
    def _create(self, connection: Connection, name: str) -> None: ...

    @abstractmethod
    def _drop(self, connection: Connection, name: str) -> None: ...

    @abstractmethod
    def _enter(self, connection: Connection, name: str) -> None: ...

    @abstractmethod
    def _address(self, url: URL, name: str) -> URL: ...


class PostgresqlScratch(ScratchServer):
    """Schemas in the search path, which ends with `public` for the functions of extensions."""

    dialect: ClassVar[str] = "postgres"
    inexact: ClassVar[str] = "numeric"
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
        self._run(connection, f"CREATE SCHEMA {self._quoted(connection, name)}")

    def _drop(self, connection: Connection, name: str) -> None:
        self._run(connection, f"DROP SCHEMA IF EXISTS {self._quoted(connection, name)} CASCADE")

    def _enter(self, connection: Connection, name: str) -> None:
        self._run(connection, f"SET search_path TO {self._quoted(connection, name)}, public")

    def _address(self, url: URL, name: str) -> URL:
        options = url.query.get("options", "")
        if not isinstance(options, str):
            options = " ".join(options)
        options = f"{options} -c search_path={name},public".strip()
        return url.update_query_dict({"options": options})


class MysqlScratch(ScratchServer):
    """Databases of a server of MariaDB or MySQL."""

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
        """Return instants in the session's zone, which is UTC."""
        if not isinstance(value, datetime):
            return value
        offset = value.utcoffset()
        if offset is None:
            return value
        return value.replace(tzinfo=None) - offset

    def _create(self, connection: Connection, name: str) -> None:
        self._run(
            connection, f"CREATE DATABASE {self._quoted(connection, name)} CHARACTER SET utf8mb4"
        )

    def _drop(self, connection: Connection, name: str) -> None:
        self._run(connection, f"DROP DATABASE IF EXISTS {self._quoted(connection, name)}")

    def _enter(self, connection: Connection, name: str) -> None:
        self._run(connection, f"USE {self._quoted(connection, name)}")
        self._run(connection, "SET time_zone = '+00:00'")

    def _address(self, url: URL, name: str) -> URL:
        return url.set(database=name)


_RIGHTS = (
    "Its login must be able to make schemas (in MariaDB: databases), which are removed afterwards."
)
_DEFAULT_PORTS = {"postgres": 5432, "mysql": 3306}
_SERVERS: Mapping[str, type[ScratchServer]] = {"postgres": PostgresqlScratch, "mysql": MysqlScratch}


def open_scratch_server(url: str, watched: Mapping[str, SourceSettings]) -> ScratchDatabase:
    """Return scratch databases on a server. Raises SourceError where it can't be used.

    Parameters: `watched` are the sources of the rules file, none of which may be the same database.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise SourceError(
            "the URL of `--scratch` can't be read", "Write `postgresql://user@host/database`."
        ) from None
    server = _SERVERS.get(dialect_of(url) or "")
    if server is None:
        advice = "It is for PostgreSQL, MariaDB and MySQL; SQLite and DuckDB need none: see `--on`."
        raise SourceError("`--scratch` is no server that examples can be played on", advice)
    for name, settings in watched.items():
        if _identity(make_url(settings.url)) == _identity(parsed):
            advice = "Lend a database that nobody uses: examples make tables there."
            raise SourceError(f"`--scratch` is the database that `{name}` watches", advice)
    try:
        return server(parsed)
    except ImportError:
        raise SourceError(
            "`--scratch` needs a driver that isn't installed", "pip install 'sanityd[postgresql]'"
        ) from None


def _identity(url: URL) -> tuple[object, ...]:
    """Return the dialect, host, port and name of a database."""
    dialect = dialect_of(url.render_as_string(hide_password=False)) or ""
    host = (url.host or "localhost").lower()
    if host in ("127.0.0.1", "::1"):
        host = "localhost"
    port = url.port or _DEFAULT_PORTS.get(dialect)
    return dialect, host, port, url.database
