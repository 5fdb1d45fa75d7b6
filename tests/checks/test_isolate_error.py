"""A view that can't be read is told as such: neither the rule nor a row in sight is to blame."""

from pathlib import Path

from sanityd import clock
from sanityd.authoring.trial import run_trial
from sanityd.rules.load import load_text
from tests.mistakes import tables

#: What fails in each database as soon as it is read of a row, and in no other way.
FAILS = {
    "sqlite": "abs(n - 9223372036854775807 - 1)",
    "postgresql": "10 / n",
    "mysql": "exp(710 - n)",
    "duckdb": "cast(name as integer)",
}
RULES = """\
rules:
  of-the-view: {{table: app.shares, key: id, always: share > 1}}
  of-its-column: {{table: app.shares, key: id, not_null: id}}
  of-another: {{table: app.items, has: {{in: app.shares, on: {{id: share}}}}}}
  of-the-rule: {{table: app.items, always: "{fails} > 1"}}
  of-what-is-gone: {{table: app.orphan, key: id, not_null: id}}
"""


def test_a_view_that_can_not_be_read_is_told(database_url: str, tmp_path: Path) -> None:
    """Also one whose table was dropped, which PostgreSQL doesn't let happen."""
    database = database_url.partition(":")[0].partition("+")[0]
    fails = FAILS[database]
    tables.run(
        database_url,
        "create table items (id integer not null primary key, name varchar(20), n integer)",
        "insert into items values (1, 'a', 0), (2, 'b', 5)",
        f"create view shares as select id, {fails} as share from items",
        "create table gone (id integer)",
        "create view orphan as select id from gone",
        "drop table gone cascade" if database == "postgresql" else "drop table gone",
    )
    rules = load_text(
        f"sources: {{app: {database_url!r}}}\n" + RULES.format(fails=fails), tmp_path / "rules.yaml"
    )
    told = {
        name: run_trial(rules, rule, clock.now()).run.error for name, rule in rules.rules.items()
    }
    view = "view `app.shares` can't be read: "
    assert str(told["of-the-view"]).startswith(view)
    assert str(told["of-another"]).startswith(view)
    assert told["of-its-column"] is None
    assert told["of-the-rule"]
    assert "view" not in told["of-the-rule"]
    # PostgreSQL drops it with its table; to MariaDB it is a table without columns.
    gone = {"postgresql": "`app` has no table or view", "mysql": "`app.orphan` has no columns"}
    assert str(told["of-what-is-gone"]).startswith(
        gone.get(database, "view `app.orphan` can't be read: ")
    )


def test_a_view_that_takes_too_long_is_not_said_to_be_broken(sqlite: str, tmp_path: Path) -> None:
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select i as id from n where i < 0"
    tables.run(sqlite, f"create view slow as {endless}")
    source = f"sources: {{app: {{url: {sqlite!r}, statement_timeout: 1s}}}}\n"
    rule = "rules: {a: {table: app.slow, key: id, always: missing(id) > 0}}\n"
    rules = load_text(source + rule, tmp_path / "rules.yaml")
    run = run_trial(rules, rules.rules["a"], clock.now()).run
    assert run.error == "SQLite refused the statement: no such function: missing"
