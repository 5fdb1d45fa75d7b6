"""No call of a function of DuckDB outlasts the time limit, or uses the memory of the machine."""

import resource
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import select

from sanityd.errors import CheckError
from sanityd.sources.base import Source
from sanityd.sources.duckdb_bounds import bound_calls

Open = Callable[..., Source]

#: How many seconds a statement may go on after its limit of one; the machine may be busy.
GRACE = 4.0
#: By how many MiB the process may grow meanwhile.
GROWTH = 2500


@pytest.fixture
def source(tmp_path: Path, open_it: Open) -> Source:
    path = tmp_path / "watched.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS id, 'abc' AS a, 3000000000 AS n")
    return open_it(f"duckdb:///{path}")


def ask(source: Source, sql: str) -> list[tuple[object, ...]]:
    with source.snapshot() as snapshot:
        return [tuple(row) for row in snapshot.rows(select(snapshot.query(sql)))]


ENDLESS = {
    "md5 of repeat": "SELECT md5(repeat('x', 3000000000)) AS x",
    "repeat, quoted": "SELECT \"repeat\"('xyz', 700000000) AS x",
    "repeat of a column": "SELECT repeat(a, n) AS x FROM t",
    "repeat of a list": "SELECT len(repeat([1], 300000000)) AS x",
    "repeat of repeat": "SELECT repeat(repeat('x', 900000), 900000) AS x",
    "lpad": "SELECT lpad('x', 2000000000, 'y') AS x",
    "rpad": "SELECT rpad('x', 2000000000, 'y') AS x",
    "range": "SELECT len(range(1000000000)) AS x",
    "range of two": "SELECT len(range(id, n)) AS x FROM t",
    "range of three": "SELECT len(range(0, 3000000000, 2)) AS x",
    "generate_series": "SELECT len(generate_series(1, 1000000000)) AS x",
    "a series of times": "SELECT len(generate_series(timestamp '1000-01-01', timestamp '3000-01-01', "
    "interval 1 second)) AS x",
    "unnest": "SELECT count(*) AS x FROM (SELECT unnest(range(3000000000)) AS i)",
    "range as a table": "SELECT count(*) AS x FROM range(1000000000000) AS r(i) WHERE i * i = -1",
    "list_resize": "SELECT len(list_resize([1], 1000000000)) AS x",
    "bitstring": "SELECT bitstring('1', 2000000000) AS x",
    "format": "SELECT format('{:>2000000000}', 'x') AS x",
    "printf": "SELECT printf('%2000000000d', 1) AS x",
    "replace that grows": "SELECT replace(repeat('x', 40000), 'x', repeat('y', 50000)) AS x",
    "replace of a long text": "SELECT replace(repeat('x', 900000), repeat('x', 400000) || 'y', '') AS x",
    "levenshtein": "SELECT levenshtein(repeat('x', 200000), repeat('y', 200000)) AS x",
    "string_agg": "SELECT length(string_agg('xxxxxxxxxxxxxxxxxxxxxxxxxx' || i, ',')) AS x "
    "FROM range(1000000000) AS r(i)",
    "list": "SELECT len(list(i)) AS x FROM range(100000000000) AS r(i)",
    "a text that doubles": "WITH RECURSIVE d(x) AS (SELECT 'aaaaaaaaaaaaaaaa' UNION ALL SELECT x || x"
    " FROM d) SELECT max(length(x)) AS x FROM d",
    "a recursion": "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 0 FROM r)"
    " SELECT count(*) AS x FROM r",
    "a join": "SELECT count(*) AS x FROM range(1000000) AS a(i), range(1000000) AS b(i) "
    "WHERE a.i * b.i = -1",
}


@pytest.mark.parametrize("sql", ENDLESS.values(), ids=list(ENDLESS))
def test_a_call_that_never_ends_is_an_error_in_time(source: Source, sql: str) -> None:
    ask(source, "SELECT 1 AS x")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    start = time.monotonic()
    with pytest.raises(CheckError, match=r"too long|cut off|more memory"):
        ask(source, sql)
    assert time.monotonic() - start < 1 + GRACE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 - before < GROWTH


@pytest.mark.parametrize(
    "expression",
    [
        "repeat('ab', 3)",
        "repeat('ab', -1)",
        "repeat(NULL, 2)",
        "repeat([1, 2], 2)",
        "repeat(a, id::INTEGER) FROM t",
        "lpad(a, 5, '-') FROM t",
        "rpad(a, 2, '-') FROM t",
        "range(3)",
        "range(2, 5)",
        "range(5, 2, -1)",
        "generate_series(1, 9, 3)",
        "range(NULL)",
        "generate_series(date '2024-01-01', date '2024-03-01', interval 1 month)",
        "list_resize([1], 3)",
        "list_resize([1], 3, 9)",
        "replace(a, 'b', 'xx') FROM t",
        "levenshtein('kitten', 'sitting')",
        "bitstring('101', 8)::VARCHAR",
        "format('{:>5}', 'x')",
        "list(r.range) FROM t, range(3) AS r",
        "count(*) FROM generate_series(1, 10)",
    ],
)
def test_a_bounded_function_returns_what_duckdb_does(source: Source, expression: str) -> None:
    value, rest = (*expression.split(" FROM ", 1), "")[:2]
    sql = f"SELECT {value} AS x" + (f" FROM {rest}" if rest else "")
    with duckdb.connect() as plain:
        plain.execute("CREATE TABLE t AS SELECT 1 AS id, 'abc' AS a, 3000000000 AS n")
        expected = plain.execute(sql).fetchall()
    assert ask(source, sql) == expected


def test_a_series_that_is_a_table_and_quoted_text_stay() -> None:
    for sql in (
        "SELECT * FROM range(5)",
        "SELECT * FROM t, range(5) AS r",
        "SELECT * FROM t JOIN generate_series(1, 2) AS s ON true",
        "SELECT 'range(5)' AS x, range FROM t",
    ):
        assert bound_calls(sql) == sql
    assert bound_calls("SELECT 1, range(5) AS x") == "SELECT 1, sanityd_range(5) AS x"


def test_a_macro_outlives_the_error_of_a_statement(source: Source) -> None:
    with source.snapshot() as snapshot:
        query = snapshot.query("SELECT repeat(a, n) AS x FROM t")
        for _ in range(2):
            with pytest.raises(CheckError, match="too long"):
                snapshot.rows(select(query))
        again = snapshot.query("SELECT repeat(a, 2) AS x, lpad(a, 4, '-') AS y FROM t")
        assert [tuple(row) for row in snapshot.rows(select(again))] == [("abcabc", "-abc")]


def test_the_macros_cannot_be_called_by_a_rule(source: Source) -> None:
    with pytest.raises(CheckError, match="refused"):
        ask(source, "SELECT sanityd_repeat('x', 2) AS x")
