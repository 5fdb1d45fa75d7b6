"""DuckDB's peculiarities: a file in our own process, locks between processes, settings, its own
catalog."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import event, func, literal_column, select, text
from sqlalchemy.exc import DBAPIError

from sanityd.errors import CheckError, SourceError
from sanityd.sources import raw_sql
from sanityd.sources.base import Source
from sanityd.sources.catalog import ColumnInfo, EnforcedConstraints, Family
from sanityd.sources.duckdb import DuckdbSource
from sanityd.sources.duckdb_dialect import DuckdbDialect
from sanityd.sources.engine_snapshot import EngineSnapshot
from sanityd.sources.open import dialect_of

Open = Callable[..., Source]
SLOW = "SELECT count(*) AS n FROM range(100000000) a, range(1000000) b WHERE (a.range * b.range) % 7 = 3"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "watched.duckdb"


def write(path: Path, *statements: str) -> None:
    with closing(duckdb.connect(str(path))) as connection:
        for statement in statements:
            connection.execute(statement)


def ask(source: Source, sql: str) -> list[tuple[object, ...]]:
    with source.snapshot() as snapshot:
        return [tuple(row) for row in snapshot.rows(select(snapshot.query(sql)))]


@contextmanager
def writer(path: Path, seconds: float) -> Iterator[None]:
    """Another process that has the file open for so long."""
    code = f"import duckdb, time; c = duckdb.connect({str(path)!r}); print('open', flush=True); time.sleep({seconds})"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def test_a_missing_file_is_told_and_not_created(path: Path, open_it: Open) -> None:
    with (
        pytest.raises(SourceError, match=r"there is no file `watched.duckdb`"),
        open_it(f"duckdb:///{path}").snapshot(),
    ):
        pass
    assert not path.exists()


@pytest.mark.parametrize(
    "url",
    [
        "duckdb://",
        "duckdb:///:memory:",
        "duckdb:///:memory:x",
        "duckdb:///md:t0ken",
        "duckdb:////etc/sanityd/md:t0ken",
        "duckdb:////etc/sanityd/motherduck:t0ken",
    ],
)
def test_a_url_must_name_a_file(url: str, open_it: Open) -> None:
    with pytest.raises(SourceError, match="names no file") as refused:
        open_it(url)
    assert "t0ken" not in f"{refused.value.message} {refused.value.hint}"


def test_a_file_that_is_no_database_is_told(path: Path, open_it: Open) -> None:
    path.write_text("Dear diary, this is a secret. " * 100)
    with (
        pytest.raises(SourceError, match="no DuckDB database") as error,
        open_it(f"duckdb:///{path}").snapshot(),
    ):
        pass
    assert "secret" not in error.value.message
    assert str(path) not in error.value.message


def test_options_of_the_url_undo_no_guard(path: Path, open_it: Open) -> None:
    write(path, "CREATE TABLE t (a int)")
    source = open_it(f"duckdb:///{path}?access_mode=READ_WRITE&enable_external_access=true")
    with pytest.raises(CheckError, match="disabled by configuration"):
        raw(source, f"SELECT * FROM read_text('{__file__}')")
    with pytest.raises(CheckError, match="not one SELECT"):
        raw(source, "INSERT INTO t VALUES (1)")


def test_a_file_that_somebody_writes_is_waited_for_and_then_told(path: Path, open_it: Open) -> None:
    write(path, "CREATE TABLE t (a int)")
    with writer(path, 60):
        source = open_it(f"duckdb:///{path}")
        with (
            pytest.raises(SourceError, match=r"stayed open for writing elsewhere for 0.5 s"),
            source.snapshot(),
        ):
            pass
    with writer(path, 0.2):
        patient = open_it(f"duckdb:///{path}", lock_timeout=timedelta(seconds=20))
        assert ask(patient, "SELECT count(*) AS n FROM t") == [(0,)]


def test_what_a_killed_writer_left_is_read_and_the_files_are_not_changed(
    path: Path, open_it: Open
) -> None:
    write(path, "CREATE TABLE t (a int)")
    code = f"import duckdb, os; c = duckdb.connect({str(path)!r}); c.execute('INSERT INTO t VALUES (1)'); os._exit(1)"
    subprocess.run([sys.executable, "-c", code], check=False)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    assert sorted(before) == ["watched.duckdb", "watched.duckdb.wal"]
    assert ask(open_it(f"duckdb:///{path}"), "SELECT * FROM t") == [(1,)]
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_several_snapshots_are_open_at_once(path: Path, open_it: Open) -> None:
    write(path, "CREATE TABLE t (a int)")
    one, two = (
        open_it(f"duckdb:///{path}"),
        open_it(f"duckdb:///{path}", statement_timeout=timedelta(seconds=9)),
    )
    with one.snapshot(), one.snapshot(), two.snapshot() as last:
        assert last.table("t").name == "t"


def test_this_process_may_not_have_it_open_otherwise(path: Path, open_it: Open) -> None:
    write(path, "CREATE TABLE t (a int)")
    with (
        closing(duckdb.connect(str(path))),
        pytest.raises(SourceError, match="open with other settings"),
    ):
        ask(open_it(f"duckdb:///{path}"), "SELECT * FROM t")


def raw(source: Source, sql: str) -> object:
    """Run a statement as a rule's would be, as if there were no gate."""
    with source.snapshot() as snapshot:
        assert isinstance(snapshot, EngineSnapshot)
        with snapshot._translate_errors():
            return snapshot._connection.execute(text(raw_sql.token(sql))).all()


