"""The `tests:` section: what it takes, and what it says of every mistake, at its place, all at
once."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sanityd.checks.invariant import TableName
from sanityd.errors import RuleError
from sanityd.rules.cases import Case
from sanityd.rules.load import load
from sanityd.rules.time_values import parse_time

HEAD = """\
sources:
  app: {url: "${APP_DATABASE_URL}", zone: Europe/Berlin}
  mail: ${MAIL_DATABASE_URL}
rules:
  greeted:
    table: app.people
    has: {in: mail.mails, on: {id: person_id}}
    within: 10m of created_at
  steady-people: {table: app.people, steady: {within: 10%, of: last 3 runs}}
  balanced: {source: app, query: select id from entries, key: id}
  each: {table: "app.{t}", not_null: id, for_each: {t: [a, b]}}
tests:
"""


def read(folder: Path, tests: str) -> dict[str, tuple[Case, ...]]:
    path = folder / "rules.yaml"
    path.write_text(HEAD + tests, encoding="utf-8")
    return dict(load(path, {}, need_secrets=False).cases)


def mistakes(folder: Path, tests: str) -> list[str]:
    """Each mistake as `line:column message | advice`; lines counted from the first line of
    `tests`."""
    with pytest.raises(RuleError) as caught:
        read(folder, tests)
    offset = HEAD.count("\n")
    return [f"{p.line - offset}:{p.column} {p.message} | {p.advice}" for p in caught.value.problems]


def test_a_case_has_all_that_it_says_and_needs_no_environment(tmp_path: Path) -> None:
    [first, second] = read(
        tmp_path,
        """\
  greeted:
    - given: {app.people: [{id: 1, created_at: 11:00}], mail.mails: []}
      violates: [1]
    - name: too young
      now: 2026-07-01 12:00
      given: {people: [{id: 1, created_at: 11:55}]}
      violates: []
""",
    )["greeted"]
    assert (first.title, first.location, first.violates) == ("greeted: 1", "rules.yaml:14", [1])
    assert first.given[TableName("app", "people")] == [{"id": 1, "created_at": "11:00"}]
    # Without a zone it is meant in that of the rule's source.
    assert first.now == datetime(2026, 1, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    assert (second.title, second.now.astimezone(UTC).hour, second.is_clean) == (
        "greeted: too young",
        10,
        True,
    )


def test_earlier_values_are_one_a_day_or_at_their_times(tmp_path: Path) -> None:
    cases = """\
  steady-people:
    - {given: {app.people: []}, past: [3, 4], violates: true}
    - {given: {app.people: []}, past: {1h ago: 7, 2d ago: 5}, violates: false}
"""
    days, times = read(tmp_path, cases)["steady-people"]
    assert [((days.now - at).days, value) for at, value in days.past] == [(2, 3.0), (1, 4.0)]
    assert [value for _, value in times.past] == [5.0, 7.0]


def test_every_mistake_is_told_at_its_place(tmp_path: Path) -> None:
    assert mistakes(
        tmp_path,
        """\
  greted:
    given: {app.people: []}
    violates: []
  greeted:
    - now: noon
      given: {app.peple: [], app.people: [1, {id: [2]}]}
      violates: 2
      expect: []
    - given: {mail.mails: [], app.orders: [], nowhere.t.u.v: []}
      past: [1]
      violates: []
    - given: {app.people: []}
      violates: [[[1]]]
    - 7
  steady-people: {given: {app.people: []}, past: {yesterday: 1}, violates: true}
  balanced: []
""",
    ) == [
        "1:3 there is no rule `greted` | did you mean `greeted`?",
        "5:12 `noon` is no time | write it in full, as in `2026-01-01 12:00`",
        "6:15 rule `greeted` does not use `app.peple` | did you mean `app.people`?",
        "6:43 `app.people` can't be `1` | write a mapping, as in `{column: …}`",
        "6:51 a value can't be a list or a mapping | write text, a number, `true`, `false` or `null`",
        "7:17 `violates` must be a list | write the keys that the rule must find, as in `[2, 7]`; `[]` for none",
        "8:7 unknown key `expect` in the test of `greeted` | known here: name, now, given, types, past, "
        "violates, measured",
        "9:31 rule `greeted` does not use `app.orders` | it uses `app.people`, `mail.mails`",
        "9:47 `nowhere.t.u.v` has too many parts: write `source.table` or `source.schema.table` | "
        "write `source.table`, as in `app.people`",
        "10:7 `past` has no meaning for `has` | take it out",
        "13:17 a key is no deeper than that | write `2`, or of several columns `[1, a]` or `{id: 1, kind: a}`",
        "14:7 an example must be a mapping | write `given:` and `violates:` below it",
        "15:51 `yesterday` is no time | write `11:00` (of the day of `now`), `10m ago`, `in 5m` or `2026-01-01 11:00`",
        "16:13 rule `balanced` has no example | write one, or take this out",
    ]


def test_a_misspelt_table_a_doubled_one_and_a_present_that_is_none_are_told(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """\
  greeted:
    - {now: "12:00", given: {app.peple: []}, violates: []}
    - {given: {app.people: [], people: []}, violates: []}
    - {given: {app.people: []}}
  each: {given: {app.a: []}, violates: []}
  each[a]: {given: {app.a: []}, violates: []}
""",
    )
    assert found == [
        "2:13 `12:00` is no time | write it in full, as in `2026-01-01 12:00`",
        "2:30 rule `greeted` does not use `app.peple` | did you mean `app.people`?",
        "3:32 `people` is given twice, the second time by another name | keep one of them",
        "4:7 the test of `greeted` has no `violates` | add `violates:`: the keys that it must find: `[2]`",
        "5:3 `for_each` makes rule `each` 2 rules | name one of them, as in `each[a]`",
    ]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("11:00", "2026-03-05T11:00:00+00:00"),
        ("9:05:07", "2026-03-05T09:05:07+00:00"),
        ("now", "2026-03-05T12:00:00+00:00"),
        ("1h30m ago", "2026-03-05T10:30:00+00:00"),
        ("in 2d", "2026-03-07T12:00:00+00:00"),
        ("2025-12-31", "2025-12-31T00:00:00+00:00"),
        ("2025-12-31 23:59:30.5", "2025-12-31T23:59:30.500000+00:00"),
        ("2025-12-31T23:59Z", "2025-12-31T23:59:00+00:00"),
        ("2025-12-31 23:59 +02:00", "2025-12-31T23:59:00+02:00"),
    ],
)
def test_a_time_is_read_as_people_write_it(text: str, meant: str) -> None:
    assert parse_time(text, datetime(2026, 3, 5, 12, tzinfo=UTC)).isoformat() == meant


@pytest.mark.parametrize(
    "text", ["25:00", "11", "soon", "ten ago", "2026-02-30", "0000-01-01", "2026-W01-1", 7, None]
)
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError):
        parse_time(text, datetime(2026, 3, 5, 12, tzinfo=UTC))
