"""The policies in virtual time: what would have been mailed and downgraded, over runs that were recorded or made up.

A rehearsal is a whole sanityd with a memory of its own, which forgets everything at the end: the same recording, the
same decisions, the same outbox; only its clock is turned by hand and its mail goes nowhere. Settings can be tried
before they are trusted.
"""

import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection

from sanityd import pipeline
from sanityd.alerts.settings import Flapping, Noise
from sanityd.model import (
    Cause,
    Incident,
    Message,
    NoiseState,
    Outcome,
    Reason,
    Run,
    Silence,
    Triage,
    Violation,
)
from sanityd.notifications import open_incidents, policy
from sanityd.notifications.notify import Decision, notify
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import audit, incidents, noise_state, runs, silences, triage
from sanityd.store.open import Store
from sanityd.store.outbox import Outbox, asked

#: How often time alone may lead to a mail.
TICK = timedelta(hours=1)
#: Recorded runs so close to each other are of one batch.
_TOGETHER = timedelta(seconds=30)
#: After how many runs progress is told.
_REPORTED = 100
#: How many rows stand for the violations of a recorded run; more are counted, not followed.
ROWS = 50


@dataclass(frozen=True, slots=True)
class SimulatedMail:
    """One message that would have been sent, once for each recipient."""

    at: datetime
    message: Message
    reason: Reason
    #: What it tells of: the incidents, and the rules of each.
    incidents: tuple[str, ...]
    rules: tuple[str, ...]
    #: How many violations it told, by rule.
    violations: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Replay:
    """What a rule's history would have come to: mails with the policies of noise and without, and each decision."""

    rule: str
    runs: int
    mails: int
    without: int
    verdicts: tuple[tuple[datetime, str, str], ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would come of a run, were it recorded now."""

    result: pipeline.Result
    #: Why each recipient would hear of it, or wouldn't; about incidents of this rule only.
    decisions: tuple[Decision, ...]
    messages: tuple[Message, ...]
    #: What the policy of noise would have decided about the rule.
    noise_state: NoiseState
    #: The incident that goes on, as it would count.
    incident: Incident | None = None
    #: What somebody decided about it, if that holds.
    triage: Triage | None = None
    #: How many of its rows somebody accepted.
    accepted: int = 0
    #: Silences that hold now, and are about the rule.
    silences: tuple[Silence, ...] = ()


def forecast(
    rules: RuleSet, rule: Rule, run: Run, recall: Callable[[Connection], object]
) -> Forecast:
    """What would come of a run of one rule.

    Parameters: `recall` fills the rehearsal's memory with what is known.
    """
    alone, facts = replace(rules, rules={rule.id: rule}), rule.facts(rules.revision)
    with Simulation.of(alone) as rehearsal, rehearsal.store.write() as memory:
        recall(memory)
        result = pipeline.record(memory, alone, rule, run)
        decisions = [one for one in notify(memory, alone, run.at) if one.incident.rule == rule.id]
        going_on = [
            one
            for one in open_incidents.open_now(memory, alone, run.at)
            if one.incident.rule == rule.id
        ]
        found = next((one for one in going_on if one.incident.cause is Cause.VIOLATED), None)
        return Forecast(
            result,
            tuple(decisions),
            tuple(one.message for one in asked(memory, run.at)),
            noise_state.of_rule(memory, rule.id),
            found.incident if found else None,
            found.triage if found else None,
            found.accepted if found else 0,
            tuple(
                one
                for one in silences.listed(memory, run.at)
                if policy.is_silenced(facts, [one], run.at)
            ),
        )


#: The policies of noise switched off.
WITHOUT = {"noise": Noise(auto="off", critical="off"), "flapping": Flapping(start=100, end=100)}


def replay(
    rules: RuleSet, store: Store, since: datetime, seen: Callable[[int], object] = lambda _: None
) -> list[Replay]:
    """What would have been mailed and downgraded since then, if the settings had been those of the rules file.

    Runs are taken as they were recorded, whatever the rule meant at that time. Rows are only known by their number, so
    that of a recorded run the first are taken for the same as those of the run before. What people decided is taken
    over at its time.

    Parameters: `seen` is called with the number of runs that were gone through, from time to time, for progress.
    """
    without = replace(rules, alerts=rules.alerts.model_copy(update=WITHOUT))
    kept = _gone_through(rules, store, since, seen)
    plain = _gone_through(without, store, since, seen)
    return [
        Replay(
            rule,
            kept.runs[rule],
            kept.mails[rule],
            plain.mails[rule],
            tuple(kept.verdicts.get(rule, ())),
        )
        for rule in rules.rules
        if kept.runs[rule]
    ]


@dataclass
class _Gone:
    runs: Counter[str] = field(default_factory=Counter)
    mails: Counter[str] = field(default_factory=Counter)
    verdicts: dict[str, list[tuple[datetime, str, str]]] = field(default_factory=dict)


def _gone_through(
    rules: RuleSet, store: Store, since: datetime, seen: Callable[[int], object]
) -> _Gone:
    gone = _Gone()
    with store.read() as memory, Simulation.of(rules) as rehearsal:
        acts = deque(triage.since(memory, since))
        together: list[Run] = []
        for count, run in enumerate(runs.replayed(memory, list(rules.rules), since)):
            gone.runs[run.rule] += 1
            again = any(one.rule == run.rule for one in together)
            if together and (again or run.at > together[-1].at + _TOGETHER):
                rehearsal.see(together, together[-1].at)
                together = []
            while acts and acts[0].at <= run.at:
                rehearsal.decide(acts.popleft())
            together.append(_with_rows(run))
            if count % _REPORTED == _REPORTED - 1:
                seen(_REPORTED)
        if together:
            rehearsal.see(together, together[-1].at)
        for rule in gone.runs:
            gone.verdicts[rule] = rehearsal.verdicts(rule)
        for one in rehearsal.sent:
            gone.mails.update(set(one.rules) if one.reason.interrupts else ())
    return gone


def _with_rows(run: Run) -> Run:
    """A recorded run with rows of its own number, as far as they are followed."""
    rows = tuple(Violation({"row": number}) for number in range(min(run.violations, ROWS)))
    outcome = run.outcome
    if run.answered:
        outcome = Outcome.COMPLETE if len(rows) == run.violations else Outcome.TRUNCATED
    down = run.source if outcome is Outcome.SKIPPED else ""
    return replace(run, tracked=rows, outcome=outcome, down=down)


class Simulation:
    """One virtual sanityd.

    Parameters: `rules` are the rules whose policies are tried; their sources and channels are never touched.
    """

    def __init__(self, rules: RuleSet, store: Store) -> None:
        self.rules = rules
        self.store = store
        self.sent: list[SimulatedMail] = []
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

    def see(self, found: Iterable[Run], at: datetime) -> list[SimulatedMail]:
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
            notify(memory, self.rules, at)
            known = noise_state.all_of(memory)
        self._restless = {
            rule for rule, one in known.items() if one.flapping_since or one.noticed_at
        }
        if is_time:
            self._next_tick = at + TICK
        return self._deliver(at)

    def decide(self, decision: Triage) -> None:
        """Somebody decided about what was open then; it is about what is open here."""
        with self.store.write() as memory:
            incident = incidents.open_for(memory, decision.rule)
            if incident is not None and decision.fingerprint is None:
                triage.add(memory, replace(decision, incident=incident.id, ended_at=None, ended=""))

    def noise_state(self, rule: str) -> NoiseState:
        """What the policy of noise has decided about a rule."""
        with self.store.read() as memory:
            return noise_state.of_rule(memory, rule)

    def verdicts(self, rule: str) -> list[tuple[datetime, str, str]]:
        """When the policy of noise decided what about a rule, and why."""
        with self.store.read() as memory:
            told = audit.of_rule(memory, rule)
        return [
            (row["at"], row["reason"], row["detail"]["sentence"])
            for row in told
            if row["action"] == "judged"
        ]

    def _matters(self, run: Run) -> bool:
        """Whether a run can change anything; most are as good as the one before."""
        before = self._last.get(run.rule)
        if before is None or run.rule in self._restless:
            return True
        same = (before.outcome, before.severity, before.violations) == (
            run.outcome,
            run.severity,
            run.violations,
        )
        return not same or before.tracked != run.tracked

    def _remember_quiet(self, memory: Connection) -> None:
        runs.record_all(memory, self._quiet, revision=self.rules.revision)
        self._quiet.clear()

    def _deliver(self, at: datetime) -> list[SimulatedMail]:
        """Everything arrives, at once."""
        arrived = []
        while claimed := self._outbox.claim(at):
            self._outbox.sent(claimed, at)
            arrived.append(self._read(claimed.message, claimed.reason, at))
        self.sent += arrived
        return arrived

    def _read(self, message: Message, reason: Reason, at: datetime) -> SimulatedMail:
        told: Any = message.data.get("incidents", ())
        return SimulatedMail(
            at,
            message,
            reason,
            tuple(one["incident"] or "" for one in told),
            tuple(one["rule"] for one in told),
            {one["rule"]: one["violations"] or 0 for one in told},
        )