@pytest.mark.parametrize(
    "attack",
    [
        "SET memory_limit = '9GB'",
        "RESET lock_configuration",
        "PRAGMA enable_profiling",
        "SET VARIABLE x = 1",
        "CREATE TEMP TABLE loot AS SELECT 1",
        "CREATE SECRET loot (TYPE http)",
        "ATTACH ':memory:' AS loot",
        "INSTALL httpfs",
        "LOAD httpfs",
        "COPY t TO '/tmp/sanityd_loot.csv'",
        "EXPORT DATABASE '/tmp/sanityd_loot'",
        "CALL enable_logging()",
        "CHECKPOINT",
        "PREPARE p AS SELECT 1",
        "SELECT 1; SELECT 2",
        "EXPLAIN ANALYZE SELECT 1",
        "",
    ],
)
def test_only_one_select_passes_the_session(path: Path, open_it: Open, attack: str) -> None:
    write(path, "CREATE TABLE t (a int)")
    with pytest.raises(CheckError, match="not one SELECT"):
        raw(open_it(f"duckdb:///{path}"), attack)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{}')",
        "SELECT * FROM read_blob('{}')",
        "SELECT * FROM glob('{}')",
        "SELECT * FROM '{}'",
        "FROM read_text('{}')",
        "SELECT * FROM query('FROM read_text(''{}'')')",
        "SELECT * FROM sniff_csv('{}')",
        "SELECT * FROM nextval('s')",
        "SELECT nextval('s')",
        "SELECT * FROM variable",
    ],
)
def test_a_select_reaches_nothing_but_the_database(path: Path, open_it: Open, sql: str) -> None:
    variable = duckdb.sql("SELECT 42 AS secret")
    write(path, "CREATE SEQUENCE s", "CREATE TABLE t (a int)")
    beside = path.with_name("beside.csv")
    beside.write_text("a,b\n1,2\n")
    with pytest.raises(CheckError) as error:
        raw(open_it(f"duckdb:///{path}"), sql.format(beside))
    assert "not one SELECT" not in error.value.message
    assert variable.fetchall() == [(42,)]


