"""The policies in virtual time: what would have been mailed and downgraded, over runs that were recorded or made up.

A rehearsal is a whole sanityd with a memory of its own, which forgets everything at the end: the same recording, the
same decisions, the same outbox; only its clock is turned by hand and its mail goes nowhere. Settings can be tried
before they are trusted.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection

from sanityd import pipeline
from sanityd.model import Message, Reason, Run, Standing
from sanityd.rules.rule import RuleSet
from sanityd.store import audit, runs, standings
from sanityd.store.open import Store
from sanityd.store.outbox import Outbox
from sanityd.telling.tell import tell

#: How often time alone may lead to a mail.
TICK = timedelta(hours=1)
#: How many rows stand for the violations of a recorded run; more are counted, not followed.
ROWS = 50


@dataclass(frozen=True, slots=True)
class Sent:
    """One message that would have been sent, once for each recipient."""

    at: datetime
    message: Message
    reason: Reason
    #: What it tells of: the incidents, and the rules of each.
    incidents: tuple[str, ...]
    rules: tuple[str, ...]
    #: How many violations it told, by rule.
    violations: Mapping[str, int]


class Rehearsal:
    """One virtual sanityd.

    Parameters: `rules` are the rules whose policies are tried; their sources and channels are never touched.
    """

    def __init__(self, rules: RuleSet, store: Store) -> None:
        self.rules = rules
        self.store = store
        self.sent: list[Sent] = []
        self._outbox = Outbox(store)
        self._last: dict[str, Run] = {}
        #: Rules of which the policy of noise may have something to say though nothing changes.
        self._restless: set[str] = set()
        self._next_tick: datetime | None = None
        self._quiet: list[Run] = []

    @classmethod
    @contextmanager
    def of(cls, rules: RuleSet) -> Iterator[Self]:
        """A rehearsal whose memory is gone at the end."""
        with tempfile.TemporaryDirectory(prefix="sanityd-rehearsal-") as folder:
            store = Store.open("sqlite:///rehearsal.db", Path(folder))
            try:
                yield cls(rules, store)
            finally:
                store.close()

    def see(self, found: Iterable[Run], at: datetime) -> list[Sent]:
        """Runs that ended at the same time. Returns what is mailed then."""
        changed: list[Run] = []
        for run in found:
            (changed if self._matters(run) else self._quiet).append(run)
            self._last[run.rule] = run
        is_time = self._next_tick is None or at >= self._next_tick
        if not changed and not is_time:
            return []
        with self.store.write() as memory:
            self._remember_quiet(memory)
            for run in changed:
                pipeline.record(memory, self.rules, self.rules.rules[run.rule], run)
            tell(memory, self.rules, at)
            known = standings.all_of(memory)
        self._restless = {rule for rule, one in known.items() if one.flapping_since or one.noticed_at}
        if is_time:
            self._next_tick = at + TICK
        return self._deliver(at)

    def standing(self, rule: str) -> Standing:
        """What the policy of noise has decided about a rule."""
        with self.store.read() as memory:
            return standings.of_rule(memory, rule)

    def verdicts(self, rule: str) -> list[tuple[datetime, str, str]]:
        """When the policy of noise decided what about a rule, and why."""
        with self.store.read() as memory:
            told = audit.of_rule(memory, rule)
        return [(row["at"], row["reason"], row["detail"]["sentence"]) for row in told if row["action"] == "judged"]

    def _matters(self, run: Run) -> bool:
        """Whether a run can change anything; most are as good as the one before."""
        before = self._last.get(run.rule)
        if before is None or not run.answered or run.severity is not None or before.severity is not None:
            return True
        return before.outcome is not run.outcome or run.rule in self._restless

    def _remember_quiet(self, memory: Connection) -> None:
        for run in self._quiet:
            runs.record(memory, run, revision=self.rules.revision, incident=None)
        self._quiet.clear()

    def _deliver(self, at: datetime) -> list[Sent]:
        """Everything arrives, at once."""
        arrived = []
        while claimed := self._outbox.claim(at):
            self._outbox.sent(claimed, at)
            arrived.append(self._read(claimed.message, claimed.reason, at))
        self.sent += arrived
        return arrived

    def _read(self, message: Message, reason: Reason, at: datetime) -> Sent:
        told: Any = message.data.get("incidents", ())
        return Sent(
            at,
            message,
            reason,
            tuple(one["incident"] for one in told),
            tuple(one["rule"] for one in told),
            {one["rule"]: one["violations"] for one in told},
        )
