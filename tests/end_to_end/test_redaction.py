"""Keys that may not leave the database (`redact: hash`): canaries in keys, and the whole program
run among them."""

import hashlib
import hmac
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine

from sanityd.checks.redaction import Redaction
from sanityd.errors import RuleError
from sanityd.model import Value, Violation
from sanityd.rules.load import load
from tests.end_to_end.test_canary import Cage, canary, readable
from tests.modules.test_telemetry import serving
from tests.support.project import Project
from tests.support.smtp_server import working

SECRET = canary("secret") + "0123456789"
#: Three people whose age is wrong, and whose address is their key.
KEYS = [f"{canary(name)}@example.com" for name in ("ana", "bob", "cyd")]
TABLES = f"""
CREATE TABLE people (email VARCHAR(80) PRIMARY KEY, boss VARCHAR(80), age INTEGER, room INTEGER, since INTEGER,
  until INTEGER, nick VARCHAR(80));
INSERT INTO people VALUES
  ('{KEYS[0]}', '{KEYS[1]}', 5, 1, 1, 9, '{canary("nick")}'),
  ('{KEYS[1]}', '{KEYS[0]}', NULL, 1, 3, 4, '{canary("nick")}'),
  ('{KEYS[2]}', NULL, 7, 2, 8, 9, '{canary("gap")}'),
  ('fine@example.com', NULL, 30, 3, 1, 2, 'fine');
CREATE TABLE notes (email VARCHAR(80) PRIMARY KEY, age INTEGER);
INSERT INTO notes VALUES ('{canary("other")}@example.com', 1), ('{KEYS[0]}', 6)
"""

HEAD = """\
allow: {python: true}
sources: {app: "${APP_URL}", there: "${THERE_URL}"}
channels:
  team: {email: team@example.com, server: "${SMTP_URL}", from: sanity@example.com, timeout: 5s}
  note: {log: warning}
defaults: {notify: [team, note], redact: hash}
rules:
"""
#: Every way to make a key.
RULES = {
    "grown-up": "table: app.people\n    between: {age: [18, 150]}\n    nulls: fail\n    show: age",
    "two-columns": "table: app.people\n    not_null: {columns: [age, boss]}",
    "by-hand": "table: app.people\n    never: age < 18\n    key: [email, nick]\n    confirm: 2 runs",
    "one-nick": "table: app.people\n    unique: nick",
    "no-ring": "table: app.people\n    acyclic: {email: boss}",
    "one-at-a-time": "table: app.people\n    no_overlap: {from: since, to: until, per: room}",
    "ages-climb": "table: app.people\n    increases: {column: age, order_by: nick, strictly: true}",
    "sums": 'table: app.people\n    aggregate: {expr: "sum(age)", min: 10, by: nick}',
    "numbered": "table: app.people\n    no_gaps: {column: age, per: boss}",
    "noted": "table: app.people\n    has: {in: notes, on: {email: email}}",
    "noted-there": "table: app.people\n    has: {in: there.notes, on: {email: email}}\n    confirm: again after 1s",
    "same-there": "table: app.people\n    same_as: {in: there.notes, on: email, compare: age}\n    confirm: no",
    "points": "table: app.people\n    references: {boss: notes.email}",
    "asked": 'source: app\n    key: email\n    query: "select email, nick from people where age < 18"',
    "coded": "source: app\n    key: email\n    python: finding:young",
    "counted": "table: app.people\n    row_count: {max: 1}",
}
FINDING = 'def young(read):\n    yield from read("select email from people where age < 18")\n'


def rules() -> str:
    """All of them in one file."""
    return HEAD + "".join(f"  {name}:\n    {text}\n" for name, text in RULES.items())


@dataclass
class Watched:
    """A project whose keys are canaries, in a database of its own."""

    cage: Cage
    url: str
    sent: list[bytes] = field(default_factory=list)

    def sql(self, text: str) -> None:
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.begin() as connection:
            for statement in filter(str.strip, text.split(";")):
                connection.exec_driver_sql(statement)

    def rows(self, rule: str = "grown-up") -> dict[str, tuple[bool, str | None, int]]:
        """The rows of a rule that are remembered: whether open, their fate, and how often they
        were."""
        found = self.cage.project.state(
            f"SELECT key, open, resolution, episodes FROM violations WHERE rule = '{rule}'"
        )
        return {
            str(json.loads(key)["email"]): (bool(still), fate, times)
            for key, still, fate, times in found
        }


