"""Examples played: what is found, in which time, of which types, on which database."""

from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import NullPool, create_engine, inspect, make_url

from sanityd.authoring.ruletests.runner import CaseRunner
from sanityd.authoring.ruletests.scratch_db import DuckdbScratch
from sanityd.authoring.ruletests.suite import read, run_suite
from sanityd.errors import SourceError
from sanityd.sources.base import SourceSettings
from tests.authoring.ruletests.runner import mistakes, outcomes, played

GREETED = """\
rules:
  every-person-has-a-welcome-mail:
    table: app.people
    has: {in: mail.mails, on: {id: person_id}, where: "template = 'welcome' and status = 'sent'"}
    within: 10m of created_at
tests:
  every-person-has-a-welcome-mail:
    now: 2026-01-01 12:00
    given:
      app.people: [{id: 1, created_at: 11:00}, {id: 2, created_at: 11:00}, {id: 3, created_at: 11:55}]
      mail.mails: [{person_id: 1, template: welcome, status: sent}]
    violates: [2]
"""


def test_the_example_of_the_language_finds_what_it_says(tmp_path: Path) -> None:
    """Across two sources, in a present of its own, without a database or a variable."""
    assert outcomes(tmp_path, GREETED) == ["every-person-has-a-welcome-mail passed"]


def test_what_is_missing_and_what_is_too_much_is_told_by_key(tmp_path: Path) -> None:
    assert outcomes(tmp_path, GREETED.replace("violates: [2]", "violates: [1, 3]")) == [
        "every-person-has-a-welcome-mail failed -[1] -[3] +[2]"
    ]
    assert outcomes(tmp_path, GREETED.replace("violates: [2]", "violates: []")) == [
        "every-person-has-a-welcome-mail failed +[2]"
    ]


@pytest.mark.parametrize(
    ("rule", "given", "violates"),
    [
        # Composite keys, as lists and as mappings; the mapping tells what identifies a row.
        (
            "table: app.t, key: [a, b], never: n < 0",
            "[{a: 1, b: x, n: -1}, {a: 1, b: y, n: 1}]",
            "[[1, x]]",
        ),
        (
            "table: app.t, never: n < 0",
            "[{a: 1, b: x, n: -1}, {a: 1, b: y, n: 1}]",
            "[{b: x, a: 1}]",
        ),
        (
            "table: app.t, unique: [a, b]",
            "[{a: 1, b: x}, {a: 1, b: x}, {a: 1, b: null}]",
            "[{a: 1, b: x}]",
        ),
        # What a rule names and no row has is NULL.
        ("table: app.t, not_null: email", "[{id: 1}, {id: 2, email: a@x.io}]", "[1]"),
        ("table: app.t, never: deleted_at is null", "[{id: 1}]", "[1]"),
        # Keys are compared in clear, whatever may leave a real database.
        ("table: app.t, not_null: email, redact: hash", "[{id: 1}, {id: 2, email: a@x.io}]", "[1]"),
        # A name that the SELECT makes is no column of the table.
        (
            "source: app, key: k, query: 'select k, count(*) as c from t group by k having c > 1'",
            "[{k: 1}, {k: 1}, {k: 2}]",
            "[1]",
        ),
        # What is wrong with a table as a whole: yes or no, or in words.
        ("table: app.t, row_count: {min: 2}", "[{id: 1}]", "true"),
        ("table: app.t, row_count: {min: 1}", "[{id: 1}]", "false"),
        ("table: app.t, fresh: {at: 1h}", "[{at: 2h ago}]", "[at is stale]"),
        ("table: app.t, columns: {id: integer, email: text}", "[{id: 1, email: 7}]", "[email]"),
        ("table: app.t, not_null: id, when_empty: fail", "[]", "[no rows in scope]"),
        # Fractions are exact, whatever database they are played on.
        ("table: app.t, always: a + b = c", "[{id: 1, a: 0.1, b: 0.2, c: 0.3}]", "[]"),
        # Clocks: `11:00` is a time where the rule or the other rows make it one, else it is text.
        (
            "table: app.t, never: 1 = 1, window: 1h of at",
            "[{id: 1, at: 11:30}, {id: 2, at: 10:59}]",
            "[1]",
        ),
        (
            "table: app.t, never: opens > '10:00'",
            "[{id: 1, opens: 11:00}, {id: 2, opens: 09:00}]",
            "[1]",
        ),
        (
            "table: app.t, key: at, never: n = 1",
            "[{at: 11:00, n: 1}, {at: 1d ago, n: 0}]",
            "[11:00]",
        ),
        ("table: app.t, key: born, never: n = 1", "[{born: 1990-02-28, n: 1}]", "[1990-02-28]"),
        (
            "table: app.t, never: at < current_timestamp",
            "[{id: 1, at: 11:59}, {id: 2, at: in 1m}]",
            "[1]",
        ),
        # Two tables in SQL, of which one is given nothing.
        (
            "source: app, key: id, query: 'select t.id from t left join u on u.t_id = t.id where u.kind is null'",
            "[{id: 1}]",
            "[1]",
        ),
        (
            "table: app.t, acyclic: {id: boss}",
            "[{id: 1, boss: 2}, {id: 2, boss: 1}, {id: 3, boss: 1}]",
            "[2, 1]",
        ),
    ],
)
def test_an_example_finds(rule: str, given: str, violates: str, tmp_path: Path) -> None:
    tests = f"rules:\n  r: {{{rule}}}\ntests:\n  r: {{given: {{app.t: {given}}}, violates: {violates}}}\n"
    assert outcomes(tmp_path, tests) == ["r passed"]


