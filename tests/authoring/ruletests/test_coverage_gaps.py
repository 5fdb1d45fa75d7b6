"""What examples don't show: each gap on its own, and none where the examples show it."""

from pathlib import Path

import pytest

from tests.authoring.ruletests.runner import gap_messages
from tests.authoring.ruletests.test_examples import GREETED

#: A rule, its examples, and what these don't show.
CASES: dict[str, tuple[str, str, list[str]]] = {
    "nothing violates": (
        "table: app.t, never: n < 0",
        "{given: {app.t: [{id: 1, n: 1}]}, violates: []}",
        ["no example shows that this rule can fail"],
    ),
    "everything violates": (
        "table: app.t, never: n < 0",
        "{given: {app.t: [{id: 1, n: -1}, {id: 2, n: -2}]}, violates: [1, 2]}",
        ["no example shows that this rule can hold"],
    ),
    "both are shown": (
        "table: app.t, never: n < 0",
        "{given: {app.t: [{id: 1, n: -1}, {id: 2, n: 0}]}, violates: [1]}",
        [],
    ),
    "in two examples": (
        "table: app.t, fresh: {at: 1h}",
        "[{given: {app.t: [{at: 2h ago}]}, violates: true}, {given: {app.t: [{at: 1m ago}]}, violates: false}]",
        [],
    ),
    "a table is stale": (
        "table: app.t, fresh: {at: 1h}",
        "{given: {app.t: [{at: 2h ago}]}, violates: true}",
        ["no example shows that this rule can hold"],
    ),
    "columns are right but one": (
        "table: app.t, columns: {id: integer, email: text}",
        "{given: {app.t: [{id: x, email: a}]}, violates: [id]}",
        ["no example needs `email` in `columns`"],
    ),
    "a part of a condition": (
        "table: app.t, never: status = 'new' and n < 0",
        "{given: {app.t: [{id: 1, status: new, n: -1}, {id: 2, status: new, n: 1}]}, violates: [1]}",
        ["no example needs `status = 'new'`"],
    ),
    "each part of a condition is shown": (
        "table: app.t, never: status = 'new' and n < 0",
        "{given: {app.t: [{id: 1, status: new, n: -1}, {id: 2, status: new, n: 1}, {id: 3, status: old, n: -1}]},"
        " violates: [1]}",
        [],
    ),
    "what AND means elsewhere is left alone": (
        "table: app.t, never: n < 0 or m < 0 and m < 5",
        "{given: {app.t: [{id: 1, n: -1, m: 9}, {id: 2, n: 1, m: 9}]}, violates: [1]}",
        [],
    ),
    "where, within and nulls": (
        "table: app.t, between: {n: [0, 9]}, where: kind = 'a', within: 10m of at, nulls: fail",
        "{given: {app.t: [{id: 1, n: 10, kind: a, at: 1h ago}, {id: 2, n: 1, kind: a, at: 1h ago}]}, violates: [1]}",
        ["no example needs `where`", "no example needs `within`", "no example needs `nulls: fail`"],
    ),
    "where, within and nulls are shown": (
        "table: app.t, between: {n: [0, 9]}, where: kind = 'a', within: 10m of at, nulls: fail",
        "{given: {app.t: [{id: 1, n: 10, kind: a, at: 1h ago}, {id: 2, n: 1, kind: a, at: 1h ago},"
        " {id: 3, n: 10, kind: b, at: 1h ago}, {id: 4, n: 10, kind: a, at: 1m ago}, {id: 5, kind: a, at: 1h ago}]},"
        " violates: [1, 5]}",
        [],
    ),
    "options of a kind": (
        "table: app.t, unique: {columns: [a, b], ignore: [case]}",
        "{given: {app.t: [{a: x, b: 1}, {a: x, b: 1}, {a: y, b: 2}]}, violates: [[x, 1]]}",
        [
            "no example needs `a` in `columns`",
            "no example needs `b` in `columns`",
            "no example needs `ignore` of `unique`",
        ],
    ),
    "options of a kind are shown": (
        "table: app.t, unique: {columns: [a, b], ignore: [case]}",
        "{given: {app.t: [{a: x, b: 1}, {a: X, b: 1}, {a: y, b: 1}, {a: x, b: 2}]}, violates: [[x, 1]]}",
        [],
    ),
    "another table that is empty": (
        "table: app.t, references: {p: people.id}",
        "{given: {app.t: [{id: 1, p: 1}, {id: 2}], app.people: []}, violates: [1]}",
        ["no example has a row in `app.people`"],
    ),
    "another table that changes nothing": (
        "table: app.t, references: {p: people.id}",
        "{given: {app.t: [{id: 1, p: 1}, {id: 2}], app.people: [{id: 7}]}, violates: [1]}",
        ["the rows of `app.people` make no difference in any example"],
    ),
    "two tables that agree in one row": (
        "table: app.t, same_as: {in: app.u, on: id, compare: [n]}",
        "{given: {app.t: [{id: 1, n: 1}, {id: 2, n: 2}], app.u: [{id: 1, n: 1}, {id: 3, n: 3}]}, violates: [2, 3]}",
        ["no example needs `compare` of `same_as`"],
    ),
    "a hole larger than the table": (
        "table: app.t, no_gaps: n",
        "{given: {app.t: [{id: 1, n: 1}, {id: 2, n: 2}, {id: 3, n: 9}]}, violates: [[3, 8]]}",
        [],
    ),
    "an example without anything to judge": (
        "table: app.t, never: n < 0",
        "[{given: {app.t: [{id: 1, n: -1}, {id: 2, n: 0}]}, violates: [1]}, {given: {app.t: []}, violates: []}]",
        ["this example proves nothing: the rule has nothing to judge in it"],
    ),
    "an example whose only point is what is left out": (
        "table: app.t, never: n < 0, where: live = 1",
        "[{given: {app.t: [{id: 1, n: -1, live: 1}, {id: 2, n: 0, live: 1}]}, violates: [1]},"
        " {given: {app.t: [{id: 1, n: -1, live: 0}]}, violates: []}]",
        [],
    ),
    "a query that doesn't look": (
        "source: app, key: id, query: select 1 as id from t union select 1",
        "{given: {app.t: [{id: 1}, {id: 2}]}, violates: [1]}",
        [
            "the same is found whatever rows are taken away",
            "the rows of `app.t` make no difference in any example",
        ],
    ),
    "a query for what is missing": (
        "source: app, key: what, query: select 'no row' as what where not exists (select 1 from t where n = 1)",
        "[{given: {app.t: [{id: 1, n: 2}]}, violates: [no row]}, {given: {app.t: [{id: 1, n: 1}]}, violates: []}]",
        [],
    ),
}


