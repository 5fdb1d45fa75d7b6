"""A store that the version before wrote is taken over whole: `version_before/README.md`."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from alembic import command
from click.testing import CliRunner
from sqlalchemy import Connection, Engine, MetaData, create_engine, func, inspect, select, text

from sanityd.cli import root
from sanityd.model import Cause, NoiseState, Outcome, Reason, Resolution, TriageAction
from sanityd.store import noise_state, tables
from sanityd.store.migrate import config
from sanityd.store.open import Store
from tests.support.smtp_server import Mailbox, working

FILES = Path(__file__).parent / "version_before"
#: A quarter of an hour after the last pass of the version before.
NEXT_PASS = datetime(2026, 2, 9, 23, 45, tzinfo=UTC)
OLD_TABLES = {
    "triage": "dispositions",
    "unchanged": "held",
    "pending_confirmations": "suspects",
}
#: What the version before did not have.
NEW_TABLES = {
    "adopted_rules",
    "announced_changes",
    "audit_chain",
    "episodes",
    "evidence",
    "remedies",
    "remedy_status",
    "rule_texts",
}
NEW_REASONS = {
    Reason.ANNOUNCED,
    Reason.AUTO_PAUSED,
    Reason.IN_DIGEST,
    Reason.KEPT_OPEN,
    Reason.NOT_ACTED_ON,
    Reason.NOT_TAKEN,
    Reason.REMEDY_FAILED,
    Reason.REMEDY_STOPPED,
}
OLD_REASONS = {
    "calm",
    "known",
    "mild",
    "never_told",
    "notice",
    "old",
    "storm",
    "unknown",
    "unsteady",
}
SENDING_ACTIONS = ("notified", "not notified", "judged")


@pytest.fixture
def old(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The store as the version before left it."""
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.executescript((FILES / "store.sql").read_text(encoding="utf-8"))
        yield connection


@pytest.fixture
def url(request: pytest.FixtureRequest, old: sqlite3.Connection, tmp_path: Path) -> str:
    """The same store on each database."""
    if request.param == "sqlite":
        shutil.copy(tmp_path / "old.db", tmp_path / "state.db")
        return f"sqlite:///{tmp_path / 'state.db'}"
    postgres: str = request.getfixturevalue("postgres")
    _copy_to_postgresql(f"sqlite:///{tmp_path / 'old.db'}", postgres)
    return postgres


@pytest.fixture
def connection(url: str, tmp_path: Path) -> Iterator[Connection]:
    """A transaction in the store, which today's version has opened."""
    store = Store.open(url, tmp_path)
    with store.read() as connection:
        yield connection
    store.close()


def _copy_to_postgresql(source: str, target: str) -> None:
    """Make the old schema in an empty database and copy all rows."""
    old_store, new_store = create_engine(source), create_engine(target)
    schema = MetaData()
    schema.reflect(old_store)
    with old_store.connect() as reading, new_store.begin() as writing:
        command.upgrade(config(writing), "0008")
        writing.execute(text("SET LOCAL TIME ZONE 'UTC'"))
        for table in schema.sorted_tables:
            if table.name == "alembic_version":
                continue
            rows = [dict(row) for row in reading.execute(select(table)).mappings()]
            writing.execute(table.insert(), rows)
            for column in table.primary_key:
                _continue_counting(writing, table.name, column.name)
    old_store.dispose()
    new_store.dispose()


def _continue_counting(connection: Connection, table: str, column: str) -> None:
    names = {"table": table, "column": column}
    sequence = connection.execute(
        text("SELECT pg_get_serial_sequence(:table, :column)"), names
    ).scalar()
    if sequence is not None:
        connection.execute(
            text(f'SELECT setval(:sequence, (SELECT max("{column}") FROM "{table}"))'),
            {"sequence": sequence},
        )


both = pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)


@both
def test_no_row_is_lost(connection: Connection, old: sqlite3.Connection) -> None:
    for table in tables.metadata.sorted_tables:
        if table.name in NEW_TABLES:
            continue
        name = OLD_TABLES.get(table.name, table.name)
        rows_before = old.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        rows_now = connection.execute(select(func.count()).select_from(table)).scalar_one()
        assert (table.name, rows_now) == (table.name, rows_before)
        assert rows_now > 0, f"the history has nothing in {table.name}"