@pytest.fixture(params=["sqlite", "postgres"])
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watched]:
    """On SQLite and on PostgreSQL; whatever came out is looked through at the end."""
    with serving() as sentry:
        url = request.getfixturevalue(request.param)
        project = Project(tmp_path)
        project.rules(rules())
        (tmp_path / "finding.py").write_text(FINDING, encoding="utf-8")
        environment = {
            "APP_URL": url,
            "THERE_URL": f"sqlite:///{tmp_path}/there.db",
            "SANITYD_REDACT_KEY": SECRET,
            "SMTP_URL": "smtp://127.0.0.1:1",
            "SENTRY_DSN": sentry.dsn,
        }
        made = Watched(Cage(project, environment), url)
        made.sql(TABLES)
        replace(made, url=environment["THERE_URL"]).sql(TABLES)
        yield made
        for number, body in enumerate(sentry.bodies):
            made.cage.hear(f"sentry {number}", body)
        made.cage.store()
        assert made.cage.escaped() == {}


def digest(key: str) -> str:
    """What a key becomes, by the formula of the manual."""
    return (
        "#" + hmac.new(SECRET.encode(), json.dumps(key).encode(), hashlib.sha256).hexdigest()[:16]
    )


@pytest.mark.parametrize(
    ("watched", "form"),
    [("sqlite", "text"), ("sqlite", "json"), ("postgres", "junit")],
    indirect=["watched"],
)
def test_no_key_leaves_by_a_check(watched: Watched, form: str) -> None:
    with working() as box:
        smtp = {"SMTP_URL": f"smtp://127.0.0.1:{box.port}"}
        watched.cage.run("--log", "debug", "check", "--dry-run", "--format", form, **smtp)
        said = watched.cage.run("--log", "debug", "check", "--format", form, **smtp)
        again = watched.cage.run("--log", "json", "check", "--format", form, **smtp)
    assert "grown-up" in said
    assert "can't be" not in again
    for number, raw in enumerate(box.raw):
        watched.cage.hear(f"mail {number}", raw)
    assert any(digest(KEYS[0]) in readable(raw.decode()) for raw in box.raw)
    broken = {
        name
        for (name,) in watched.cage.project.state("SELECT DISTINCT rule FROM violations WHERE open")
    }
    assert broken == {*RULES}
    assert (
        watched.cage.project.state("SELECT rule, error FROM runs WHERE outcome <> 'complete'") == []
    )


def test_no_key_leaves_by_looking(watched: Watched) -> None:
    watched.cage.look("check")
    for rule in RULES:
        watched.cage.look("--log", "debug", "try", rule)
        watched.cage.look("show", rule)
        watched.cage.look("history", rule)
    for rule in ("grown-up", "one-nick", "noted-there"):
        # It holds the text of the mail, too.
        assert '"messages"' in watched.cage.look("try", "--format", "json", rule)
    for words in (
        ("status",),
        ("explain",),
        ("lint", "--connect"),
        ("history", "--format", "json"),
    ):
        watched.cage.look(*words)
    assert digest(KEYS[0]) in watched.cage.look("show", "grown-up")


def test_a_row_lives_as_any_other(watched: Watched) -> None:
    """Opened, gone on with, resolved, come back; and a single one can be accepted by what is told
    of it."""
    watched.cage.look("check", "grown-up")
    watched.cage.look("check", "grown-up")
    assert watched.rows() == {digest(key): (True, None, 1) for key in KEYS}
    watched.sql(f"UPDATE people SET age = 40 WHERE email = '{KEYS[0]}'")
    watched.cage.look("check", "grown-up")
    assert watched.rows()[digest(KEYS[0])] == (False, "not_returned", 1)
    watched.sql(f"UPDATE people SET age = 4 WHERE email = '{KEYS[0]}'")
    said = watched.cage.look("check", "grown-up")
    assert watched.rows()[digest(KEYS[0])] == (True, None, 2)
    assert "1 came back" in said or "1 regressed" in said or "again" in said
    accepted = watched.cage.look(
        "accept", "grown-up", "--row", f"email={digest(KEYS[1])}", "--reason", "is a test"
    )
    assert digest(KEYS[1]) in accepted


