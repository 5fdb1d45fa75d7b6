"""PostgreSQL's peculiarities: rights, types with a mind of their own, lost connections."""

import sys
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, create_engine, func, make_url, select, text

from sanityd.errors import CheckError, SourceError
from sanityd.sources.base import Snapshot, Source
from sanityd.sources.catalog import Family
from sanityd.sources.values import bound

Open = Callable[..., Source]


@pytest.fixture
def owner(postgres: str) -> Iterator[Engine]:
    engine = create_engine(postgres)
    yield engine
    engine.dispose()


@pytest.fixture
def source(postgres: str, open_it: Open) -> Source:
    return open_it(postgres)


def write(owner: Engine, *statements: str) -> None:
    with owner.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def ask(snapshot: Snapshot, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in snapshot.rows(select(snapshot.query(sql)))]


def test_the_session_is_guarded(source: Source) -> None:
    names = [
        "transaction_read_only",
        "default_transaction_read_only",
        "transaction_isolation",
        "statement_timeout",
    ]
    names += ["lock_timeout", "application_name", "TimeZone", "standard_conforming_strings"]
    with source.snapshot() as snapshot:
        settings = [ask(snapshot, f"SELECT current_setting('{name}') AS s")[0][0] for name in names]
        assert ask(snapshot, "SELECT count(*) AS n FROM pg_prepared_statements") == [(0,)]
    assert settings == ["on", "on", "repeatable read", "1s", "500ms", "sanityd", "UTC", "on"]


def test_options_of_the_url_cannot_undo_the_guards(postgres: str, open_it: Open) -> None:
    source = open_it(
        f"{postgres}?options=-c%20default_transaction_read_only%3Doff%20-c%20work_mem%3D8MB"
    )
    with source.snapshot() as snapshot:
        assert ask(snapshot, "SELECT current_setting('default_transaction_read_only') AS s") == [
            ("on",)
        ]
        assert ask(snapshot, "SELECT current_setting('work_mem') AS s") == [("8MB",)]


def test_case_blind_and_nondeterministic_texts_are_told_apart(
    source: Source, owner: Engine
) -> None:
    write(
        owner,
        "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
        "CREATE TABLE t (id integer PRIMARY KEY, name text COLLATE blind, mood text)",
        "INSERT INTO t VALUES (1, 'a'), (2, 'A'), (3, 'á')",
    )
    with source.snapshot() as snapshot:
        info = snapshot.table("t")
        clause = info.clause
        name = source.dialect.exact(clause.c.name, info.columns["name"])
        assert info.columns["mood"].collation is None
        assert len(snapshot.rows(select(name).group_by(name))) == 3
        assert snapshot.rows(
            select(clause.c.id).where(source.dialect.matches(name, "a", part=False))
        ) == [(1,)]
        assert snapshot.rows(
            select(func.count()).where(source.dialect.folded(name) == bound("á"))
        ) == [(1,)]


def test_enums_domains_and_uuids_have_families_and_texts(source: Source, owner: Engine) -> None:
    write(
        owner,
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
        "CREATE DOMAIN amount AS numeric(9, 2) CHECK (VALUE > 0)",
        "CREATE TABLE t (m mood, u uuid, a amount, c char(5), j jsonb)",
        "INSERT INTO t VALUES ('sad', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 1.50, 'ab', '{}')",
    )
    with source.snapshot() as snapshot:
        info = snapshot.table("t")
        families = [column.family for column in info.columns.values()]
        assert families == [Family.ENUM, Family.UUID, Family.NUMBER, Family.TEXT, Family.JSON]
        clause = info.clause
        texts = [source.dialect.text(clause.c[name], info.columns[name]) for name in "muac"]
        assert snapshot.rows(select(*texts)) == [
            ("sad", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "1.50", "ab")
        ]
        mood = source.dialect.exact(clause.c.m, info.columns["m"])
        assert snapshot.rows(select(mood).where(mood.in_([bound("unheard of"), bound("sad")]))) == [
            ("sad",)
        ]


def test_schemas_partitions_and_inheritance_are_understood(source: Source, owner: Engine) -> None:
    write(
        owner,
        'CREATE SCHEMA "Sales"',
        'CREATE TABLE "Sales"."Order" (id integer PRIMARY KEY)',
        "CREATE TABLE parts (id integer, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
        "CREATE TABLE parent (id integer PRIMARY KEY)",
        "CREATE TABLE child () INHERITS (parent)",
        "CREATE MATERIALIZED VIEW seen AS SELECT 1 AS id",
    )
    with source.snapshot() as snapshot:
        order = snapshot.table("Order", "Sales")
        assert order.key == ("id",)
        assert snapshot.rows(select(order.clause)) == []
        assert snapshot.table("parts").key == ("id", "day")
        assert snapshot.table("parent").key == ()
        assert list(snapshot.table("seen").columns) == ["id"]
        with pytest.raises(CheckError) as error:
            snapshot.table("Order")
        assert error.value.hint == "Did you mean `Sales.Order`?"


