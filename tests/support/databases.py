"""Empty databases on a server, for one test each.

Making and dropping a PostgreSQL database takes as much of the server's time as a short test, so that
tests use the same ones in turn: a database is emptied after a test, and dropped when more than
schemas was left in it.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

#: How often a database is used: the catalog keeps the dead rows of dropped tables.
MOST_USES = 25
#: What `DROP SCHEMA` does not remove: true when there is any of it.
_IS_CHANGED = text("""
    SELECT EXISTS (SELECT FROM pg_extension WHERE extname <> 'plpgsql')
        OR EXISTS (SELECT FROM pg_event_trigger)
        OR EXISTS (SELECT FROM pg_publication)
        OR EXISTS (SELECT FROM pg_foreign_data_wrapper)
        OR EXISTS (SELECT FROM pg_largeobject_metadata)
        OR EXISTS (SELECT FROM pg_default_acl)
        OR EXISTS (SELECT FROM pg_cast WHERE oid >= 16384)
        OR EXISTS (SELECT FROM pg_prepared_xacts WHERE database = current_database())
        OR EXISTS (
            SELECT FROM pg_database
            LEFT JOIN pg_db_role_setting ON setdatabase = pg_database.oid
            WHERE datname = current_database() AND (setdatabase IS NOT NULL OR datacl IS NOT NULL)
        )
""")
_END_SESSIONS = text("""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
""")
_EMPTY = text("""
    DO $$
    DECLARE name text;
    BEGIN
        SET LOCAL lock_timeout = '5s';
        FOR name IN
            SELECT nspname FROM pg_namespace
            WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
        LOOP
            EXECUTE format('DROP SCHEMA %I CASCADE', name);
        END LOOP;
        CREATE SCHEMA public AUTHORIZATION pg_database_owner;
        GRANT USAGE ON SCHEMA public TO PUBLIC;
    END $$
""")


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """An empty database on that server, dropped at the end."""
    url = _create(server)
    try:
        yield url.render_as_string(hide_password=False)
    finally:
        _drop(server, url)


class PostgreSQLDatabases:
    """The databases of one process of the tests, on one server."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._free: list[tuple[URL, int]] = []

    @contextmanager
    def lend(self) -> Iterator[str]:
        """An empty database, as its owner; emptied or dropped at the end."""
        url, uses = self._free.pop() if self._free else (_create(self._server), 0)
        try:
            yield url.render_as_string(hide_password=False)
        finally:
            if uses + 1 < MOST_USES and _is_emptied(url):
                self._free.append((url, uses + 1))
            else:
                _drop(self._server, url)

    def close(self) -> None:
        """Drop those that are left."""
        for url, _ in self._free:
            _drop(self._server, url)


def _create(server: str) -> URL:
    name = f"t_{uuid.uuid4().hex[:16]}"
    with _administrator(server) as administrator:
        administrator.execute(text(f"CREATE DATABASE {name}"))
    return make_url(server).set(database=name)


def _drop(server: str, url: URL) -> None:
    force = " WITH (FORCE)" if server.startswith("postgresql") else ""
    with _administrator(server) as administrator:
        administrator.execute(text(f"DROP DATABASE {url.database}{force}"))


def _is_emptied(url: URL) -> bool:
    """Empty a database; return whether it is as a new one."""
    try:
        with _administrator(url) as administrator:
            if administrator.execute(_IS_CHANGED).scalar_one():
                return False
            administrator.execute(_END_SESSIONS)
            administrator.execute(_EMPTY)
            return True
    except SQLAlchemyError:
        return False


@contextmanager
def _administrator(server: str | URL) -> Iterator[Connection]:
    engine = create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as administrator:
        yield administrator
