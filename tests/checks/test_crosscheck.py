"""Rows of one database and their evidence in another: each pair of databases, every way to count,
values as values."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from sanityd import clock, pipeline
from sanityd.checks.confirm import Suspects
from sanityd.checks.planner import NOTHING, PriorState
from sanityd.model import Outcome, Run, fingerprint
from sanityd.rules.load import load
from tests.support.services import owner

DATABASES = ("sqlite", "postgres", "mariadb", "duckdb")
PAIRS = [pair for pair in product(DATABASES, DATABASES) if pair[0] != pair[1]]


@dataclass
class Two:
    """Two databases, and rules that look from one into the other."""

    folder: Path
    urls: dict[str, str]
    zone_of_mail: str = "UTC"
    engines: dict[str, Engine] = field(default_factory=dict)

    def sql(self, name: str, *statements: str) -> None:
        """Do something in one of them."""
        engine = self.engines.setdefault(name, owner(self.urls[name]))
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def look(self, rule: dict[str, Any], prior: PriorState = NOTHING) -> Run:
        """What one rule finds."""
        [run] = self.look_at_all([rule], prior)
        return run

    def look_at_all(self, rules: list[dict[str, Any]], prior: PriorState = NOTHING) -> list[Run]:
        """What each of several rules finds."""
        path = self.folder / "rules.yaml"
        sources = {"app": "${APP}", "mail": {"url": "${MAIL}", "zone": self.zone_of_mail}}
        path.write_text(
            json.dumps(
                {
                    "sources": sources,
                    "rules": {
                        f"r{number}": {"confirm": "again after 9s", **rule}
                        for number, rule in enumerate(rules)
                    },
                }
            )
        )
        loaded = load(path, {name.upper(): url for name, url in self.urls.items()})
        batch = list(loaded.rules.values())
        found = pipeline.evaluate(loaded, batch, datetime.now(UTC), prior)
        runs = {run.rule: run for run in found}
        suspects = {name: Suspects.of(run) for name, run in runs.items() if run.unconfirmed}
        if suspects:
            clock.pause(9, None)
            waiting = [loaded.rules[name] for name in suspects]
            again = pipeline.evaluate(loaded, waiting, datetime.now(UTC), suspects=suspects)
            runs |= {run.rule: run for run in again}
        assert not any(run.unconfirmed for run in runs.values())
        return [runs[rule.id] for rule in batch]


@pytest.fixture
def two(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Two]:
    """The databases named by the test, and no time to lose."""
    monkeypatch.setattr(clock, "pause", lambda *_: None)
    app, mail = request.param
    urls = {"app": request.getfixturevalue(app), "mail": request.getfixturevalue(mail)}
    made = Two(tmp_path, urls)
    yield made
    for engine in made.engines.values():
        engine.dispose()


@pytest.fixture
def people(two: Two) -> Two:
    """Five people here; there two mails of the first, one of the second, one of nobody, and one of
    somebody unknown."""
    two.sql("app", "CREATE TABLE people (id INTEGER PRIMARY KEY, email VARCHAR(80), age INTEGER)")
    two.sql("app", "INSERT INTO people VALUES (1,'a',1),(2,'b',2),(3,'A',3),(4,NULL,4),(5,'a ',5)")
    two.sql(
        "mail",
        "CREATE TABLE mails (id INTEGER PRIMARY KEY, person_id INTEGER, address VARCHAR(80), sent INTEGER)",
    )
    two.sql(
        "mail",
        "INSERT INTO mails VALUES (1,1,'a',1),(2,1,'a',0),(3,2,'b',1),(4,NULL,NULL,1),(5,99,'z',1)",
    )
    return two


def ids(run: Run) -> list[Any]:
    """What violates."""
    assert run.error is None, run.error
    return [violation.key["id"] for violation in run.tracked]


#: Ways to count, and the people who have a wrong number of counterparts.
COUNTS: list[tuple[dict[str, Any], list[int]]] = [
    ({"on": {"id": "person_id"}}, [3, 4, 5]),
    ({"on": {"id": "person_id"}, "where": "sent = 0"}, [2, 3, 4, 5]),
    ({"on": {"id": "person_id"}, "count": "at most 1"}, [1]),
    ({"on": {"id": "person_id"}, "count": "exactly 1"}, [1, 3, 4, 5]),
    ({"on": {"id": "person_id"}, "count": "at least 2"}, [2, 3, 4, 5]),
    ({"on": {"id": "person_id"}, "count": "none"}, [1, 2]),
    ({"on": {"email": "address"}}, [3, 5]),
    ({"on": {"id": "person_id", "email": "address"}}, [3, 5]),
]


@pytest.mark.parametrize("two", PAIRS, indirect=True, ids="-".join)
def test_counterparts_in_another_database_are_counted(people: Two) -> None:
    runs = people.look_at_all(
        [
            {"table": "app.people", "has": {"in": "mail.mails", **has}, "confirm": "no"}
            for has, _ in COUNTS
        ]
    )
    for (has, expected), run in zip(COUNTS, runs, strict=True):
        assert ids(run) == expected, has
        assert (run.violations, run.checked, run.outcome) == (len(expected), 5, Outcome.COMPLETE)


@pytest.mark.parametrize("two", [("sqlite", "postgres")], indirect=True, ids="-".join)
def test_the_rest_of_a_rule_means_what_it_means_within_one_database(people: Two) -> None:
    unknown = people.look(
        {
            "table": "app.people",
            "has": {"in": "mail.mails", "on": {"email": "address"}},
            "nulls": "fail",
            "show": ["age"],
        }
    )
    assert sorted((v.key["id"], v.shown["age"]) for v in unknown.tracked) == [
        (3, 3),
        (4, 4),
        (5, 5),
    ]
    narrowed = people.look(
        {"table": "mail.mails", "references": {"person_id": "app.people.id"}, "where": "id <> 5"}
    )
    assert ids(narrowed) == []
    dangling = people.look({"table": "mail.mails", "references": {"person_id": "app.people.id"}})
    assert ids(dangling) == [5]
    count = people.look({"table": "app.people", "row_count": {"equals": "mail.mails"}})
    assert (count.violations, count.measured) == (0, 5)
    fewer = people.look(
        {"table": "app.people", "where": "id > 1", "row_count": {"equals": "mail.mails"}}
    )
    assert fewer.violations == 1


@pytest.mark.parametrize("two", PAIRS, indirect=True, ids="-".join)
def test_values_of_different_types_are_compared_as_values(two: Two) -> None:
    strict = {name: url.startswith(("postgresql", "duckdb")) for name, url in two.urls.items()}
    ref = {name: "uuid" if strict[name] else "varchar(40)" for name in strict}
    moment = {name: "timestamp" if strict[name] else "datetime" for name in strict}
    two.sql(
        "app",
        f"CREATE TABLE a (id INTEGER PRIMARY KEY, n INT, ref {ref['app']}, seen {moment['app']}, price DECIMAL(9,3))",
        "INSERT INTO a VALUES (1, 1, '0f5c3f6e-1111-4222-8333-44445555666a', '2026-01-01 10:00:00', 1.5),"
        " (2, 2, '0f5c3f6e-1111-4222-8333-44445555666b', '2026-01-01 11:00:00', 2)",
    )
    two.sql(
        "mail",
        f"CREATE TABLE b (id INTEGER PRIMARY KEY, n VARCHAR(9), ref {ref['mail']}, seen {moment['mail']}, price FLOAT)",
        "INSERT INTO b VALUES (1, '1.0', '0F5C3F6E-1111-4222-8333-44445555666A', '2026-01-01 10:00:00', 1.50)",
    )
    columns = ["n", "seen", "price"] + (["ref"] if any(strict.values()) else [])
    runs = two.look_at_all(
        [
            {"table": "app.a", "has": {"in": "mail.b", "on": {column: column}}, "confirm": "no"}
            for column in columns
        ]
    )
    for column, run in zip(columns, runs, strict=True):
        assert ids(run) == [2], column


@pytest.mark.parametrize("two", PAIRS, indirect=True, ids="-".join)
def test_times_are_instants_whatever_zone_they_are_kept_in(two: Two) -> None:
    """Here with a zone, there without one, meant in that of the source; and days, which have
    none."""
    instant = "TIMESTAMP" if two.urls["app"].startswith("mysql") else "TIMESTAMPTZ"
    plain = "DATETIME" if two.urls["mail"].startswith(("mysql", "sqlite")) else "TIMESTAMP"
    offset = "" if two.urls["app"].startswith("mysql") else "+00:00"
    two.sql(
        "app",
        *(["SET time_zone = '+00:00'"] if two.urls["app"].startswith("mysql") else []),
        f"CREATE TABLE a (id INTEGER PRIMARY KEY, seen {instant}, day DATE)",
        f"INSERT INTO a VALUES (1, '2026-07-01 10:00:00{offset}', '2026-07-01'),"
        f" (2, '2026-07-01 12:00:00{offset}', '2026-07-02'), (3, '2026-01-01 10:00:00{offset}', '2026-01-01')",
    )
    two.sql(
        "mail",
        f"CREATE TABLE b (id INTEGER PRIMARY KEY, seen {plain}, day DATE)",
        "INSERT INTO b VALUES (1, '2026-07-01 12:00:00', '2026-07-01'), (3, '2026-01-01 11:00:00', '2026-01-01')",
    )
    two.zone_of_mail = "Europe/Berlin"
    runs = two.look_at_all(
        [
            {"table": "app.a", "has": {"in": "mail.b", "on": {"seen": "seen"}}, "confirm": "no"},
            {"table": "app.a", "has": {"in": "mail.b", "on": {"day": "day"}}, "confirm": "no"},
            {
                "table": "app.a",
                "same_as": {"in": "mail.b", "on": "id", "compare": ["seen", "day"]},
            },
        ]
    )
    assert [ids(run) for run in runs] == [[2], [2], [2]]


@pytest.mark.parametrize("two", PAIRS, indirect=True, ids="-".join)
def test_two_tables_of_two_databases_agree_row_for_row_or_it_is_said_where_they_do_not(
    two: Two,
) -> None:
    two.sql(
        "app", "CREATE TABLE pay (id INTEGER PRIMARY KEY, amount DECIMAL(9,2), currency VARCHAR(9))"
    )
    two.sql(
        "app", "INSERT INTO pay VALUES (1, 1.5, 'EUR'), (2, 2, 'EUR'), (3, 3, NULL), (4, 4, 'EUR')"
    )
    two.sql(
        "mail",
        "CREATE TABLE led (ref VARCHAR(9), amount VARCHAR(9), ccy VARCHAR(9), cents INTEGER)",
    )
    two.sql(
        "mail",
        "INSERT INTO led VALUES ('1', '1.50', 'EUR', 150), ('2', '2.0', 'eur', 200), ('3', '3', NULL, 300),"
        " ('5', '5', 'EUR', 500)",
    )
    same = {
        "in": "mail.led",
        "on": {"id": "ref"},
        "compare": {"amount": "amount", "currency": "ccy"},
    }
    run = two.look({"table": "app.pay", "same_as": same, "show": ["currency"]})
    assert run.error is None
    found = [(str(one.key["id"]), one.detail, dict(one.shown)) for one in run.tracked]
    assert found == [
        ("2", "currency differs", {"currency": "EUR", "currency there": "eur"}),
        ("4", "not in mail.led", {"currency": "EUR"}),
        ("5", "not in app.pay", {"currency there": "EUR"}),
    ]
    query = "select ref, cents / 100.0 as amount from led where ref <> '5'"
    same = {"in": {"source": "mail", "query": query}, "on": {"id": "ref"}, "compare": "amount"}
    assert ids(two.look({"table": "app.pay", "same_as": same})) == [4]


@pytest.mark.parametrize(
    "two", [("sqlite", "postgres"), ("mariadb", "sqlite")], indirect=True, ids="-".join
)
def test_a_row_that_arrives_between_the_looks_is_no_difference(
    people: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    def arrive(*_: object) -> None:
        people.sql("mail", "INSERT INTO mails VALUES (6, 3, 'A', 1), (7, 4, NULL, 1)")

    monkeypatch.setattr(clock, "pause", arrive)
    same = {"in": "mail.mails", "on": {"id": "person_id"}, "where": "sent = 1 and person_id < 90"}
    assert ids(people.look({"table": "app.people", "same_as": same})) == [5]


@pytest.mark.parametrize("two", [("postgres", "mariadb")], indirect=True, ids="-".join)
def test_more_than_the_cap_is_counted_exactly(two: Two) -> None:
    two.sql(
        "app",
        "CREATE TABLE a (id INTEGER PRIMARY KEY)",
        "INSERT INTO a SELECT * FROM generate_series(1, 3000)",
    )
    two.sql("mail", "CREATE TABLE b (id INTEGER PRIMARY KEY)", "INSERT INTO b VALUES (1500)")
    run = two.look({"table": "app.a", "has": {"in": "mail.b", "on": {"id": "id"}}})
    assert (run.violations, len(run.tracked), run.outcome) == (2999, 1000, Outcome.TRUNCATED)


@pytest.mark.parametrize(
    "two", [("sqlite", "mariadb"), ("mariadb", "postgres")], indirect=True, ids="-".join
)
def test_a_source_that_is_down_makes_the_rule_unknown_and_not_green(people: Two) -> None:
    people.urls["mail"] = "postgresql://u:pa55word@127.0.0.1:1/x"
    run = people.look(
        {"table": "app.people", "has": {"in": "mail.mails", "on": {"id": "person_id"}}}
    )
    assert run.outcome is Outcome.ERRORED
    assert "pa55word" not in f"{run.error} {run.hint}"


@pytest.mark.parametrize(
    "two", [("sqlite", "postgres"), ("postgres", "mariadb")], indirect=True, ids="-".join
)
def test_a_suspect_that_is_gone_at_the_second_look_is_no_violation(
    people: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mail was on its way between the two databases."""

    def arrive(*_: object) -> None:
        people.sql("mail", "INSERT INTO mails VALUES (6, 3, 'A', 1), (7, 4, NULL, 1)")

    monkeypatch.setattr(clock, "pause", arrive)
    run = people.look(
        {"table": "app.people", "has": {"in": "mail.mails", "on": {"id": "person_id"}}}
    )
    assert (ids(run), run.violations, run.rows) == ([5], 1, 1)


