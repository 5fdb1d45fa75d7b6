"""An application, its rules, sanityd's memory and a mail server, in a time of the test's own."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import time_machine

from sanityd import pipeline
from sanityd.alerts.dispatcher import DispatchSummary
from sanityd.model import Cause, Incident
from sanityd.rules.load import load
from sanityd.store import incidents, violations
from sanityd.store.open import Store
from tests.support.smtp_server import Mailbox

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ADULTS = {"table": "app.people", "key": "id", "between": {"age": [18, 150]}}


@dataclass
class Scene:
    """An application, its rules, sanityd's memory, and a clock."""

    folder: Path
    store: Store
    clock: time_machine.Traveller
    rules: dict[str, Any] = field(default_factory=lambda: {"adults": dict(ADULTS)})
    team: list[str] = field(default_factory=lambda: ["ada@x.io"])
    port: int = 1
    limits: dict[str, int] = field(default_factory=dict)
    alerts: dict[str, Any] = field(default_factory=dict)
    name: str = "rules.yaml"
    title: str | None = None
    statement_timeout: str = "30s"
    sources: dict[str, Any] = field(default_factory=dict)
    channels: dict[str, Any] = field(default_factory=dict)

    def sql(self, text: str) -> None:
        """Do something to the application's data."""
        connection = sqlite3.connect(self.folder / "app.db")
        connection.executescript(text)
        connection.close()

    def children(self, *numbers: int) -> None:
        """These people are too young, the others are not."""
        self.sql(
            f"UPDATE people SET age = CASE WHEN id IN ({', '.join(map(str, numbers)) or 'NULL'}) THEN 5 ELSE 30 END"
        )

    def load(self) -> Any:
        """The rules file as it is now."""
        mail = {
            "email": self.team,
            "server": f"smtp://127.0.0.1:{self.port}",
            "from": "sanity@x.io",
        }
        content: dict[str, Any] = {
            "sources": {
                "app": {
                    "url": "sqlite:///app.db",
                    "statement_timeout": self.statement_timeout,
                    "lock_timeout": "1s",
                },
                **self.sources,
            },
            "channels": {"team": mail, **self.channels},
            "alerts": {"limits": self.limits, "digest": {"at": None}, **self.alerts},
            "defaults": {"notify": ["team"]},
            "rules": self.rules,
        }
        if self.title:
            content["name"] = self.title
        path = self.folder / self.name
        path.write_text(json.dumps(content), encoding="utf-8")
        return load(path, {})

    def look(self, minutes: float = 5) -> list[pipeline.Result]:
        """A pass without its mails, some minutes later."""
        self.clock.shift(timedelta(minutes=minutes))
        return self.look_at(datetime.now(UTC))

    def look_at(self, at: datetime) -> list[pipeline.Result]:
        """A pass that began then."""
        rules = self.load()
        return pipeline.run_batch(rules, list(rules.enabled()), self.store, at)

    def look_everywhere(self, minutes: float = 5, *, wait: float = 0) -> list[pipeline.Result]:
        """A pass over all sources, one after the other, as `check` does it; without its mails."""
        self.clock.shift(timedelta(minutes=minutes))
        at, rules = datetime.now(UTC), self.load()
        results: list[pipeline.Result] = []
        for batch in rules.by_source(rules.enabled()).values():
            grouped = timedelta(seconds=wait)
            results += pipeline.run_batch(rules, batch, self.store, at, group_wait=grouped)
        return results

    def mail(self) -> DispatchSummary:
        """Deliver what is due."""
        return pipeline.deliver(self.load(), self.store)

    def tick(self, minutes: float = 5) -> pipeline.Result:
        """A whole pass of one rule."""
        [result] = self.look(minutes)
        self.mail()
        return result

    def incident(self, rule: str = "adults", cause: Cause = Cause.VIOLATED) -> Incident | None:
        """What is open."""
        with self.store.read() as memory:
            return incidents.open_for(memory, rule, cause)

    def wait(self, **time: float) -> int:
        """Time goes by, and what it alone makes worth saying is said."""
        self.clock.shift(timedelta(**time))
        queued = pipeline.notify_due(self.load(), self.store, datetime.now(UTC))
        self.mail()
        return queued

    def closed(self, name: str) -> Incident:
        """An incident that must be over."""
        with self.store.read() as memory:
            incident = incidents.get(memory, name)
        assert incident is not None
        assert not incident.open
        return incident

    def rows(self, rule: str = "adults") -> list[Any]:
        """The ids that are open."""
        with self.store.read() as memory:
            return sorted(row.key["id"] for row in violations.open_rows(memory, rule))


@contextmanager
def staged(state: str, folder: Path) -> Iterator[Scene]:
    """Ten adults, one rule, one recipient, and a mail server that is down."""
    store = Store.open(state, folder)
    with time_machine.travel(START, tick=False) as clock:
        made = Scene(folder, store, clock)
        made.sql("CREATE TABLE people (id INTEGER PRIMARY KEY, age INTEGER)")
        made.sql("INSERT INTO people VALUES " + ", ".join(f"({n}, 30)" for n in range(1, 11)))
        yield made
    store.close()


def events(box: Mailbox) -> list[tuple[str, str]]:
    """Who got what."""
    return [(address.split("@")[0], mail["X-Sanityd-Event"]) for address, mail in box.mails]
