"""Reading a rules file: what it takes, and what it says of every mistake, at its place, all at
once."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sanityd.errors import RuleError
from sanityd.model import Outcome, Run, Severity
from sanityd.rules.load import load
from sanityd.rules.rule import RuleSet

HEAD = """\
sources:
  app: sqlite:///app.db
  other: ${OTHER_URL:-sqlite:///other.db}
channels:
  team: {email: [a@example.com, b@example.com], server: "${SMTP_URL}", from: sanity@example.com}
defaults:
  notify: [team]
rules:
"""
ENVIRONMENT = {"SMTP_URL": "smtp://user:s3cr3t-canary@mail.example.com:587"}


def read(tmp_path: Path, rules: str, head: str = HEAD) -> RuleSet:
    path = tmp_path / "rules.yaml"
    path.write_text(head + rules, encoding="utf-8")
    return load(path, ENVIRONMENT)


def mistakes(tmp_path: Path, rules: str, head: str = HEAD) -> list[str]:
    """Each mistake as `line:column message | advice`; lines counted from the first line of
    `rules`."""
    with pytest.raises(RuleError) as caught:
        read(tmp_path, rules, head)
    offset = head.count("\n")
    return [f"{p.line - offset}:{p.column} {p.message} | {p.advice}" for p in caught.value.problems]


def test_a_rule_has_all_that_it_says(tmp_path: Path) -> None:
    rules = read(
        tmp_path,
        """\
  every-order-adds-up:
    table: app.sales.orders
    always: total = subtotal + tax
    where: status <> 'void'
    within: 1h30m of placed_at
    window: 7d of placed_at
    key: [id]
    show: [total]
    severity: {warning: 1, error: 50, critical: "5%"}
    schedule: daily at 02:30 Europe/Berlin
    owner: payments
    tags: [money]
    why: Because.
    fix: Do it.
""",
    )
    rule = rules.rules["every-order-adds-up"]
    subject = rule.invariant.subject
    assert (rule.title, rule.location, rule.owner) == (
        "Every order adds up",
        "rules.yaml:9",
        "payments",
    )
    assert (str(subject.table), subject.where, subject.key, subject.show) == (
        "app.sales.orders", "status <> 'void'", ("id",), ("total",),
    )  # fmt: skip
    assert rule.invariant.ladder.severity(1, 1, 1000) is Severity.WARNING
    assert rule.invariant.ladder.severity(50, 50, 1000) is Severity.CRITICAL
    assert rule.notify == ("team",)


def test_five_mistakes_are_told_at_once_each_at_its_place(tmp_path: Path) -> None:
    assert mistakes(
        tmp_path,
        """\
  no-duplicate-emails:
    table: app.people
    uniqe: email
  every-person-has-a-mail:
    table: ap.people
    has: {in: app.mails, on: {id: person_id}}
    within: ten of created_at
  age-is-sane:
    table: app.people
    between: {age: [120, 0]}
    notify: [taem]
""",
    ) == [
        "3:5 unknown key `uniqe` in rule `no-duplicate-emails` | did you mean `unique`?",
        "5:12 there is no source `ap` | did you mean `app`?",
        "7:13 `ten` is not a duration | write a number and a unit, as in `10m`, `36h`, `7d`",
        "10:20 no value lies between 120 and 0 | write the lower bound first",
        "11:14 there is no channel `taem` | did you mean `team`?",
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("  r:\n    table: app.t\n", "1:3 rule `r` has no check | say what must hold"),
        (
            "  r:\n    table: app.t\n    unique: a\n    not_null: a\n",
            "4:5 rule `r` has 2 checks: unique, not_null | make one rule of each",
        ),
        ("  r:\n    unique: a\n", "1:3 rule `r` names no table | add `table: source.table`"),
        ("  r:\n    table: app.t\n    unique: []\n", "3:13 "),
        ("  r:\n    table: app.t\n    unique: 3\n", "3:13 "),
        (
            "  R_x:\n    table: app.t\n    unique: a\n",
            "1:3 `R_x` is not an id | write it in kebab-case: `r-x`",
        ),
        ("  r:\n    source: app\n    query: select 1 as a\n", "3:5 `query` needs a key | "),
        ("  r:\n    source: app\n    key: a\n    query: delete from t\n", "4:12 "),
        ("  r:\n    table: app.t\n    always: a = 1; drop table t\n", "3:"),
        ("  r:\n    table: app.t\n    where: a ==== 1\n    unique: a\n", "3:"),
        (
            "  r:\n    table: app.t\n    unique: a\n    nulls: fail\n",
            "4:5 `nulls` has no meaning for `unique` | ",
        ),
        (
            "  r:\n    table: app.t\n    unique: a\n    severity: bad\n",
            "4:15 `bad` is not a severity | ",
        ),
        (
            "  r:\n    table: app.t\n    unique: a\n    severity: {error: 50, critical: 1}\n",
            "4:27 `critical` begins at 1",
        ),
        (
            "  r:\n    table: app.t\n    unique: a\n    severity: {error: 120%}\n",
            "4:23 `120%` is not a step | ",
        ),
        (
            "  r:\n    table: app.t\n    unique: a\n    schedule: sometimes\n",
            "4:15 `sometimes` is not a schedule | ",
        ),
        (
            "  r:\n    table: app.t\n    unique: a\n    within: 10m\n",
            "4:13 `10m` does not name the column that the age is measured by",
        ),
        (
            "  r:\n    table: app.t\n    unique: a\n    remedy: x\n",
            "4:13 `remedy` can't be `x`",
        ),
        (
            "  r:\n    table: app.t\n    references: {a: other.x.id, b: y.id}\n",
            "3:5 `references` of several tables can't be compared with another source | make one rule of each",
        ),
        (
            "  r:\n    table: app.t\n    not_null: a\n    confirm: maybe\n",
            "4:14 `maybe` is no way to confirm",
        ),
        (
            "  r:\n    table: app.t\n    has: {in: x, on: {a: b}, count: at most some}\n",
            "3:37 `at most some` is not a count",
        ),
        (
            "  r:\n    table: app.t\n    references: {a: people}\n",
            "3:21 `people` is not a column of a table | ",
        ),
        (
            "  r:\n    table: app.t\n    row_count: {}\n",
            "3:16 needs either `equals` or one of `min` and `max` | ",
        ),
        ("  r:\n    table: app.t\n    fresh: {a: soon}\n", "3:16 `soon` is not a duration | "),
        ("  r:\n    table: app.t\n    unique: a\n    within: ''\n", "4:13 `` is not a duration | "),
        (
            "  r:\n    table: app.t\n    references: {a: ''}\n",
            "3:17 `` is not a column of a table | ",
        ),
        ("  r: unique\n", "1:6 rule `r` must be a mapping | "),
        (
            "  r:\n    table: app.t\n    unique: a\n    summary: '{rows} of {count}'\n",
            "4:14 `summary` has braces that are not `{count}` | write `{count}` where",
        ),
    ],
)
def test_a_mistake_has_its_place_and_its_cure(tmp_path: Path, rule: str, expected: str) -> None:
    [mistake] = mistakes(tmp_path, rule)
    assert mistake.startswith(expected)
    assert mistake.partition(" | ")[2], "every mistake says what to do"


def test_a_secret_that_is_not_set_is_a_mistake_or_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(HEAD + "  r:\n    table: app.t\n    unique: a\n", encoding="utf-8")
    with pytest.raises(RuleError, match="`SMTP_URL` is not set"):
        load(path, {})
    [warning] = load(path, {}, need_secrets=False).warnings
    assert (warning.line, warning.level) == (5, "warning")


def test_no_secret_reaches_a_message_or_a_repr(tmp_path: Path) -> None:
    """Also not when the URL that holds it is wrong."""
    rules = read(tmp_path, "  r:\n    table: app.t\n    unique: a\n")
    assert "s3cr3t-canary" not in repr(rules)
    head = HEAD.replace("app: sqlite:///app.db", "app: ${SMTP_URL}")
    assert "s3cr3t-canary" not in "".join(
        mistakes(tmp_path, "  r:\n    table: app.t\n    unique: a\n", head)
    )


def test_relative_databases_are_relative_to_the_file(tmp_path: Path) -> None:
    rules = read(tmp_path, "  r:\n    table: app.t\n    unique: a\n")
    assert rules.sources["app"].url == f"sqlite:///{tmp_path}/app.db"


def test_duckdb_files_and_patterns_are_relative_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    text = "sources: {app: 'duckdb:///x.duckdb', exports: {files: [a/*.csv, '${MORE}']}}\n"
    file.write_text(text + "rules: {r: {table: exports.t, unique: id}}\n")
    sources = load(file, {"MORE": "/srv/b.csv"}).sources
    assert sources["app"].url == f"duckdb:///{tmp_path}/x.duckdb"
    assert (sources["exports"].files, sources["exports"].folder) == (
        ("a/*.csv", "/srv/b.csv"),
        tmp_path,
    )


def test_the_meaning_changes_with_the_promise_and_not_with_its_words(tmp_path: Path) -> None:
    def meaning(text: str) -> str:
        return read(tmp_path, f"  r:\n    table: app.t\n{text}").rules["r"].meaning

    plain = meaning("    unique: email\n")
    assert (
        meaning(
            "    unique: email\n    why: other words\n    owner: ana\n    severity: warning\n"
            "    summary: '{count} are wrong'\n"
        )
        == plain
    )
    assert meaning("    unique: {columns: email, ignore: case}\n") != plain
    assert meaning("    unique: email\n    where: id > 3\n") != plain


def test_a_folder_of_files_is_one_rules_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "sources: {app: sqlite:///app.db}\nrules:\n  a:\n    table: app.t\n    unique: x\n"
    )
    (tmp_path / "b.yaml").write_text("rules:\n  b:\n    table: app.t\n    unique: x\n")
    rules = load(tmp_path, {})
    assert [(rule.id, rule.location) for rule in rules.rules.values()] == [
        ("a", "a.yaml:3"),
        ("b", "b.yaml:2"),
    ]


def test_a_mistake_in_one_key_hides_none_in_the_sql(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path, '  r: {table: app.t, within: soon, always: "a = = 1", where: "b ((", key: [id]}\n'
    )
    assert len(found) == 3, found


def test_a_summary_replaces_the_sentence_of_the_check(tmp_path: Path) -> None:
    rules = read(
        tmp_path,
        """\
  r:
    source: app
    query: select id from t where rest <> 0
    key: [id]
    summary: "{count} accounts don't balance"
""",
    )
    run = Run("r", "query", "app", datetime(2026, 1, 1, tzinfo=UTC), Outcome.COMPLETE, 1200)
    rule = rules.rules["r"]
    assert rule.sentence(run) == rule.fact(run) == "1,200 accounts don't balance"
