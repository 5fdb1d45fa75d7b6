"""Rules that are answered together say what each says alone: on random rows, on each database,
whoever fails."""

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from sanityd.checks import evaluation, executor, fused_scan
from sanityd.checks.forms import queries
from sanityd.checks.plan import Plan, PlannedCheck
from sanityd.errors import CheckError
from sanityd.model import Outcome, Run
from tests.checks.conftest import Looks

Do = Callable[..., None]

#: Of each form: those that share a scan and those that don't, in and out of a window, with grace,
#: with NULLs.
RULES: list[dict[str, Any]] = [
    {"not_null": ["name", "age"]},
    {"not_null": {"columns": ["name"], "blank": "fail"}, "show": ["age"]},
    {"between": {"age": [18, 40]}},
    {"between": {"age": [18, 40]}, "nulls": "fail", "show": ["name", "id"]},
    {"between": {"age": [18, 40]}, "where": "name is not null"},
    {"accepted_values": {"state": ["new", "paid"]}},
    {"accepted_values": {"state": ["new", "paid"], "name": ["a", "b"]}, "where": "age > 20"},
    {"matches": {"name": "[a-c]+"}},
    {"matches": {"state": "[a-z]+"}},
    {"matches": {"state": "p.*", "name": "[a-z]+"}},
    {"not_matches": {"state": "n.w"}},
    {"matches": {"state": "[a-z]+"}, "nulls": "fail"},
    {"length": {"name": [1, 2]}},
    {"always": "age > 20 or state = 'new'"},
    {"never": "age in (select ref from items where ref > 30)"},
    {"not_null": "state", "window": "5d of made"},
    {"between": {"age": [18, 40]}, "window": "5d of made"},
    {"not_null": "state", "within": "5d of made"},
    {"not_null": "state", "key": ["age"], "where": "age is not null"},
    {"unique": "name"},
    {"unique": ["name", "state"]},
    {"unique": "age", "where": "state = 'new'"},
    {"unique": "code"},
    {"unique": {"columns": "name", "ignore": ["case"]}},
    {"unique": {"columns": "name", "nulls": "equal"}},
    {"unique": "name", "window": "5d of made"},
    {"references": {"ref": "items.id"}},
    {"references": {"ref": "items.id"}, "nulls": "fail"},
    {"has": {"in": "app.items", "on": {"id": "ref"}, "count": "at most 2"}},
    {"has": {"in": "app.items", "on": {"id": "ref"}, "where": "age > 20"}},
    {"row_count": {"min": 1}},
    {"row_count": {"max": 2}, "where": "age > 20"},
    {"aggregate": {"expr": "sum(age)", "max": 500}},
    {"aggregate": {"expr": "sum(age)", "max": 500}, "where": "age > 20"},
    {"fresh": {"made": "1d"}, "where": "state = 'new'"},
    {"accepted_values": {"age": [5, 20, 21]}},
    {"matches": {"age": "[0-9]"}},
    {"fresh": {"made": "1d"}},
]
#: Each fails, on some database or on all, at the parser or at a row.
BROKEN: list[dict[str, Any]] = [
    {"always": "age = nonsense"},
    {"always": "100 / (age - 20) > -1000"},
    {"matches": {"name": "(("}},
    {"not_null": "state", "where": "nonsense > 1"},
    {"aggregate": {"expr": "sum(nonsense)", "max": 1}},
]


@pytest.fixture
def fill(do: Do) -> Callable[[random.Random], None]:
    """Makes the table of random rows, few of each value, so that each rule is broken now and
    then."""
    do(
        "CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR(20), age INTEGER, state VARCHAR(20), ref INTEGER,"
        " code BIGINT, made TIMESTAMP NULL)"
    )

    def literal(value: object) -> str:
        return "NULL" if value is None else f"'{value}'" if isinstance(value, str) else str(value)

    def run(chance: random.Random) -> None:
        rows = [
            (
                number,
                chance.choice(["a", "A", "b", "bb", "abc", "", " ", "d1", None, f"n{number}"]),
                chance.choice([None, 5, 20, 21, 30, 41, number]),
                chance.choice(["new", "paid", "PAID", "new ", None]),
                chance.choice([None, 1, 2, 3, 999, number]),
                chance.choice([None, 64, 65, 2**40, 2**40 + 1, -7, number * 1000]),
                chance.choice([None, "2001-01-01 00:00:00", "2033-01-01 00:00:00"]),
            )
            for number in range(1, chance.choice([2, 12, 40]))
        ]
        do("DELETE FROM items")
        do(
            "INSERT INTO items VALUES "
            + ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
        )

    return run


