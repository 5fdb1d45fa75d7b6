"""What the catalog proves, and what only looks as if it did. Each proof is compared with what a
look finds."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from sanityd.checks import evaluation, executor
from sanityd.checks.plan import Plan, PlannedCheck
from sanityd.model import Run, fingerprint
from tests.checks.conftest import Looks

Do = Callable[..., None]
Rule = Mapping[str, Any]


def rule(**words: Any) -> Rule:
    return {"table": "app.t", **words}


def run(look: PlannedCheck) -> Run:
    """The run of it, with a look at the rows only where nothing proves it."""
    snapshot = look.scope.snapshot
    [seen] = executor.evaluate(Plan((look,)), snapshot, {}, snapshot.now)
    return seen


def proof_of(looks: Looks, stated: Rule) -> str | None:
    """What is said to prove it. If anything does, the look must agree."""
    with looks(stated) as [look]:
        if look.proof is not None:
            audit = run(replace(look, audited=True))
            assert (audit.outcome, audit.violations, audit.proved_by) == ("complete", 0, None)
        proof: str | None = look.proof
        return proof


on = pytest.mark.parametrize


def only(*databases: str) -> pytest.MarkDecorator:
    return on("database_url", databases, indirect=True)


PROVED = {
    "a primary key": rule(unique="id"),
    "a unique column": rule(unique="email"),
    "more columns than the index": rule(unique=["name", "email"]),
    "a composite index": rule(unique=["shop", "number"]),
    "in other order": rule(unique=["number", "shop"]),
    "some of the rows": rule(unique="email", where="id > 1"),
    "not null": rule(not_null="name"),
    "several": rule(not_null=["id", "name"]),
    "NULLs that can't be": rule(unique={"columns": "id", "nulls": "equal"}),
}
OPEN = {
    "a part of a composite index": rule(unique="shop"),
    "a column that may be NULL": rule(not_null="email"),
    "one of several may be NULL": rule(not_null=["name", "email"]),
    "blanks": rule(not_null={"columns": "name", "blank": "fail"}),
    "case": rule(unique={"columns": "email", "ignore": ["case"]}),
    "NULLs that repeat": rule(unique={"columns": "email", "nulls": "equal"}),
    "an expression": rule(unique="tag"),
}


@pytest.fixture
def table(do: Do) -> Do:
    """One whose constraints all hold, and mean different things."""
    do(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, email VARCHAR(40) UNIQUE, name VARCHAR(40) NOT NULL, shop INTEGER,"
        " number INTEGER, tag INTEGER, UNIQUE (shop, number))",
        "INSERT INTO t VALUES (1, 'a@x', 'A', 1, 1, 1), (2, 'b@x', ' ', 1, 2, 1), (3, NULL, 'C', NULL, 2, 3),"
        " (4, NULL, 'C', NULL, 2, 5)",
    )
    return do


@on("stated", PROVED.values(), ids=PROVED)
@pytest.mark.usefixtures("table")
def test_a_constraint_answers_with_a_single_row(looks: Looks, stated: Rule) -> None:
    assert proof_of(looks, stated)
    with looks(stated) as [look]:
        seen = run(look)
        [statement] = look.scope.snapshot.executed
        assert "LIMIT 1" in look.scope.snapshot.sql(statement)
    assert (seen.outcome, seen.verdict, seen.violations, seen.checked) == (
        "complete",
        "passed",
        0,
        None,
    )
    assert seen.proved_by == look.proof


@on("stated", OPEN.values(), ids=OPEN)
def test_what_a_constraint_does_not_say_is_looked_at(
    table: Do, looks: Looks, database_url: str, stated: Rule
) -> None:
    if not database_url.startswith(("mysql", "mariadb")):
        table("CREATE UNIQUE INDEX wide ON t ((tag + id))")
    assert proof_of(looks, stated) is None
    with looks(stated) as [look]:
        assert run(look).checked is not None


def test_a_view_promises_nothing(table: Do, looks: Looks) -> None:
    table("CREATE VIEW v AS SELECT t.id, t.name FROM t")
    assert proof_of(looks, {"table": "app.v", "not_null": "name", "key": "id"}) is None


def test_open_rows_are_looked_at_whatever_the_catalog_says(table: Do, looks: Looks) -> None:
    del table
    with looks(rule(unique="email")) as [look]:
        seen = evaluation.evaluate_check(
            look, {fingerprint("rule-0", "app", {"email": "a@x"}): {"email": "a@x"}}
        )
    assert seen.proved_by is None
    assert len(seen.resolutions) == 1


def test_a_table_that_was_emptied_is_told_though_its_constraints_hold(
    table: Do, looks: Looks
) -> None:
    table("DELETE FROM t")
    with looks(rule(unique="email"), rule(unique="email", when_empty="fail")) as [quiet, strict]:
        assert run(quiet).checked == 0
        assert run(strict).violations == 1


def test_what_the_rule_picks_must_still_be_readable(table: Do, looks: Looks) -> None:
    del table
    with looks(rule(unique="email", where="nope = 1")) as [look]:
        assert run(look).outcome == "errored"


# PostgreSQL


@only("postgres")
@on(
    ("constraint", "proves"),
    {
        "valid": ("", True),
        "not valid": ("NOT VALID", False),
        "deferrable": ("DEFERRABLE INITIALLY DEFERRED", False),
    }.values(),
)
def test_a_foreign_key_proves_a_reference_if_it_binds_every_row(
    do: Do, looks: Looks, constraint: str, *, proves: bool
) -> None:
    do(
        "CREATE TABLE t (id integer PRIMARY KEY, person integer)",
        "INSERT INTO people (id) VALUES (1)",
        "INSERT INTO t VALUES (1, 1), (2, NULL)" if proves else "INSERT INTO t VALUES (1, NULL)",
        f"ALTER TABLE t ADD CONSTRAINT belongs FOREIGN KEY (person) REFERENCES people {constraint}",
    )
    assert proof_of(looks, rule(references={"person": "people.id"})) == (
        "belongs" if proves else None
    )


@pytest.fixture
def linked(do: Do) -> Do:
    do(
        "CREATE TABLE t (id integer PRIMARY KEY, person integer, other integer)",
        "CREATE TABLE others (id integer PRIMARY KEY)",
        "ALTER TABLE t ADD CONSTRAINT belongs FOREIGN KEY (person) REFERENCES people",
    )
    return do


@only("postgres")
@pytest.mark.usefixtures("linked")
@on(
    "stated",
    [
        rule(references={"person": "others.id"}),
        rule(references={"other": "people.id"}),
        rule(references={"person": "people.age"}),
        rule(references={"columns": {"person": "people.id"}, "where": "age > 3"}),
        rule(references={"person": "people.id"}, nulls="fail"),
        rule(references={"person": "people.id", "other": "others.id"}),
    ],
)
def test_a_foreign_key_proves_nothing_else(looks: Looks, stated: Rule) -> None:
    assert proof_of(looks, stated) is None


@only("postgres")
@on("table", ["t", "people"])
def test_a_foreign_key_without_its_triggers_proves_nothing(
    linked: Do, looks: Looks, table: str
) -> None:
    assert proof_of(looks, rule(references={"person": "people.id"})) == "belongs"
    linked(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    assert proof_of(looks, rule(references={"person": "people.id"})) is None


@only("postgres")
def test_a_deferrable_unique_constraint_proves_nothing(do: Do, looks: Looks) -> None:
    do("CREATE TABLE t (id integer PRIMARY KEY, n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    assert proof_of(looks, rule(unique="n")) is None


@only("postgres")
def test_an_index_that_could_not_be_built_proves_nothing(do: Do, looks: Looks) -> None:
    do(
        "CREATE TABLE t (id integer PRIMARY KEY, n integer)",
        "INSERT INTO t VALUES (1, 7), (2, 8)",
        "CREATE UNIQUE INDEX half ON t (n)",
        # As CREATE INDEX CONCURRENTLY leaves it that met a duplicate.
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'half'::regclass",
    )
    assert proof_of(looks, rule(unique="n")) is None


@only("postgres")
def test_nulls_not_distinct_proves_that_nulls_do_not_repeat(do: Do, looks: Looks) -> None:
    do("CREATE TABLE t (id integer PRIMARY KEY, n integer, UNIQUE NULLS NOT DISTINCT (n))")
    assert proof_of(looks, rule(unique={"columns": "n", "nulls": "equal"})) == "t_n_key"


@only("postgres")
def test_children_that_inherit_go_their_own_way(do: Do, looks: Looks) -> None:
    do(
        "CREATE TABLE t (id integer PRIMARY KEY, n integer NOT NULL)",
        "CREATE TABLE child () INHERITS (t)",
    )
    do("ALTER TABLE child ALTER n DROP NOT NULL", "INSERT INTO child VALUES (1, NULL), (2, NULL)")
    with looks(rule(not_null="n", key="id")) as [look]:
        assert look.proof is None
        assert run(look).rows == 2
    assert proof_of(looks, rule(unique="id")) is None


@only("postgres")
def test_partitions_are_bound_by_the_constraints_of_the_whole(do: Do, looks: Looks) -> None:
    do(
        "CREATE TABLE t (id integer PRIMARY KEY, n integer NOT NULL) PARTITION BY RANGE (id)",
        "CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10)",
        "INSERT INTO t VALUES (1, 1)",
    )
    assert proof_of(looks, rule(unique="id")) == "t_pkey"
    assert proof_of(looks, rule(not_null="n")) == "n NOT NULL"


CHECKED = {
    "the same list": (
        "state IN ('new', 'paid')",
        rule(accepted_values={"state": ["new", "paid"]}),
        True,
    ),
    "a longer list": (
        "state IN ('new', 'paid')",
        rule(accepted_values={"state": ["new", "paid", "void"]}),
        True,
    ),
    "a shorter list": ("state IN ('new', 'paid')", rule(accepted_values={"state": ["new"]}), False),
    "a range": ("age >= 18 AND age <= 60", rule(between={"age": [18, 60]}), True),
    "a wider range": ("age BETWEEN 18 AND 60", rule(between={"age": [0, 120]}), True),
    "a narrower range": ("age BETWEEN 18 AND 60", rule(between={"age": [20, 50]}), False),
    "half a range": ("age > 0", rule(between={"age": [1, 120]}), False),
    "the same condition": ("age > shoes", rule(always="age > shoes"), True),
    "turned round": ("age > shoes", rule(never="age <= shoes"), True),
    "of two": ("age > shoes", rule(always="age > 0"), False),
    "NULLs pass a CHECK": ("age >= 18", rule(between={"age": {"min": 18}}, nulls="fail"), False),
    "NULLs of a list": ("state IN ('new')", rule(not_null="state"), False),
    "NOT NULL by a CHECK": ("state IS NOT NULL", rule(not_null="state"), True),
    "some of the rows": ("age >= 18", rule(between={"age": {"min": 18}}, where="shoes = 3"), True),
    "another column": ("shoes >= 18", rule(between={"age": {"min": 18}}), False),
}


@only("postgres")
@on(("check", "stated", "proves"), CHECKED.values(), ids=CHECKED)
def test_what_a_check_rules_out_is_not_looked_for(
    do: Do, looks: Looks, check: str, stated: Rule, *, proves: bool
) -> None:
    do(
        "CREATE TABLE t (id integer PRIMARY KEY, state text, age integer, shoes integer)",
        f"ALTER TABLE t ADD CONSTRAINT sane CHECK ({check})",
    )
    assert proof_of(looks, stated) == ("sane" if proves else None)


@only("postgres")
def test_a_check_that_was_never_made_sure_of_proves_nothing(do: Do, looks: Looks) -> None:
    do(
        "CREATE TABLE t (id integer PRIMARY KEY, age integer)",
        "INSERT INTO t VALUES (1, 5)",
        "ALTER TABLE t ADD CONSTRAINT adult CHECK (age >= 18) NOT VALID",
    )
    with looks(rule(between={"age": {"min": 18}})) as [look]:
        assert look.proof is None
        assert run(look).violations == 1
    do("UPDATE t SET age = 18", "ALTER TABLE t VALIDATE CONSTRAINT adult")
    assert proof_of(looks, rule(between={"age": {"min": 18}})) == "adult"


@only("postgres")
def test_the_audit_reads_the_rows_that_a_check_vouches_for(do: Do, looks: Looks) -> None:
    """A function that says it is immutable, and isn't, makes any CHECK a lie."""
    do(
        "CREATE FUNCTION good(n integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT n > 0'",
        "CREATE TABLE t (id integer PRIMARY KEY, age integer, CONSTRAINT sane CHECK (good(age)))",
        "INSERT INTO t VALUES (1, 5)",
        "CREATE OR REPLACE FUNCTION good(n integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT n > 9'",
    )
    with looks(rule(always="good(age)")) as [look]:
        assert look.proof == "sane"
        assert run(look).violations == 0
        assert run(replace(look, audited=True)).violations == 1