def test_settings_stay_as_they_are(path: Path, open_it: Open) -> None:
    write(path, "CREATE TABLE t (a int)")
    source = open_it(f"duckdb:///{path}")
    names = (
        "enable_external_access",
        "lock_configuration",
        "python_enable_replacements",
        "TimeZone",
        "temp_directory",
    )
    [settings] = ask(
        source, "SELECT " + ", ".join(f"current_setting('{name}') AS {name}" for name in names)
    )
    assert settings == (False, True, False, "UTC", "")
    with source.snapshot() as snapshot:
        assert isinstance(snapshot, EngineSnapshot)
        driver = snapshot._connection.connection.driver_connection
        assert driver is not None
        for change in (
            "SET enable_external_access = true",
            "SET memory_limit = '9GB'",
            "SET lock_configuration = false",
        ):
            with pytest.raises(duckdb.Error):
                driver.execute(change)


def test_memory_has_a_limit(path: Path, open_it: Open) -> None:
    write(path, "CREATE TABLE t (a int)")
    source = open_it(f"duckdb:///{path}", statement_timeout=timedelta(seconds=60))
    with pytest.raises(CheckError, match="more memory than 2GB"):
        ask(source, "SELECT list(range) AS a, list(range + 1) AS b FROM range(400000000)")
    assert sorted(file.name for file in path.parent.iterdir()) == ["watched.duckdb"]


def test_a_slow_stream_is_cut_off_too(path: Path, open_it: Open) -> None:
    write(path, "CREATE TABLE t (a int)")
    with open_it(f"duckdb:///{path}").snapshot() as snapshot:
        with pytest.raises(CheckError, match="cut off after 1 s"):
            list(snapshot.stream(select(snapshot.query(SLOW))))
        assert snapshot.rows(select(snapshot.query("SELECT 1 AS one"))) == [(1,)]


def test_no_timer_outlives_its_snapshot(path: Path, open_it: Open) -> None:
    write(path, "CREATE TABLE t (a int)")
    source = open_it(f"duckdb:///{path}", statement_timeout=timedelta(seconds=60))
    assert ask(source, "SELECT 1 AS one") == [(1,)]
    timers = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    for timer in timers:
        timer.join(5)
    assert not any(timer.is_alive() for timer in timers)


def test_unique_indexes_over_columns_are_keys(path: Path, open_it: Open) -> None:
    write(
        path,
        'CREATE TABLE t (a int NOT NULL, "b ""c" int NOT NULL, d int)',
        "CREATE UNIQUE INDEX one ON t ((a + 1))",
        "CREATE UNIQUE INDEX two ON t (d)",
        'CREATE UNIQUE INDEX three ON t (a, "b ""c")',
        "CREATE SCHEMA other",
        "CREATE TABLE other.t (x int PRIMARY KEY)",
    )
    with open_it(f"duckdb:///{path}").snapshot() as snapshot:
        assert snapshot.table("T").unique_keys == (("a", 'b "c'),)
        assert snapshot.table("t", "other").key == ("x",)
        assert snapshot.all_tables() == [(None, "t"), ("other", "t")]


def test_the_catalog_is_read_once_for_all_tables(path: Path, open_it: Open) -> None:
    numbers = range(30)
    write(
        path,
        *(f"CREATE TABLE t{n} (a int PRIMARY KEY, b text NOT NULL UNIQUE)" for n in numbers),
        "CREATE VIEW v AS SELECT * FROM t1",
        "INSERT INTO t1 VALUES (1, 'x')",
    )
    source = open_it(f"duckdb:///{path}")
    assert isinstance(source, DuckdbSource)
    statements: list[str] = []
    event.listen(source.engine, "before_cursor_execute", lambda *words: statements.append(words[2]))
    with source.snapshot() as snapshot:
        statements.clear()
        assert [snapshot.table(f"T{n}").keys for n in numbers] == [(("a",), ("b",))] * len(numbers)
        assert len(statements) == 5
        assert snapshot.table("v").estimate is None
        assert snapshot.table("v").enforced == EnforcedConstraints()
        assert snapshot.table("t1").estimate == 1
    # Another snapshot sees tables that were made in between.
    write(path, "CREATE TABLE later (a int)")
    with source.snapshot() as snapshot:
        assert list(snapshot.table("later").columns) == ["a"]


