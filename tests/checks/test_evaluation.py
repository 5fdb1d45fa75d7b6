"""What a look costs, what it reads, and what became of rows that were violations before."""

from collections.abc import Callable
from typing import Any

import pytest

from sanityd.checks import evaluation, executor, planner
from sanityd.checks.findings import Evaluation
from sanityd.checks.plan import Plan
from sanityd.model import Key, Outcome, Resolution, fingerprint
from tests.checks.conftest import Looks

Do = Callable[..., None]
ADULT = {"table": "app.people", "between": {"age": [18, 150]}}


def opened(*keys: Key, rule: str = "rule-0") -> dict[str, Key]:
    """Open violations."""
    return {fingerprint(rule, "app", key): key for key in keys}


def people(do: Do, *ages: int | None) -> None:
    """One of each age, numbered from 1."""
    rows = (
        f"({n}, 'p{n}@x.io', {'NULL' if age is None else age}, 'geheim')"
        for n, age in enumerate(ages, 1)
    )
    do(f"INSERT INTO people VALUES {', '.join(rows)}")


def fates(seen: Evaluation, keys: dict[str, Key]) -> dict[Any, Resolution]:
    """Fates by the id of the row."""
    return {keys[mark].get("id", mark): fate for mark, fate in seen.resolutions.items()}


def test_each_end_of_a_violation_is_told_apart(do: Do, looks: Looks) -> None:
    people(do, 30, 5, 40, 16)
    known = opened({"id": 1}, {"id": 2}, {"id": 3}, {"id": 9})
    with looks({**ADULT, "where": "id <> 3"}) as [look]:
        seen = evaluation.evaluate_check(look, known)
    assert fates(seen, known) == {
        1: Resolution.FIXED,
        3: Resolution.LEFT_SCOPE,
        9: Resolution.ROW_GONE,
    }
    assert [violation.key for violation in seen.tracked] == [{"id": 2}, {"id": 4}]


def test_beyond_the_cap_the_count_is_exact_and_only_what_was_looked_at_again_ends(
    do: Do, looks: Looks
) -> None:
    people(do, *[5] * 7, 30)
    known = opened({"id": 6}, {"id": 8}, {"id": 99})
    with looks(ADULT, cap=3) as [look]:
        seen = evaluation.evaluate_check(look, known)
    assert (seen.violations, seen.rows, len(seen.tracked)) == (7, 7, 3)
    assert fates(seen, known) == {8: Resolution.FIXED, 99: Resolution.ROW_GONE}


def test_exactly_the_cap_is_not_truncated(do: Do, looks: Looks) -> None:
    people(do, 5, 5, 5)
    with looks(ADULT, {"table": "app.people", "unique": "id"}, cap=3) as planned:
        snapshot = planned[0].scope.snapshot
        runs = list(executor.evaluate(Plan(tuple(planned)), snapshot, {}, snapshot.now))
    assert [(run.outcome, run.violations) for run in runs] == [
        (Outcome.COMPLETE, 3),
        (Outcome.COMPLETE, 0),
    ]


def test_duplicated_keys_beyond_the_cap_are_counted_and_looked_at_again(
    do: Do, looks: Looks
) -> None:
    people(do, 1, 1, 2, 2, 3, 3, 4, 4, 4, 5)
    known = opened({"age": 4}, {"age": 5}, {"age": 77})
    with looks({"table": "app.people", "unique": "age"}, cap=2) as [look]:
        seen = evaluation.evaluate_check(look, known)
    tracked = {violation.key["age"] for violation in seen.tracked}
    assert (seen.violations, seen.rows, len(tracked)) == (4, 9, 2)
    expected = {
        fingerprint("rule-0", "app", {"age": 5}): Resolution.FIXED,
        fingerprint("rule-0", "app", {"age": 77}): Resolution.ROW_GONE,
    }
    assert seen.resolutions == expected


def test_a_query_can_not_tell_what_became_of_a_row(do: Do, looks: Looks) -> None:
    people(do, 5)
    known = opened({"id": 7})
    with looks({"source": "app", "query": "select id from people where age < 18", "key": "id"}) as [
        look
    ]:
        assert fates(evaluation.evaluate_check(look, known), known) == {7: Resolution.NOT_RETURNED}


def test_a_violation_under_an_older_key_is_no_longer_returned(do: Do, looks: Looks) -> None:
    people(do, 5)
    known = opened({"email": "p1@x.io"})
    with looks(ADULT) as [look]:
        assert set(evaluation.evaluate_check(look, known).resolutions.values()) == {
            Resolution.NOT_RETURNED
        }


def test_a_clean_rule_costs_one_statement_and_a_broken_one_two(do: Do, looks: Looks) -> None:
    people(do, 30, 40)
    with looks(ADULT) as [look]:
        evaluation.evaluate_check(look, {})
        assert look.scope.snapshot.statements == 1
    do("UPDATE people SET age = 5")
    with looks(ADULT) as [look]:
        evaluation.evaluate_check(look, {})
        assert look.scope.snapshot.statements == 2


def test_only_the_key_and_what_the_rule_shows_is_fetched(do: Do, looks: Looks) -> None:
    people(do, 5)
    with looks({**ADULT, "show": ["email"]}) as [look]:
        [violation] = evaluation.evaluate_check(look, {}).tracked
        sql = " ".join(
            look.scope.snapshot.sql(statement) for statement in look.scope.snapshot.executed
        )
    assert (violation.key, violation.shown) == ({"id": 1}, {"email": "p1@x.io"})
    assert "secret" not in sql


def test_rules_of_a_batch_see_the_same_instant(do: Do, looks: Looks, database_url: str) -> None:
    """A mail committed with its person is never half-seen."""
    if database_url.startswith("duckdb"):
        pytest.skip("nobody can write a DuckDB file while it is looked at")
    if database_url.startswith("sqlite"):
        do("PRAGMA journal_mode = WAL")
    people(do, 30)
    with looks(ADULT, ADULT) as [first, second]:
        assert evaluation.evaluate_check(first, {}).violations == 0
        do("INSERT INTO people VALUES (2, 'late', 5, NULL)")
        assert evaluation.evaluate_check(second, {}).violations == 0
    with looks(ADULT) as [again]:
        assert evaluation.evaluate_check(again, {}).violations == 1


def test_a_rule_that_fails_leaves_the_others_alone(do: Do, looks: Looks) -> None:
    people(do, 5)
    broken = {"table": "app.people", "always": "age = nonsense"}
    with looks(ADULT, broken, {**ADULT, "key": "id"}) as planned:
        snapshot = planned[0].scope.snapshot
        runs = list(executor.evaluate(Plan(tuple(planned)), snapshot, {}, snapshot.now))
    assert [run.outcome for run in runs] == [Outcome.COMPLETE, Outcome.ERRORED, Outcome.COMPLETE]
    assert [run.violations for run in runs] == [1, 0, 1]


def test_a_rule_that_can_not_be_planned_is_refused_alone(do: Do, looks: Looks) -> None:
    people(do, 5)
    with looks(ADULT) as [look]:
        missing = look.invariant.check.model_copy(
            update={"columns": {"nope": look.invariant.check.columns["age"]}}
        )
        wrong = type(look.invariant)("wrong", "between", missing, look.invariant.subject)
        plan = planner.plan([wrong, look.invariant], look.scope.snapshot)
        runs = list(executor.evaluate(plan, look.scope.snapshot, {}, look.scope.snapshot.now))
    assert [(run.rule, run.outcome) for run in runs] == [
        ("wrong", Outcome.ERRORED),
        ("rule-0", Outcome.COMPLETE),
    ]