def test_a_table_without_columns_is_told_and_not_proposed_in_its_own_place(
    source: Source, owner: Engine
) -> None:
    write(owner, "CREATE TABLE bare ()")
    with source.snapshot() as snapshot, pytest.raises(CheckError, match="has no columns"):
        snapshot.table("bare")


def test_only_whole_valid_unique_indexes_over_columns_without_nulls_are_keys(
    source: Source, owner: Engine
) -> None:
    write(
        owner,
        "CREATE TABLE t (a integer NOT NULL, b integer NOT NULL, c text NOT NULL, d integer UNIQUE)",
        "CREATE UNIQUE INDEX one ON t (a) WHERE b > 0",
        "CREATE UNIQUE INDEX two ON t (lower(c))",
        "CREATE UNIQUE INDEX three ON t (b) INCLUDE (a)",
    )
    with source.snapshot() as snapshot:
        assert snapshot.table("t").unique_keys == (("b",),)


def test_a_login_that_can_only_select_cannot_write(
    source: Source, owner: Engine, postgres: str, open_it: Open
) -> None:
    role = "reader_" + (make_url(postgres).database or "")
    write(
        owner,
        "CREATE TABLE t (a integer)",
        f"CREATE ROLE {role} LOGIN PASSWORD 'hunter2'",
        f"GRANT SELECT ON t TO {role}",
    )
    reader = open_it(
        make_url(postgres)
        .set(username=role, password="hunter2")
        .render_as_string(hide_password=False)
    )
    assert (source.can_write(), reader.can_write()) == (True, False)
    write(owner, f"GRANT UPDATE ON t TO {role}")
    assert reader.can_write()
    write(owner, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_a_lost_connection_is_the_sources_error_and_stays_one(
    source: Source, owner: Engine
) -> None:
    with source.snapshot() as snapshot:
        ask(snapshot, "SELECT 1 AS one")
        write(
            owner,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'sanityd' AND datname = current_database()",
        )
        for _ in range(2):
            with pytest.raises(SourceError, match=r"lost|ended"):
                ask(snapshot, "SELECT 2 AS two")
    with source.snapshot() as snapshot:
        assert ask(snapshot, "SELECT 3 AS three") == [(3,)]


def test_a_locked_table_is_told(source: Source, owner: Engine) -> None:
    write(owner, "CREATE TABLE t (a integer)")
    with owner.begin() as connection, source.snapshot() as snapshot:
        connection.execute(text("LOCK TABLE t IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(CheckError, match=r"locked by somebody else for more than 0.5 s"):
            ask(snapshot, "SELECT * FROM t")


def test_values_stay_out_of_error_messages(source: Source, owner: Engine) -> None:
    write(owner, "CREATE TABLE t (a text)", "INSERT INTO t VALUES ('hunter2')")
    attempts = (
        "a::integer",
        "a::date",
        "a::jsonb",
        "a::uuid",
        "1 / (length(a) - 7)",
        "a::inet",
        "to_number(a, '999')",
    )
    with source.snapshot() as snapshot:
        for attempt in attempts:
            with pytest.raises(CheckError) as error:
                ask(snapshot, f"SELECT {attempt} AS x FROM t")
            assert "hunter2" not in error.value.message + error.value.hint
        with pytest.raises(CheckError, match='column "b" does not exist'):
            ask(snapshot, "SELECT b FROM t")


@pytest.mark.parametrize(
    "value",
    ["timestamp 'infinity'", "timestamptz '-infinity'", "date '12026-01-01'", "time '24:00'"],
)
def test_a_time_beyond_python_comes_as_text(source: Source, value: str) -> None:
    """One such row must not make its rule blind."""
    with source.snapshot() as snapshot:
        [(at,)] = ask(snapshot, f"SELECT {value} AS at")
    assert isinstance(at, str)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"port": 1}, "refuses the connection"),
        ({"database": "no_such_database"}, "no database of that name"),
        ({"username": "nobody_here"}, "refuses the login"),
        ({"host": "no-such-host.invalid"}, "host name is unknown"),
        ({"query": {"sslmodus": "x"}}, "an option that psycopg doesn't know, `sslmodus`"),
    ],
)
def test_why_it_does_not_answer_is_told_without_the_url(
    postgres: str, open_it: Open, change: dict[str, object], said: str
) -> None:
    url = make_url(postgres).set(**change)  # type: ignore[arg-type]
    if "username" in change:
        url = url.set(password="hunter2")
    source = open_it(url.render_as_string(hide_password=False))
    with pytest.raises(SourceError, match=said) as error, source.snapshot():
        pass
    assert "hunter2" not in error.value.message + error.value.hint


