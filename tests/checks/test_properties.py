"""Every kind that finds rows, pairs or groups, compared with plain Python on random small tables,
on every database."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sanityd.checks import evaluation
from tests.checks.conftest import Looks

Row = tuple[int, str | None, int | None]
WORDS = st.sampled_from(["a", "A", "b", "", " ", "a ", "é", "e\u0301", "😀", "ab"])
ROWS = st.lists(st.tuples(st.none() | WORDS, st.none() | st.integers(-3, 3)), max_size=7)


def duplicates(values: Sequence[Any]) -> set[Any]:
    """What occurs more than once."""
    return {value for value, count in Counter(values).items() if count > 1 and value is not None}


def steps(rows: list[Row], column: int) -> list[tuple[int, Any, Any]]:
    """Each row with a value, with the value before it (None for the first)."""
    known = [(row[0], row[column]) for row in rows if row[column] is not None]
    return [
        (n, known[place - 1][1] if place else None, value) for place, (n, value) in enumerate(known)
    ]


def disagreements(rows: list[Row]) -> set[Any]:
    """Ids of the rows here and ages of the rows there whose emails aren't the same."""
    ids, ages = {n for n, *_ in rows}, {age for *_, age in rows if age is not None}
    here = {key: [email for n, email, _ in rows if n == key] for key in ids | ages}
    return {
        key
        for key, emails in here.items()
        if emails != [email for _, email, age in rows if age == key]
    }


def on_a_ring(rows: list[Row]) -> set[int]:
    """Who comes back to itself by following `age`."""
    parents = {n: age for n, _, age in rows}
    found = set()
    for start, parent in parents.items():
        at, seen = parent, set[int]()
        while at in parents and at not in seen and at != start:
            seen.add(at)
            at = parents[at]
        found |= {start} if at == start else set()
    return found


def overlaps(rows: list[Row]) -> set[Any]:
    """Pairs of intervals from `age` up to `id`, the later one first."""
    intervals = sorted((age, n) for n, _, age in rows if age is not None and n > age)
    return {
        (late[1], early[1])
        for place, late in enumerate(intervals)
        for early in intervals[:place]
        if early[1] > late[0]
    }


def holes(rows: list[Row]) -> set[Any]:
    """First and last number missing between two ages."""
    ages = sorted({age for *_, age in rows if age is not None})
    return {(low + 1, high - 1) for low, high in pairwise(ages) if high - low > 1}


def sums(rows: list[Row]) -> dict[str | None, int]:
    """Of the ages that are known, by email."""
    found: dict[str | None, int] = {}
    for _, email, age in rows:
        if age is not None:
            found[email] = found.get(email, 0) + age
    return found


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
        lambda rows: duplicates(
            [email and email.lower().strip(" ") for _, email, _ in rows] + [None]
        ),
    ),
    (
        {"accepted_values": {"email": ["a", "b"]}},
        lambda rows: {n for n, e, _ in rows if e not in (None, "a", "b")},
    ),
    (
        {"rejected_values": {"email": ["a", ""]}},
        lambda rows: {n for n, e, _ in rows if e in ("a", "")},
    ),
    (
        {"between": {"age": {"above": -1, "max": 2}}, "nulls": "fail"},
        lambda rows: {n for n, _, age in rows if age is None or not -1 < age <= 2},
    ),
    (
        {"length": {"email": [1, 1]}},
        lambda rows: {n for n, email, _ in rows if email is not None and len(email) != 1},
    ),
    (
        {"matches": {"email": "[ab]+"}},
        lambda rows: {n for n, e, _ in rows if e is not None and (not e or set(e) - {"a", "b"})},
    ),
    ({"always": "age > 0"}, lambda rows: {n for n, _, age in rows if age is not None and age <= 0}),
    (
        {"never": "age > 0", "nulls": "fail"},
        lambda rows: {n for n, _, age in rows if age is None or age > 0},
    ),
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
            n
            for n, e, age in rows
            if e not in (None, "b") and age is not None and not 1 <= age <= len(rows)
        },
    ),
    (
        {"not_matches": {"email": "[ab]+"}},
        lambda rows: {n for n, e, _ in rows if e and not set(e) - {"a", "b"}},
    ),
    ({"same_as": {"in": "app.people", "on": {"id": "age"}, "compare": "email"}}, disagreements),
    ({"acyclic": {"id": "age"}}, on_a_ring),
    ({"no_overlap": {"from": "age", "to": "id"}}, overlaps),
    ({"no_gaps": "age"}, holes),
    (
        {"increases": {"column": "age", "order_by": "id"}},
        lambda rows: {
            n for n, before, age in steps(rows, 2) if before is not None and age < before
        },
    ),
    (
        {
            "transitions": {
                "column": "email",
                "order_by": "id",
                "allowed": {"a": ["b"], "b": ["a ", "a"]},
                "first": ["a"],
            }
        },
        lambda rows: {
            n
            for n, before, word in steps(rows, 1)
            if word != before
            and (before, word) not in ((None, "a"), ("a", "b"), ("b", "a "), ("b", "a"))
        },
    ),
    (
        {"aggregate": {"expr": "sum(age)", "equals": 1, "by": "email"}},
        lambda rows: {email for email, total in sums(rows).items() if total != 1},
    ),
    (
        {"row_count": {"min": 2, "max": 5}},
        lambda rows: set() if 2 <= len(rows) <= 5 else {"wrong number of rows"},
    ),
    (
        {
            "source": "app",
            "query": "select id, age from people where age > 0 and email is not null",
            "key": "id",
        },
        lambda rows: {n for n, e, age in rows if age is not None and age > 0 and e is not None},
    ),
]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pairs=ROWS)
def test_rules_find_what_plain_python_finds(
    do: Callable[..., None],
    looks: Looks,
    pairs: list[tuple[str | None, int | None]],
) -> None:
    """All rules look at the same rows, since making those takes longer than to look."""
    rows = [(number, *pair) for number, pair in enumerate(pairs, 1)]
    quoted = [
        (n, "NULL" if email is None else f"'{email}'", "NULL" if age is None else age)
        for n, email, age in rows
    ]
    do("DELETE FROM people")
    if rows:
        do(
            "INSERT INTO people VALUES "
            + ", ".join(f"({n}, {email}, {age}, NULL)" for n, email, age in quoted)
        )
    whole = [rule if "source" in rule else {"table": "app.people", **rule} for rule, _ in RULES]
    with looks(*whole) as planned:
        for (rule, expected), look in zip(RULES, planned, strict=True):
            seen = evaluation.evaluate_check(look, {})
            found = {tuple(violation.key.values()) for violation in seen.tracked}
            wanted = {key if isinstance(key, tuple) else (key,) for key in expected(rows)}
            assert found == wanted, rule
            assert seen.violations == len(seen.tracked), rule