@both
def test_every_stored_word_is_one_of_today(connection: Connection) -> None:
    words = {
        tables.incidents.c.cause: Cause,
        tables.violations.c.resolution: Resolution,
        tables.triage.c.action: TriageAction,
        tables.runs.c.outcome: Outcome,
        tables.outbox.c.reason: Reason,
        tables.news.c.reason: Reason,
        tables.decisions.c.reason: Reason,
    }
    for column, enum in words.items():
        stored = set(connection.execute(select(column).distinct()).scalars()) - {None}
        assert stored <= set(enum), column
    for resolutions in connection.execute(select(tables.incidents.c.resolutions)).scalars():
        assert set(resolutions) <= set(Resolution)
    reasons = set(connection.execute(select(tables.decisions.c.reason)).scalars())
    assert reasons == set(Reason) - NEW_REASONS
    reviews = noise_state.all_of(connection)
    assert reviews["long-gone"] == NoiseState(
        steps=1,
        since=datetime(2026, 2, 1, 8, tzinfo=UTC),
        baseline=3,
        sentence="nobody acted on 12 mails",
    )


@both
def test_the_words_of_sanityd_in_the_audit_are_those_of_today(connection: Connection) -> None:
    audit = tables.audit
    reasons = connection.execute(
        select(audit.c.action, audit.c.reason).where(
            audit.c.actor == "sanityd", audit.c.action.in_(SENDING_ACTIONS)
        )
    ).all()
    assert {reason for _, reason in reasons} <= set(Reason)
    assert {action for action, _ in reasons} == set(SENDING_ACTIONS)
    judged = {reason for action, reason in reasons if action == "judged"}
    assert judged == {
        "downgrade_notice",
        "downgraded",
        "restored",
        "flapping_started",
        "flapping_ended",
    }
    old_actions = select(audit.c.id).where(audit.c.action.in_(("told", "not told")))
    assert connection.execute(old_actions).all() == []
    withdrawal = select(audit.c.detail).where(audit.c.action == "withdrew")
    assert connection.execute(withdrawal).scalars().all() == [{"decision": "acknowledged"}]


@both
def test_words_of_people_stay_as_they_are(connection: Connection, old: sqlite3.Connection) -> None:
    def fields(table: Any, *names: str) -> set[tuple[Any, ...]]:
        columns = [table.c[name] for name in names]
        return {tuple(row) for row in connection.execute(select(*columns))}

    entries = fields(tables.audit, "id", "actor", "reason")
    human_entries = {entry for entry in entries if entry[1] != "sanityd"}
    query = "SELECT id, actor, reason FROM audit WHERE actor <> 'sanityd'"
    assert human_entries == set(old.execute(query))
    assert {reason for _, _, reason in human_entries} & OLD_REASONS, "the history has such words"
    query = "SELECT id, author, reason, resolution FROM dispositions"
    assert fields(tables.triage, "id", "author", "reason", "resolution") == set(old.execute(query))
    query = "SELECT id, author, reason FROM silences"
    assert fields(tables.silences, "id", "author", "reason") == set(old.execute(query))


@both
def test_programs_get_the_events_of_today(connection: Connection) -> None:
    outbox = tables.outbox
    for headers, data in connection.execute(select(outbox.c.headers, outbox.c.data)):
        events = [headers.get("X-Sanityd-Event", "opened"), data.get("event", "opened")]
        events += [incident["event"] for incident in data.get("incidents", [])]
        assert set(events) <= set(Reason)
    notice = select(outbox).where(outbox.c.dedup_key == "byhand-1")
    message = connection.execute(notice).one()
    assert message.reason == "downgrade_notice"
    assert message.headers == {
        "X-Sanityd-Event": "downgrade_notice",
        "X-Sanityd-Rule": "nobody-cares",
    }
    incident = {"event": "downgrade_notice", "rule": "nobody-cares", "noise": "known"}
    assert message.data == {"event": "downgrade_notice", "incidents": [incident]}
    assert message.subject == "notice", "what was rendered is sent as it is"


@both
def test_messages_keep_their_order_and_their_state(
    connection: Connection, old: sqlite3.Connection
) -> None:
    names = ("seq", "dedup_key", "message_id", "state", "attempts", "recipient", "subject")
    columns = [tables.outbox.c[name] for name in names]
    now = {tuple(row) for row in connection.execute(select(*columns))}
    assert now == set(old.execute(f"SELECT {', '.join(names)} FROM outbox"))
    position = tables.news.c.position
    positions = {tuple(row) for row in connection.execute(select(tables.news.c.message, position))}
    assert positions == set(old.execute("SELECT message, place FROM news"))