def rules(*picked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All about the one table."""
    return [{"table": "app.items", **rule} for rule in picked]


def told(run: Run) -> tuple[Any, ...]:
    """What a run says. Beyond the cap, of a rule without an order, any rows will do."""
    tracked = frozenset(
        (repr(one.key), repr(one.shown), one.detail, one.rows) for one in run.tracked
    )
    rows = len(tracked) if run.truncated and run.kind not in ROW_KINDS else tracked
    return (
        run.rule,
        run.outcome,
        run.error is None,
        run.violations,
        run.rows,
        run.checked,
        run.measured,
        rows,
        run.severity,
    )


ROW_KINDS = {
    "not_null",
    "between",
    "accepted_values",
    "matches",
    "not_matches",
    "length",
    "always",
    "never",
    "references",
    "has",
}


def alone(looks: list[PlannedCheck]) -> Iterator[tuple[Any, ...]]:
    """Each in a plan of its own."""
    for look in looks:
        [run] = executor.evaluate(Plan((look,)), look.scope.snapshot, {}, look.scope.snapshot.now)
        yield told(run)


def together(looks: list[PlannedCheck]) -> list[tuple[Any, ...]]:
    """All in one plan."""
    snapshot = looks[0].scope.snapshot
    return [told(run) for run in executor.evaluate(Plan(tuple(looks)), snapshot, {}, snapshot.now)]


@pytest.mark.parametrize("seed", range(6))
def test_together_says_what_each_says_alone(
    fill: Callable[..., None], looks: Looks, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    fill(chance)
    picked = [*RULES, *chance.sample(BROKEN, k=chance.choice([0, 1, 3]))]
    chance.shuffle(picked)
    with looks(*rules(*picked), cap=chance.choice([1, 3, 1000])) as planned:
        monkeypatch.setattr(queries, "LARGE_TABLE", 10**9)
        expected = list(alone(planned))
        monkeypatch.setattr(queries, "LARGE_TABLE", 0)
        assert together(planned) == expected


@pytest.mark.parametrize("seed", range(3))
def test_two_connections_say_what_one_says(
    fill: Callable[..., None], looks: Looks, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    fill(chance)
    with looks(*rules(*RULES), cap=3) as planned:
        expected = together(planned)
        monkeypatch.setattr(executor, "PARALLEL_FROM_ROWS", -1)
        assert together(planned) == expected


def test_the_second_connection_sees_the_instant_of_the_first(
    do: Do, looks: Looks, database_url: str
) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("only PostgreSQL lends a snapshot to a second connection")
    do("INSERT INTO people VALUES (1, 'a', 5, NULL)")
    with looks({"table": "app.people", "between": {"age": [18, 150]}}) as [look]:
        snapshot = look.scope.snapshot
        do("INSERT INTO people VALUES (2, 'late', 5, NULL)")
        assert snapshot.export_snapshot()
        seen, thread_of = [], []

        def beside() -> None:
            with snapshot.second_connection() as ready:
                seen.append(
                    (ready, evaluation.evaluate_check(look, {}).violations, snapshot.statements)
                )
                thread_of.append(threading.current_thread())

        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()
        assert seen == [(True, 1, 2)]
        assert thread_of == [thread]
        assert evaluation.evaluate_check(look, {}).violations == 1


def test_many_rules_of_a_table_cost_two_statements(fill: Callable[..., None], looks: Looks) -> None:
    """But for those that have another table in them, and for regular expressions, which ask about
    words first."""
    fill(random.Random(1))
    shared = ROW_KINDS - {"references", "has", "never", "matches", "not_matches"} | {
        "row_count",
        "fresh",
    }
    picked = [rule for rule in RULES if shared & rule.keys() and "window" not in rule]
    picked = [
        rule for rule in picked if "where" not in rule or not {"row_count", "fresh"} & rule.keys()
    ]
    with looks(*rules(*picked)) as planned:
        snapshot = planned[0].scope.snapshot
        runs = list(executor.evaluate(Plan(tuple(planned)), snapshot, {}, snapshot.now))
        assert snapshot.statements == 2
    assert len(runs) == len(picked) > 10
    assert sum(run.statements for run in runs) == 2


def test_the_one_that_fails_is_found_by_halving(fill: Callable[..., None], looks: Looks) -> None:
    fill(random.Random(1))
    good: list[dict[str, Any]] = [
        {"not_null": "state"},
        {"between": {"age": [18, 40]}},
        {"length": {"name": [1, 2]}},
    ]
    with looks(*rules(*good, {"always": "age = nonsense"}, *good[:2])) as planned:
        snapshot = planned[0].scope.snapshot
        runs = list(executor.evaluate(Plan(tuple(planned)), snapshot, {}, snapshot.now))
    assert [run.outcome for run in runs] == [*["complete"] * 3, "errored", *["complete"] * 2]


def test_what_narrows_by_an_index_is_not_read_with_what_does_not(
    fill: Callable[..., None], looks: Looks
) -> None:
    fill(random.Random(1))
    whole, recent = {"not_null": "state"}, {"not_null": "state", "window": "5d of made"}
    with looks(*rules(whole, recent, whole, recent)) as planned:
        assert [len(unit) for unit in Plan(tuple(planned)).units()] == [2, 2]


def test_a_rule_that_asks_for_more_rows_than_it_may_follow_does_not_shorten_the_others(
    do: Do, looks: Looks
) -> None:
    """Beyond the sum of the caps the scan is cut off: nothing of it is taken for the whole."""
    do("INSERT INTO people VALUES " + ", ".join(f"({n}, 'e{n}', {n}, NULL)" for n in range(1, 101)))
    massive, few = {"always": "age > 100"}, {"always": "age <> 100"}
    with looks(*({"table": "app.people", **rule} for rule in (massive, few)), cap=4) as planned:
        snapshot = planned[0].scope.snapshot
        runs = list(executor.evaluate(Plan(tuple(planned)), snapshot, {}, snapshot.now))
    assert [(run.outcome, run.violations, run.checked) for run in runs] == [
        (Outcome.TRUNCATED, 100, 100),
        (Outcome.COMPLETE, 1, 100),
    ]
    assert [one.key for one in runs[0].tracked] == [{"id": number} for number in (1, 2, 3, 4)]
    assert [one.key for one in runs[1].tracked] == [{"id": 100}]


def test_digests_that_collide_are_no_duplicates(
    do: Do, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A digest is a clue: what decides are the values."""
    do("INSERT INTO people VALUES (1, 'a', 5, NULL), (2, 'b', 5, NULL), (3, 'b', 5, NULL)")
    with looks({"table": "app.people", "unique": "email"}) as [look]:
        dialect = type(look.scope.snapshot.source.dialect)
        monkeypatch.setattr(dialect, "digest", lambda _self, elements, _infos: elements[0] > "!")
        monkeypatch.setattr(queries, "LARGE_TABLE", 0)
        seen = evaluation.evaluate_check(look, {})
    assert [violation.key for violation in seen.tracked] == [{"email": "b"}]


def test_a_digest_that_can_not_be_had_is_not_missed(
    do: Do, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    do("INSERT INTO people VALUES (2, 'b', 5, NULL), (3, 'b', 5, NULL)")

    def fails(_self: object, *_: object) -> Any:
        raise CheckError("no such function")

    with looks({"table": "app.people", "unique": "email"}) as [look]:
        monkeypatch.setattr(queries, "LARGE_TABLE", 0)
        candidates = look.invariant.check.candidates(look.scope)
        if candidates is None:
            pytest.skip("this database has no digests that are quicker")
        monkeypatch.setattr(
            type(look.scope.snapshot), "rows", _failing_once(type(look.scope.snapshot).rows)
        )
        assert evaluation.evaluate_check(look, {}).violations == 1
    assert replace(look) == look


def _failing_once(rows: Callable[..., Any]) -> Callable[..., Any]:
    failed: list[bool] = []

    def run(self: object, *arguments: Any, **options: Any) -> Any:
        if not failed:
            failed.append(True)
            raise CheckError("the function doesn't exist")
        return rows(self, *arguments, **options)

    return run


def test_more_candidates_than_are_followed_are_all_looked_into(
    do: Do, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    do("INSERT INTO people VALUES " + ", ".join(f"({n}, 'e{n // 2}', 5, NULL)" for n in range(20)))
    monkeypatch.setattr(queries, "LARGE_TABLE", 0)
    monkeypatch.setattr(queries, "MAX_CANDIDATES", 3)
    with looks({"table": "app.people", "unique": "email"}) as [look]:
        assert evaluation.evaluate_check(look, {}).violations == 10


def test_each_rule_of_a_scan_is_answered_however_many_rows_one_of_them_has(
    do: Do, looks: Looks
) -> None:
    do("INSERT INTO people VALUES " + ", ".join(f"({n}, 'e{n}', {n}, NULL)" for n in range(1, 101)))
    shares = ("age > 100", "age <> 100", "age <> 50", "age > 0")
    with looks(*({"table": "app.people", "always": share} for share in shares), cap=4) as planned:
        hits = fused_scan.scan(planned)
    found = [hits[look.invariant.id] for look in planned]
    assert [one.violations for one in found if isinstance(one, fused_scan.Hits)] == [100, 1, 1, 0]


def test_what_fails_together_for_no_reason_is_tried_alone(
    fill: Callable[..., None], looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(random.Random(1))

    def fails(*_: object) -> Any:
        raise ZeroDivisionError

    with looks(*rules(*RULES)) as planned:
        expected = together(planned)
        monkeypatch.setattr(evaluation, "evaluate_together", fails)
        assert together(planned) == expected


def test_planning_reads_no_row(fill: Callable[..., None], looks: Looks) -> None:
    fill(random.Random(1))
    with looks(*rules(*RULES)) as planned:
        assert planned[0].scope.snapshot.statements == 0
        assert Plan(tuple(planned)).counted()
