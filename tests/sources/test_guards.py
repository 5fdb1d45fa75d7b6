"""Two guards, each alone enough: what a rule's SQL could do to a watched database, tried for real
by each login.

The statements are in hostile.yaml. Each is sent as rules' SQL is: once past the gate, and once with
the gate removed.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from sqlalchemy import func, select, table

from sanityd.errors import CheckError
from sanityd.sources import engine_snapshot
from sanityd.sources.base import Snapshot, Source, SourceSettings
from sanityd.sources.open import open_source
from sanityd.sources.sql_gate import GateRefusal, gate_predicate, gate_query
from tests.sources.scratch_tables import FILES, STAGES, Stage, stage

Stages = Callable[[str, str], Stage]

#: No statement may take longer than this, in seconds; the limits of the sources are far below.
PATIENCE = 5.0
REFUSED = "the rule's SQL was refused"


#: What a look must notice, done without any guard; what ends the victim comes last.
DEEDS = {
    "sqlite": (
        "DELETE FROM people",
        "CREATE TABLE loot (id int)",
        "VACUUM INTO '<folder>/loot'",
        "BEGIN EXCLUSIVE",
    ),
    "duckdb": (
        "DELETE FROM people",
        "CREATE TABLE loot (id int)",
        "SELECT nextval('numbers')",
        "COPY people TO '<folder>/loot'",
    ),
    "postgres": (
        "SELECT wipe()",
        "SELECT nextval('numbers')",
        "SELECT lo_put(4711, 0, 'loot')",
        "CREATE TABLE loot (id int)",
        "COMMENT ON TABLE people IS 'loot'",
        "GRANT ALL ON people TO public",
        "SELECT pg_stat_reset()",
        "SELECT pg_reload_conf()",
        "COPY people TO '<folder>/loot'",
        "SELECT dblink_connect('loot', '<url>')",
        "SELECT pg_terminate_backend(<victim>)",
    ),
    "mariadb": (
        "SELECT wipe()",
        "SELECT NEXTVAL(numbers)",
        "SELECT scribble()",
        "CREATE TABLE loot (id int)",
        "GRANT SELECT ON people TO CURRENT_USER",
        "SELECT * FROM people INTO OUTFILE '<folder>/loot'",
        "SELECT GET_LOCK('loot', 0)",
        "KILL <victim>",
    ),
}


@dataclass(frozen=True)
class Attack:
    """One statement of hostile.yaml, whose head explains the fields."""

    tries: str
    databases: list[str] = field(default_factory=lambda: list(STAGES))
    query: str | None = None
    predicate: str | None = None
    passes: bool = False
    harmless: bool = False
    gate_alone: list[str] = field(default_factory=list)

    def forms(self, stage: Stage) -> Iterator[tuple[str, str]]:
        """As a SELECT and as a condition, where it is either, with the stage's places in it."""
        for form, sql in (("query", self.query), ("predicate", self.predicate)):
            if sql is not None:
                yield form, stage.filled(sql)


ATTACKS = [
    Attack(**entry)
    for entry in yaml.safe_load((Path(__file__).parent / "hostile.yaml").read_text("utf-8"))
]
#: Each login of each database.
LOGINS = [(database, login) for database, of in STAGES.items() for login in of.logins]
CASES = [
    (database, login, attack)
    for database, login in LOGINS
    for attack in ATTACKS
    if database in attack.databases
]
UNGATED = [case for case in CASES if case[1] not in case[2].gate_alone]


def each(cases: list[tuple[str, str, Attack]]) -> pytest.MarkDecorator:
    """One test for each statement by each login."""
    names = [f"{database}-{login}-{attack.tries}" for database, login, attack in cases]
    return pytest.mark.parametrize(("database", "login", "attack"), cases, ids=names)


@pytest.fixture(scope="module")
def stages(request: pytest.FixtureRequest) -> Iterator[Stages]:
    """The stage of a database and login, set when first asked for."""
    standing: dict[tuple[str, str], Stage] = {}
    with ExitStack() as opened:

        def get(database: str, login: str) -> Stage:
            if (database, login) not in standing or standing[database, login].spoilt:
                server = "" if database in FILES else request.getfixturevalue(f"{database}_url")
                standing[database, login] = opened.enter_context(stage(database, login, server))
            return standing[database, login]

        yield get