def test_earlier_values_are_what_a_learning_rule_compares_with(tmp_path: Path) -> None:
    text = """\
rules:
  steady-people: {table: app.people, steady: {within: 10%, of: last 3 days}}
tests:
  steady-people:
    - {name: a drop, given: {app.people: [{id: 1}]}, past: [4, 4, 4], violates: true, measured: 1}
    - {name: as ever, given: {app.people: [{id: 1}]}, past: {2d ago: 1, 1d ago: 1, 3h ago: 1}, violates: false}
    - {name: another number, given: {app.people: [{id: 1}]}, violates: false, measured: 2}
"""
    assert outcomes(tmp_path, text) == [
        "steady-people: a drop passed",
        "steady-people: as ever passed",
        "steady-people: another number failed measured 1 instead of 2",
    ]


def test_times_are_meant_in_the_zone_of_their_source(tmp_path: Path) -> None:
    """Also on the day on which the clocks are set: in Berlin, 01:00 was ten hours before 12:00, and
    04:00 eight."""
    text = """\
sources: {app: {url: "${APP_DATABASE_URL}", zone: Europe/Berlin}, mail: "${MAIL_DATABASE_URL}"}
rules: {r: {table: app.t, has: {in: mail.u, on: {at: at}}, within: 10h of at}}
tests:
  r:
    now: 2026-03-29 12:00
    given:
      app.t: [{id: 1, at: 01:00}, {id: 2, at: 10h ago}, {id: 3, at: 11h ago}, {id: 4, at: 04:00}]
      mail.u: [{at: 2026-03-28 23:00}]
    violates: [1, 2]
"""
    path = tmp_path / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    with CaseRunner() as runner:
        [verdict] = run_suite(read(path), runner, find_gaps=False).verdicts
    assert verdict.passed, verdict.match


def test_schemas_and_sql_that_sqlite_can_not_read_are_played_on_duckdb(tmp_path: Path) -> None:
    text = """\
rules:
  paid: {table: app.sales.orders, never: "status = 'pending' and placed_at < now() - interval '1 hour'"}
tests:
  paid:
    given: {app.sales.orders: [{id: 1, status: pending, placed_at: 10:59}, {id: 2, status: pending, placed_at: 11:00}]}
    violates: [1]
"""
    for sql in (text, text.replace(".sales", "")):
        [verdict] = played(tmp_path, sql).verdicts
        assert (verdict.outcome, verdict.on) == ("passed", "duckdb")
    unread = text.replace(".sales", "").replace("now()", "tomorrow_or_so()")
    assert outcomes(tmp_path, unread)[0].startswith("paid errored it can't be evaluated: ")


def test_without_duckdb_a_schema_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DuckdbScratch, "is_installed", lambda: False)
    text = "rules: {r: {table: app.s.t, not_null: id}}\ntests: {r: {given: {app.s.t: [{id: null}]}, violates: []}}\n"
    with pytest.raises(SourceError, match="SQLite has no schema `s`"):
        played(tmp_path, text)