@only("postgres", "sqlite")
def test_an_index_of_some_rows_proves_nothing(do: Do, looks: Looks) -> None:
    do(
        "CREATE TABLE t (id integer PRIMARY KEY, n integer)",
        "CREATE UNIQUE INDEX high ON t (n) WHERE id > 1",
    )
    assert proof_of(looks, rule(unique="n", where="id > 1")) is None


# Collations: coarser is stricter.


@only("sqlite")
def test_an_index_that_ignores_case_proves_more_than_is_asked(do: Do, looks: Looks) -> None:
    do(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT COLLATE NOCASE UNIQUE)",
        "INSERT INTO t VALUES (1, 'a')",
    )
    assert proof_of(looks, rule(unique="word"))


# SQLite


@only("sqlite")
def test_a_primary_key_that_is_not_the_rowid_may_hold_nulls(do: Do, looks: Looks) -> None:
    do(
        "CREATE TABLE t (id INTEGER PRIMARY KEY DESC, n TEXT)",
        "INSERT INTO t VALUES (NULL, 'a'), (NULL, 'b')",
    )
    with looks(rule(not_null="id", key="n")) as [look]:
        assert look.proof is None
        assert run(look).violations == 2


@only("sqlite")
def test_a_table_without_rowid_has_no_nulls_in_its_key(do: Do, looks: Looks) -> None:
    do("CREATE TABLE t (id TEXT PRIMARY KEY) WITHOUT ROWID", "INSERT INTO t VALUES ('a')")
    assert proof_of(looks, rule(not_null="id"))
    assert proof_of(looks, rule(unique="id"))


