"""No call of a function of SQLite outlasts the time limit, and none that is cut short holds."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from sanityd.errors import CheckError
from sanityd.sources.base import Source
from sanityd.sources.sqlite_bounds import add_bounded_functions, bound_calls
from sanityd.sources.sqlite_connection import GuardedConnection

Open = Callable[..., Source]

#: How many seconds a statement may go on after its limit of one; the machine may be busy.
GRACE = 4.0


@pytest.fixture
def source(tmp_path: Path, open_it: Open) -> Source:
    path = tmp_path / "watched.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
        connection.execute("CREATE VIEW padded AS SELECT printf('%.*c', 1000000000, 'x') AS a")
        connection.execute("INSERT INTO t VALUES (1, 'abcabc'), (2, CAST(x'61ff62' AS TEXT))")
        connection.commit()
    opened = open_it(f"sqlite:///{path}")
    # The gate imports its parser, which is not what these tests measure.
    assert ask(opened, "instr('a', 'a' || '')") == 1
    return opened


def ask(source: Source, expression: str, rest: str = "") -> object:
    with source.snapshot() as snapshot:
        query = snapshot.query(f"SELECT {expression} AS x {rest}")
        [row] = snapshot.rows(select(query))
        return row[0]


def test_the_helper_of_a_connection_is_closed_with_it(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "a.db", factory=GuardedConnection)
    helper = connection.helper = add_bounded_functions(connection)
    connection.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        helper.execute("SELECT 1")


ENDLESS = {
    "instr": "instr(hex(zeroblob(2000000)), hex(zeroblob(1000000)) || '1')",
    "instr, quoted": "\"instr\" (hex(zeroblob(2000000)), hex(zeroblob(1000000)) || '1')",
    "instr, commented": "instr/* x */(hex(zeroblob(2000000)), hex(zeroblob(1000000)) || '1')",
    "replace": "replace(hex(zeroblob(2000000)), hex(zeroblob(1000000)) || '1', '')",
    "replace that grows": "length(replace(hex(zeroblob(2000000)), '0', hex(zeroblob(2000000))))",
    "trim": "length(trim(hex(zeroblob(2000000)), replace(hex(zeroblob(500000)), '0', 'a') || '0'))",
    "rtrim": "rtrim(hex(zeroblob(2000000)), replace(hex(zeroblob(500000)), '0', 'a') || '0')",
    "printf of a letter": "printf('%.*c', 1000000000, 'x')",
    "printf of a width": "printf('%2000000000d', 1)",
    "printf of a precision": "format('%.10000000f', 1)",
    "printf of a width in a text": "printf('%*d', '1000000000', 1)",
    "printf of many": "printf(replace(hex(zeroblob(100000)), '0', '%.9000f'), 1)",
    "printf of long texts": "printf('%s%s', hex(zeroblob(1500000)), hex(zeroblob(1500000)))",
    "zeroblob": "length(zeroblob(1000000000))",
    "randomblob": "length(randomblob(1000000000))",
    "hex": "hex(zeroblob(100000000))",
    "LIKE": "hex(zeroblob(2000000)) LIKE '%' || hex(zeroblob(4000)) || '1%'",
    "GLOB": "hex(zeroblob(2000000)) GLOB '*' || hex(zeroblob(4000)) || '1*'",
    "json_patch": "json_patch((SELECT json_group_object('k' || i, i) FROM n), "
    "(SELECT json_group_object('q' || i, i) FROM n))",
    "group_concat": "(SELECT length(group_concat('xxxxxxxxxxxxxxxxxxxxxxx' || i)) FROM n)",
    "a text that doubles": "(WITH RECURSIVE d(x) AS (SELECT 'aaaaaaaa' UNION ALL SELECT x || x"
    " FROM d) SELECT max(length(x)) FROM d)",
    "a recursion": "(WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r)"
    " SELECT count(*) FROM r)",
    "json_each": "(SELECT count(*) FROM n JOIN json_each("
    "'[' || replace(hex(zeroblob(500000)), '0', '1,') || '1]'))",
}


@pytest.mark.parametrize("expression", ENDLESS.values(), ids=list(ENDLESS))
def test_a_call_that_never_ends_is_an_error_in_time(source: Source, expression: str) -> None:
    query = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)"
        f" SELECT {expression} AS x"
    )
    start = time.monotonic()
    with source.snapshot() as snapshot, pytest.raises(CheckError, match=r"too big|cut off|pattern"):
        snapshot.rows(select(snapshot.query(query)))
    assert time.monotonic() - start < 1 + GRACE


def test_a_view_that_pads_is_an_error(source: Source) -> None:
    with pytest.raises(CheckError, match="too big"):
        ask(source, "a", "FROM padded")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("instr(a, substr(a, 2, 2))", 2),
        ("instr(a, upper('x'))", 0),
        ("instr(NULL, a)", None),
        ("instr(12345, 40 + 5)", 4),
        ("replace(a, lower('B'), 1.5)", "a1.5ca1.5c"),
        ("replace(a, '' || '', 'x')", "abcabc"),
        ("trim(a, substr('xac', 2))", "bcab"),
        ("ltrim(a, lower('AB'))", "cabc"),
        ("trim('  x ')", "x"),
        ("printf('%05.1f|%-6s|%,d|%%', 2.5, a, 1234567)", "002.5|abcabc|1,234,567|%"),
        ("printf('%*d|%.*f', 4, 1000000, 2, 3.14159)", "1000000|3.14"),
        ("printf(NULL)", None),
        ("format('%s', 1)", "1"),
        ("json_patch('{\"a\": 1}', json_object('b', 2))", '{"a":1,"b":2}'),
    ],
)
def test_a_bounded_function_returns_what_sqlite_does(
    source: Source, expression: str, expected: object
) -> None:
    assert ask(source, expression, "FROM t WHERE id = 1") == expected
    with closing(sqlite3.connect(":memory:")) as plain:
        original = f"SELECT {expression} FROM (SELECT 'abcabc' AS a)"
        assert plain.execute(original).fetchone()[0] == expected


def test_a_short_text_is_searched_by_sqlite_itself_also_in_what_is_not_utf8(source: Source) -> None:
    assert bound_calls("instr(a, 'b') > 0") == "instr(a, 'b') > 0"
    assert bound_calls("'instr(a, b)' = instr") == "'instr(a, b)' = instr"
    assert bound_calls("trim(replace(a, b, c))") == "trim(sanityd_replace(a, b, c))"
    assert ask(source, "replace(a, 'b', '') = CAST(x'61ff' AS TEXT)", "FROM t WHERE id = 2") == 1


def test_a_text_that_is_not_utf8_is_an_error_that_says_so(source: Source) -> None:
    with pytest.raises(CheckError, match="not UTF-8"):
        ask(source, "instr(a, id)", "FROM t WHERE id = 2")


def test_long_values_of_a_table_are_read_where_no_sql_of_a_rule_is(
    tmp_path: Path, open_it: Open
) -> None:
    path = tmp_path / "long.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT zeroblob(9000000) AS a")
        connection.commit()
    with open_it(f"sqlite:///{path}").snapshot() as snapshot:
        column = snapshot.table("t").clause.c.a
        assert [len(row.a) for row in snapshot.rows(select(column))] == [9_000_000]
        with pytest.raises(CheckError, match="too big"):
            snapshot.rows(select(column).where(snapshot.predicate("hex(a) <> ''")))


def test_a_count_of_all_rows_is_cut_off_too(tmp_path: Path, open_it: Open) -> None:
    path = tmp_path / "many.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute(
            "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
            " WHERE i < 40000) SELECT zeroblob(3000) FROM n"
        )
        connection.commit()
    source = open_it(f"sqlite:///{path}", statement_timeout=timedelta(milliseconds=1))
    with source.snapshot() as snapshot, pytest.raises(CheckError, match="cut off"):
        snapshot.rows(select(snapshot.query("SELECT count(*) AS n FROM t")))
