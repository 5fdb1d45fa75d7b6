"""What `explain` says is what is done: each rule is told once, and so many statements are made."""

from collections.abc import Callable
from typing import Any

import pytest

from sanityd.checks import executor, explain
from sanityd.checks.plan import Plan
from tests.checks.conftest import Looks

#: Each holds for the table below.
HOLDING: list[dict[str, Any]] = [
    {"not_null": "email"},
    {"between": {"age": [18, 40]}},
    {"length": {"email": [1, 80]}},
    {"unique": "email"},
    {"unique": "id"},
    {"references": {"age": "people.age"}},
    {"row_count": {"min": 2}},
    {"aggregate": {"expr": "sum(age)", "max": 100}},
    {"between": {"age": [18, 40]}, "where": "email like 'a%'"},
    {"columns": {"id": "integer"}},
    {"not_null": "email", "scan": "new rows by id, full daily"},
]


@pytest.mark.parametrize(
    "picked", [HOLDING, HOLDING[:1], HOLDING[5:6], HOLDING[6:7], HOLDING[3:4], HOLDING[9:10]]
)
def test_the_plan_is_what_is_done(
    do: Callable[..., None], looks: Looks, picked: list[dict[str, Any]]
) -> None:
    do("INSERT INTO people VALUES (1, 'a@x.io', 20, NULL), (2, 'b@x.io', 30, NULL)")
    with looks(*({"table": "app.people", **rule} for rule in picked)) as planned:
        snapshot = planned[0].scope.snapshot
        plan = Plan(tuple(planned))
        steps = explain.steps(plan)
        assert snapshot.statements == 0, "explaining has looked at rows"
        runs = list(executor.evaluate(plan, snapshot, {}, snapshot.now))
        assert [run.error for run in runs] == [None] * len(picked)
        assert [run.violations for run in runs] == [0] * len(picked)
        assert sum(step.statements or 0 for step in steps) == snapshot.statements
    told = {rule for step in steps for rule in step.rules}
    assert told == {look.invariant.id for look in planned}
    assert all(len(step.sql) == (step.statements or 0) for step in steps)


def test_the_database_says_what_it_expects(
    do: Callable[..., None], looks: Looks, database_url: str
) -> None:
    do("INSERT INTO people VALUES (1, 'a', 20, NULL)")
    with looks({"table": "app.people", "not_null": "email"}) as planned:
        [step] = explain.steps(Plan(tuple(planned)))
    assert step.form == "scan"
    assert (step.cost is not None) == database_url.startswith("postgresql")
