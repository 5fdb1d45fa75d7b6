"""SQLite's peculiarities: files, WAL, loose types, its own catalog."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from sanityd.errors import CheckError, SourceError
from sanityd.sources.base import Source
from sanityd.sources.catalog import Family
from sanityd.sources.open import dialect_of
from sanityd.sources.values import read_instant

Open = Callable[..., Source]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "watched.db"


def write(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def ask(source: Source, sql: str) -> list[tuple[object, ...]]:
    with source.snapshot() as snapshot:
        return [tuple(row) for row in snapshot.rows(select(snapshot.query(sql)))]


def test_a_missing_file_is_told_and_not_created(path: Path, open_it: Open) -> None:
    with (
        pytest.raises(SourceError, match=r"there is no file `watched.db`"),
        open_it(f"sqlite:///{path}").snapshot(),
    ):
        pass
    assert not path.exists()


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x.db?mode=rwc&uri=true", "sqlite://x/y.db"],
)
def test_a_url_must_name_a_file(url: str, open_it: Open) -> None:
    with pytest.raises(SourceError, match="names no file"):
        open_it(url)


def test_a_file_that_is_no_database_is_told(path: Path, open_it: Open) -> None:
    path.write_text("Dear diary, this is a secret. " * 100)
    with (
        pytest.raises(SourceError, match="no SQLite database") as error,
        open_it(f"sqlite:///{path}").snapshot(),
    ):
        pass
    assert "secret" not in error.value.message


def test_options_of_the_url_open_nothing_for_writing(path: Path, open_it: Open) -> None:
    write(path, "CREATE TABLE t (a)")
    source = open_it(f"sqlite:///{path}?mode=rwc&uri=true&timeout=99")
    assert ask(source, "SELECT count(*) AS n FROM t") == [(0,)]


def test_wal_mode_is_read_with_and_without_a_writer(path: Path, open_it: Open) -> None:
    write(path, "PRAGMA journal_mode = WAL", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    source = open_it(f"sqlite:///{path}")
    assert ask(source, "SELECT * FROM t") == [(1,)]
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("INSERT INTO t VALUES (2)")
        writer.commit()
        assert ask(source, "SELECT * FROM t") == [(1,), (2,)]


def test_a_locked_file_is_told(path: Path, open_it: Open) -> None:
    write(path, "CREATE TABLE t (a)")
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with (
            pytest.raises(SourceError, match=r"locked by a writer for 0.5 s"),
            open_it(f"sqlite:///{path}").snapshot(),
        ):
            pass


def test_the_file_is_not_changed_by_looking(path: Path, open_it: Open) -> None:
    write(path, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    before = path.read_bytes()
    ask(open_it(f"sqlite:///{path}"), "SELECT * FROM t")
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["watched.db"]


def test_an_integer_primary_key_is_never_null_and_others_still_identify(
    path: Path, open_it: Open
) -> None:
    write(
        path,
        "CREATE TABLE a (id INTEGER PRIMARY KEY, x)",
        "CREATE TABLE b (code TEXT PRIMARY KEY, x) WITHOUT ROWID",
        "CREATE TABLE c (code TEXT PRIMARY KEY)",
    )
    with open_it(f"sqlite:///{path}").snapshot() as snapshot:
        nullable = [next(iter(snapshot.table(name).columns.values())).nullable for name in "abc"]
        assert nullable == [False, False, True]
        assert [snapshot.table(name).key for name in "abc"] == [("id",), ("code",), ("code",)]


def test_partial_and_expression_indexes_are_no_keys(path: Path, open_it: Open) -> None:
    write(
        path,
        "CREATE TABLE t (a NOT NULL, b NOT NULL, c NOT NULL)",
        "CREATE UNIQUE INDEX one ON t (a) WHERE b > 0",
        "CREATE UNIQUE INDEX two ON t (lower(b))",
        "CREATE UNIQUE INDEX three ON t (c)",
    )
    with open_it(f"sqlite:///{path}").snapshot() as snapshot:
        assert snapshot.table("T").unique_keys == (("c",),)


def test_virtual_tables_can_be_read(path: Path, open_it: Open) -> None:
    write(path, "CREATE VIRTUAL TABLE f USING fts5(x)", "INSERT INTO f VALUES ('hello world')")
    source = open_it(f"sqlite:///{path}")
    assert ask(source, "SELECT x FROM f WHERE f MATCH 'hello'") == [("hello world",)]
    assert ask(source, "SELECT value FROM json_each('[1, 2]')") == [(1,), (2,)]
    with source.snapshot() as snapshot:
        assert list(snapshot.table("f").columns) == ["x"]


def test_huge_values_are_refused(path: Path, open_it: Open) -> None:
    write(path, "CREATE TABLE t (a)")
    with pytest.raises(CheckError, match="too big"):
        ask(open_it(f"sqlite:///{path}"), "SELECT hex(zeroblob(100000000)) AS big")


def test_text_that_is_no_text_comes_as_bytes(path: Path, open_it: Open) -> None:
    write(path, "CREATE TABLE t (a TEXT)", "INSERT INTO t VALUES (CAST(x'736563726574ff' AS TEXT))")
    assert ask(open_it(f"sqlite:///{path}"), "SELECT a FROM t") == [(b"secret\xff",)]


@pytest.mark.parametrize(
    ("declared", "family"),
    [
        ("DATETIME", Family.TIMESTAMP),
        ("BIGINT", Family.INTEGER),
        ("VARCHAR(9)", Family.TEXT),
        ("BOOLEAN", Family.BOOLEAN),
        ("DECIMAL(9, 2)", Family.NUMBER),
        ("BLOB", Family.BYTES),
        ("", Family.OTHER),
    ],
)
def test_declared_words_become_families(
    path: Path, open_it: Open, declared: str, family: Family
) -> None:
    write(path, f"CREATE TABLE t (a {declared})")
    with open_it(f"sqlite:///{path}").snapshot() as snapshot:
        assert snapshot.table("t").columns["a"].family is family


NOON = round(datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("2026-07-01 12:00:00", NOON),
        ("2026-07-01T12:00:00Z", NOON),
        ("2026-07-01T14:00:00.000001+02:00", NOON + 1),
        ("2026-07-01 12:00", NOON),
        ("2026-07-01", NOON - 12 * 3600 * 1_000_000),
        (NOON // 1_000_000, NOON),
        (NOON / 1_000_000 + 0.5, NOON + 500_000),
        (str(NOON // 1_000_000), NOON),
        ("soon", None),
        ("", None),
        (None, None),
        (b"2026", None),
        (float("inf"), None),
    ],
)
def test_times_are_understood_in_all_usual_forms(stored: object, expected: int | None) -> None:
    assert read_instant(stored, UTC) == expected


def test_a_text_without_offset_is_meant_in_the_zone() -> None:
    assert read_instant("2026-07-01 14:00:00", ZoneInfo("Europe/Berlin")) == NOON


def test_the_dialect_is_known_without_a_connection() -> None:
    urls = (
        "sqlite:///x.db",
        "postgres://h/d",
        "postgresql+asyncpg://h/d",
        "mariadb://h/d",
        "mysql+pymysql://h/d",
        "x",
        "",
    )
    assert [dialect_of(url) for url in urls] == [
        "sqlite",
        "postgres",
        "postgres",
        "mysql",
        "mysql",
        None,
        None,
    ]
