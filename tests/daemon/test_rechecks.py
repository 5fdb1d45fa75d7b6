"""Rechecks of a daemon: due at their own time, done by whoever lives, and once."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from sanityd import clock
from sanityd.daemon.daemon import Daemon
from sanityd.rules.load import load
from sanityd.scheduler import Batch
from sanityd.store.open import Store

BEGIN = datetime(2026, 11, 23, 8, 0, 1, tzinfo=UTC)
RULES = """\
name: replicas
sources: {app: sqlite:///app.db, mail: sqlite:///mail.db}
channels:
  team: {email: team@example.com, server: "smtp://127.0.0.1:1", from: sanity@example.com}
alerts: {group_wait: 1s}
defaults: {notify: team, schedule: every 10s}
rules:
  mailed: {table: app.people, has: {in: mail.mails, on: {id: person_id}}}
  adults: {table: app.people, between: {age: [18, 150]}, severity: critical}
  known: {table: mail.mails, references: {person_id: app.people.id}, confirm: again after 50s}
"""


@dataclass
class Replicas:
    """Two daemons with one store, in a time of the test's own."""

    folder: Path
    store: Store
    at: datetime = BEGIN

    def __post_init__(self) -> None:
        self.first = self.daemon()
        self.second = self.daemon()

    def daemon(self) -> Daemon:
        """Another one."""
        return Daemon(load(self.folder / "rules.yaml", {}), self.store)

    def evaluate(self, daemon: Daemon) -> None:
        """What its scheduler would evaluate at this slot."""
        for batch in daemon.batches():
            daemon.evaluate(batch)

    def rechecks(self, daemon: Daemon, seconds: float = 0) -> list[Batch]:
        """What its housekeeping finds that is due, some seconds later."""
        self.at += timedelta(seconds=seconds)
        return [batch for batch in daemon.housekeeping({}) if "recheck" in batch.name]

    def sql(self, database: str, said: str) -> None:
        """Do something to the data."""
        with closing(sqlite3.connect(self.folder / database)) as connection:
            connection.executescript(said)

    def ask(self, query: str) -> list[tuple[object, ...]]:
        """Ask the store."""
        with self.store.read() as memory:
            return [tuple(row) for row in memory.execute(text(query))]

    def runs(self, rule: str) -> int:
        """How often a rule was recorded."""
        [[count]] = self.ask(f"SELECT count(*) FROM runs WHERE rule = '{rule}'")
        assert isinstance(count, int)
        return count

    def opened(self) -> list[object]:
        """The rules with an incident, one for each."""
        return [rule for (rule,) in self.ask("SELECT rule FROM incidents ORDER BY rule")]


@pytest.fixture
def replicas(tmp_path: Path, state: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replicas]:
    """A person of ten has no mail, another one is too young."""
    (tmp_path / "rules.yaml").write_text(RULES)
    store = Store.open(state, tmp_path)
    made = Replicas(tmp_path, store)
    made.sql("app.db", "CREATE TABLE people (id INTEGER PRIMARY KEY, age INTEGER)")
    made.sql("mail.db", "CREATE TABLE mails (id INTEGER PRIMARY KEY, person_id INTEGER)")
    for number in range(1, 11):
        made.sql("app.db", f"INSERT INTO people VALUES ({number}, {number + 9})")
        made.sql("mail.db", f"INSERT INTO mails VALUES ({number}, {number})")
    made.sql("app.db", "UPDATE people SET age = 30 WHERE id > 1")
    made.sql("mail.db", "DELETE FROM mails WHERE id = 7")
    monkeypatch.setattr(clock, "now", lambda: made.at)
    monkeypatch.setattr(clock, "pause", lambda *_: pytest.fail("a thread waited"))
    yield made
    store.close()


def test_the_rule_beside_it_is_recorded_at_once_and_the_recheck_when_it_is_due(
    replicas: Replicas,
) -> None:
    replicas.evaluate(replicas.first)
    assert (replicas.opened(), replicas.runs("mailed"), replicas.runs("known")) == (
        ["adults"],
        0,
        1,
    )
    assert replicas.rechecks(replicas.first, 29) == []
    [due] = replicas.rechecks(replicas.first, 1)
    assert due.rules == ("mailed",)
    replicas.first.evaluate(due)
    assert replicas.opened() == ["adults", "mailed"]
    assert replicas.rechecks(replicas.first, 4) == []


def test_a_slot_that_comes_meanwhile_does_not_put_it_off(replicas: Replicas) -> None:
    replicas.evaluate(replicas.first)
    for _ in range(2):
        assert replicas.rechecks(replicas.first, 10) == []
        replicas.evaluate(replicas.first)
    assert (replicas.runs("adults"), replicas.runs("mailed")) == (3, 0)
    [due] = replicas.rechecks(replicas.first, 10)
    replicas.evaluate(replicas.first)
    replicas.first.evaluate(due)
    assert (replicas.runs("adults"), replicas.runs("mailed")) == (4, 1)
    replicas.at += timedelta(seconds=10)
    replicas.evaluate(replicas.first)
    assert replicas.runs("mailed") == 2


def test_another_replica_does_it_and_only_one(replicas: Replicas) -> None:
    replicas.evaluate(replicas.first)
    [ours] = replicas.rechecks(replicas.first, 30)
    [theirs] = replicas.rechecks(replicas.second)
    replicas.second.evaluate(theirs)
    replicas.at += timedelta(seconds=1)
    replicas.first.evaluate(ours)
    replicas.first.evaluate(Batch(ours.source, ours.schedule, ours.rules, name=ours.name))
    assert (replicas.runs("mailed"), replicas.opened()) == (1, ["adults", "mailed"])


def test_one_that_died_during_the_recheck_is_taken_over(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    replicas.evaluate(replicas.first)
    [due] = replicas.rechecks(replicas.first, 30)
    with monkeypatch.context() as dying:
        dying.setattr(replicas.first, "_run_claimed", lambda *_: None)
        replicas.first.evaluate(due)
    assert replicas.rechecks(replicas.second) == []
    [taken] = replicas.rechecks(replicas.second, 20)
    replicas.second.evaluate(taken)
    assert (replicas.runs("mailed"), replicas.opened()) == (1, ["adults", "mailed"])


def test_after_a_restart_it_goes_on(replicas: Replicas) -> None:
    replicas.evaluate(replicas.first)
    replicas.at += timedelta(seconds=15)
    restarted = replicas.daemon()
    for batch in restarted.overdue(restarted.batches(), replicas.at):
        restarted.evaluate(batch)
    assert replicas.runs("mailed") == 0
    [due] = replicas.rechecks(restarted, 15)
    restarted.evaluate(due)
    assert replicas.opened() == ["adults", "mailed"]


def test_rules_of_several_sources_are_due_together(replicas: Replicas) -> None:
    replicas.sql("mail.db", "INSERT INTO mails VALUES (99, 99)")
    replicas.evaluate(replicas.second)
    assert len(replicas.rechecks(replicas.first, 30)) == 1
    due = replicas.rechecks(replicas.first, 20)
    assert sorted(batch.rules for batch in due) == [("known",), ("mailed",)]
    for batch in due:
        replicas.first.evaluate(batch)
    assert replicas.opened() == ["adults", "known", "mailed"]


def test_a_rule_that_was_switched_off_is_not_rechecked(replicas: Replicas) -> None:
    replicas.evaluate(replicas.first)
    off = RULES.replace("on: {id: person_id}}}", "on: {id: person_id}}, enabled: false}")
    (replicas.folder / "rules.yaml").write_text(off)
    replicas.first.reload()
    assert replicas.rechecks(replicas.first, 30) == []
