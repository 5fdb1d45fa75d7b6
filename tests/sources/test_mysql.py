"""MariaDB's peculiarities: SQL modes, collations, kinds of time, rights."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, create_engine, event, make_url, select, text

from sanityd.errors import CheckError, SourceError
from sanityd.sources.base import Snapshot, Source
from sanityd.sources.catalog import Family
from sanityd.sources.values import bound

Open = Callable[..., Source]


@pytest.fixture
def owner(mariadb: str) -> Iterator[Engine]:
    engine = create_engine(mariadb)
    yield engine
    engine.dispose()


@pytest.fixture
def source(mariadb: str, open_it: Open) -> Source:
    return open_it(mariadb)


def write(owner: Engine, *statements: str) -> None:
    with owner.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def ask(snapshot: Snapshot, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in snapshot.rows(select(snapshot.query(sql)))]


def test_the_session_is_guarded(source: Source) -> None:
    names = (
        "tx_isolation",
        "tx_read_only",
        "time_zone",
        "max_statement_time",
        "character_set_client",
    )
    with source.snapshot() as snapshot:
        [row] = ask(snapshot, "SELECT " + ", ".join(f"@@{name} AS {name}" for name in names))
        assert row == ("REPEATABLE-READ", 1, "+00:00", 1.0, "utf8mb4")


def test_options_of_the_url_cannot_undo_the_guards(mariadb: str, open_it: Open) -> None:
    source = open_it(
        f"{mariadb}&client_flag=65536&local_infile=1&init_command=SET+sql_mode%3D%27ANSI_QUOTES%27"
    )
    with source.snapshot() as snapshot:
        assert ask(snapshot, 'SELECT "text" AS a') == [("text",)]


def test_a_scheme_named_mariadb_is_understood(mariadb: str, open_it: Open) -> None:
    source = open_it(mariadb.replace("mysql+pymysql", "mariadb"))
    with source.snapshot() as snapshot:
        assert ask(snapshot, "SELECT 1 AS one") == [(1,)]


def test_backslashes_escape_and_quotes_quote_as_the_gate_thinks(source: Source) -> None:
    with source.snapshot() as snapshot:
        assert ask(snapshot, r"""SELECT 'a\'%s' AS a, "b\\" AS b, 'c' 'd' AS c # end""") == [
            ("a'%s", "b\\", "cd")
        ]


def test_collations_of_any_character_set_compare_exactly(source: Source, owner: Engine) -> None:
    write(
        owner,
        "CREATE TABLE t (id integer PRIMARY KEY, l varchar(9) CHARACTER SET latin1, e enum('x', 'Y'), s set('p', 'q'))",
        "INSERT INTO t VALUES (1, 'é', 'x', 'p,q'), (2, 'É', 'Y', 'p'), (3, 'e ', 'Y', '')",
    )
    with source.snapshot() as snapshot:
        info = snapshot.table("t")
        clause = info.clause
        exact = {name: source.dialect.exact(clause.c[name], info.columns[name]) for name in "les"}
        rows = snapshot.rows(select(exact["l"]).group_by(exact["l"]).order_by(exact["l"]))
        assert [row[0] for row in rows] == ["e ", "É", "é"]
        assert snapshot.rows(select(clause.c.id).where(exact["l"] == bound("e"))) == []
        assert snapshot.rows(select(clause.c.id).where(exact["e"] == bound("y"))) == []
        assert snapshot.rows(select(clause.c.id).where(exact["s"] == bound("p,q"))) == [(1,)]


def test_types_become_families(source: Source, owner: Engine) -> None:
    write(
        owner,
        "CREATE TABLE t (a tinyint(1), b bigint unsigned, c decimal(9, 2), d datetime, e timestamp NULL, f longtext,"
        " g blob, h uuid, i enum('x'), j year, k json, l bit(3))",
    )
    with source.snapshot() as snapshot:
        families = [column.family for column in snapshot.table("t").columns.values()]
    assert families == [
        Family.BOOLEAN, Family.INTEGER, Family.NUMBER, Family.TIMESTAMP, Family.TIMESTAMPTZ, Family.TEXT,
        Family.BYTES, Family.UUID, Family.ENUM, Family.INTEGER, Family.TEXT, Family.INTEGER,
    ]  # fmt: skip


def test_letter_case_of_tables_counts_and_other_databases_are_schemas(
    source: Source, owner: Engine, mariadb: str
) -> None:
    write(owner, "CREATE TABLE People (id integer PRIMARY KEY)")
    database = make_url(mariadb).database
    with source.snapshot() as snapshot:
        qualified = snapshot.table("People", database)
        assert qualified.key == ("id",)
        assert snapshot.rows(select(qualified.clause)) == []
        with pytest.raises(CheckError) as error:
            snapshot.table("people")
        assert error.value.hint == "Did you mean `People`?"


def test_the_catalog_is_asked_for_one_table_only(source: Source, owner: Engine) -> None:
    statements: list[tuple[str, dict[str, str]]] = []
    event.listen(
        source.engine,  # type: ignore[attr-defined]
        "before_cursor_execute",
        lambda *words: statements.append((words[2], words[3])),
    )
    write(owner, "CREATE TABLE t (a int)")
    with source.snapshot() as snapshot:
        statements.clear()
        snapshot.table("t")
    asked = [parts for parts in statements if "information_schema" in parts[0]]
    assert len(asked) == 4
    with owner.connect() as connection:
        for statement, values in asked:
            [plan] = connection.exec_driver_sql(f"EXPLAIN {statement}", values).mappings()
            assert "Scanned 0 databases" in plan["Extra"], plan