def test_beyond_the_cap_nothing_is_resolved(watched: Watched) -> None:
    """No row can be looked for by its digest, so that one that isn't among those followed is not
    known to be good."""
    watched.cage.look("check", "grown-up")
    watched.cage.project.rules(rules() + "alerts: {limits: {tracked_rows: 1}}\n")
    watched.sql(f"UPDATE people SET age = 40 WHERE email = '{KEYS[2]}'")
    watched.cage.look("check", "grown-up")
    assert watched.cage.project.state("SELECT outcome FROM runs ORDER BY id DESC LIMIT 1") == [
        ("truncated",)
    ]
    assert watched.rows() == {digest(key): (True, None, 1) for key in KEYS}


def test_a_proof_is_not_believed_while_rows_are_open(watched: Watched) -> None:
    watched.cage.look("check", "two-columns")
    assert len(watched.rows("two-columns")) == len(KEYS)
    watched.sql("DELETE FROM people WHERE boss IS NULL; UPDATE people SET age = 50")
    watched.cage.look("check", "two-columns")
    assert {fate for _, fate, _ in watched.rows("two-columns").values()} == {"not_returned"}


def test_what_was_known_in_clear_is_forgotten(project: Project) -> None:
    """Rows, what was decided about them, and what lay in the file; that they are good is not
    said."""
    project.sql(
        f"CREATE TABLE who (name TEXT PRIMARY KEY, age INT); INSERT INTO who VALUES ('{KEYS[0]}', 5)"
    )
    plain = (
        "sources: {app: sqlite:///app.db}\nrules:\n  r:\n    table: app.who\n    never: age < 18\n"
    )
    project.rules(plain)
    project.run("check")
    project.run("accept", "r", "--row", f"name={KEYS[0]}", "--reason", "is a test")
    assert KEYS[0].encode() in remembered(project)
    project.rules(plain + "    redact: hash\n")
    assert project.run("check", SANITYD_REDACT_KEY=SECRET).code == 1
    assert KEYS[0].encode() not in remembered(project)
    assert [key for (key,) in project.state("SELECT key FROM violations")] == [
        json.dumps({"name": digest(KEYS[0])})
    ]
    assert project.state("SELECT fingerprint, ended FROM triage") == [("", "resolved")]
    assert project.state("SELECT resolutions FROM incidents WHERE resolved_at IS NOT NULL") == [
        ('{"rule_changed": 1}',)
    ]


def test_another_secret_is_another_meaning(project: Project) -> None:
    """All digests change with it: what was open is closed as such, and never called repaired."""
    project.sql(
        "CREATE TABLE who (name TEXT PRIMARY KEY, age INT); INSERT INTO who VALUES ('Ana', 5)"
    )
    project.rules(
        "sources: {app: sqlite:///app.db}\nrules: {r: {table: app.who, never: age < 18, redact: hash}}\n"
    )
    project.run("check", SANITYD_REDACT_KEY=SECRET)
    project.run("check", SANITYD_REDACT_KEY=SECRET[::-1])
    assert project.state("SELECT resolutions FROM incidents WHERE resolved_at IS NOT NULL") == [
        ('{"rule_changed": 1}',)
    ]
    assert project.state("SELECT count(*) FROM violations WHERE open") == [(1,)]


def remembered(project: Project) -> bytes:
    """All files of the store."""
    return b"".join(file.read_bytes() for file in (project.folder / ".sanityd").iterdir())


def wrong(
    tmp_path: Path, text: str, *, need_secrets: bool = True, secret: str | None = SECRET
) -> list[str]:
    """The mistakes, or the warnings, of a file with one rule."""
    file = tmp_path / "rules.yaml"
    file.write_text("sources: {app: sqlite:///x.db}\n" + text, encoding="utf-8")
    environment = {} if secret is None else {"SANITYD_REDACT_KEY": secret}
    try:
        found = load(file, environment, need_secrets=need_secrets).warnings
    except RuleError as error:
        found = tuple(error.problems)
    return [f"{one.line}:{one.column} {one.level} {one.message}" for one in found]


RULE = "rules:\n  r:\n    table: app.t\n    not_null: a\n"


@pytest.mark.parametrize("secret", [None, "", "short"])
def test_a_secret_that_hides_nothing_is_refused_at_its_place(
    tmp_path: Path, secret: str | None
) -> None:
    [problem] = wrong(tmp_path, RULE + "    redact: hash\n", secret=secret)
    assert problem.startswith("6:5 error the environment variable `SANITYD_REDACT_KEY` ")
    [problem] = wrong(
        tmp_path,
        "defaults: {redact: hash}\n" + RULE + "  s: {table: app.t, unique: b}\n",
        secret=secret,
    )
    assert problem.startswith("2:12 error ")
    [problem] = wrong(tmp_path, RULE + "    redact: hash\n", secret=secret, need_secrets=False)
    assert problem.startswith("6:5 warning ")


