"""Several daemons on one PostgreSQL store: each slot is looked at once, whoever dies, and every
mail arrives."""

import multiprocessing
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from sanityd import clock
from sanityd.daemon.daemon import Daemon
from sanityd.rules.load import load
from sanityd.scheduler import Batch
from sanityd.store import slots
from sanityd.store.open import Store
from tests.support.smtp_server import Mailbox, working

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["tests.support.forked", "tests.support.warm", "tests.daemon.test_replicas"]
)

RULES = """\
name: replicas
sources: {app: sqlite:///app.db}
channels:
  team: {email: team@example.com, server: "%s", from: sanity@example.com}
alerts: {group_wait: 1s, digest: {at: null}, limits: {mails_per_hour: 1000}, flapping: {start: 100, end: 100},
  noise: {auto: off, critical: off}}
defaults: {notify: team, severity: error}
rules:
  adults: {table: app.people, between: {age: [18, 150]}, schedule: every 5m}
  named: {table: app.people, not_null: name, schedule: every 7m}
  few: {table: app.people, row_count: {max: 20}, schedule: every 5m}
"""
BEGIN = datetime(2026, 11, 23, 8, 0, 1, tzinfo=UTC)
STEP = timedelta(seconds=30)
HOURS = 4


def replica(folder: Path, state: str, pipe: Any) -> None:
    """A daemon whose time is told by the test, step by step: what its scheduler would do in that
    time."""
    at = BEGIN
    clock.now = lambda: at
    at = pipe.recv()
    store = Store.open(state, folder)
    daemon = Daemon(load(folder / "rules.yaml", {}), store)
    batches = daemon.batches()
    due = dict.fromkeys([one.name for one in batches], at)
    soon = list(daemon.overdue(batches, at))
    while True:
        soon += daemon.housekeeping({})
        for batch in soon:
            daemon.evaluate(batch)
        for batch in batches:
            if due[batch.name] <= at:
                daemon.evaluate(batch)
                due[batch.name] = batch.schedule.next_after(at, batch.offset) or at
        daemon.deliver()
        daemon.report()
        pipe.send("done")
        soon, at = [], pipe.recv()


@dataclass
class Replica:
    """One of them: alive, or to be born at some time."""

    process: Any = None
    pipe: Any = None
    born: datetime = BEGIN

    def begin(self, folder: Path, state: str) -> None:
        """Let it live."""
        self.pipe, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=replica, args=(folder, state, theirs))
        self.process.start()
        theirs.close()

    def kill(self) -> None:
        """With SIGKILL, wherever it is."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()
        self.pipe.close()
        self.process = None


@dataclass
class Hours:
    """What happened in some hours."""

    kills: int = 0
    broken: list[datetime] = field(default_factory=list)
    mails: list[tuple[str, str, str]] = field(default_factory=list)
    runs: list[tuple[str, datetime]] = field(default_factory=list)


def sql(folder: Path, said: str) -> None:
    """Do something to the application's data."""
    with closing(sqlite3.connect(folder / "app.db")) as connection:
        connection.executescript(said)


