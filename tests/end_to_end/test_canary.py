"""Canaries in all that is secret, and the whole program run among them: none of them gets out,
whatever breaks."""

import base64
import re
import secrets as chance
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from tests.modules.test_telemetry import Sentry, serving
from tests.support.forked import Ended
from tests.support.project import Project
from tests.support.smtp_server import working

#: What the password of each login, and so on, looks like; every one is told apart by its word.
CANARY = "kanarie{}4711"


def canary(what: str) -> str:
    return CANARY.format(what)


#: Rows' column that no rule declares; it is all over the tables.
ROW = canary("row")
TABLE = f"""
CREATE TABLE people (id INTEGER PRIMARY KEY, age INTEGER, note VARCHAR(80) CHECK (note <> '{canary("constraint")}'));
CREATE TABLE notes (id INTEGER PRIMARY KEY, note VARCHAR(80));
INSERT INTO people VALUES (1, 5, '{ROW}'), (2, 30, '({ROW}'), (3, 30, '{ROW}');
INSERT INTO notes VALUES (1, '{ROW}x'), (2, '{ROW}')
"""

RULES = """\
name: canary
allow: {python: true}
sources:
  pg: {url: "${PG_URL}", connections: 1}
  maria: "${MARIA_URL}"
channels:
  team: {email: team@example.com, server: "${SMTP_URL}", from: sanity@example.com, timeout: 5s}
  broken: {broken: "${BROKEN_TOKEN}"}
defaults:
  notify: [team, broken]
  schedule: every 1s
rules:
"""

#: Each is said of both databases. Errors first: the databases quote the value in all of these.
CHECKS = {
    "casts": {
        "pg": "always: note::int > 0",
        "maria": "always: extractvalue(1, concat('~', note)) = ''",
    },
    "looks-up": {
        "pg": "always: note::regclass is not null",
        "maria": "always: json_extract(note, note) = 1",
    },
    "broken-pattern": {"pg": "always: \"'x' ~ note\"", "maria": "always: \"'x' regexp note\""},
    "refused": {"both": "always: nott = id"},
    "grown-up": {"both": "between: {age: [18, 150]}"},
    "matches": {"both": "matches: {note: '[0-9]+'}"},
    "short": {"both": "length: {note: [1, 3]}"},
    "listed": {"both": "accepted_values: {note: [a, b]}"},
    "not-like": {"both": "never: note like '%row%'"},
    "has-twin": {"both": "has: {in: OTHER.notes, on: {note: note}}\n    confirm: again after 1s"},
    "same-there": {
        "both": "same_as: {in: OTHER.notes, on: id, compare: note}\n    confirm: again after 1s"
    },
    "same-here": {"both": "same_as: {in: HERE.notes, on: id, compare: note}"},
    "points": {"both": "references: {note: notes.note}"},
}
WHOLE = {
    "query": 'source: HERE\n    key: id\n    query: "select id, note, note as more from people"',
    "sums": 'table: HERE.people\n    aggregate: {expr: "sum(cast(note as decimal(9)))", max: 1}',
    "python": "source: HERE\n    key: id\n    python: sniffing:raises",
    "python-rows": "source: HERE\n    key: id\n    python: sniffing:yields",
    "python-key": "source: HERE\n    key: id\n    python: sniffing:misnames",
}

SNIFFING = """
def raises(read):
    [row, *_] = read("select note from people order by id")
    secret = row["note"]
    raise KeyError(secret)

def yields(read):
    for row in read("select id, note from people"):
        yield {"id": row["id"], "note": row["note"], row["note"]: 1}

def misnames(read):
    for row in read("select id, note from people"):
        yield {row["note"]: row["id"]}
"""

#: A channel that somebody wrote: whatever it is told and knows, it puts into what it raises.
BROKEN = '''
from typing import ClassVar
from pydantic import SecretStr
from sanityd.alerts.base import Channel

class Broken(Channel):
    """Fails."""

    kind: ClassVar[str] = "broken"
    broken: SecretStr

    def recipients(self):
        return ["somebody"]

    def deliver(self, message):
        token = self.broken.get_secret_value()
        try:
            raise ValueError(token)
        except ValueError as error:
            raise RuntimeError(f"refused: {token}") from error
'''


def rules_of(source: str, other: str) -> str:
    """All rules about one database."""
    lines = []
    for name, texts in CHECKS.items():
        said = texts.get(source) or texts.get("both")
        assert said
        lines += [f"  {source}-{name}:", f"    table: {source}.people", f"    {said}"]
    for name, said in WHOLE.items():
        lines += [f"  {source}-{name}:", f"    {said}"]
    return "\n".join(lines).replace("OTHER", other).replace("HERE", source) + "\n"


