"""Whose login can write, on each database, and what is said of a source that doesn't answer."""

import os
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import NullPool, create_engine, make_url

from sanityd.sources import privileges
from sanityd.sources.base import SourceSettings
from tests.end_to_end.test_canary import login

IS_ROOT = os.geteuid() == 0


def asked(**urls: str) -> list[str]:
    """The sources of these URLs whose login can write."""
    return privileges.writable({name: SourceSettings(name, url) for name, url in urls.items()})


def test_an_owner_can_write_and_a_reader_cannot_on_postgresql(postgres: str) -> None:
    grant = "GRANT SELECT ON people, notes TO {name}"
    drop = "DROP OWNED BY {name};DROP ROLE {name}"
    with login(postgres, "CREATE ROLE {name} LOGIN PASSWORD '{password}'", grant, drop) as reader:
        assert asked(owner=postgres, reader=reader) == ["owner"]


def test_an_owner_can_write_and_a_reader_cannot_on_mariadb(mariadb: str) -> None:
    create = "CREATE USER {name}@'127.0.0.1' IDENTIFIED BY '{password}'"
    grant, drop = (
        "GRANT SELECT ON {database}.* TO {name}@'127.0.0.1'",
        "DROP USER {name}@'127.0.0.1'",
    )
    with login(mariadb, create, grant, drop) as reader:
        assert asked(owner=mariadb, reader=reader) == ["owner"]


def test_a_single_table_that_may_be_written_counts(postgres: str) -> None:
    grant = "GRANT SELECT ON people, notes TO {name};GRANT UPDATE ON notes TO {name}"
    drop = "DROP OWNED BY {name};DROP ROLE {name}"
    with login(postgres, "CREATE ROLE {name} LOGIN PASSWORD '{password}'", grant, drop) as clerk:
        assert asked(clerk=clerk) == ["clerk"]


def _sqlite(file: Path) -> str:
    engine = create_engine(f"sqlite:///{file}", poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table t (id int)")
    return f"sqlite:///{file}"


def _duckdb(file: Path) -> str:
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table t (id int)")
    return f"duckdb:///{file}"


@pytest.mark.parametrize("make", [_sqlite, _duckdb])
def test_a_file_is_as_writable_as_the_system_says(
    make: Callable[[Path], str], tmp_path: Path
) -> None:
    url = make(tmp_path / "shop.db")
    assert asked(shop=url) == ["shop"]
    (tmp_path / "shop.db").chmod(0o444)
    # Nothing is read-only to root.
    assert asked(shop=url) == (["shop"] if IS_ROOT else [])


def test_a_source_that_does_not_answer_is_left_out_and_hides_no_other(
    postgres: str, tmp_path: Path
) -> None:
    down = make_url(postgres).set(port=1).render_as_string(hide_password=False)
    shop = _sqlite(tmp_path / "shop.db")
    assert asked(
        down=down, missing="sqlite:////no/such/file.db", odd="nosuch://host/db", shop=shop
    ) == ["shop"]