@pytest.mark.parametrize(("rule", "tests", "shown"), CASES.values(), ids=CASES)
def test_examples_do_not_show(rule: str, tests: str, shown: list[str], tmp_path: Path) -> None:
    assert gap_messages(tmp_path, f"rules:\n  r: {{{rule}}}\ntests:\n  r: {tests}\n") == shown


def test_evidence_and_its_condition_are_shown_by_rows_that_differ_in_them_alone(
    tmp_path: Path,
) -> None:
    """In one go: who has a mail, who has the wrong one, who has none that was sent."""
    assert gap_messages(tmp_path, GREETED) == ["no example needs `where` of `has`"]
    more = GREETED.replace(
        "[{person_id: 1,", "[{person_id: 2, template: welcome, status: queued}, {person_id: 1,"
    )
    assert gap_messages(tmp_path, more) == ["no example needs `template = 'welcome'` in `where`"]
    most = more.replace(
        "[{person_id: 2,", "[{person_id: 2, template: reset, status: sent}, {person_id: 2,"
    )
    assert gap_messages(tmp_path, most) == []


def test_nothing_is_doubted_of_a_rule_whose_examples_fail(tmp_path: Path) -> None:
    assert gap_messages(tmp_path, GREETED.replace("violates: [2]", "violates: [1]")) == []
