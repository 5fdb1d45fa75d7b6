"""Anything may happen in any order: the product against a model of what it promises
(`reference.py`).

SANITYD_LONG=1 runs far more of it.
"""

import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sanityd import pipeline
from sanityd.alerts import dispatcher
from sanityd.alerts.base import Channel
from sanityd.errors import DeliveryError
from sanityd.model import Message, Severity, Silence, Triage, TriageAction
from sanityd.rules.load import load
from sanityd.rules.rule import RuleSet
from sanityd.store import incidents, silences, triage, violations
from sanityd.store.open import Store
from sanityd.store.outbox import Outbox
from tests.end_to_end.reference_model import Reference

RULES = """
sources: {app: {url: "sqlite:///app.db", lock_timeout: 1s}}
channels: {team: {log: info}}
alerts:
  limits: {tracked_rows: 3, mails_per_hour: 1000}
  noise: {auto: off, critical: off}
  flapping: {start: 100, end: 100}
  digest: {at: null}
rules:
  adults: {table: app.people, key: id, between: {age: [18, 150]}, notify: team}
"""
TEAM = ("ada@x.io", "bo@x.io")
CAP = 3
IDS = st.integers(1, 9)


class Post(Channel):
    """A post office of the test's own: it works, is down, refuses one recipient, or takes mail and
    says nothing."""

    kind: ClassVar[str] = "post"
    office: Any

    def recipients(self) -> list[str]:
        """Two people."""
        return list(TEAM)

    def deliver(self, message: Message) -> None:
        """As the weather is."""
        self.office.take(message)