@pytest.mark.parametrize("two", [("sqlite", "postgres")], indirect=True, ids="-".join)
def test_nothing_suspicious_is_not_waited_for(people: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "pause", lambda seconds, _: pytest.fail(f"waited for {seconds} s"))
    people.sql("mail", "INSERT INTO mails VALUES (6, 3, 'A', 1), (7, 4, NULL, 1), (8, 5, NULL, 1)")
    assert (
        ids(
            people.look(
                {"table": "app.people", "has": {"in": "mail.mails", "on": {"id": "person_id"}}}
            )
        )
        == []
    )
    rule = {
        "table": "app.people",
        "has": {"in": "mail.mails", "on": {"id": "id"}, "count": "none"},
        "confirm": "no",
    }
    assert len(ids(people.look(rule))) == 5


@pytest.mark.parametrize("two", PAIRS, indirect=True, ids="-".join)
def test_keys_of_two_databases_may_be_computed_on_either_side(two: Two) -> None:
    joins = "concat('P', id)" if two.urls["app"].startswith("mysql") else "'P' || id"
    two.sql("app", "CREATE TABLE pay (id INTEGER PRIMARY KEY, amount INTEGER)")
    two.sql("app", "INSERT INTO pay VALUES (1, 10), (2, 20), (3, 30)")
    two.sql("mail", "CREATE TABLE led (ref VARCHAR(9), cents INTEGER)")
    two.sql("mail", "INSERT INTO led VALUES ('P1', 1000), ('p2', 2000), ('P3', 3100), ('P3', 3100)")
    has = {"in": "mail.led", "on": {joins: "ref"}}
    assert ids(two.look({"table": "app.pay", "has": has})) == [2]
    assert ids(two.look({"table": "app.pay", "has": {**has, "count": "at most 1"}})) == [3]
    has = {"in": "mail.led", "on": {"id + 0": "substr(ref, 2)", "amount * 100": "cents"}}
    assert ids(two.look({"table": "app.pay", "has": has})) == [3]
    references = {"upper(ref)": "app.people.code"}
    two.sql("app", "CREATE TABLE people (code VARCHAR(9) PRIMARY KEY)")
    two.sql("app", "INSERT INTO people VALUES ('P1'), ('P2')")
    run = two.look({"table": "mail.led", "key": "ref", "references": references})
    assert (run.error, run.violations) == (None, 2)
    same = {"in": "mail.led", "on": {joins: "upper(ref)"}, "compare": {"amount * 100": "cents"}}
    run = two.look({"table": "app.pay", "same_as": same})
    assert [dict(violation.key) for violation in run.tracked] == [{joins: "P3"}]


