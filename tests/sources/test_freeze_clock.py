"""SQL in which the clock stands: on every database it sees the time that was put there, and nothing
else changes."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, select

from sanityd.errors import CheckError
from sanityd.sources.base import SourceSettings
from sanityd.sources.freeze_clock import freeze
from sanityd.sources.open import open_source
from sanityd.sources.sql_gate import GateRefusal

AT = datetime(1999, 12, 31, 22, 30, 15, tzinfo=UTC)
DAY, CLOCK = "1999-12-31", "22:30:15"

#: What reads the clock, and what it must begin with as text; by database.
READS = {
    "sqlite": {
        "current_timestamp": f"{DAY} {CLOCK}",
        "CURRENT_DATE": DAY,
        "current_time": CLOCK,
        "datetime('now', '-1 day')": f"1999-12-30 {CLOCK}",
        "date()": DAY,
        "strftime('%Y')": "1999",
        "strftime('%H', 'NOW')": "22",
        "unixepoch('now')": str(int(AT.timestamp())),
        "'now'": "now",
        "upper('now')": "NOW",
    },
    "postgresql": {
        "now()": f"{DAY} {CLOCK}",
        "CURRENT_TIMESTAMP(3)": f"{DAY} {CLOCK}",
        "pg_catalog.clock_timestamp()": f"{DAY} {CLOCK}",
        "localtimestamp": f"{DAY} {CLOCK}",
        "current_date - 1": "1999-12-30",
        "localtime": CLOCK,
        "current_time": CLOCK,
        "now() - interval '1 hour'": f"{DAY} 21",
        "'today'::text": "today",
        "'-- now()'": "-- now()",
        "age(now(), timestamptz '1999-12-30 22:30:15+00')": "1 day",
    },
    "mysql": {
        "NOW(6)": f"{DAY} {CLOCK}",
        "sysdate()": f"{DAY} {CLOCK}",
        "current_timestamp": f"{DAY} {CLOCK}",
        "UTC_TIMESTAMP()": f"{DAY} {CLOCK}",
        "curdate()": DAY,
        "current_date": DAY,
        "utc_time()": CLOCK,
        "unix_timestamp()": str(int(AT.timestamp())),
        "unix_timestamp('1970-01-02 00:00:00')": "86400",
        "now() - interval 1 day": f"1999-12-30 {CLOCK}",
    },
    "duckdb": {
        "now()": f"{DAY} {CLOCK}",
        "current_timestamp": f"{DAY} {CLOCK}",
        "get_current_timestamp()": f"{DAY} {CLOCK}",
        "today()": DAY,
        "current_date": DAY,
        "localtimestamp": f"{DAY} {CLOCK}",
        "current_localtimestamp()": f"{DAY} {CLOCK}",
        "now() - interval 1 day": "1999-12-30",
    },
}


def test_what_reads_the_clock_sees_the_time_at_which_it_stands(database_url: str) -> None:
    kind = database_url.partition("+")[0].partition(":")[0]
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id integer)")
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    engine.dispose()
    source = open_source(SourceSettings("app", database_url, frozen_at=AT))
    with source.snapshot() as snapshot:
        assert snapshot.now == AT
        for sql, expected in READS[kind].items():
            query = snapshot.query(f"select {sql} as it from t")
            [(found,)] = snapshot.rows(select(query.c.it))
            assert str(found).startswith(expected), sql
            assert snapshot.rows(select(query.c.it).where(snapshot.predicate(f"{sql} = {sql}")))
    source.close()


def test_names_strings_and_comments_stay_what_they_are() -> None:
    sql = """"now" = t.now and now = 1 and 'now()' <> x -- now()
        and current_dates > 1 and "current_date" is null"""
    assert freeze(sql, "postgres", AT) == sql
    assert freeze("a < now()", "postgres", None) == "a < now()"


@pytest.mark.parametrize(
    ("dialect", "sql", "word"),
    [
        ("postgres", "created > 'yesterday'", "'yesterday'"),
        ("postgres", "age(born) > '18 years'", "age"),
        ("duckdb", "age(born) > interval 18 years", "age"),
        ("sqlite", "unixepoch('subsec') > 1", "subsec"),
    ],
)
def test_what_can_not_be_replaced_is_refused_at_its_place(
    dialect: str, sql: str, word: str
) -> None:
    with pytest.raises(GateRefusal) as refusal:
        freeze(sql, dialect, AT)
    assert word in refusal.value.message
    assert sql[refusal.value.column - 1 :].lstrip("'").startswith(word.strip("'"))


def test_a_refusal_is_a_sentence(sqlite: str) -> None:
    source = open_source(SourceSettings("app", sqlite, frozen_at=AT))
    with source.snapshot() as snapshot, pytest.raises(CheckError, match="stands still in a test"):
        snapshot.predicate("unixepoch('subsec') > 1")
