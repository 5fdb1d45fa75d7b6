"""The policies in virtual time: what would have been mailed and downgraded over given runs.

A simulation is a whole sanityd with a temporary store: the same recording, the same decisions, the
same outbox; only the caller moves its clock, and its mail is not sent. Settings can be tried before
they are used.
"""

import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection

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
from sanityd.notifications.notify import NotificationResult, notify
from sanityd.notifications.open_incidents import OpenIncident
from sanityd.pipeline.recording import Result, record
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import audit, incidents, noise_state, runs, silences, triage
from sanityd.store.open import Store
from sanityd.store.outbox import Outbox, pending_at

#: How often notifications that are due by time alone are looked for.
TICK = timedelta(hours=1)
#: Recorded runs so close to each other are of one batch.
_SAME_BATCH = timedelta(seconds=30)
#: Progress is reported after so many runs.
_REPORTED = 100
#: The number of rows that stand for the violations of a recorded run; more are only counted.
ROWS = 50

#: When the noise policy decided something about a rule, why, and in which words.
NoiseEvent = tuple[datetime, str, str]


@dataclass(frozen=True, slots=True)
class SimulatedMail:
    """One message that would have been sent to one recipient."""

    at: datetime
    message: Message
    reason: Reason
    #: The incidents that it is about, and the rule of each.
    incidents: tuple[str, ...]
    rules: tuple[str, ...]
    #: The number of violations in it, by rule.
    violations: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Replay:
    """A rule's history as it would have been.

    `mails` is their number with the noise policy, `without` the number without it; `verdicts` are
    the decisions of the policy.
    """

    rule: str
    runs: int
    mails: int
    without: int
    verdicts: tuple[NoiseEvent, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would follow from a run if it were recorded now."""

    result: Result
    #: Why each recipient would be notified or not, of incidents of this rule only.
    decisions: tuple[NotificationResult, ...]
    messages: tuple[Message, ...]
    #: What the noise policy would have decided about the rule.
    noise_state: NoiseState
    #: The open incident, as it would count.
    incident: Incident | None = None
    #: The decision of a person that is in force.
    triage: Triage | None = None
    #: The number of its rows that people accepted.
    accepted: int = 0
    #: The silences that match the rule now.
    silences: tuple[Silence, ...] = ()


def forecast(
    rules: RuleSet, rule: Rule, run: Run, recall: Callable[[Connection], object]
) -> Forecast:
    """Return what would follow from a run of one rule.

    Parameters: `recall` copies what is known of the rule into the temporary store.
    """
    only_rule = replace(rules, rules={rule.id: rule})
    with Simulation.of(only_rule) as simulation, simulation.store.write() as connection:
        recall(connection)
        [result] = record(connection, only_rule, [(rule, run)])
        notified = notify(connection, only_rule, run.at)
        violated = _open_violation(connection, only_rule, rule, run.at)
        facts = rule.facts(rules.revision)
        silencing = [
            silence
            for silence in silences.list_active(connection, run.at)
            if policy.is_silenced(facts, [silence], run.at)
        ]
        return Forecast(
            result=result,
            decisions=tuple(item for item in notified if item.incident.rule == rule.id),
            messages=tuple(claimed.message for claimed in pending_at(connection, run.at)),
            noise_state=noise_state.of_rule(connection, rule.id),
            incident=violated.incident if violated else None,
            triage=violated.triage if violated else None,
            accepted=violated.accepted if violated else 0,
            silences=tuple(silencing),
        )


def _open_violation(
    connection: Connection, rules: RuleSet, rule: Rule, at: datetime
) -> OpenIncident | None:
    for item in open_incidents.list_open_incidents(connection, rules, at):
        if item.incident.rule == rule.id and item.incident.cause is Cause.VIOLATED:
            return item
    return None


#: Settings with the noise policy switched off.
WITHOUT = {"noise": Noise(auto="off", critical="off"), "flapping": Flapping(start=100, end=100)}


def replay(
    rules: RuleSet, store: Store, since: datetime, seen: Callable[[int], object] = lambda _: None
) -> list[Replay]:
    """Return what would have been mailed and downgraded since then with the settings of today.

    Runs are taken as they were recorded, whatever the rule meant then. Of their rows only the
    number is known, so the first rows of a run are taken for those of the run before. Decisions of
    people are taken over at their time.

    Parameters: `seen` is called with the number of further runs, from time to time, for progress.
    """
    without_policy = replace(rules, alerts=rules.alerts.model_copy(update=WITHOUT))
    with_noise = _replay_runs(rules, store, since, seen)
    without = _replay_runs(without_policy, store, since, seen)
    return [
        Replay(
            rule,
            with_noise.runs[rule],
            with_noise.mails[rule],
            without.mails[rule],
            tuple(with_noise.noise_events.get(rule, ())),
        )
        for rule in rules.rules
        if with_noise.runs[rule]
    ]


@dataclass
class _Replayed:
    """The numbers of runs and mails, and the decisions of the noise policy, by rule."""

    runs: Counter[str] = field(default_factory=Counter)
    mails: Counter[str] = field(default_factory=Counter)
    noise_events: dict[str, list[NoiseEvent]] = field(default_factory=dict)


def _replay_runs(
    rules: RuleSet, store: Store, since: datetime, seen: Callable[[int], object]
) -> _Replayed:
    replayed = _Replayed()
    with store.read() as connection, Simulation.of(rules) as simulation:
        decisions = deque(triage.since(connection, since))
        batch: list[Run] = []
        for count, run in enumerate(runs.iterate(connection, list(rules.rules), since), start=1):
            replayed.runs[run.rule] += 1
            if batch and not _is_same_batch(batch, run):
                simulation.record(batch, batch[-1].at)
                batch = []
            while decisions and decisions[0].at <= run.at:
                simulation.decide(decisions.popleft())
            batch.append(_with_rows(run))
            if count % _REPORTED == 0:
                seen(_REPORTED)
        if batch:
            simulation.record(batch, batch[-1].at)
        for rule in replayed.runs:
            replayed.noise_events[rule] = simulation.noise_events(rule)
        replayed.mails = _count_mails(simulation.sent)
    return replayed


def _count_mails(sent: Iterable[SimulatedMail]) -> Counter[str]:
    """Return the number of mails that ask for attention, by rule."""
    mails: Counter[str] = Counter()
    for mail in sent:
        if mail.reason.needs_attention:
            mails.update(set(mail.rules))
    return mails


def _is_same_batch(batch: Sequence[Run], run: Run) -> bool:
    """Return whether a run belongs to the batch before it: soon after, and of another rule."""
    if run.at > batch[-1].at + _SAME_BATCH:
        return False
    return all(earlier.rule != run.rule for earlier in batch)


def _with_rows(run: Run) -> Run:
    """Return a recorded run with invented rows: as many as it counted, up to `ROWS`."""
    rows = tuple(Violation({"row": number}) for number in range(min(run.violations, ROWS)))
    outcome = run.outcome
    if run.answered:
        outcome = Outcome.COMPLETE if len(rows) == run.violations else Outcome.TRUNCATED
    down = run.source if outcome is Outcome.SKIPPED else ""
    return replace(run, tracked=rows, outcome=outcome, down=down)


class Simulation:
    """One virtual sanityd.

    Parameters: `rules` are the rules whose policies are tried; their sources and channels are never
    used. `store` is a temporary one.
    """

    def __init__(self, rules: RuleSet, store: Store) -> None:
        self.rules = rules
        self.store = store
        self.sent: list[SimulatedMail] = []
        self._outbox = Outbox(store)
        self._last_runs: dict[str, Run] = {}
        #: Rules about which the noise policy may decide something though nothing changes.
        self._watched: set[str] = set()
        self._next_tick: datetime | None = None
        #: Runs that change nothing, and are not written yet.
        self._unchanged: list[Run] = []

    @classmethod
    @contextmanager
    def of(cls, rules: RuleSet) -> Iterator[Self]:
        """Yield a simulation whose store is deleted at the end."""
        with tempfile.TemporaryDirectory(prefix="sanityd-simulation-") as folder:
            store = Store.open("sqlite:///simulation.db", Path(folder))
            try:
                yield cls(rules, store)
            finally:
                store.close()

    def record(self, batch: Iterable[Run], at: datetime) -> list[SimulatedMail]:
        """Record runs that ended at the same time. Returns what is mailed then."""
        changed = self._changed(batch)
        is_time = self._next_tick is None or at >= self._next_tick
        if not changed and not is_time:
            return []
        with self.store.write() as connection:
            runs.record_all(connection, self._unchanged, revision=self.rules.revision)
            self._unchanged.clear()
            record(connection, self.rules, [(self.rules.rules[run.rule], run) for run in changed])
            notify(connection, self.rules, at)
            noise_states = noise_state.all_of(connection)
        self._watched = {
            rule for rule, state in noise_states.items() if state.flapping_since or state.noticed_at
        }
        if is_time:
            self._next_tick = at + TICK
        return self._deliver(at)

    def decide(self, decision: Triage) -> None:
        """Apply the decision of a person about a recorded incident to the simulated one."""
        with self.store.write() as connection:
            incident = incidents.open_for(connection, decision.rule)
            if incident is not None and decision.fingerprint is None:
                simulated = replace(decision, incident=incident.id, ended_at=None, ended="")
                triage.add(connection, simulated)

    def noise_state(self, rule: str) -> NoiseState:
        """Return what the noise policy has decided about a rule so far."""
        with self.store.read() as connection:
            return noise_state.of_rule(connection, rule)

    def noise_events(self, rule: str) -> list[NoiseEvent]:
        """Return the decisions of the noise policy about a rule, oldest first."""
        with self.store.read() as connection:
            rows = audit.of_rule(connection, rule)
        return [
            (row["at"], row["reason"], row["detail"]["sentence"])
            for row in rows
            if row["action"] == "judged"
        ]

    def _changed(self, batch: Iterable[Run]) -> list[Run]:
        """Return the runs that may change something; the others are written with the next ones."""
        changed: list[Run] = []
        for run in batch:
            if self._may_change_something(run):
                changed.append(run)
            else:
                self._unchanged.append(run)
            self._last_runs[run.rule] = run
        return changed

    def _may_change_something(self, run: Run) -> bool:
        """Return whether a run differs from the one before; most do not."""
        before = self._last_runs.get(run.rule)
        if before is None or run.rule in self._watched:
            return True
        rule = self.rules.rules[run.rule]
        if rule.keep_open or rule.invariant.confirm.needs_later_runs:
            # What follows depends on how long, or how often, it was the same.
            return True
        return (
            before.outcome != run.outcome
            or before.severity != run.severity
            or before.violations != run.violations
            or before.tracked != run.tracked
        )

    def _deliver(self, at: datetime) -> list[SimulatedMail]:
        """Deliver everything at once, and return it."""
        delivered = []
        while claimed := self._outbox.claim(at):
            self._outbox.sent(claimed, at)
            delivered.append(_simulated_mail(claimed.message, claimed.reason, at))
        self.sent += delivered
        return delivered


def _simulated_mail(message: Message, reason: Reason, at: datetime) -> SimulatedMail:
    about: Any = message.data.get("incidents", ())
    return SimulatedMail(
        at,
        message,
        reason,
        tuple(item["incident"] or "" for item in about),
        tuple(item["rule"] for item in about),
        {item["rule"]: item["violations"] or 0 for item in about},
    )