def test_what_belongs_to_a_renamed_table_is_renamed_with_it(postgres: str, tmp_path: Path) -> None:
    """A migration to come finds the same names in an old store and in a new one."""

    def names(engine: Engine) -> set[str]:
        query = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        with engine.connect() as connection:
            return set(connection.execute(text(query)).scalars())

    engine = create_engine(postgres)
    with engine.begin() as connection:
        command.upgrade(config(connection), "0008")
    Store.open(postgres, tmp_path).close()
    migrated = names(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    Store.open(postgres, tmp_path).close()
    renamed = [name for name in names(engine) if name.startswith(("triage", "unchanged", "pend"))]
    assert len(renamed) > 3
    assert set(renamed) <= migrated
    assert not inspect(engine).has_table("dispositions")
    engine.dispose()


class Team:
    """A folder with the rules and their database, and people who work with the store there."""

    def __init__(self, url: str, mailbox: Mailbox, clock: time_machine.Traveller) -> None:
        self.url = url
        self.mailbox = mailbox
        self.clock = clock
        self.engine = create_engine(url)

    def run(self, *words: str) -> str:
        """Run a command and return what it prints."""
        server = f"smtp://127.0.0.1:{self.mailbox.port}"
        environment = {
            "SMTP_URL": server,
            "HOOK_URL": "http://127.0.0.1:1/hook",
            "SANITYD_STATE": self.url,
            "COLUMNS": "150",
        }
        result = CliRunner().invoke(root, [*words], env=environment)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the store."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]


@pytest.fixture
def team(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    """People who have installed today's version, with a mail server that works again."""
    folder = tmp_path / "team"
    folder.mkdir()
    shutil.copy(FILES / "rules.yaml", folder)
    with closing(sqlite3.connect(folder / "app.db")) as app:
        app.executescript((FILES / "app.sql").read_text(encoding="utf-8"))
    monkeypatch.chdir(folder)
    with working() as mailbox, time_machine.travel(NEXT_PASS, tick=False) as clock:
        team = Team(url, mailbox, clock)
        yield team
        team.engine.dispose()


OPEN = "SELECT id, cause, rule, severity, meaning FROM incidents WHERE resolved_at IS NULL"


@both
def test_a_check_goes_on_with_the_same_incidents_and_mails_nothing_twice(
    team: Team, old: sqlite3.Connection
) -> None:
    pending = "SELECT message_id FROM outbox WHERE state = 'pending' AND channel <> 'hook'"
    waiting_before = {message for (message,) in old.execute(pending)}
    last_message = old.execute("SELECT max(seq) FROM outbox").fetchone()[0]
    team.run("check")
    assert sorted(team.ask(OPEN)) == sorted(old.execute(OPEN))
    new_messages = f"SELECT reason, channel, recipient FROM outbox WHERE seq > {last_message}"
    assert team.ask(new_messages) == []
    rule_changes = "SELECT count(*) FROM audit WHERE action IN ('rule changed', 'closed')"
    assert team.ask(rule_changes) == old.execute(rule_changes).fetchall()
    assert {mail["Message-ID"] for _, mail in team.mailbox.mails} == waiting_before
    assert len(team.mailbox.mails) == len(waiting_before)
    for _ in range(3):
        team.clock.shift(timedelta(minutes=15))
        team.run("check")
    assert team.ask(new_messages) == []
    assert len(team.mailbox.mails) == len(waiting_before)


@both
def test_people_read_the_store_as_before(team: Team, old: sqlite3.Connection) -> None:
    team.run("check")
    status = team.run("status")
    for (rule,) in old.execute("SELECT rule FROM incidents WHERE resolved_at IS NULL"):
        assert rule.removeprefix("source:") in status
    shown = team.run("show", "orders-have-people")
    assert "10 violations" in shown
    history = team.run("history", "comes-and-goes", "--since", "60d")
    assert "flapping_started" in history
    assert "flapping_ended" in history
    assert "acknowledged" in team.run("history", "adults", "--since", "60d")
    assert "comes-and-goes" in team.run("noise")


@both
def test_what_ends_later_is_told_to_who_heard_of_its_beginning(team: Team) -> None:
    team.run("check")
    before = len(team.mailbox.mails)
    with closing(sqlite3.connect("app.db")) as app:
        app.executescript("UPDATE orders SET number = 'N9' WHERE id = 9")
    team.clock.shift(timedelta(hours=2))
    team.run("check")
    mails = [
        (recipient, mail["X-Sanityd-Event"], mail["X-Sanityd-Rule"])
        for recipient, mail in team.mailbox.mails[before:]
    ]
    assert sorted(mails) == [
        ("ada@example.com", "resolved", "order-numbers-are-short"),
        ("bob@example.com", "resolved", "order-numbers-are-short"),
    ]