def test_a_rule_that_is_switched_off_needs_no_secret_and_tells_no_key(tmp_path: Path) -> None:
    assert wrong(tmp_path, RULE + "    redact: hash\n    enabled: false\n", secret=None) == []
    assert load(tmp_path / "rules.yaml", {}).rules["r"].invariant.redaction is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            RULE + "    scan: new rows by created_at\n    redact: hash\n",
            "6:5 error `scan: new rows` can't be with",
        ),
        (
            "defaults: {redact: hash}\n" + RULE + "    scan: new rows by at\n",
            "7:5 error `scan: new rows` can't be with",
        ),
        (
            "rules:\n  r:\n    table: app.t\n    row_count: {min: 1}\n    redact: hash\n",
            "6:5 error `redact` has no meaning for `row_count`",
        ),
        (RULE + "    redact: md5\n", "6:13 error "),
    ],
)
def test_what_cannot_be_is_refused_at_its_place(tmp_path: Path, text: str, message: str) -> None:
    [problem] = wrong(tmp_path, text)
    assert problem.startswith(message)


@pytest.mark.parametrize("says", ["    redact: no\n", "    redact: no\n    scan: new rows by at\n"])
def test_a_rule_may_say_otherwise_than_the_defaults(tmp_path: Path, says: str) -> None:
    assert wrong(tmp_path, "defaults: {redact: hash}\n" + RULE + says, secret=None) == []
    assert load(tmp_path / "rules.yaml", {}).rules["r"].invariant.redaction is None


def test_the_meaning_of_rules_that_hide_nothing_stays(tmp_path: Path) -> None:
    """A new version of sanityd must not close what is open."""
    wrong(tmp_path, RULE)
    plain = load(tmp_path / "rules.yaml", {}).rules["r"].meaning
    wrong(tmp_path, RULE + "    redact: no\n")
    assert load(tmp_path / "rules.yaml", {}).rules["r"].meaning == plain
    wrong(tmp_path, RULE + "    redact: hash\n")
    assert load(tmp_path / "rules.yaml", {"SANITYD_REDACT_KEY": SECRET}).rules["r"].meaning != plain


def test_a_digest_tells_types_apart_and_null_nothing() -> None:
    redaction = Redaction(b"secret")
    values: list[Value] = [1, "1", 1.0, True, "", b"", "\ud800"]
    digests = [redaction.value(value) for value in values]
    assert len({*digests}) == len(values)
    assert all(re.fullmatch("#[0-9a-f]{16}", str(one)) for one in digests)
    assert redaction.value(None) is None
    assert redaction.value("Ana") != Redaction(b"other").value("Ana")


def test_what_is_shown_was_declared_to_leave() -> None:
    found = Redaction(b"secret").violation(
        Violation({"id": 7}, shown={"name": "Ana"}, detail="is wrong", rows=3)
    )
    assert (found.shown, found.detail, found.rows) == ({"name": "Ana"}, "is wrong", 3)
    assert "7" not in repr(found.key) or len(str(found.key["id"])) == 17
    assert "secret" not in repr(Redaction(b"secret"))


def test_no_number_leaves_by_the_statements_that_look_it_up_elsewhere(project: Project) -> None:
    """The keys read in one database are asked for in the other, where numbers would stand in the
    text of the SQL."""
    project.sql("CREATE TABLE accounts (id INTEGER PRIMARY KEY, age INTEGER)")
    project.sql("INSERT INTO accounts VALUES (48151623, 5)")
    with closing(sqlite3.connect(project.folder / "there.db")) as there, there:
        there.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY)")
    sources = 'sources: {app: "sqlite:///app.db", there: "sqlite:///there.db"}\nrules:\n'
    kept = "  noted: {table: app.accounts, has: {in: there.notes, on: {id: id}}"
    project.rules(f"{sources}{kept}, redact: hash}}\n")
    said = project.run("try", "noted", SANITYD_REDACT_KEY=SECRET)
    assert "there.notes" in said.out or "notes" in said.out
    assert said.code == 1
    assert "48151623" not in said.out + said.err
    project.rules(f"{sources}{kept}}}\n")
    assert project.run("try", "noted").out.count("48151623") > 1