@pytest.mark.parametrize(
    ("declared", "family"),
    [
        ("HUGEINT", Family.INTEGER),
        ("UTINYINT", Family.INTEGER),
        ("DECIMAL(9, 2)", Family.NUMBER),
        ("REAL", Family.NUMBER),
        ("VARCHAR(9)", Family.TEXT),
        ("TIMESTAMP_MS", Family.TIMESTAMP),
        ("TIMESTAMPTZ", Family.TIMESTAMPTZ),
        ("ENUM('x', 'y')", Family.ENUM),
        ("BLOB", Family.BYTES),
        ("INTEGER[]", Family.OTHER),
        ("STRUCT(a INTEGER)", Family.OTHER),
        ("INTERVAL", Family.INTERVAL),
        ("JSON", Family.JSON),
    ],
)
def test_types_become_families(path: Path, open_it: Open, declared: str, family: Family) -> None:
    write(path, f"CREATE TABLE t (a {declared})")
    with open_it(f"duckdb:///{path}").snapshot() as snapshot:
        assert snapshot.table("t").columns["a"].family is family


def test_values_that_python_lacks_can_be_read(path: Path, open_it: Open) -> None:
    write(
        path,
        "CREATE TABLE t (seen timestamptz, day date, n hugeint, x decimal(38, 10))",
        "INSERT INTO t VALUES ('290000-01-01 00:00:00+00', '0044-03-15 (BC)', 2::hugeint ** 126, 0.0000000001)",
    )
    [row] = ask(open_it(f"duckdb:///{path}"), "SELECT * FROM t")
    assert row == ("290000-01-01 00:00:00+00", "0044-03-15 (BC)", 2**126, Decimal("1E-10"))


@pytest.mark.parametrize(
    ("stored", "microseconds"),
    [
        ("1782907200::bigint", 1782907200_000_000),
        ("1782907200123::bigint", 1782907200_123_000),
        ("1782907200123456::hugeint", 1782907200_123_456),
        ("1782907200.5::double", 1782907200_500_000),
        ("1782907200.000001::decimal(20, 6)", 1782907200_000_001),
        ("'inf'::double", None),
        ("2::hugeint ** 126", None),
    ],
)
def test_a_number_means_a_time_by_its_size(
    path: Path, open_it: Open, stored: str, microseconds: int | None
) -> None:
    write(path, "CREATE TABLE t (a int)")
    instant = DuckdbDialect().instant(
        literal_column(f"({stored})"), ColumnInfo("a", "?", Family.NUMBER)
    )
    with open_it(f"duckdb:///{path}").snapshot() as snapshot:
        assert snapshot.rows(select(func.max(instant))) == [(microseconds,)]


def test_the_dialect_is_known_without_a_connection() -> None:
    assert [dialect_of(url) for url in ("duckdb:///x.duckdb", "files://")] == ["duckdb", "duckdb"]


def test_a_fault_of_the_statement_is_no_lost_connection(path: Path, open_it: Open) -> None:
    write(path, "CREATE TABLE t (a varchar)", "INSERT INTO t VALUES ('secret')")
    with open_it(f"duckdb:///{path}").snapshot() as snapshot:
        for _ in range(2):
            with pytest.raises(CheckError, match="conversion error") as error:
                snapshot.rows(select(snapshot.query("SELECT CAST(a AS int) AS a FROM t")))
            assert "secret" not in f"{error.value}{error.value.hint}"
        assert isinstance(snapshot, EngineSnapshot)
        with pytest.raises(DBAPIError):
            snapshot._connection.exec_driver_sql("COMMIT")