@only("sqlite")
def test_foreign_keys_that_a_pragma_switches_off_prove_nothing(do: Do, looks: Looks) -> None:
    do(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, person INTEGER REFERENCES people (id))",
        "INSERT INTO t VALUES (1, 7)",
    )
    with looks(rule(references={"person": "people.id"})) as [look]:
        assert look.proof is None
        assert run(look).violations == 1


# MariaDB


@only("mariadb")
@on("engine", ["InnoDB", "MyISAM"])
def test_foreign_keys_that_a_setting_switches_off_prove_nothing(
    do: Do, looks: Looks, engine: str
) -> None:
    do(
        "SET SESSION foreign_key_checks = 0",
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, p INTEGER, FOREIGN KEY (p) REFERENCES people (id)) ENGINE = {engine}",
        "INSERT INTO t VALUES (1, 7)",
    )
    with looks(rule(references={"p": "people.id"})) as [look]:
        assert look.proof is None
        assert run(look).violations == 1


@only("mariadb")
def test_a_date_that_can_not_be_null_may_be_null_all_the_same(do: Do, looks: Looks) -> None:
    do(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, born DATE NOT NULL)",
        "SET SESSION sql_mode = ''",
        "INSERT INTO t VALUES (1, '0000-00-00')",
    )
    assert proof_of(looks, rule(not_null="born")) is None