def live(folder: Path, state: str, box: Mailbox, seed: int) -> Hours:
    """Two replicas for some hours, each killed again and again, while the data breaks and is
    repaired."""
    chance, found = random.Random(seed), Hours()
    both = [Replica(), Replica()]
    at, is_broken = BEGIN, False
    for step in count():
        at = BEGIN + step * STEP
        if at > BEGIN + timedelta(hours=HOURS):
            break
        # The last hour is calm, so that all can be told. Else the data changes every half hour.
        is_calm = at > BEGIN + timedelta(hours=HOURS - 1)
        if step % 60 == 30:
            is_broken = not is_broken and not is_calm
            sql(folder, f"UPDATE people SET age = {5 if is_broken else 30} WHERE id = 7")
            if is_broken:
                found.broken.append(at)
        for one in both:
            if one.process is None and one.born <= at:
                one.begin(folder, state)
        alive = [one for one in both if one.process is not None]
        for one in alive:
            one.pipe.send(at)
        # Only a step in which something is due is worth dying in.
        victim = chance.choice(alive) if alive and not is_calm and chance.random() < 0.25 else None
        if victim is not None:
            time.sleep(chance.random() * 0.06)
            victim.kill()
            victim.born = at + chance.choice([timedelta(0), 2 * STEP, 6 * STEP])
            found.kills += 1
        for one in alive:
            if one is not victim:
                assert one.pipe.poll(60)
                assert one.pipe.recv() == "done"
    for one in both:
        if one.process is not None:
            one.kill()
    found.mails = [
        (mail["X-Sanityd-Event"], mail["Message-ID"], mail["Subject"]) for _, mail in box.mails
    ]
    with closing(Store.open(state, folder)) as store, store.read() as memory:
        rows = memory.execute(text("SELECT rule, at FROM runs ORDER BY id")).all()
        found.runs = [(row.rule, row.at.astimezone(UTC)) for row in rows]
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An application with ten people."""
    sql(tmp_path, "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, age INTEGER)")
    sql(
        tmp_path,
        "INSERT INTO people SELECT value, 'n' || value, 30 FROM json_each('[1,2,3,4,5,6,7,8,9,10]')",
    )
    return tmp_path


@pytest.mark.long
@pytest.mark.timeout(400)
def test_two_replicas_that_die_all_the_time_look_once_and_mail_once(
    folder: Path, postgres: str
) -> None:
    """Twice only what the server had taken and nobody could write down; then under the same
    Message-ID."""
    with working() as box:
        (folder / "rules.yaml").write_text(RULES % f"smtp://127.0.0.1:{box.port}")
        found = live(folder, postgres, box, seed=6)
    sys.stderr.write(f"{found.kills} kills, {len(found.runs)} runs, {len(found.mails)} mails\n")
    batches = {rule: batch for batch in _batches(folder) for rule in batch.rules}
    looked = Counter((rule, batches[rule].slot_at(at)) for rule, at in found.runs)
    assert {slot: times for slot, times in looked.items() if times > 1} == {}
    for rule, batch in batches.items():
        slots_due = sorted(slot for name, slot in looked if name == rule and slot)
        every = batch.schedule.interval
        assert len(slots_due) >= timedelta(hours=HOURS) // every
        assert max(after - before for before, after in pairwise(slots_due)) == every
    told = Counter(event for event, _ in {(event, name) for event, name, _ in found.mails})
    assert told == {"opened": len(found.broken), "resolved": len(found.broken)}
    assert found.kills > 30
    doubled = len(found.mails) - len({name for _, name, _ in found.mails})
    # Each was killed dozens of times, a few of these while the mail server's answer was on its
    # way.
    assert doubled <= 3


def _batches(folder: Path) -> list[Batch]:
    store = Store.open(None, folder)
    try:
        return Daemon(load(folder / "rules.yaml", {}), store).batches()
    finally:
        store.close()


SLOW = """\
name: slow
allow: {python: true}
sources: {app: sqlite:///app.db}
rules:
  waits: {source: app, python: "waiting:look", key: id, schedule: every 5m}
"""
WAITING = """
import time
from pathlib import Path
FOLDER = Path(__file__).parent

def look(read):
    is_first = not (FOLDER / "there").exists()
    (FOLDER / "there").touch()
    while is_first and (FOLDER / "wait").exists():
        time.sleep(0.01)
    return [{"id": 1}]
"""


@pytest.fixture
def slow(folder: Path, postgres: str) -> Iterator[tuple[Path, Store]]:
    """A project whose only rule waits, when it is first looked at, for as long as there is a
    file."""
    (folder / "rules.yaml").write_text(SLOW)
    (folder / "waiting.py").write_text(WAITING)
    (folder / "wait").touch()
    store = Store.open(postgres, folder)
    yield folder, store
    store.close()


def test_who_was_given_up_for_dead_records_nothing(
    slow: tuple[Path, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was only asleep; another has looked meanwhile, and the fence tells."""
    folder, store = slow
    now = BEGIN
    monkeypatch.setattr(clock, "now", lambda: now)
    rules = load(folder / "rules.yaml", {})
    first, second = Daemon(rules, store), Daemon(rules, store)
    [batch] = first.batches()
    asleep = threading.Thread(target=first.evaluate, args=[batch])
    asleep.start()
    while not (folder / "there").exists():
        time.sleep(0.01)
    assert second.housekeeping({}) == []
    second.evaluate(batch)
    now += 2 * slots.LEASE
    [left] = second.housekeeping({})
    assert left.slot == batch.slot_at(BEGIN)
    second.evaluate(left)
    (folder / "wait").unlink()
    asleep.join(30)
    with store.read() as memory:
        assert memory.execute(text("SELECT count(*) FROM runs")).scalar() == 1


def test_a_recording_that_failed_frees_its_slot_at_once(
    slow: tuple[Path, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process lives on, so nobody would see for a minute that the batch is not running."""
    folder, store = slow
    (folder / "wait").unlink()
    now = BEGIN
    monkeypatch.setattr(clock, "now", lambda: now)
    rules = load(folder / "rules.yaml", {})
    first, second = Daemon(rules, store), Daemon(rules, store)
    [batch] = first.batches()
    with store.write() as memory:
        memory.execute(text("ALTER TABLE runs RENAME TO away"))
    first.evaluate(batch)
    with store.write() as memory:
        memory.execute(text("ALTER TABLE away RENAME TO runs"))
    [left] = second.housekeeping({})
    second.evaluate(left)
    with store.read() as memory:
        assert memory.execute(text("SELECT count(*) FROM runs")).scalar() == 1