@pytest.mark.parametrize("two", PAIRS, indirect=True, ids="-".join)
def test_each_side_has_its_own_grace_in_its_own_zone(two: Two) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    old, young = now - timedelta(hours=1), now - timedelta(minutes=1)
    two.zone_of_mail = "Asia/Tokyo"
    ahead = timedelta(hours=9)
    for name, moved in (("app", timedelta(0)), ("mail", ahead)):
        moment = "DATETIME" if two.urls[name].startswith(("mysql", "sqlite")) else "TIMESTAMP"
        two.sql(name, f"CREATE TABLE a (id INTEGER PRIMARY KEY, n INT, seen {moment})")
        rows = {"app": [(1, old), (2, young), (3, old)], "mail": [(3, young), (4, old), (5, young)]}
        for number, seen in rows[name]:
            at = f"{seen + moved:%Y-%m-%d %H:%M:%S}"
            two.sql(name, f"INSERT INTO a VALUES ({number}, {len(name)}, '{at}')")
    sides: list[Any] = ["mail.a", {"source": "mail", "query": "select id, n, seen from a"}]
    for other in sides:
        same = {"in": other, "on": "id", "compare": "n", "within": "10m of seen"}
        run = two.look({"table": "app.a", "within": "10m of seen", "same_as": same})
        assert ids(run) == [1, 4], other


@pytest.mark.parametrize("two", [("sqlite", "duckdb")], indirect=True, ids="-".join)
def test_what_is_open_stays_open_while_it_differs_however_young_it_became(two: Two) -> None:
    two.sql("app", "CREATE TABLE a (id INTEGER PRIMARY KEY, n INT)")
    two.sql("app", "INSERT INTO a VALUES (1, 1), (2, 2)")
    two.sql("mail", "CREATE TABLE b (id INTEGER PRIMARY KEY, n INT, seen TIMESTAMP)")
    at = f"{datetime.now(UTC) - timedelta(minutes=1):%Y-%m-%d %H:%M:%S}"
    two.sql("mail", f"INSERT INTO b VALUES (1, 9, '{at}'), (2, 9, '{at}')")
    same = {"in": "mail.b", "on": "id", "compare": "n", "within": "10m of seen"}
    rule = {"table": "app.a", "same_as": same}
    assert ids(two.look(rule)) == []
    mark = fingerprint("r0", "app", {"id": 1})
    run = two.look(rule, PriorState(open_keys={"r0": {mark: {"id": 1}}}))
    assert (ids(run), run.violations, dict(run.resolutions)) == ([1], 1, {})
