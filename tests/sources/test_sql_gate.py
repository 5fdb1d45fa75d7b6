"""One SELECT or one condition passes; what writes, locks, waits or hides doesn't."""

import re

import pytest

from sanityd.sources.sql_gate import GateRefusal, gate_predicate, gate_query

DIALECTS = ("sqlite", "postgres", "mysql", "duckdb")

#: Statements that would do something, or that hide what they do.
HOSTILE = (
    "",
    "   -- nothing",
    "DELETE FROM people",
    "SELECT 1; DELETE FROM people",
    "SELECT 1) AS q; DELETE FROM people; --",
    "WITH gone AS (DELETE FROM people RETURNING *) SELECT * FROM gone",
    "WITH new AS (INSERT INTO people VALUES (9) RETURNING *) SELECT * FROM new",
    "WITH more AS (UPDATE people SET id = 1 RETURNING *) SELECT * FROM more",
    "SELECT * INTO copy FROM people",
    "SELECT * FROM people INTO OUTFILE '/tmp/people'",
    "SELECT id INTO @id FROM people",
    "SELECT @id := 5",
    "SELECT * FROM people FOR UPDATE",
    "SELECT * FROM people FOR SHARE",
    "SELECT * FROM people LOCK IN SHARE MODE",
    "SELECT pg_sleep(100)",
    "SELECT pg_catalog.pg_sleep(100)",
    'SELECT "pg_sleep"(100)',
    "SELECT PG_Terminate_Backend (1)",
    "SELECT sleep(100)",
    "SELECT benchmark(1000000000, md5('x'))",
    "SELECT get_lock('x', 100)",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT pg_advisory_lock(1)",
    "SELECT nextval('people_id_seq')",
    "SELECT * FROM dblink('host=elsewhere', 'DELETE FROM people') AS t (id int)",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT * FROM pg_hba_file_rules()",
    "SELECT * FROM pg_ident_file_mappings()",
    "SELECT * FROM pg_show_all_file_settings()",
    "SELECT * FROM pg_catalog.pg_hba_file_rules",
    "SELECT * FROM (SELECT * FROM pg_file_settings) AS t",
    "SELECT query_to_xml('DELETE FROM people', true, true, '')",
    "SELECT load_extension('evil')",
    "SELECT load_file('/etc/passwd')",
    "SELECT writefile('x', 'y')",
    "SELECT 1 /*! INTO OUTFILE 'x' */",
    "SELECT 1 /*M! INTO OUTFILE 'x' */",
    "SELECT 1 /*!50000 + sleep(9) */",
    "SELECT /*+ SET_VAR(max_execution_time = 0) */ 1",
    "SELECT 1 /* a /* b */ ",
    "SET SESSION sql_mode = ''",
    "SET STATEMENT max_statement_time = 0 FOR SELECT 1",
    "CALL something()",
    "BEGIN NOT ATOMIC DELETE FROM people; END",
    "DO sleep(1)",
    "COPY people TO PROGRAM 'sh'",
    "EXPLAIN ANALYZE DELETE FROM people",
    "PRAGMA writable_schema = 1",
    "ATTACH DATABASE 'x' AS x",
    "VACUUM INTO 'x'",
    "CREATE TABLE x (a int)",
    "DROP TABLE people",
    "TRUNCATE people",
    "GRANT ALL ON people TO public",
    "SELECT :x",
    "SELECT 'open",
    "SELECT (",
)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("sql", HOSTILE)
def test_a_hostile_statement_is_refused_in_every_dialect(sql: str, dialect: str) -> None:
    if dialect == "sqlite" and re.search("FOR UPDATE|FOR SHARE|LOCK IN", sql):
        pytest.skip("SQLite has no words for locks, and refuses them itself")
    with pytest.raises(GateRefusal):
        gate_query(sql, dialect)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM Read_Parquet ('x')",
        "SELECT * FROM \"read_text\"('/etc/passwd')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM sniff_csv('x')",
        "SELECT * FROM parquet_metadata('x')",
        "SELECT getenv('HOME')",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('t')",
        "SELECT * FROM json_execute_serialized_sql('{}')",
        "SELECT * FROM pandas_scan(1::POINTER)",
        "SELECT * FROM checkpoint()",
        "SELECT * FROM enable_logging()",
        "SELECT write_log('x')",
        "SELECT sleep_ms(9000)",
        "FROM people",
        "FROM people SELECT id",
        "INSTALL httpfs",
        "LOAD httpfs",
        "EXPORT DATABASE 'x'",
        "SUMMARIZE people",
        "SELECT 1 /* a /* b */ */",
        "SELECT $x",
    ],
)
def test_what_duckdb_could_do_besides_is_refused(sql: str) -> None:
    with pytest.raises(GateRefusal):
        gate_query(sql, "duckdb")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * EXCLUDE (name) FROM people QUALIFY row_number() OVER (PARTITION BY id) = 1",
        "SELECT id // 2, [1, 2], {'a': 1}, $$a;b$$, id::hugeint FROM people ASOF JOIN mails USING (id)",
        "SELECT list_transform([1], lambda x: x + 1) FROM (FROM people)",
        "SELECT * FROM range(9), generate_series(1, 2)",
    ],
)
def test_a_select_as_duckdb_has_it_passes(sql: str) -> None:
    assert gate_query(sql, "duckdb") == sql