def test_unique_prefixes_are_no_keys(source: Source, owner: Engine) -> None:
    write(
        owner,
        "CREATE TABLE t (a varchar(99) NOT NULL, b varchar(99) NOT NULL, UNIQUE (a(3)), UNIQUE (b))",
    )
    with source.snapshot() as snapshot:
        assert snapshot.table("t").unique_keys == (("b",),)


def test_a_login_that_can_only_select_cannot_write(
    source: Source, owner: Engine, mariadb: str, open_it: Open
) -> None:
    database = make_url(mariadb).database
    user = f"'r_{database}'@'%'"
    write(
        owner,
        "CREATE TABLE t (a integer)",
        f"CREATE USER {user} IDENTIFIED BY 'hunter2'".replace("%", "%%"),
    )
    write(owner, f"GRANT SELECT ON `{database}`.* TO {user}".replace("%", "%%"))
    url = (
        make_url(mariadb)
        .set(username=f"r_{database}", password="hunter2")
        .render_as_string(hide_password=False)
    )
    reader = open_it(url)
    assert (source.can_write(), reader.can_write()) == (True, False)
    write(owner, f"GRANT UPDATE (a) ON `{database}`.t TO {user}".replace("%", "%%"))
    assert reader.can_write()
    write(owner, f"DROP USER {user}".replace("%", "%%"))


def test_a_killed_connection_is_the_sources_error(source: Source, owner: Engine) -> None:
    with source.snapshot() as snapshot:
        [[number]] = ask(snapshot, "SELECT connection_id() AS id")
        write(owner, f"KILL {number}")
        for _ in range(2):
            with pytest.raises(SourceError, match=r"lost|ended"):
                ask(snapshot, "SELECT 2 AS two")


def test_values_stay_out_of_error_messages(source: Source, owner: Engine) -> None:
    write(owner, "CREATE TABLE t (a varchar(99))", "INSERT INTO t VALUES ('hunter2')")
    attempts = (
        "EXTRACTVALUE(a, CONCAT('/', a, '('))",
        "UPDATEXML(1, CONCAT('~', a), 1)",
        "CAST(a AS inet6)",
        "EXP(LENGTH(a) * 999)",
    )
    with source.snapshot() as snapshot:
        for attempt in attempts:
            with pytest.raises(CheckError) as error:
                ask(snapshot, f"SELECT {attempt} AS x FROM t")
            assert "hunter2" not in error.value.message + error.value.hint
        with pytest.raises(CheckError, match="Unknown column 'b'"):
            ask(snapshot, "SELECT b FROM t")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"port": 1}, "refuses the connection"),
        ({"database": "no_such_database"}, "no database of that name"),
        ({"username": "nobody_here"}, "refuses the login"),
        ({"host": "no-such-host.invalid"}, "host name is unknown"),
        ({"query": {"sslmodus": "x"}}, "an option that PyMySQL doesn't know"),
    ],
)
def test_why_it_does_not_answer_is_told_without_the_url(
    mariadb: str, open_it: Open, change: dict[str, object], said: str
) -> None:
    url = make_url(mariadb).set(**change)  # type: ignore[arg-type]
    if "username" in change:
        url = url.set(password="hunter2")
    with (
        pytest.raises(SourceError, match=said) as error,
        open_it(url.render_as_string(hide_password=False)).snapshot(),
    ):
        pass
    assert "hunter2" not in error.value.message + error.value.hint


def test_no_statement_of_ours_outlives_the_snapshot(source: Source, owner: Engine) -> None:
    with source.snapshot() as snapshot:
        [[number]] = ask(snapshot, "SELECT connection_id() AS id")
    with owner.connect() as connection:
        assert (
            connection.execute(
                text("SELECT 1 FROM information_schema.processlist WHERE id = :id"), {"id": number}
            ).all()
            == []
        )


@pytest.mark.parametrize(
    ("state", "code"),
    [("08006", 2013), ("08S01", 2006), ("57014", 1053), ("HY000", 1927), ("70100", 4031)],
)
def test_an_error_of_a_function_is_the_rules_as_long_as_the_server_answers(
    source: Source, owner: Engine, state: str, code: int
) -> None:
    write(
        owner,
        "CREATE FUNCTION fail() RETURNS int READS SQL DATA BEGIN"
        f" SIGNAL SQLSTATE '{state}' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'lost'; RETURN 1; END",
    )
    with source.snapshot() as snapshot:
        with pytest.raises(CheckError, match=rf"\(error {code}\), but `app` still answers"):
            ask(snapshot, "SELECT fail() AS n")
        assert ask(snapshot, "SELECT 1 AS n") == [(1,)]


@pytest.mark.parametrize("code", [1054, 1064, 1139, 1142, 1146, 1305, 1644])
def test_a_function_cannot_tell_a_value_under_the_code_of_the_server(
    source: Source, owner: Engine, code: int
) -> None:
    write(
        owner,
        "CREATE FUNCTION blab() RETURNS int READS SQL DATA BEGIN"
        f" SIGNAL SQLSTATE '42S22' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'Unknown Ada'; RETURN 1; END",
    )
    with source.snapshot() as snapshot, pytest.raises(CheckError) as caught:
        ask(snapshot, "SELECT blab() AS n")
    assert "Ada" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT nope AS n FROM people", "Unknown column 'nope'"),
        ("SELECT 1 AS n FROM nowhere", "nowhere' doesn't exist"),
        ("SELECT nofunction(1) AS n", "nofunction does not exist"),
    ],
)
def test_what_the_server_says_of_a_statement_is_told(
    source: Source, owner: Engine, sql: str, words: str
) -> None:
    write(owner, "CREATE TABLE people (id int PRIMARY KEY)")
    with source.snapshot() as snapshot, pytest.raises(CheckError, match=words):
        ask(snapshot, sql)
