"""Rules are proposed that hold, or nearly hold; checks find the violations that they state."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url

from sanityd.authoring import starter
from sanityd.authoring.lint import lint
from sanityd.authoring.suggest import suggest, table_names
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile
from sanityd.authoring.suggest.relationships import Relationships
from sanityd.authoring.suggest.results import NOTHING, ExistingRules, Suggestions
from sanityd.checks import executor, planner
from sanityd.errors import Problem
from sanityd.model import Run
from sanityd.rules.load import load
from sanityd.rules.rule import RuleSet
from sanityd.rules.yaml import rules_document
from sanityd.sources.base import Snapshot, SourceSettings
from sanityd.sources.catalog import ColumnInfo, Family, TableInfo
from sanityd.sources.open import open_source
from tests.authoring.suggest import shop
from tests.end_to_end.test_canary import login
from tests.support.services import owner

ALL = 2_000_000


@contextmanager
def snapshot_of(url: str) -> Iterator[Snapshot]:
    source = open_source(SourceSettings("app", url))
    try:
        with source.snapshot() as snapshot:
            yield snapshot
    finally:
        source.close()


def suggestions(url: str, whole: int = ALL, taken: ExistingRules = NOTHING) -> Suggestions:
    with snapshot_of(url) as snapshot:
        return suggest.suggest(
            snapshot, snapshot.all_tables(), whole=whole, per_table=50, taken=taken
        )


def written(result: Suggestions, url: str, folder: Path) -> RuleSet:
    (folder / "rules.yaml").write_text(starter.proposals_file(result, "${URL}"), encoding="utf-8")
    return load(folder / "rules.yaml", {"URL": url, "APP_DATABASE_URL": url})


def checked(rules: RuleSet, url: str) -> Mapping[str, Run]:
    with snapshot_of(url) as snapshot:
        plan = planner.plan([rule.invariant for rule in rules.rules.values()], snapshot)
        assert [look.proof for look in plan.checks if look.proof] == []
        return {run.rule: run for run in executor.evaluate(plan, snapshot, {}, snapshot.now)}


BROKEN = {
    "no-duplicate-email-in-people": "1 value of email occurs more than once in people, in 2 rows",
    "every-person-id-of-orders-exists": (
        "2 of 120 orders have a value in person_id that is in no app.people.id"
    ),
    "every-row-of-people-has-name": "1 of 60 people has no name",
    "total-of-orders-adds-up": "1 of 120 orders breaks `total = subtotal + tax`",
    "shipped-at-of-orders-is-not-before-placed-at": (
        "1 of 120 orders breaks `shipped_at >= placed_at`"
    ),
    "status-of-people-is-known": "1 of 60 people has status outside the accepted values",
    "every-website-of-people-is-well-formed": "1 of 60 people has no well-formed website",
    "every-row-of-orders-has-order-lines": "1 of 120 orders has no row in app.order_lines",
}
HOLD = {
    "every-order-id-of-order-lines-exists",
    "no-duplicate-number-in-orders",
    "status-of-orders-is-known",
    "every-email-of-people-is-well-formed",
    "discount-percent-of-orders-is-in-range",
    "valid-to-of-odd-table-1-is-not-before-valid-from",
    "no-duplicate-select-email-in-odd-table-1",
}


@pytest.fixture
def url(database_url: str) -> str:
    shop.build(database_url, schema=not database_url.startswith(("sqlite", "mysql")))
    return database_url


def test_what_is_said_of_the_shop_is_what_checks_find(url: str, tmp_path: Path) -> None:
    result = suggestions(url)
    by_id = {proposal.id: proposal for proposal in result.proposals}
    broken = {proposal.id: proposal.tried.sentence for proposal in result.broken}
    assert {name: broken.get(name) for name in BROKEN} == BROKEN
    assert {name for name in HOLD if name in by_id and by_id[name].tried.holds} == HOLD
    rules = written(result, url, tmp_path)
    runs = checked(rules, url)
    assert runs.keys() == by_id.keys()
    for name, run in runs.items():
        assert (run.outcome, run.rows == 0) == ("complete", by_id[name].tried.holds), (name, run)
        assert run.rows == by_id[name].tried.wrong, name
    assert mistakes(rules) == []
    assert_no_data_is_written(tmp_path / "rules.yaml")
    assert result.empty == ["app.vacant"]
    # What is written is not proposed again.
    assert suggestions(url, taken=ExistingRules.by(rules.rules.values())).proposals == []


#: The schema that needn't be said; on MariaDB that is the database of the URL.
DEFAULTS = {"sqlite": "main", "postgresql": "public", "duckdb": "main"}


def test_a_table_under_its_other_name_is_the_same_table(database_url: str, tmp_path: Path) -> None:
    """Also the table that a rule looks up; but not one of the same name in another schema."""
    shop.build(database_url)
    rules = written(suggestions(database_url), database_url, tmp_path)
    schema = (
        DEFAULTS.get(database_url.split(":", maxsplit=1)[0].split("+", maxsplit=1)[0])
        or make_url(database_url).database
    )
    text = rules.path.read_text(encoding="utf-8")
    assert "in: app.order_lines" in text
    rules.path.write_text(
        re.sub(r"(table: |in: )app\.", rf"\1app.{schema}.", text), encoding="utf-8"
    )
    taken = ExistingRules.by(load(rules.path, {"URL": database_url}).rules.values())
    assert suggestions(database_url, taken=taken).proposals == []
    with snapshot_of(database_url) as snapshot:
        assert table_names.canonical_name(snapshot, "people", schema) == (None, "people")
        if database_url.startswith("sqlite"):
            assert table_names.canonical_name(snapshot, "PEOPLE", None) == (None, "people")


def test_a_slip_of_the_finger_is_no_word(sqlite: str) -> None:
    """`VOID` is as rare, but similar to no other value."""
    engine = owner(sqlite)
    words = ["CARD", "CASH"] * 300 + ["CRAD", "VOID"]
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE payments (id INTEGER PRIMARY KEY, method TEXT)")
        rows = ", ".join(f"({n}, '{word}')" for n, word in enumerate(words))
        connection.exec_driver_sql(f"INSERT INTO payments VALUES {rows}")
    engine.dispose()
    [proposed] = [
        proposal
        for proposal in suggestions(sqlite).proposals
        if proposal.tried.candidate.kind == "accepted_values"
    ]
    assert proposed.tried.candidate.options == {"method": ["CARD", "CASH", "VOID"]}
    assert proposed.tried.sentence == "1 of 602 payments has method outside the accepted values"


def test_a_table_of_another_schema_is_another_one(postgres: str) -> None:
    engine = owner(postgres)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE SCHEMA crm; CREATE TABLE crm.people (id integer); CREATE TABLE people (id int)"
        )
    engine.dispose()
    with snapshot_of(postgres) as snapshot:
        assert table_names.canonical_name(snapshot, "people", "crm") == ("crm", "people")


def test_rows_that_the_login_may_not_see_are_not_said_to_be_missing(
    postgres: str, tmp_path: Path
) -> None:
    """It says when some are hidden; an owner sees all, and gets no note."""
    tables = (
        "CREATE TABLE hidden (id int PRIMARY KEY);INSERT INTO hidden SELECT generate_series(1, 50);"
        "CREATE TABLE half (id int PRIMARY KEY, hidden_id int);"
        "INSERT INTO half SELECT g, g FROM generate_series(1, 50) g;"
        "ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;ALTER TABLE half ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY late ON half FOR SELECT USING (id > 25);"
        "GRANT SELECT ON hidden, half TO {name}"
    )
    create, drop = (
        "CREATE ROLE {name} LOGIN PASSWORD '{password}'",
        "DROP OWNED BY {name};DROP ROLE {name}",
    )
    with login(postgres, create, tables, drop) as reader:
        result = suggestions(reader)
        reason = dict(result.skipped)["app.hidden"]
        assert (
            reason.startswith("row-level security hides all of its rows, if it has any"),
            result.empty,
        ) == (True, [])
        ends = [
            proposal.evidence.endswith("(only rows that row-level security shows to this login)")
            for proposal in result.proposals
        ]
        assert (bool(ends), all(ends)) == (True, True)
        (tmp_path / "rules.yaml").write_text(
            "sources: {app: '${URL}'}\nrules:\n  a: {table: app.half, not_null: id}\n"
            "  b: {table: app.half, references: {hidden_id: app.hidden.id}}\n",
            encoding="utf-8",
        )
        rules = load(tmp_path / "rules.yaml", {"URL": reader})
        warned = [problem.message for problem in mistakes(rules, "warning")]
    warning = "row-level security may hide rows of `app.{}` from this login: they are not checked"
    assert warned == [warning.format("half"), warning.format("hidden")]
    owners = suggestions(postgres)
    assert {proposal.table.name for proposal in owners.proposals} >= {"hidden", "half"}
    assert not [proposal for proposal in owners.proposals if "row-level" in proposal.evidence]


def assert_no_data_is_written(file: Path, *, evil: bool = False) -> None:
    """Except codes, and names, which may be `evil`."""
    text = file.read_text(encoding="utf-8")
    assert evil or "evil" not in text
    assert "\n  evil" not in text
    assert "@example" not in text.lower().replace("@example.com, server", "").replace(
        "<sanity@example.com>", ""
    )
    assert not [
        character for character in text if character != "\n" and not character.isprintable()
    ]


def test_a_large_table_is_read_as_a_sample_and_that_is_said(
    database_url: str, tmp_path: Path
) -> None:
    url = database_url
    engine = owner(url)
    with engine.begin() as connection:
        numbers = ", ".join(f"({n}, {n}, 'big{n}@example.com')" for n in range(5000))
        connection.exec_driver_sql(
            "CREATE TABLE big (id INTEGER PRIMARY KEY, amount INTEGER, email VARCHAR(80))"
        )
        connection.exec_driver_sql(f"INSERT INTO big VALUES {numbers}")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not url.startswith(("sqlite", "duckdb")):
            connection.exec_driver_sql(
                "ANALYZE TABLE big" if url.startswith("mysql") else "ANALYZE big"
            )
    engine.dispose()
    result = suggestions(url, whole=2000)
    of_big = [proposal for proposal in result.proposals if proposal.table.name == "big"]
    assert {proposal.tried.candidate.kind for proposal in of_big} == {
        "unique",
        "matches",
        "between",
        "not_null",
    }
    for proposal in of_big:
        assert 20 < proposal.table.rows_read < 2000
        # It was tried on those rows, not on all.
        assert 20 < proposal.tried.checked <= proposal.table.rows_read
        assert proposal.evidence.endswith(
            f"(a sample: {proposal.table.rows_read:,} of about {proposal.table.rows:,} rows)"
        )
        assert 4000 < proposal.table.rows < 6000
    assert {
        run.rows
        for name, run in checked(written(result, url, tmp_path), url).items()
        if "-big" in name
    } == {0}


def test_what_takes_too_long_is_left_out_and_told(sqlite: str) -> None:
    shop.build(sqlite)
    engine = owner(sqlite)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE slow (id INTEGER PRIMARY KEY, email TEXT, status TEXT)"
        )
        series = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 400000)"
        connection.exec_driver_sql(f"INSERT INTO slow {series} SELECT n, 'a' || n, 'new' FROM s")
    engine.dispose()
    source = open_source(
        SourceSettings("app", sqlite, statement_timeout=timedelta(milliseconds=100))
    )
    with source.snapshot() as snapshot:
        result = suggest.suggest(snapshot, snapshot.all_tables(), whole=ALL)
    source.close()
    [(title, why)] = result.skipped
    assert title == "app.slow"
    assert "cut off" in why
    assert "people" in {proposal.table.name for proposal in result.proposals}


def test_there_is_a_limit_and_it_is_told(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.build(sqlite)
    monkeypatch.setattr(suggest, "IN_ALL", 10)
    with snapshot_of(sqlite) as snapshot:
        result = suggest.suggest(snapshot, snapshot.all_tables(), whole=ALL, per_table=4)
    assert len(result.proposals) == 10
    assert result.left_out > 5
    per_table = Counter(proposal.table.name for proposal in result.proposals)
    assert max(per_table.values()) <= 4
    # What doesn't hold is never left out for what does.
    holds = [proposal.tried.holds for proposal in result.proposals]
    assert holds == sorted(holds)


PERSONAL = {
    "first_name": ["anna", "ben", "carla"],
    "gender_code": ["m", "f", "d"],
    "status": ["call +49 1234567", "write a@b.example", "x"],
    "type": ["1234567890123456", "4000123412341234", "1111222233334444"],
    "state": ["a very long sentence about somebody that nobody should read", "b", "c"],
}


def test_values_that_may_be_about_people_are_not_written(sqlite: str, tmp_path: Path) -> None:
    engine = owner(sqlite)
    with engine.begin() as connection:
        columns = ", ".join(f"{name} VARCHAR(90)" for name in PERSONAL)
        connection.exec_driver_sql(f"CREATE TABLE people (id INTEGER PRIMARY KEY, {columns})")
        for n in range(90):
            row = [values[n % 3] for values in PERSONAL.values()]
            marks = ", ".join("?" * len(row))
            connection.exec_driver_sql(f"INSERT INTO people VALUES ({n}, {marks})", tuple(row))
    engine.dispose()
    result = suggestions(sqlite)
    assert "accepted_values" not in {proposal.tried.candidate.kind for proposal in result.proposals}
    text = starter.proposals_file(result, "x")
    assert not [
        value
        for values in PERSONAL.values()
        for value in values
        if len(value) > 2 and value in text
    ]


def test_a_table_without_a_key_gets_one_or_rules_that_need_none(
    sqlite: str, tmp_path: Path
) -> None:
    engine = owner(sqlite)
    with engine.begin() as connection:
        for name, column, ids in (
            ("named", "id INTEGER", "n"),
            ("nameless", "id INTEGER", "n % 7"),
            ("coded", "carrier TEXT", "'C' || n"),
        ):
            connection.exec_driver_sql(f"CREATE TABLE {name} ({column}, status TEXT)")
            series = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 60)"
            connection.exec_driver_sql(
                f"INSERT INTO {name} {series} SELECT {ids},"
                " CASE n % 2 WHEN 0 THEN 'new' ELSE 'old' END FROM s"
            )
    engine.dispose()
    result = suggestions(sqlite)
    kinds = {
        name: {p.tried.candidate.kind: p.key for p in result.proposals if p.table.name == name}
        for name in NAMES
    }
    assert kinds["named"] == {"unique": (), "not_null": ("id",), "accepted_values": ("id",)}
    assert kinds["nameless"] == {"row_count": ()}
    reason = (
        "it has no primary key, so a rule about its rows needs"
        " `key: [columns that tell them apart]`; "
    )
    left_out = "left out: `not_null` of id and status, `accepted_values` of status"
    assert result.skipped == [("app.nameless", reason + left_out)]
    assert result.tables == len(NAMES)
    assert kinds["coded"] == {
        "unique": (),
        "not_null": ("carrier",),
        "accepted_values": ("carrier",),
    }
    rules = written(result, sqlite, tmp_path)
    assert mistakes(rules) == []


NAMES = ("named", "nameless", "coded")


def test_rows_that_came_every_day_and_stopped_are_told(sqlite: str) -> None:
    engine = owner(sqlite)
    now = datetime.now(UTC).replace(tzinfo=None)
    with engine.begin() as connection:
        for name, first in (("steady", 1), ("stopped", 30), ("sparse", 1)):
            connection.exec_driver_sql(
                f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, created_at TIMESTAMP)"
            )
            step = 48 if name == "sparse" else 2
            times = [now - timedelta(hours=hour) for hour in range(first, 24 * 12, step)]
            rows = ", ".join(f"({n}, '{time.isoformat(' ')}')" for n, time in enumerate(times))
            connection.exec_driver_sql(f"INSERT INTO {name} VALUES {rows}")
    engine.dispose()
    fresh = {
        p.table.name: p for p in suggestions(sqlite).proposals if p.tried.candidate.kind == "fresh"
    }
    assert {name: p.tried.holds for name, p in fresh.items()} == {"steady": True, "stopped": False}
    assert "has no row with created_at of the last 1d" in fresh["stopped"].tried.sentence


def test_declared_foreign_keys_are_believed_as_far_as_the_database_sees_to_them(
    database_url: str,
) -> None:
    """SQLite enforces them only on request; of the others, only a violated one is proposed."""
    engine = owner(database_url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if database_url.startswith("mysql"):
            connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
        for name in ("held", "broken"):
            if name == "broken" and not database_url.startswith(("sqlite", "mysql")):
                continue
            # The names alone would do, too.
            connection.exec_driver_sql(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY)")
            key = f"FOREIGN KEY ({name}_id) REFERENCES {name} (id)"
            connection.exec_driver_sql(
                f"CREATE TABLE of_{name} (id INTEGER PRIMARY KEY, {name}_id INTEGER, {key})"
            )
            references = {n: 99 if (n, name) == (7, "broken") else n for n in range(30)}
            connection.exec_driver_sql(
                f"INSERT INTO {name} VALUES {', '.join(f'({n})' for n in references)}"
            )
            connection.exec_driver_sql(
                f"INSERT INTO of_{name} VALUES {', '.join(map(str, references.items()))}"
            )
    engine.dispose()
    result = {
        proposal.table.name: proposal.tried.holds
        for proposal in suggestions(database_url).proposals
        if proposal.tried.candidate.kind == "references"
    }
    broken = {"of_broken": False} if database_url.startswith(("sqlite", "mysql")) else {}
    assert result == broken | ({"of_held": True} if database_url.startswith("sqlite") else {})


HOSTILE = (
    "${HOME}",
    "a\n  evil: {table: x}\n#",
    "\x1b[31mred",
    "\u202etxet",
    "'quoted' \"twice\" \\",
    "a: {b}, [c] # d",
    "null",
    "%s ?",
)


def test_names_may_be_anything_at_all(sqlite: str, tmp_path: Path) -> None:
    """The written rules load, are right, and contain no control characters."""
    engine = owner(sqlite)
    raw = engine.raw_connection()
    for name in HOSTILE:
        columns = ", ".join(
            shop.quoted(sqlite, part)
            for part in (f"{name} email", f"{name} total", f"{name} start")
        )
        end = shop.quoted(sqlite, f"{name} end")
        raw.cursor().execute(
            f"CREATE TABLE {shop.quoted(sqlite, name)} "
            f"(id INTEGER PRIMARY KEY, {columns}, {end} DATE)"
        )
        marks = [(n, f"a{n}@example.com", n, "2026-01-01", "2026-01-02") for n in range(30)]
        raw.cursor().executemany(
            f"INSERT INTO {shop.quoted(sqlite, name)} VALUES (?, ?, ?, ?, ?)", marks
        )
    raw.commit()
    raw.close()
    engine.dispose()
    result = suggestions(sqlite)
    assert {proposal.table.name for proposal in result.proposals} == set(HOSTILE)
    rules = written(result, sqlite, tmp_path)
    assert rules.rules.keys() == {proposal.id for proposal in result.proposals}
    assert mistakes(rules) == []
    assert {run.outcome for run in checked(rules, sqlite).values()} == {"complete"}
    assert_no_data_is_written(tmp_path / "rules.yaml", evil=True)


def test_sqlite_may_hold_anything_in_any_column(sqlite: str) -> None:
    """No value stops `suggest`, and none leads to a wrong rule."""
    engine = owner(sqlite)
    values = (
        "NULL",
        "1",
        "-1",
        "'text'",
        "x'00ff'",
        "1.5",
        "9e999",
        "9223372036854775807",
        "''",
        "'2026-13-45'",
    )
    columns = (
        "status INTEGER, total NUMERIC, tax REAL, number INTEGER, email TEXT,"
        " created_at TIMESTAMP, updated_at TEXT"
    )
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE invoices (id INTEGER PRIMARY KEY, {columns}, parent_id BLOB, person_id)"
        )
        for n in range(200):
            row = ", ".join(values[(n * step + n) % len(values)] for step in range(9))
            connection.exec_driver_sql(f"INSERT INTO invoices VALUES ({n}, {row})")
    engine.dispose()
    result = suggestions(sqlite)
    assert result.skipped == []
    assert {proposal.tried.candidate.kind for proposal in result.proposals} == {"row_count"}


POINTING = {
    "orders.person_id": "people",
    "orders.billing_address_id": "billing_addresses",
    "orders.delivery_address_id": "addresses",
    "orders.country": "countries",
    "orders.status": None,
    "orders.user_id": "auth_user",
    "orders.box_id": "boxes",
    "shop_lines.item_id": "shop_items",
    "shop_lines.orderLineID": "orderlines",
    "customers.customer_id": None,
    "orders.customer_id": "customers",
}
TARGETS = (
    "people",
    "addresses",
    "billing_addresses",
    "countries",
    "auth_user",
    "boxes",
    "shop_items",
    "other_items",
)


def mistakes(rules: RuleSet, level: str = "error") -> list[Problem]:
    """Return the problems of one level that `lint --connect` reports."""
    problems = lint.connected(rules, rules_document.parse(rules.path))
    return [problem for problem in problems if problem.level == level]


@pytest.mark.parametrize(("column", "target"), POINTING.items())
def test_names_say_what_points_where(column: str, target: str | None) -> None:
    def table(name: str, key: str, *others: str) -> TableProfile:
        columns = {
            each: ColumnInfo(
                each, "", Family.TEXT if each in ("code", "country", "status") else Family.INTEGER
            )
            for each in (key, *others)
        }
        info = TableInfo(name, None, columns, (key,))
        return TableProfile(
            "app", info, 9, 9, {each: ColumnProfile(about) for each, about in columns.items()}
        )

    name, _, column_name = column.partition(".")
    keys = {"countries": "code"}
    tables = {each: table(each, keys.get(each, "id")) for each in (*TARGETS, "orderlines")}
    tables["customers"] = table("customers", "customer_id")
    asking = tables[name] if name in tables else table(name, "id", column_name)
    result = Relationships([*tables.values(), asking]).targets(asking, asking.columns[column_name])
    assert (result[0][0].name if result else None) == target


def test_what_a_constraint_proves_is_not_proposed(postgres: str) -> None:
    """By a CHECK, UNIQUE, NOT NULL or a foreign key; it is, when they were never validated."""
    engine = owner(postgres)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE people (id integer PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO people SELECT g FROM generate_series(1, 60) g")
        connection.exec_driver_sql(
            "CREATE TABLE proved (id integer PRIMARY KEY, code text NOT NULL UNIQUE,"
            " amount integer NOT NULL CHECK (amount >= 0),"
            " status text NOT NULL CHECK (status IN ('new', 'old')),"
            " person_id integer NOT NULL REFERENCES people)"
        )
        connection.exec_driver_sql(
            "CREATE TABLE claimed (id integer PRIMARY KEY, amount integer, person_id integer)"
        )
        connection.exec_driver_sql(
            "INSERT INTO proved SELECT g, 'c' || g, g,"
            " CASE WHEN g < 30 THEN 'new' ELSE 'old' END, g FROM generate_series(1, 60) g"
        )
        connection.exec_driver_sql(
            "INSERT INTO claimed SELECT g, g, g FROM generate_series(1, 61) g"
        )
        connection.exec_driver_sql("ALTER TABLE claimed ADD CHECK (amount >= 0) NOT VALID")
        connection.exec_driver_sql(
            "ALTER TABLE claimed ADD FOREIGN KEY (person_id) REFERENCES people NOT VALID"
        )
    engine.dispose()
    result: dict[str, set[str]] = {}
    for proposal in suggestions(postgres).proposals:
        result.setdefault(proposal.table.name, set()).add(proposal.tried.candidate.kind)
    assert result["proved"] == {"row_count"}
    assert result["claimed"] == {"references", "between", "not_null"}
