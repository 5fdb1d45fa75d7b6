"""Evidence in the store: of many rules it is saved and tidied in the same statements."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sanityd.model import Evidence, Outcome, Run
from sanityd.store import evidence
from sanityd.store.open import Store
from tests.store.test_violations import counted

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def run(rule: str, at: datetime) -> Run:
    """A run of a rule that opens two violations, each with evidence of two queries."""
    items = tuple(Evidence(name, "app", at, ({"who": "ana"},), count=1) for name in ("a", "b"))
    found = {f"{rule}-1": items, f"{rule}-2": items}
    made = Run(rule, "unique", "app", at, Outcome.COMPLETE, violations=2, checked=9)
    return replace(made, evidence=found)


@pytest.mark.parametrize("rules", [1, 20])
def test_any_number_of_rules_takes_three_statements(store: Store, rules: int) -> None:
    names = [f"r{number}" for number in range(rules)]
    for number in range(evidence.KEPT + 1):
        runs = [run(name, AT + number * MINUTE) for name in names]
        opened = [(one, {*one.evidence, "other"}) for one in runs]
        with store.write() as connection, counted(store) as statements:
            evidence.save_all(connection, opened)
    assert len(statements) == 3
    with store.read() as connection:
        for name in names:
            stored = evidence.all_of_rows(connection, name, [f"{name}-1", f"{name}-2"])
            assert [len(items) for items in stored.values()] == [2 * evidence.KEPT] * 2
            assert stored[f"{name}-1"][0].at == AT + MINUTE
    allowed = {name: {"a": ["who"], "b": ["who"]} for name in names}
    with store.write() as connection, counted(store) as statements:
        evidence.keep_columns(connection, allowed)
    assert len(statements) == 1
