"""Schemas of our own on a database server that the user lends (`--scratch`), removed afterwards."""

import secrets
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from sanityd.authoring.ruletests.fixtures import Sheet
from sanityd.authoring.ruletests.scratch_db import PREFIX, ScratchDatabase, reason
from sanityd.errors import SourceError
from sanityd.model import Value
from sanityd.sources.base import SourceSettings
from sanityd.sources.catalog import Family
from sanityd.sources.mysql import MysqlSource
from sanityd.sources.open import dialect_of
from sanityd.sources.postgresql import PostgresqlSource


class ServerStage(ScratchDatabase):
    """A schema (in MariaDB the same as a database) for each source, and those that tables name
    themselves."""

    driver: ClassVar[str]

    def __init__(self, url: URL) -> None:
        self._url = url
        self._token = f"{PREFIX}_{secrets.token_hex(4)}"
        #: The schemas that are ours.
        self._made: set[str] = set()
        #: The tables that are ours, by source; and what they are like, where they could be made.
        self._tables: dict[str, Sequence[Sheet]] = {}
        self._shapes: dict[str, Sequence[object]] = {}
        url = url.set(drivername=self.driver)
        self._engine: Engine = create_engine(
            url, poolclass=NullPool, isolation_level="AUTOCOMMIT", hide_parameters=True
        )

    def fill(self, source: str, sheets: Sequence[Sheet]) -> str:
        """New tables; where they are the same as before, only new rows."""
        own = f"{self._token}_{source}"
        shape, before = self._shape(sheets), self._shapes.pop(source, None)
        try:
            with self._engine.connect() as connection:
                if shape == before:
                    self._enter(connection, own)
                    for sheet in sheets:
                        table = self._name(connection, sheet)
                        self._run(connection, f"DELETE FROM {table}")  # noqa: S608 (quoted)
                else:
                    self._drop_tables(connection, source)
                    for name in [
                        own,
                        *dict.fromkeys(
                            sheet.table.schema for sheet in sheets if sheet.table.schema
                        ),
                    ]:
                        self._see_to(connection, name, sheets)
                    self._tables[source] = sheets
                    self._enter(connection, own)
                self._make(connection, sheets, only_rows=shape == before)
        except SQLAlchemyError as error:
            raise SourceError(f"the scratch database refused: {reason(error)}", _RIGHTS) from None
        self._shapes[source] = shape
        return self._address(self._url, own).render_as_string(hide_password=False)

    def close(self) -> None:
        """Drop what is ours."""
        with suppress(SQLAlchemyError), self._engine.connect() as connection:
            for source in list(self._tables):
                self._drop_tables(connection, source)
            for name in self._made:
                self._drop(connection, name)
        self._engine.dispose()

    def _shape(self, sheets: Sequence[Sheet]) -> Sequence[object]:
        return [
            (sheet.table, {name: self.type(name, sheet) for name in sheet.columns})
            for sheet in sheets
        ]

    def _drop_tables(self, connection: Connection, source: str) -> None:
        if (sheets := self._tables.pop(source, ())) and (
            own := f"{self._token}_{source}"
        ) in self._made:
            self._enter(connection, own)
            for sheet in sheets:
                self._run(connection, f"DROP TABLE IF EXISTS {self._name(connection, sheet)}")

    def _see_to(self, connection: Connection, schema: str, sheets: Sequence[Sheet]) -> None:
        """Have a schema, without any of these tables. One that is there already (such as `public`)
        stays."""
        if schema not in self._made and not self._count(connection, "schemata", schema_name=schema):
            self._create(connection, schema)
            self._made.add(schema)
        for sheet in sheets:
            name = sheet.table.name
            taken = {"table_schema": schema, "table_name": name}
            if sheet.table.schema == schema and self._count(connection, "tables", **taken):
                advice = "Lend a database that is empty. Two sources with one table can be played by `--on duckdb`."
                raise SourceError(
                    f"the scratch database has a table `{schema}.{name}` already", advice
                )

    def _count(self, connection: Connection, what: str, **names: str) -> int:
        wanted = " AND ".join(f"{name} = :{name}" for name in names)
        sql = f"SELECT count(*) FROM information_schema.{what} WHERE {wanted}"  # noqa: S608 (names of ours)
        query = text(sql)
        return int(connection.execute(query, names).scalar_one())

    @abstractmethod
    def _create(self, connection: Connection, name: str) -> None: ...

    @abstractmethod
    def _drop(self, connection: Connection, name: str) -> None: ...

    @abstractmethod
    def _enter(self, connection: Connection, name: str) -> None: ...

    @abstractmethod
    def _address(self, url: URL, name: str) -> URL: ...


class PostgresqlStage(ServerStage):
    """Schemas, found by the search path; functions of extensions are found in `public`."""

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
        own = url.query.get("options", "")
        options = (
            f"{own if isinstance(own, str) else ' '.join(own)} -c search_path={name},public".strip()
        )
        return url.update_query_dict({"options": options})


class MysqlStage(ServerStage):
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
_SERVERS: Mapping[str, type[ServerStage]] = {"postgres": PostgresqlStage, "mysql": MysqlStage}


def scratch(url: str, watched: Mapping[str, SourceSettings]) -> ScratchDatabase:
    """The stage on a server that the user lends. Raises SourceError where it can't be one.

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