def test_each_value_that_can_not_be_and_each_slip_of_the_pen_is_told_at_its_place(
    tmp_path: Path,
) -> None:
    text = """\
rules:
  greeted: {table: app.people, not_null: email, within: 10m of created_at}
  whole: {table: app.things, never: n < 0}
tests:
  greeted:
    given: {app.people: [{id: 1, creatd_at: 11:00}, {id: 2, created_at: soon, emial: a@x.io}]}
    violates: true
  whole:
    given: {app.things: [{name: a, n: x}]}
    types: {app.things: {n: integer}}
    violates: [a]
"""
    assert mistakes(tmp_path, text) == [
        "6:34 the rule asks for no column `creatd_at`, and here is no `created_at` | did you mean `created_at`?",
        "6:73 `soon` is no time | write `11:00` (of the day of `now`), `10m ago`, `in 5m` or `2026-01-01 11:00`",
        "6:79 the rule asks for no column `emial`, and here is no `email` | did you mean `email`?",
        "7:15 `true` doesn't say which rows | write the keys of the rows that it must find, as in `[2]`",
        "9:39 `x` is no whole number | write another value, or another type in `types`",
        "11:5 it is not clear which columns identify a row of `app.things` | "
        "say `key:` in the rule, or write `{name: …}` in `violates`",
    ]


def test_there_must_be_something_to_test(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "rules: {r: {table: app.t, not_null: id}}\n") == [
        "0:1 there are no tests | write `tests:`, and below it the id of a rule with `given:` and `violates:`"
    ]


@pytest.mark.parametrize("server", ["postgres", "mariadb"])
def test_a_lent_server_is_played_on_and_left_as_it_was(
    server: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the rule's own SQL, in the schema that the rule names (which a database of MariaDB is,
    too)."""
    lent: str = request.getfixturevalue(server)
    # One that has to be made, and one that is there.
    schema, there = (
        f"sales_{uuid4().hex[:8]}",
        {"postgres": "public", "mariadb": make_url(lent).database}[server],
    )
    own = {"postgres": "n = any(array[1, 2])", "mariadb": "n <=> 1"}[server]
    text = f"""\
rules:
  own-sql: {{table: app.t, never: "{own} and at < now()"}}
  in-a-schema: {{table: app.{schema}.t, references: {{p: people.id}}}}
  in-theirs: {{table: app.{there}.t, not_null: n}}
tests:
  own-sql: {{given: {{app.t: [{{id: 1, n: 1, at: 11:00}}, {{id: 2, n: 1, at: 13:00}}]}}, violates: [1]}}
  in-a-schema:
    - {{given: {{app.{schema}.t: [{{id: 1, p: 1}}, {{id: 2, p: 2}}], app.people: [{{id: 2}}]}}, violates: [1]}}
    - {{given: {{app.{schema}.t: [{{id: 1, p: 2}}], app.people: [{{id: 2}}]}}, violates: []}}
  in-theirs: {{given: {{app.{there}.t: [{{id: 1}}, {{id: 2, n: 1}}]}}, violates: [1]}}
"""
    engine = create_engine(lent, poolclass=NullPool)
    # Other tests may use the same server.
    token = uuid4().hex[:8]
    monkeypatch.setattr(
        "sanityd.authoring.ruletests.scratch_server.secrets.token_hex", lambda _: token
    )
    assert outcomes(tmp_path, text, lent=lent) == [
        *("own-sql passed", "in-a-schema: 1 passed", "in-a-schema: 2 passed", "in-theirs passed")
    ]
    assert [
        name for name in inspect(engine).get_schema_names() if token in name or name == schema
    ] == []
    assert inspect(engine).get_table_names(there) == []
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id integer)")
    with pytest.raises(SourceError, match=f"has a table `{there}.t` already"):
        outcomes(tmp_path, text, lent=lent)
    assert inspect(engine).get_table_names(there) == ["t"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://someone@localhost:5432/shop", "is the database that `app` watches"),
        ("sqlite:///scratch.db", "is no server"),
        ("nonsense", "can't be read"),
    ],
)
def test_a_watched_database_and_one_that_needs_no_lending_are_refused(url: str, words: str) -> None:
    watched = {"app": SourceSettings("app", "postgresql://reader:secret@127.0.0.1/shop")}
    with pytest.raises(SourceError, match=words):
        CaseRunner(url, watched=watched)
