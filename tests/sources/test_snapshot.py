"""What holds for the snapshots of all databases alike."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import ColumnElement, Engine, func, literal_column, select, text
from sqlalchemy.exc import DBAPIError

from sanityd.errors import CheckError, SourceError
from sanityd.sources import raw_sql
from sanityd.sources.base import Snapshot, Source
from sanityd.sources.catalog import Family
from sanityd.sources.engine_snapshot import EngineSnapshot
from sanityd.sources.values import bound

Do = Callable[..., None]
Open = Callable[..., Source]

#: Statements that no guard may let through, run without the gate as rules would run them.
RAW_ATTACKS = (
    "DELETE FROM people",
    "UPDATE people SET id = 7",
    "INSERT INTO people VALUES (9, 'x', NULL)",
    "DROP TABLE people",
    "CREATE TABLE loot (id int)",
    "CREATE TEMPORARY TABLE loot (id int)",
    "ALTER TABLE people ADD COLUMN x int",
    "TRUNCATE TABLE people",
    "CREATE INDEX loot ON people (name)",
    "CREATE VIEW loot AS SELECT * FROM people",
    "SELECT * INTO loot FROM people",
    "SELECT * FROM people FOR UPDATE",
    "WITH gone AS (DELETE FROM people RETURNING *) SELECT * FROM gone",
    "SELECT 1; DELETE FROM people",
    "SELECT 1) AS q; DELETE FROM people; --",
    "ROLLBACK; BEGIN; DELETE FROM people; COMMIT",
    "ROLLBACK; BEGIN READ WRITE; DELETE FROM people; COMMIT",
    "COMMIT; DELETE FROM people",
    "SET TRANSACTION READ WRITE",
    "SET SESSION TRANSACTION READ WRITE",
    "PRAGMA query_only = OFF",
    "PRAGMA writable_schema = ON",
    "ATTACH DATABASE 'loot.db' AS loot",
    "VACUUM INTO 'loot.db'",
    "GRANT ALL ON people TO public",
    "BEGIN NOT ATOMIC DELETE FROM people; END",
    "REPLACE INTO people VALUES (1, 'x', NULL)",
    "DO SLEEP(0)",
)

#: These write files where the login may: no session forbids that, only the form in which rules' SQL
#: is sent.
FILE_ATTACKS = (
    "SELECT * FROM people INTO OUTFILE '/tmp/sanityd_loot'",
    "SELECT * FROM people INTO DUMPFILE '/tmp/sanityd_loot'",
    "COPY people TO '/tmp/sanityd_loot'",
    "COPY people TO PROGRAM 'cat > /tmp/sanityd_loot'",
)


def count(snapshot: Snapshot) -> int:
    people = snapshot.table("people").clause
    [(number,)] = snapshot.rows(select(func.count()).select_from(people))
    return int(number)


def ask(snapshot: Snapshot, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in snapshot.rows(select(snapshot.query(sql)))]


def test_all_statements_see_the_same_instant(source: Source, do: Do, database_url: str) -> None:
    if database_url.startswith("duckdb"):
        pytest.skip("nobody can write a DuckDB file while it is looked at")
    if database_url.startswith("sqlite"):
        do("PRAGMA journal_mode = WAL")
    with source.snapshot() as snapshot:
        do("INSERT INTO people VALUES (4, 'Edsger', NULL)")
        assert count(snapshot) == 3
        with pytest.raises(CheckError):
            ask(snapshot, "SELECT nothing FROM people")
        assert count(snapshot) == 3
    with source.snapshot() as later:
        assert count(later) == 4


def test_the_gate_lets_no_attack_through(source: Source) -> None:
    with source.snapshot() as snapshot:
        for attack in RAW_ATTACKS + FILE_ATTACKS:
            with pytest.raises(CheckError, match="refused"):
                ask(snapshot, attack)


def test_the_session_withstands_attacks_that_pass_the_gate(source: Source, admin: Engine) -> None:
    """Each statement is sent as rules' SQL would be, bare and as a subquery, as if there were no
    gate."""
    for attack in RAW_ATTACKS:
        for statement in (raw_sql.token(attack), raw_sql.head(attack)):
            with source.snapshot() as snapshot, pytest.raises(DBAPIError):
                assert isinstance(snapshot, EngineSnapshot)
                snapshot._connection.execute(text(statement))
                snapshot._connection.execute(text("INSERT INTO people VALUES (8, 'x', NULL)"))
    with admin.connect() as connection:
        assert connection.exec_driver_sql("SELECT id, name FROM people ORDER BY id").all() == [
            (1, "Ada"),
            (2, "Grace"),
            (3, None),
        ]


def test_a_subquery_writes_no_file(source: Source) -> None:
    for attack in FILE_ATTACKS:
        with source.snapshot() as snapshot, pytest.raises(DBAPIError):
            assert isinstance(snapshot, EngineSnapshot)
            snapshot._connection.execute(text(raw_sql.head(attack)))


def test_a_failed_statement_leaves_the_snapshot_usable(source: Source) -> None:
    with source.snapshot() as snapshot:
        for _ in range(3):
            with pytest.raises(CheckError):
                ask(snapshot, "SELECT * FROM nowhere")
            assert count(snapshot) == 3


def test_a_statement_that_takes_too_long_is_cut_off(source: Source) -> None:
    slow = "SELECT count(*) AS n FROM digits a, digits b, digits c, digits d, digits e, digits f, digits g, digits h"
    numbers = " UNION ALL ".join(f"SELECT {n} AS n" for n in range(20))
    with source.snapshot() as snapshot:
        with pytest.raises(CheckError, match="cut off after 1 s"):
            ask(
                snapshot,
                f"WITH digits AS ({numbers}) {slow} WHERE a.n + b.n + c.n * d.n = e.n - f.n * g.n + h.n",
            )
        assert count(snapshot) == 3


def test_statements_are_counted_but_not_the_catalog(source: Source) -> None:
    with source.snapshot() as snapshot:
        query = snapshot.query("SELECT id FROM people")
        snapshot.table("people")
        assert snapshot.statements == 0
        snapshot.rows(select(query))
        assert snapshot.statements == 1


@pytest.mark.parametrize(
    "literal",
    [
        "a%",
        "%s",
        "%(id)s",
        "%%",
        ":1",
        ":x",
        "?",
        "$1",
        "-- no comment",
        "/* none */",
        "{x}",
        "é€😀",
        "a\nb",
        "__[POSTCOMPILE_x]",
    ],
)
def test_users_sql_arrives_unchanged(source: Source, literal: str) -> None:
    with source.snapshot() as snapshot:
        assert ask(snapshot, f"SELECT '{literal}' AS said -- {literal!r}") == [(literal,)]
        people = snapshot.table("people").clause
        same = snapshot.predicate(f"'{literal}' = '{literal}' -- end")
        assert len(snapshot.rows(select(people.c.id).where(same, people.c.id == bound(1)))) == 1


def test_like_and_modulo_mean_what_they_say(source: Source) -> None:
    with source.snapshot() as snapshot:
        assert ask(snapshot, "SELECT id FROM people WHERE name LIKE 'A%' AND id % 2 = 1") == [(1,)]


def test_a_query_tells_its_columns(source: Source) -> None:
    with source.snapshot() as snapshot:
        query = snapshot.query(
            'SELECT id, name AS "select", 1 AS b_1 FROM people ORDER BY id'.replace(
                '"', quote(source)
            )
        )
        assert query.c.keys() == ["id", "select", "b_1"]
        assert snapshot.rows(select(query.c["select"]).where(query.c.id == bound(1))) == [("Ada",)]


def test_two_columns_of_one_name_are_an_error(source: Source) -> None:
    if source.dialect.name in ("sqlite", "duckdb"):
        pytest.skip("this database gives the second one another name")
    with (
        source.snapshot() as snapshot,
        pytest.raises(CheckError, match=r"`id`|Duplicate column name 'id'"),
    ):
        snapshot.query("SELECT id, name, id FROM people")


def test_a_missing_table_is_suggested(source: Source) -> None:
    with source.snapshot() as snapshot:
        for wrong in ("peopel", "People_"):
            with pytest.raises(CheckError, match="no table or view") as error:
                snapshot.table(wrong)
            assert (error.value.hint, error.value.word) == ("Did you mean `people`?", wrong)


def test_errors_hold_no_values(source: Source, do: Do) -> None:
    do("INSERT INTO people VALUES (5, 'top secret', NULL)")
    failing = {
        "sqlite": "json(name)",
        "postgres": "CAST(name AS integer)",
        "mysql": "EXTRACTVALUE(name, concat('(', name))",
        "duckdb": "CAST(name AS integer)",
    }
    with source.snapshot() as snapshot, pytest.raises(CheckError) as error:
        ask(snapshot, f"SELECT {failing[source.dialect.name]} AS x FROM people")
    assert "secret" not in error.value.message + error.value.hint
    assert error.value.__suppress_context__


def test_the_clock_is_the_databases(source: Source) -> None:
    with source.snapshot() as snapshot:
        assert snapshot.now.tzinfo is UTC
        assert abs(datetime.now(UTC) - snapshot.now) < timedelta(seconds=30)


def test_an_unknown_kind_of_url_is_refused_without_being_shown(open_it: Open) -> None:
    for url in (
        "oracle://scott:tiger@host/x",
        "not a url: tiger",
        "postgresql://scott:tiger@host:port/x",
        "base://x",
    ):
        with pytest.raises(SourceError) as error:
            open_it(url)
        assert "tiger" not in error.value.message + error.value.hint
        assert "scott" not in error.value.message + error.value.hint


def test_odd_names_are_found_and_read(source: Source, do: Do) -> None:
    mark = quote(source)
    for table in ("order", "Two Words", "50% off?", "it's", "naïve:x"):
        do(
            f"CREATE TABLE {mark}{table}{mark} ({mark}group{mark} integer PRIMARY KEY, {mark}A b%(x)s{mark} integer)"
        )
        do(f"INSERT INTO {mark}{table}{mark} VALUES (1, 2)")
        with source.snapshot() as snapshot:
            info = snapshot.table(table)
            assert (list(info.columns), info.key) == (["group", "A b%(x)s"], ("group",))
            clause = info.clause
            assert snapshot.rows(select(*clause.c).where(clause.c["A b%(x)s"] == bound(2))) == [
                (1, 2)
            ]


def test_keys_are_primary_or_unique_without_nulls(source: Source, do: Do) -> None:
    do(
        "CREATE TABLE pair (b integer NOT NULL, a integer NOT NULL, c integer, PRIMARY KEY (a, b))",
        "CREATE TABLE loose (x integer, y integer NOT NULL, z integer NOT NULL, UNIQUE (x), UNIQUE (z, y))",
        "CREATE TABLE heap (x integer)",
        "CREATE VIEW seen AS SELECT * FROM people",
    )
    with source.snapshot() as snapshot:
        assert snapshot.table("pair").key == ("a", "b")
        assert snapshot.table("loose").unique_keys == (("z", "y"),)
        assert snapshot.table("heap").key == snapshot.table("seen").key == ()


def test_families_are_the_same_where_the_types_are(source: Source) -> None:
    with source.snapshot() as snapshot:
        families = {name: info.family for name, info in snapshot.table("people").columns.items()}
    assert families == {"id": Family.INTEGER, "name": Family.TEXT, "born": Family.DATE}


def test_the_owner_of_a_database_could_write(source: Source) -> None:
    assert source.can_write()


# What dialects promise: the same answer on all of them.

WORDS = ("a", "A", "á", "a ", "ab", "É", "straße", "日本", "a\nb", "")


@pytest.fixture
def words(source: Source, do: Do, admin: Engine) -> Source:
    name = (
        "name varchar(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
        if is_mariadb(source)
        else "name varchar(50)"
    )
    do(f"CREATE TABLE words (id integer PRIMARY KEY, {name})")
    with admin.begin() as connection:
        for number, word in enumerate(WORDS):
            connection.execute(
                text("INSERT INTO words VALUES (:id, :name)"), {"id": number, "name": word}
            )
    return source


def found(
    source: Source, condition: Callable[[ColumnElement[Any]], ColumnElement[bool]]
) -> list[str]:
    with source.snapshot() as snapshot:
        info = snapshot.table("words")
        clause = info.clause
        element = source.dialect.text(clause.c.name, info.columns["name"])
        rows = snapshot.rows(select(clause.c.id).where(condition(element)).order_by(clause.c.id))
        return [WORDS[row[0]] for row in rows]


def test_exact_tells_all_words_apart(words: Source) -> None:
    with words.snapshot() as snapshot:
        info = snapshot.table("words")
        clause = info.clause
        exact = words.dialect.exact(clause.c.name, info.columns["name"])
        grouped = snapshot.rows(select(exact, func.count()).group_by(exact))
        assert {(word, number) for word, number in grouped} == {(word, 1) for word in WORDS}
        assert snapshot.rows(
            select(clause.c.id).where(exact.in_([bound("a"), bound("É")])).order_by(clause.c.id)
        ) == [
            (0,),
            (5,),
        ]


def test_length_counts_characters(words: Source) -> None:
    assert found(words, lambda name: words.dialect.length(name) == bound(2)) == ["a ", "ab", "日本"]


def test_folded_knows_more_than_ascii(words: Source) -> None:
    assert found(words, lambda name: words.dialect.folded(name) == bound("é")) == ["É"]
    assert found(words, lambda name: words.dialect.folded(name) == bound("a")) == ["a", "A"]


@pytest.mark.parametrize(
    ("pattern", "whole", "part"),
    [
        ("a", ["a"], ["a", "a ", "ab", "straße", "a\nb"]),
        ("a|b", ["a"], ["a", "a ", "ab", "straße", "a\nb"]),
        ("a.b", ["a\nb"], ["a\nb"]),
        ("(?i)a", ["a", "A"], ["a", "A", "a ", "ab", "straße", "a\nb"]),
        ("[a-z]+", ["a", "ab"], ["a", "a ", "ab", "straße", "a\nb"]),
        (r"a\s", ["a "], ["a ", "a\nb"]),
        ("", [""], list(WORDS)),
        ("^a$", ["a"], ["a"]),
    ],
)
def test_a_pattern_matches_the_same_words(
    words: Source, pattern: str, whole: list[str], part: list[str]
) -> None:
    assert found(words, lambda name: words.dialect.matches(name, pattern, part=False)) == whole
    assert found(words, lambda name: words.dialect.matches(name, pattern, part=True)) == part


def test_a_broken_pattern_is_an_error_of_the_rule(words: Source) -> None:
    with pytest.raises(CheckError):
        found(words, lambda name: words.dialect.matches(name, "(a", part=False))


def test_numbers_and_dates_are_texts_by_their_usual_form(source: Source) -> None:
    with source.snapshot() as snapshot:
        info = snapshot.table("people")
        clause = info.clause
        texts = [source.dialect.text(clause.c[name], info.columns[name]) for name in ("id", "born")]
        assert snapshot.rows(select(*texts).where(clause.c.id == bound(1))) == [("1", "1815-12-10")]


AT = datetime(2026, 7, 1, 12, 0, 0, 500_000, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def test_a_time_without_zone_is_meant_in_the_sources(
    source: Source, do: Do, open_it: Open, database_url: str
) -> None:
    kind = {"mysql": "datetime(6)"}.get(source.dialect.name, "timestamp")
    do(
        f"CREATE TABLE seen (id integer PRIMARY KEY, moment {kind})",
        "INSERT INTO seen VALUES (1, '2026-07-01 14:00:00.5')",
    )
    berlin = open_it(database_url, zone=BERLIN)
    assert compared(berlin, BERLIN) == [False, True, True, True, False]


def test_an_instant_is_one_in_every_zone(
    source: Source, do: Do, open_it: Open, database_url: str
) -> None:
    kind = {"mysql": "timestamp(6)", "postgres": "timestamptz", "duckdb": "timestamptz"}.get(
        source.dialect.name, "timestamp"
    )
    stored = (
        "'2026-07-01T12:00:00.5Z'"
        if source.dialect.name == "sqlite"
        else "'2026-07-01 12:00:00.5+00:00'"
    )
    if source.dialect.name == "mysql":
        do("SET GLOBAL time_zone = '+00:00'")
        stored = "FROM_UNIXTIME(1782907200.5)"
    do(
        f"CREATE TABLE seen (id integer PRIMARY KEY, moment {kind} NULL)",
        f"INSERT INTO seen VALUES (1, {stored})",
    )
    assert compared(open_it(database_url, zone=BERLIN), BERLIN) == [False, True, True, True, False]


def test_a_date_is_its_first_moment_in_the_sources_zone(
    source: Source, do: Do, open_it: Open, database_url: str
) -> None:
    do(
        "CREATE TABLE seen (id integer PRIMARY KEY, moment date)",
        "INSERT INTO seen VALUES (1, '2026-07-01')",
    )
    midnight = datetime(2026, 6, 30, 22, 0, tzinfo=UTC)
    assert compared(open_it(database_url, zone=BERLIN), BERLIN, midnight) == [
        False,
        True,
        True,
        True,
        False,
    ]


def compared(source: Source, zone: ZoneInfo, at: datetime = AT) -> list[bool]:
    """Whether the stored time is: before `at` · at or before · at · at or after · after."""
    with source.snapshot() as snapshot:
        info = snapshot.table("seen")
        column = info.columns["moment"]
        instant = source.dialect.instant(info.clause.c.moment, column)
        moment = source.dialect.time_literal(at, column, zone)
        before = source.dialect.time_literal(at + timedelta(microseconds=1), column, zone)
        after = source.dialect.time_literal(at - timedelta(microseconds=1), column, zone)
        assert snapshot.rows(
            select(literal_column("1")).where(instant < before, instant > after)
        ) == [(1,)]
        conditions = (
            instant < moment,
            instant <= moment,
            instant == moment,
            instant >= moment,
            instant > moment,
        )
        return [
            bool(snapshot.rows(select(literal_column("1")).where(condition)))
            for condition in conditions
        ]


def test_a_number_column_holds_seconds_since_1970(source: Source, do: Do) -> None:
    do(
        "CREATE TABLE seen (id integer PRIMARY KEY, moment numeric(20, 6))",
        f"INSERT INTO seen VALUES (1, {Decimal('1782907200.5')})",
    )
    assert compared(source, BERLIN) == [False, True, True, True, False]


def is_mariadb(source: Source) -> bool:
    return source.dialect.name == "mysql"


def quote(source: Source) -> str:
    return "`" if is_mariadb(source) else '"'