@dataclass
class Cage:
    """A project full of canaries, and all that came out of it."""

    project: Project
    environment: dict[str, str]
    delivery_states: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, **environment: str) -> str:
        """A command as people run it; what it prints is kept."""
        return self._keep(
            words, self.project.run_anew(*words, **{**self.environment, **environment})
        )

    def look(self, *words: str) -> str:
        """The same for a command whose faults needn't reach Sentry; it begins faster."""
        return self._keep(words, self.project.run(*words, **{**self.environment, "SENTRY_DSN": ""}))

    def _keep(self, words: Sequence[str], done: Ended) -> str:
        said = done.out + done.err
        self.delivery_states[f"{len(self.delivery_states)} {' '.join(words)}"] = (
            f"exit {done.code}\n{said}"
        )
        return said

    def hear(self, what: str, said: str | bytes) -> None:
        """Something else that came out."""
        self.delivery_states[what] = (
            said if isinstance(said, str) else said.decode("utf-8", errors="replace")
        )

    def store(self) -> None:
        """The store as it lies on the disk, and what it holds as text."""
        for file in sorted((self.project.folder / ".sanityd").iterdir()):
            self.hear(file.name, file.read_bytes())
        for table in ("outbox", "news", "audit", "runs", "incidents", "violations", "decisions"):
            self.hear(table, repr(self.project.state(f"SELECT * FROM {table}")))

    def escaped(self) -> dict[str, list[str]]:
        """Which canaries were seen where."""
        pattern = re.compile(CANARY.format("[a-z]+"), re.IGNORECASE)
        found = {
            place: sorted(set(pattern.findall(readable(said))))
            for place, said in self.delivery_states.items()
        }
        return {place: names for place, names in found.items() if names}


def readable(said: str) -> str:
    """The text, and what stands in it as base64, also in lines (as mails and logins have it)."""
    packed = re.findall(r"(?:[A-Za-z0-9+/]{4,}={0,2}\r?\n?)+", said)
    opened = [
        base64.b64decode(re.sub(r"\s", "", one)[: len(one) // 4 * 4] + "==", validate=False)
        for one in packed
        if len(one) > 15
    ]
    return said.replace("=\r\n", "").replace("=\n", "") + "\n".join(
        one.decode("utf-8", "replace") for one in opened
    )


@contextmanager
def login(administrator: str, create: str, grant: str, drop: str) -> Iterator[str]:
    """A login of its own whose password is a canary, in the database of the test. Gives its URL."""
    url = make_url(administrator)
    name = f"reader_{chance.token_hex(4)}"
    words = {"name": name, "password": canary(url.get_backend_name()), "database": url.database}
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as owner:
        for statement in [*TABLE.split(";\n"), *(create + ";" + grant).format(**words).split(";")]:
            owner.execute(text(statement.replace(":", r"\:")))
    try:
        shown = url.set(username=name, password=words["password"])
        yield (
            shown.render_as_string(hide_password=False)
            .replace("+psycopg", "")
            .replace("+pymysql", "")
        )
    finally:
        with engine.connect() as owner:
            for statement in drop.format(**words).split(";"):
                owner.execute(text(statement))


@pytest.fixture
def pg(postgres: str) -> Iterator[str]:
    with login(
        postgres,
        "CREATE ROLE {name} LOGIN PASSWORD '{password}'",
        "GRANT SELECT ON people, notes TO {name}",
        "DROP OWNED BY {name};DROP ROLE {name}",
    ) as url:
        yield url


@pytest.fixture
def maria(mariadb: str) -> Iterator[str]:
    with login(
        mariadb,
        "CREATE USER {name}@'127.0.0.1' IDENTIFIED BY '{password}'",
        "GRANT SELECT ON {database}.* TO {name}@'127.0.0.1'",
        "DROP USER {name}@'127.0.0.1'",
    ) as url:
        yield url


@pytest.fixture
def sentry() -> Iterator[Sentry]:
    with serving() as server:
        yield server


@pytest.fixture
def cage(tmp_path: Path, pg: str, maria: str, sentry: Sentry) -> Iterator[Cage]:
    """Rules of both databases, a channel and a function of the user's own, and a Sentry that hears
    of all faults."""
    project = Project(tmp_path)
    project.rules(RULES + rules_of("pg", "maria") + rules_of("maria", "pg"))
    (tmp_path / "sniffing.py").write_text(SNIFFING, encoding="utf-8")
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "broken.py").write_text(BROKEN, encoding="utf-8")
    environment = {
        "PG_URL": pg,
        "MARIA_URL": maria,
        "SMTP_URL": f"smtp://{canary('user')}:{canary('smtp')}@127.0.0.1:1",
        "BROKEN_TOKEN": canary("token"),
        "UNUSED": canary("unused"),
        "SENTRY_DSN": sentry.dsn,
    }
    made = Cage(project, environment)
    yield made
    for number, body in enumerate(sentry.bodies):
        made.hear(f"sentry {number}", body)
    assert made.escaped() == {}


def mailed(port: int) -> dict[str, str]:
    """The mail server that wants no login, but gets one in the clear nowhere."""
    return {"SMTP_URL": f"smtp://127.0.0.1:{port}"}


@pytest.mark.parametrize("form", ["text", "json", "junit"])
def test_check_tells_no_secret(cage: Cage, sentry: Sentry, form: str) -> None:
    """Nor do its mails, its store and its faults."""
    with working() as box:
        said = cage.run("--log", "debug", "check", "--format", form, **mailed(box.port))
        cage.run("--log", "json", "check", "--format", form, **mailed(box.port))
    assert "pg-grown-up" in said
    assert len(box.mails) > 1
    for number, raw in enumerate(box.raw):
        cage.hear(f"mail {number}", raw)
    cage.store()
    assert len(sentry.bodies) > 2


def test_looking_tells_no_secret(cage: Cage) -> None:
    """What `try`, `status`, `show` and `lint` print."""
    cage.run("check")
    cage.look("status")
    for rule in ("pg-grown-up", "maria-not-like", "pg-query", "maria-python", "pg-has-twin"):
        cage.look("show", rule)
    for source in ("pg", "maria"):
        for name in (*CHECKS, *WHOLE):
            cage.look("--log", "debug", "try", f"{source}-{name}")
    assert cage.run("lint", "--connect").count("nott") >= len(("pg", "maria"))
    cage.look("lint")