def test_a_name_that_acts_in_one_database_is_harmless_in_another() -> None:
    assert gate_query("SELECT glob('a*', name) FROM people", "sqlite")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM people",
        "select id from people where name like 'a%' -- a comment",
        "WITH p AS (SELECT * FROM people) SELECT count(*) FROM p",
        "SELECT id FROM a UNION ALL SELECT id FROM b",
        "SELECT 'DELETE FROM people; --', ':x', '?', '%s'",
        "SELECT updated, deleted, insert_time FROM people /* not; a statement */",
        "SELECT p.id, count(*) AS n FROM people AS p JOIN mails AS m ON m.person = p.id GROUP BY p.id HAVING n > 1",
        "SELECT id, row_number() OVER (PARTITION BY name ORDER BY id) AS n FROM people",
        "SELECT\n  id\nFROM people\nWHERE EXISTS (SELECT 1 FROM mails)",
    ],
)
def test_a_select_passes_unchanged(sql: str, dialect: str) -> None:
    assert gate_query(sql, dialect) == sql


def test_of_a_database_that_is_not_known_no_dialect_is_named() -> None:
    with pytest.raises(GateRefusal) as refused:
        gate_query("SELECT * FROM a WHERE (", "")
    assert refused.value.advice == "Check it against the database's dialect."


def test_semicolons_at_the_end_are_cut_off() -> None:
    assert gate_query("SELECT 1 ;; -- done", "postgres") == "SELECT 1 "
    assert gate_predicate("a > 1;", "sqlite") == "a > 1"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "sql",
    [
        "amount >= 0",
        "a = 1 AND b IS NULL OR c LIKE '%x'",
        "id NOT IN (SELECT id FROM x)",
        "ok",
        # A column may be called as a statement begins.
        "update isnull",
        "copy is null",
    ],
)
def test_a_condition_passes(sql: str, dialect: str) -> None:
    assert gate_predicate(sql, dialect) == sql


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("sql", ["delete from orders", "DROP TABLE x", "truncate x"])
def test_a_statement_in_place_of_a_condition_is_called_so(sql: str, dialect: str) -> None:
    with pytest.raises(GateRefusal) as refused:
        gate_predicate(sql, dialect)
    word = sql.split(maxsplit=1)[0]
    assert refused.value.message == f"a condition is expected, and this is the statement `{word}`"
    assert (refused.value.column, refused.value.length) == (1, len(word))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SELECT 1",
        "a = 1) OR (1 = 1",
        "a = 1; DELETE FROM x",
        "a = 1, b = 2",
        "a = 1 ORDER BY b",
        "pg_sleep(9) IS NULL",
        "a = (SELECT 1 FROM x FOR UPDATE)",
        "a = ?",
        "a =",
        "a = 'x",
    ],
)
def test_what_is_no_condition_is_refused(sql: str, dialect: str) -> None:
    if "FOR UPDATE" in sql and dialect == "sqlite":
        pytest.skip("SQLite has no words for locks; it refuses them itself")
    with pytest.raises(GateRefusal):
        gate_predicate(sql, dialect)


@pytest.mark.parametrize(
    ("sql", "line", "column", "length"),
    [
        ("SELECT 1,\n  pg_sleep(1)", 2, 3, 8),
        ("SELECT 1;\nDELETE FROM people", 2, 1, 6),
        ("UPDATE people SET id = 1", 1, 1, 6),
        ("SELECT a FROM b\nWHERE FROM c", 2, 7, 4),
        ("SELECT a\n /* x /* y */ */ FROM b", 2, 2, 2),
    ],
)
def test_a_refusal_tells_its_place_inside_the_sql(
    sql: str, line: int, column: int, length: int
) -> None:
    with pytest.raises(GateRefusal) as refused:
        gate_query(sql, "postgres")
    assert (refused.value.line, refused.value.column, refused.value.length) == (
        line,
        column,
        length,
    )


def test_every_refusal_says_what_to_write_instead() -> None:
    for sql in HOSTILE:
        with pytest.raises(GateRefusal) as refused:
            gate_query(sql, "mysql")
        assert refused.value.message
        assert refused.value.advice


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "sql", ["explain select 1", "/* why */ EXPLAIN SELECT 1", "CALL f()", "optimize table t"]
)
def test_a_command_is_refused_as_what_it_is_and_nothing_is_logged(
    sql: str, dialect: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(GateRefusal) as refused:
        gate_query(sql, dialect)
    assert "comment" not in refused.value.message
    assert any(word in refused.value.message.lower() for word in ("explain", "call", "optimize"))
    with pytest.raises(GateRefusal) as refused:
        gate_predicate(sql, dialect)
    assert "comment" not in refused.value.message
    assert caplog.text == ""