@pytest.fixture
def no_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first guard is removed, so that the second is seen to hold alone."""
    for name in ("gate_query", "gate_predicate"):
        monkeypatch.setattr(engine_snapshot, name, lambda sql, _dialect: sql)


def opened(stage: Stage) -> Source:
    """The source as sanityd opens it, with short limits."""
    limit, lock = timedelta(seconds=0.2), timedelta(seconds=0.15)
    return open_source(SourceSettings("app", stage.url, statement_timeout=limit, lock_timeout=lock))


def is_refused(source: Source, form: str, sql: str) -> bool:
    """Whether the gate alone says no, so that there is nothing to send."""
    gate = gate_query if form == "query" else gate_predicate
    try:
        gate(sql, source.dialect.name)
    except GateRefusal:
        return True
    return False


def ask(snapshot: Snapshot, form: str, sql: str) -> CheckError | None:
    """Run it as rules' SQL is run. Whatever else is raised fails the test."""
    since = time.monotonic()
    try:
        if form == "query":
            snapshot.rows(select(snapshot.query(sql)))
        else:
            snapshot.rows(
                select(func.count()).select_from(table("people")).where(snapshot.predicate(sql))
            )
    except CheckError as error:
        return error
    finally:
        assert time.monotonic() - since < PATIENCE
    return None


def attempt(stage: Stage, forms: list[tuple[str, str]]) -> list[CheckError | None]:
    """What came of each form of a statement, in a snapshot of its own that must stay of use."""
    answers = []
    source = opened(stage)
    for form, sql in forms:
        with source.snapshot() as snapshot:
            answers.append(ask(snapshot, form, sql))
            assert snapshot.rows(select(1)) == [(1,)]
    source.close()
    return answers


def is_discreet(stage: Stage, error: CheckError | None) -> bool:
    """Whether the error tells nothing that it may not, neither in itself nor by its cause."""
    told = f"{error and error.message} {error and error.hint} {error and error.word} {error and error.__cause__}"
    return not any(piece in told for piece in stage.unspeakable)


@pytest.mark.parametrize("database", STAGES)
def test_there_are_many_statements_for_each_database(database: str) -> None:
    tries = [attack.tries for attack in ATTACKS if database in attack.databases]
    assert len(tries) >= 60
    assert len(set(tries)) == len(tries)


def test_the_promise_tells_how_many_there_are() -> None:
    page = Path(__file__).parents[2] / "docs" / "explanation" / "promises.md"
    told = [
        int(number)
        for number in re.findall(r"(\d+)(?: hostile| in all| of them)", page.read_text("utf-8"))
    ]
    assert told == [len(ATTACKS), len(CASES), len(UNGATED)]


@pytest.mark.parametrize("database", STAGES)
def test_a_look_at_the_stage_notices_what_was_done(
    database: str, request: pytest.FixtureRequest
) -> None:
    """Or all the tests below would prove nothing."""
    server = "" if database in FILES else request.getfixturevalue(f"{database}_url")
    with stage(database, STAGES[database].logins[0], server) as it:
        for deed in DEEDS[database]:
            it.first = it.look()
            it.do(it.filled(deed))
            until = time.monotonic() + PATIENCE
            while not it.changes(patience=0) and time.monotonic() < until:
                time.sleep(0.02)
            assert it.spoilt, deed


@pytest.mark.parametrize(("database", "login"), LOGINS)
def test_the_gate_refuses_without_asking_the_database(
    database: str, login: str, stages: Stages
) -> None:
    """And it refuses all that the session could not prevent."""
    stage = stages(database, login)
    source = opened(stage)
    with source.snapshot() as snapshot:
        for attack in (attack for attack in ATTACKS if database in attack.databases):
            for form, sql in attack.forms(stage):
                if login in attack.gate_alone or is_refused(source, form, sql):
                    refusal = ask(snapshot, form, sql)
                    assert refusal is not None, attack.tries
                    assert refusal.message.startswith(REFUSED), attack.tries
                    assert is_discreet(stage, refusal), attack.tries
        assert snapshot.statements == 0
    assert stage.changes() == {}


@each(CASES)
def test_a_hostile_statement_gets_nowhere(
    database: str, login: str, attack: Attack, stages: Stages
) -> None:
    stage = stages(database, login)
    source = opened(stage)
    answers = attempt(
        stage, [form for form in attack.forms(stage) if not is_refused(source, *form)]
    )
    if answers:
        assert stage.changes() == {}
    for answer in answers:
        assert answer is not None or attack.passes
        assert is_discreet(stage, answer), answer


@each(UNGATED)
@pytest.mark.usefixtures("no_gate")
def test_the_session_withstands_it_without_the_gate(
    database: str, login: str, attack: Attack, stages: Stages
) -> None:
    stage = stages(database, login)
    answers = attempt(stage, list(attack.forms(stage)))
    assert stage.changes() == {}
    for answer in answers:
        assert answer is not None or attack.harmless
        assert is_discreet(stage, answer), answer
