"""Every kind of row rule, compared with plain Python on random small tables, on every database."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sanityd.checks import looking
from tests.checks.conftest import Looks

Row = tuple[int, str | None, int | None]
WORDS = st.sampled_from(["a", "A", "b", "", " ", "a ", "é", "e\u0301", "😀", "ab"])
ROWS = st.lists(st.tuples(st.none() | WORDS, st.none() | st.integers(-3, 3)), max_size=7)


def duplicates(values: Sequence[Any]) -> set[Any]:
    """What occurs more than once."""
    return {value for value, count in Counter(values).items() if count > 1 and value is not None}


#: Each rule, and the keys that it must find.
RULES: list[tuple[dict[str, Any], Callable[[list[Row]], set[Any]]]] = [
    ({"not_null": "email"}, lambda rows: {n for n, email, _ in rows if email is None}),
    (
        {"not_null": {"columns": "email", "blank": "fail"}},
        lambda rows: {n for n, email, _ in rows if email is None or not email.strip(" ")},
    ),
    ({"unique": "email"}, lambda rows: duplicates([email for _, email, _ in rows])),
    ({"unique": "age"}, lambda rows: duplicates([age for *_, age in rows])),
    (
        {"unique": {"columns": "email", "ignore": ["case", "spaces"]}},
        lambda rows: duplicates([email and email.lower().strip(" ") for _, email, _ in rows] + [None]),
    ),
    ({"accepted_values": {"email": ["a", "b"]}}, lambda rows: {n for n, e, _ in rows if e not in (None, "a", "b")}),
    ({"rejected_values": {"email": ["a", ""]}}, lambda rows: {n for n, e, _ in rows if e in ("a", "")}),
    (
        {"between": {"age": {"above": -1, "max": 2}}, "nulls": "fail"},
        lambda rows: {n for n, _, age in rows if age is None or not -1 < age <= 2},
    ),
    ({"length": {"email": [1, 1]}}, lambda rows: {n for n, email, _ in rows if email is not None and len(email) != 1}),
    (
        {"matches": {"email": "[ab]+"}},
        lambda rows: {n for n, e, _ in rows if e is not None and (not e or set(e) - {"a", "b"})},
    ),
    ({"always": "age > 0"}, lambda rows: {n for n, _, age in rows if age is not None and age <= 0}),
    ({"never": "age > 0", "nulls": "fail"}, lambda rows: {n for n, _, age in rows if age is None or age > 0}),
    (
        {"has": {"in": "people", "on": {"id": "age"}}},
        lambda rows: {n for n, *_ in rows if n not in {age for *_, age in rows}},
    ),
    (
        {"has": {"in": "people", "on": {"id": "age"}, "count": "at most 1"}},
        lambda rows: {n for n, *_ in rows if [age for *_, age in rows].count(n) > 1},
    ),
    (
        {"references": {"age": "people.id"}, "where": "email <> 'b'"},
        lambda rows: {
            n for n, e, age in rows if e not in (None, "b") and age is not None and not 1 <= age <= len(rows)
        },
    ),
]


@pytest.mark.parametrize(("rule", "expected"), RULES, ids=[next(iter(rule)) for rule, _ in RULES])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=ROWS)
def test_a_rule_finds_what_plain_python_finds(
    rule: dict[str, Any],
    expected: Callable[[list[Row]], set[Any]],
    do: Callable[..., None],
    looks: Looks,
    pairs: list[tuple[str | None, int | None]],
) -> None:
    rows = [(number, *pair) for number, pair in enumerate(pairs, 1)]
    quoted = [(n, "NULL" if email is None else f"'{email}'", "NULL" if age is None else age) for n, email, age in rows]
    do("DELETE FROM people")
    if rows:
        do("INSERT INTO people VALUES " + ", ".join(f"({n}, {email}, {age}, NULL)" for n, email, age in quoted))
    with looks({"table": "app.people", **rule}) as [look]:
        seen = looking.see(look, {})
    assert {next(iter(violation.key.values())) for violation in seen.tracked} == expected(rows)
    assert seen.violations == len(seen.tracked)
