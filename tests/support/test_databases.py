"""Databases that tests use in turn are as empty as new ones."""

import pytest
from sqlalchemy import NullPool, create_engine, text

from tests.support.databases import PostgreSQLDatabases

CHANGES = {
    "tables": ("CREATE TABLE a (id int)", "CREATE SCHEMA s CREATE VIEW v AS SELECT 1 AS a"),
    "functions": ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",),
    "no schema": ("DROP SCHEMA public",),
    "extension": ("CREATE EXTENSION citext",),
    "setting": ("ALTER DATABASE {name} SET work_mem = '1MB'",),
    "right": ("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC",),
    "default right": ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",),
    "large object": ("SELECT lo_create(0)",),
}
#: Everything that a new database has not.
LEFT = """
    SELECT 'class ' || relname FROM pg_class WHERE oid >= 16384
    UNION ALL SELECT 'type ' || typname FROM pg_type WHERE oid >= 16384
    UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT 'extension ' || extname FROM pg_extension
    UNION ALL SELECT 'setting ' || setconfig::text FROM pg_db_role_setting
        JOIN pg_database ON pg_database.oid = setdatabase AND datname = current_database()
    UNION ALL SELECT 'right ' || datacl::text FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT 'default right ' || defaclacl::text FROM pg_default_acl
    UNION ALL SELECT 'large object ' || oid FROM pg_largeobject_metadata
    UNION ALL SELECT 'schema ' || nspname || ' of ' || nspowner::regrole || ': ' || nspacl::text
        FROM pg_namespace WHERE nspname !~ '^pg_'
    ORDER BY 1
"""


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_nothing_of_a_test_is_left_for_the_next_one(
    postgres_url: str, changes: tuple[str, ...]
) -> None:
    databases = PostgreSQLDatabases(postgres_url)
    with databases.lend() as url:
        new = _run(url, LEFT)
        for change in changes:
            _run(url, change.format(name=url.rsplit("/", maxsplit=1)[1]))
    with databases.lend() as url:
        assert _run(url, LEFT) == new
    databases.close()


def test_a_database_is_used_again_and_its_sessions_end(postgres_url: str) -> None:
    databases = PostgreSQLDatabases(postgres_url)
    with databases.lend() as first:
        forgotten = create_engine(first).connect()
        forgotten.execute(text("CREATE TABLE a (id int)"))
    with databases.lend() as second:
        assert second == first
        with databases.lend() as another:
            assert another != first
    forgotten.invalidate()
    databases.close()


def _run(url: str, sql: str) -> list[str]:
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        result = connection.execute(text(sql))
        return [str(row[0]) for row in result] if result.returns_rows else []
