"""Two guards, each alone enough: what a rule's SQL could do to a watched database, tried for real by each login.

The statements are in hostile.yaml. Each is sent as rules' SQL is: once past the gate, and once with the gate removed.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from sqlalchemy import func, select

from sanityd.errors import CheckError
from sanityd.sources import snapshot as snapshots
from sanityd.sources.base import Snapshot, SourceSettings
from sanityd.sources.open import open_source
from tests.sources.stages import STAGES, Stage, stage

Stages = Callable[[str, str], Stage]

#: No statement may take longer than this, in seconds; the limit of the sources here is a third of a second.
PATIENCE = 5.0
LIMITS = {"statement_timeout": timedelta(seconds=0.3), "lock_timeout": timedelta(seconds=0.2)}


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

    def forms(self) -> Iterator[tuple[str, str]]:
        """As a SELECT and as a condition, where it is either."""
        for form in ("query", "predicate"):
            if (sql := getattr(self, form)) is not None:
                yield form, sql


ATTACKS = [Attack(**entry) for entry in yaml.safe_load((Path(__file__).parent / "hostile.yaml").read_text("utf-8"))]
#: Each statement by each login of each of its databases.
CASES = [
    pytest.param(database, login, attack, id=f"{database}-{login}-{attack.tries}")
    for database, of in STAGES.items()
    for login in of.logins
    for attack in ATTACKS
    if database in attack.databases
]
UNGATED = [case for case in CASES if case.values[1] not in case.values[2].gate_alone]


@pytest.fixture(scope="module")
def stages(request: pytest.FixtureRequest) -> Iterator[Stages]:
    """The stage of a database and login, set when first asked for."""
    standing: dict[tuple[str, str], Stage] = {}
    with ExitStack() as opened:

        def get(database: str, login: str) -> Stage:
            if (database, login) not in standing or standing[database, login].spoilt:
                server = "" if database == "sqlite" else request.getfixturevalue(f"{database}_url")
                standing[database, login] = opened.enter_context(stage(database, login, server))
            return standing[database, login]

        yield get


@pytest.fixture
def no_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first guard is removed, so that the second is seen to hold alone."""
    for name in ("gate_query", "gate_predicate"):
        monkeypatch.setattr(snapshots, name, lambda sql, _dialect: sql)


def ask(snapshot: Snapshot, form: str, sql: str) -> None:
    """Run it as rules' SQL is run."""
    if form == "query":
        snapshot.rows(select(snapshot.query(sql)))
    else:
        people = snapshot.table("people").clause()
        snapshot.rows(select(func.count()).select_from(people).where(snapshot.predicate(sql)))


def attempt(stage: Stage, attack: Attack) -> list[CheckError | None]:
    """What came of each form of it; whatever is no CheckError is an error of the test."""
    answers: list[CheckError | None] = []
    source = open_source(SourceSettings("app", stage.url, **LIMITS))
    try:
        for form, sql in attack.forms():
            since = time.monotonic()
            with source.snapshot() as snapshot:
                try:
                    ask(snapshot, form, stage.filled(sql))
                    answers.append(None)
                except CheckError as error:
                    answers.append(error)
                assert snapshot.rows(select(1)) == [(1,)], "the snapshot is of no use any more"
            assert time.monotonic() - since < PATIENCE
    finally:
        source.close()
    return answers


def discreet(stage: Stage, error: CheckError) -> bool:
    """Whether the error tells nothing that it may not."""
    told = f"{error.message} {error.hint} {error.word} {error.__cause__ or ''}"
    return not any(piece in told for piece in stage.unspeakable)


@pytest.mark.parametrize(("database", "login", "attack"), CASES)
def test_a_hostile_statement_gets_nowhere(database: str, login: str, attack: Attack, stages: Stages) -> None:
    stage = stages(database, login)
    answers = attempt(stage, attack)
    assert stage.changes() == {}
    for answer in answers:
        assert answer is not None or attack.passes
        assert answer is None or discreet(stage, answer), answer
        if login in attack.gate_alone:
            assert answer is not None
            assert "the rule's SQL was refused" in answer.message


@pytest.mark.usefixtures("no_gate")
@pytest.mark.parametrize(("database", "login", "attack"), UNGATED)
def test_the_session_withstands_it_without_the_gate(database: str, login: str, attack: Attack, stages: Stages) -> None:
    stage = stages(database, login)
    answers = attempt(stage, attack)
    assert stage.changes() == {}
    for answer in answers:
        assert answer is not None or attack.harmless
        assert answer is None or discreet(stage, answer), answer