def test_a_missing_driver_is_told_with_its_remedy(
    open_it: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SourceError, match="driver") as error:
        open_it("postgresql://scott:tiger@localhost/x")
    assert error.value.hint == "pip install 'sanityd[postgresql]'"


def test_backslashes_and_dollar_quotes_arrive_unchanged(source: Source) -> None:
    with source.snapshot() as snapshot:
        assert ask(snapshot, r"SELECT 'a\' AS a, E'b\n' AS b, $$c'%s$$ AS c") == [
            ("a\\", "b\n", "c'%s")
        ]
        assert ask(snapshot, """SELECT '{"k": 1}'::jsonb ? 'k' AS has""") == [(True,)]


def test_any_error_of_a_function_is_the_rules_as_long_as_the_server_answers(
    source: Source, owner: Engine
) -> None:
    """One of each class that there is, and all of those of connections; none tells its text."""
    write(
        owner,
        "CREATE FUNCTION fail(state text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION USING ERRCODE = state, MESSAGE = 'not Ada', HINT = 'Ada'; END $$",
    )
    with source.snapshot() as snapshot:
        for state in STATES:
            with pytest.raises(CheckError) as caught:
                ask(snapshot, f"SELECT fail('{state}') AS n")
            assert "Ada" not in f"{caught.value.message} {caught.value.hint}", state
        assert ask(snapshot, "SELECT 1 AS n") == [(1,)]


#: The classes of SQLSTATE, and whole codes of those about connections, operators and rights.
STATES = [
    *(
        f"{kind}000"
        for kind in [
            "02",
            "03",
            "09",
            "0A",
            "0B",
            "0F",
            "0L",
            "0P",
            "0Z",
            "20",
            "21",
            "22",
            "23",
            "24",
            "25",
            "26",
            "27",
            "28",
            "2B",
            "2D",
        ]
    ),
    *(
        f"{kind}000"
        for kind in [
            "2F",
            "34",
            "38",
            "39",
            "3B",
            "3D",
            "3F",
            "40",
            "42",
            "44",
            "53",
            "54",
            "55",
            "58",
            "72",
            "F0",
            "HV",
            "P0",
            "XX",
        ]
    ),
    *[
        "08000",
        "08003",
        "08006",
        "08001",
        "08004",
        "08007",
        "08P01",
        "57000",
        "57P01",
        "57P02",
        "57P03",
        "57P04",
        "57P05",
    ],
    *["42501", "42601", "42703", "42P01", "25006", "0A000", "2201B", "28000", "53300"],
]


def test_a_name_that_is_a_value_is_not_told_with_a_missing_right(
    postgres: str, owner: Engine, open_it: Open
) -> None:
    write(
        owner,
        "CREATE SCHEMA ada",
        "CREATE TABLE ada.t (id int)",
        "CREATE TABLE secrets AS SELECT 'ada.t'::text AS word",
        "DROP ROLE IF EXISTS fire_reader",
        "CREATE ROLE fire_reader LOGIN PASSWORD 'fire'",
        "GRANT SELECT ON secrets TO fire_reader",
    )
    url = make_url(postgres).set(username="fire_reader", password="fire")
    try:
        source = open_it(url.render_as_string(hide_password=False))
        with source.snapshot() as snapshot:
            with pytest.raises(CheckError) as caught:
                ask(snapshot, "SELECT word::regclass::text AS n FROM secrets")
            assert "ada" not in caught.value.message
            with pytest.raises(CheckError, match="permission denied for schema ada"):
                ask(snapshot, "SELECT id AS n FROM ada.t")
    finally:
        write(owner, "DROP OWNED BY fire_reader", "DROP ROLE fire_reader")


def test_a_connection_that_is_ended_is_the_sources(source: Source, owner: Engine) -> None:
    with source.snapshot() as snapshot:
        [(pid,)] = ask(snapshot, "SELECT pg_backend_pid() AS n")
        write(owner, f"SELECT pg_terminate_backend({pid})")
        with pytest.raises(SourceError):
            ask(snapshot, "SELECT count(*) AS n FROM generate_series(1, 9)")