class Machine(RuleBasedStateMachine):
    """One application, one rule, two people, one sanityd."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.home = Path(self.folder.name)
        (self.home / "rules.yaml").write_text(RULES)
        self.at = datetime(2026, 11, 23, 8, tzinfo=UTC)
        self.weather = "fine"
        self.truth = Reference()
        self.sql("CREATE TABLE people (id INTEGER PRIMARY KEY, age INTEGER)")
        self.sql("INSERT INTO people SELECT value, 30 FROM json_each('[1,2,3,4,5,6,7,8,9]')")
        self.store = Store.open("sqlite:///state.db", self.home)
        rules = load(self.home / "rules.yaml", {})
        self.set_of_rules: RuleSet = replace(
            rules, channels={"team": Post(name="team", office=self)}
        )

    def teardown(self) -> None:
        """All is well again, nobody wants quiet: then everybody knows the truth."""
        if hasattr(self, "store"):
            self.settle()
            complaints = [*self.truth.complaints(), *self.truth.unsettled(TEAM)]
            self.store.close()
            self.folder.cleanup()
            assert complaints == []

    def settle(self) -> None:
        self.weather = "fine"
        with self.store.write() as memory:
            triage.end(memory, [one.id for one in triage.list_active(memory)], "withdrawn", self.at)
            for one in silences.list_active(memory, self.at):
                silences.end(memory, one.id, self.at)
        for _ in range(4):
            self.at += timedelta(days=2)
            self.look()
            self.deliver()

    def sql(self, text: str) -> None:
        with closing(sqlite3.connect(self.home / "app.db")) as connection:
            connection.executescript(text)

    def run(self) -> list[pipeline.Result]:
        return pipeline.run_batch(
            self.set_of_rules, list(self.set_of_rules.enabled()), self.store, self.at
        )

    def take(self, message: Message) -> None:
        """What the post office does with a message."""
        sure = True
        match self.weather:
            case "down":
                raise DeliveryError("it is down", retryable=True)
            case "refuses" if message.recipient == TEAM[1]:
                raise DeliveryError("nobody lives there", retryable=False)
            case "silent":
                sure = False
        self.truth.received(message.recipient, message.data, message.message_id, self.at, sure)
        if not sure:
            raise DeliveryError("its answer was lost", retryable=True, uncertain=True)

    @rule(row=IDS)
    def a_row_breaks(self, row: int) -> None:
        self.sql(f"INSERT INTO people VALUES ({row}, 5) ON CONFLICT (id) DO UPDATE SET age = 5")
        self.truth.bad.add(row)

    @rule(row=IDS)
    def a_row_is_repaired(self, row: int) -> None:
        self.sql(f"UPDATE people SET age = 30 WHERE id = {row}")
        self.truth.bad.discard(row)

    @rule(row=IDS)
    def a_row_is_deleted(self, row: int) -> None:
        self.sql(
            f"DELETE FROM people WHERE id = {row}; INSERT INTO people VALUES (100 + {row}, 30) ON CONFLICT DO NOTHING"
        )
        self.truth.bad.discard(row)

    @rule()
    def all_is_repaired(self) -> None:
        self.sql("UPDATE people SET age = 30")
        self.truth.bad.clear()

    @rule()
    def look(self) -> None:
        """Twice at the same moment is the same as once."""
        self.at += timedelta(seconds=1)
        self.run()
        self.truth.looked(CAP)
        assert sum(result.queued for result in self.run()) == 0

    @rule()
    def the_look_fails(self) -> None:
        self.sql("ALTER TABLE people RENAME COLUMN age TO years")
        self.blind()
        self.sql("ALTER TABLE people RENAME COLUMN years TO age")

    @rule()
    def the_source_is_gone(self) -> None:
        (self.home / "app.db").rename(self.home / "away.db")
        self.blind()
        (self.home / "away.db").rename(self.home / "app.db")

    def blind(self) -> None:
        """No fault opens or ends anything of the data."""
        self.at += timedelta(seconds=1)
        before = self.state()
        self.run()
        assert self.state() == before

    def state(self) -> Any:
        with self.store.read() as memory:
            rows = {row.fingerprint for row in violations.open_rows(memory, "adults")}
            return rows, incidents.open_for(memory, "adults")

    @rule(
        stance=st.sampled_from([TriageAction.ACKNOWLEDGED, TriageAction.SNOOZED]),
        hours=st.integers(1, 100),
    )
    def somebody_decides(self, stance: TriageAction, hours: int) -> None:
        with self.store.write() as memory:
            incident = incidents.open_for(memory, "adults")
            if incident is not None:
                until = self.at + timedelta(hours=hours)
                made = Triage(
                    0,
                    stance,
                    "adults",
                    incident.id,
                    "bo",
                    "on it",
                    self.at,
                    until,
                    incident.violations,
                    Severity.ERROR,
                )
                triage.add(memory, made)

    @rule(hours=st.integers(1, 10))
    def silence_falls(self, hours: int) -> None:
        with self.store.write() as memory:
            end = self.at + timedelta(hours=hours)
            silences.add(memory, Silence(0, "bo", "deployment", self.at, self.at, end))

    @rule(minutes=st.sampled_from([1, 11, 61, 24 * 60, 4 * 24 * 60]))
    def time_goes_by(self, minutes: int) -> None:
        self.at += timedelta(minutes=minutes)
        pipeline.notify_due(self.set_of_rules, self.store, self.at)

    @rule(weather=st.sampled_from(["fine", "down", "refuses", "silent"]))
    def the_weather_changes(self, weather: str) -> None:
        self.weather = weather

    @rule()
    def deliver(self) -> None:
        dispatcher.dispatch(Outbox(self.store), self.set_of_rules.channels, now=lambda: self.at)

    @rule()
    def sanityd_restarts(self) -> None:
        self.store.close()
        self.store = Store.open("sqlite:///state.db", self.home)

    @precondition(lambda self: hasattr(self, "store"))
    @invariant()
    def what_is_open_is_what_was_seen(self) -> None:
        rows, incident = self.state()
        assert (incident is not None) == bool(self.truth.seen)
        if self.truth.all_followed:
            assert len(rows) == len(self.truth.seen)
        with self.store.read() as memory:
            names = [(one.rule, one.cause) for one in incidents.list_open(memory)]
        assert len(names) == len(set(names))

    @precondition(lambda self: hasattr(self, "store"))
    @invariant()
    def nobody_was_told_nonsense(self) -> None:
        assert self.truth.complaints() == []


_LONG = bool(os.environ.get("SANITYD_LONG"))
Machine.TestCase.settings = settings(
    max_examples=400 if _LONG else 12,
    stateful_step_count=60 if _LONG else 35,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestMachine: Callable[..., Any] = pytest.mark.long(Machine.TestCase)


@pytest.mark.parametrize("weather", ["fine", "down", "refuses"])
def test_that_it_is_over_is_told_however_long_it_could_not_be(weather: str) -> None:
    """Found by the machine: after three days a message is given up, and those who heard of the
    beginning believed for ever that it goes on; as well where nothing ran on these days, so that
    nobody had tried."""
    machine = Machine()
    machine.begin()
    machine.a_row_breaks(3)
    machine.look()
    machine.deliver()
    machine.a_row_is_repaired(3)
    machine.the_weather_changes(weather)
    machine.look()
    if weather != "fine":
        machine.deliver()
    machine.time_goes_by(4 * 24 * 60)
    machine.deliver()
    machine.teardown()
