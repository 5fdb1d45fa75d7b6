"""A quarter of a team's life in virtual time: 40 rules, people who read their mail, and what the
policies make of it.

    python -m tests.bench.quarter [--days 91]

Six rules are noisy (violated on most days, and nobody cares), four flap, three pass by themselves
before anybody looks, and 27 are healthy: now and then something real breaks, is acknowledged and
repaired. Later in the quarter one noisy rule and one flapping rule become really bad, which must
not be hidden. The rules are recorded, judged and told by the product itself
(`pipeline/simulation.py`); only the data and the people are made up.
"""

import argparse
import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import click

from sanityd.model import Outcome, Reason, Run, Severity, Triage, TriageAction, Violation
from sanityd.pipeline.simulation import NoiseEvent, SimulatedMail, Simulation
from sanityd.rules.load import load
from sanityd.rules.rule import RuleSet
from sanityd.store import incidents, triage

START = datetime(2026, 1, 5, tzinfo=UTC)
#: Rules are looked at every quarter of an hour.
STEP = timedelta(minutes=15)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ROWS = 20_000
NEWS = (
    Reason.OPENED,
    Reason.ESCALATED,
    Reason.UPDATED,
    Reason.REMINDER,
    Reason.FLAPPING_STARTED,
    Reason.FLAPPING_ENDED,
    Reason.SUMMARY,
)
#: The policies switched off, with the rest as it is.
WITHOUT: dict[str, Any] = {
    "noise": {"auto": "off"},
    "flapping": {"start": 100, "end": 99},
    "remind": ["24h", "72h", "7d"],
}


@dataclass
class Trouble:
    """So many rows are bad from then on, until then or until somebody repairs them."""

    begin: datetime
    end: datetime | None
    rows: int
    #: Whether people care.
    real: bool = False

    def bad(self, at: datetime) -> bool:
        """Whether it is there at that time."""
        return self.begin <= at and (self.end is None or at < self.end)


@dataclass(frozen=True)
class Rules:
    """How many rules there are of which temper."""

    noisy: int = 6
    flapping: int = 4
    passing: int = 3
    healthy: int = 27


@dataclass
class World:
    """What happens to the data of each rule, and what people do."""

    days: int
    rules: Rules = field(default_factory=Rules)
    seed: int = 7
    troubles: dict[str, list[Trouble]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        chance = random.Random(self.seed)
        self.chance = chance
        for temper in ("noisy", "flapping", "passing", "healthy"):
            for number in range(getattr(self.rules, temper)):
                self.troubles[f"{temper}-{number}"] = list(getattr(self, f"_{temper}")(chance))
        #: Late in the quarter what was harmless is harmless no more.
        late = START + timedelta(days=self.days * 0.8)
        self.worse = {
            "noisy-0": Trouble(late, None, 400, real=True),
            "flapping-0": Trouble(late, None, 300, real=True),
        }
        for rule, trouble in self.worse.items():
            self.troubles[rule].append(trouble)

    def _noisy(self, chance: random.Random) -> Iterator[Trouble]:
        """Each night an import leaves some rows, which a job of the next night tidies up."""
        for day in range(self.days):
            if chance.random() < 0.8:
                begin = START + timedelta(days=day, hours=chance.uniform(2, 10))
                yield Trouble(
                    begin, begin + timedelta(hours=chance.uniform(3, 12)), chance.randint(3, 12)
                )

    def _flapping(self, chance: random.Random) -> Iterator[Trouble]:
        """For some days a week it comes and goes every half hour or so."""
        for day in range(0, self.days, 7):
            at = START + timedelta(days=day, hours=chance.uniform(0, 24))
            while at < START + timedelta(days=day + 3):
                yield Trouble(at, at + STEP * chance.randint(1, 2), chance.randint(1, 4))
                at += STEP * chance.randint(2, 4)

    def _passing(self, chance: random.Random) -> Iterator[Trouble]:
        """Twice a day something is late by a quarter of an hour."""
        for day in range(self.days):
            for _ in range(chance.randint(0, 3)):
                begin = START + timedelta(days=day, hours=chance.uniform(0, 24))
                yield Trouble(
                    begin, begin + timedelta(minutes=chance.uniform(16, 28)), chance.randint(1, 3)
                )

    def _healthy(self, chance: random.Random) -> Iterator[Trouble]:
        """About every three weeks something real breaks, and stays so until somebody repairs it."""
        at = START + timedelta(days=chance.uniform(0, 21))
        while at < START + timedelta(days=self.days):
            yield Trouble(at, None, chance.randint(1, 30), real=True)
            at += timedelta(days=chance.uniform(10, 32))

    def run(self, rule: str, at: datetime) -> Run:
        """What a look at the rule sees."""
        bad = [(place, one) for place, one in enumerate(self.troubles[rule]) if one.bad(at)]
        keys = [f"{place}-{row}" for place, one in bad for row in range(one.rows)]
        return Run(
            rule, "query", "app", at, Outcome.COMPLETE, violations=len(keys), rows=len(keys), checked=ROWS,
            tracked=tuple(Violation({"id": key}) for key in keys), severity=Severity.ERROR if keys else None,
        )  # fmt: skip


@dataclass
class Quarter:
    """How it went."""

    sent: list[SimulatedMail]
    #: The number of mails about something that somebody acted on.
    useful: int
    noise_events: dict[str, list[NoiseEvent]]
    #: How long it took until a mail said that it had become really bad, by rule; None for never.
    delays: dict[str, timedelta | None]

    @property
    def news(self) -> list[SimulatedMail]:
        """The mails that ask for attention."""
        return [mail for mail in self.sent if mail.reason in NEWS]


def rules_of(folder: Path, world: World, policies: dict[str, Any]) -> RuleSet:
    """A rules file of 40 rules; their databases are never opened."""
    content = {
        "sources": {"app": "sqlite:///app.db"},
        "channels": {"team": {"file": "mails"}},
        "alerts": {
            "limits": {"tracked_rows": 1000, "rows_in_mail": 5},
            "digest": {"at": None},
            **policies,
        },
        "defaults": {"notify": ["team"], "schedule": "every 15m"},
        "rules": {
            rule: {"source": "app", "query": f"select '{rule}' as id", "key": "id"}
            for rule in world.troubles
        },
    }
    path = folder / "rules.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")
    return load(path, {})


def live(days: int, policies: dict[str, Any], rules: Rules | None = None) -> Quarter:
    """Let the time go by."""
    world = World(days, rules or Rules())
    with (
        tempfile.TemporaryDirectory() as name,
        Simulation.of(rules_of(Path(name), world, policies)) as simulation,
    ):
        acted = _days(world, simulation)
        noise_events = {rule: simulation.noise_events(rule) for rule in world.troubles}
        sent = simulation.sent
    mailed = {incident for mail in sent for incident in mail.incidents}
    assert acted <= mailed
    useful = sum(bool(acted.intersection(mail.incidents)) for mail in sent if mail.reason in NEWS)
    delays = {rule: _delay(sent, rule, trouble) for rule, trouble in world.worse.items()}
    return Quarter(sent, useful, noise_events, delays)


def _days(world: World, simulation: Simulation) -> set[str]:
    """Check, mail and let people work, every quarter of an hour.

    Returns the incidents that they acted on.
    """
    todo: list[tuple[datetime, str, str]] = []
    acted: set[str] = set()
    at = START
    while at < START + timedelta(days=world.days):
        for mail in simulation.record([world.run(rule, at) for rule in world.troubles], at):
            for rule, incident in zip(mail.rules, mail.incidents, strict=True):
                is_real = any(trouble.real and trouble.bad(at) for trouble in world.troubles[rule])
                if is_real and incident not in acted:
                    acted.add(incident)
                    begin = _at_work(at + timedelta(minutes=world.chance.uniform(10, 90)))
                    todo.append((begin, rule, incident))
        for due in [due for due in todo if due[0] <= at]:
            todo.remove(due)
            _work_on(world, simulation, *due[1:], at)
        at += STEP
    return acted


def _at_work(at: datetime) -> datetime:
    """People work from nine to six."""
    if at.time() < time(9):
        return at.replace(hour=9, minute=0)
    return at if at.time() < time(18) else at.replace(hour=9, minute=0) + DAY


def _work_on(world: World, simulation: Simulation, rule: str, name: str, at: datetime) -> None:
    """Acknowledge it, and repair the data within a day."""
    with simulation.store.write() as connection:
        incident = incidents.get(connection, name)
        if incident is None or not incident.open:
            return
        decision = Triage(
            0, TriageAction.ACKNOWLEDGED, rule, name, "ana", "on it", at, at + 7 * DAY, incident.violations,
            incident.severity,
        )  # fmt: skip
        triage.add(connection, decision)
    end = at + timedelta(hours=world.chance.uniform(1, 20))
    world.troubles[rule] = [
        replace(trouble, end=end) if trouble.real and trouble.bad(at) else trouble
        for trouble in world.troubles[rule]
    ]


def _delay(sent: list[SimulatedMail], rule: str, trouble: Trouble) -> timedelta | None:
    """Return how long after it became really bad a mail reported at least half of it."""
    for mail in sent:
        is_late_enough = mail.at >= trouble.begin and rule in mail.rules
        if is_late_enough and mail.violations.get(rule, 0) >= trouble.rows / 2:
            return mail.at - trouble.begin
    return None


def main() -> None:
    """Both ways, side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=91)
    days = parser.parse_args().days
    with_policies, without = live(days, {}), live(days, WITHOUT)
    click.echo(f"{days} days, 40 rules, every 15 minutes: {days * 96 * 40:,} runs\n")
    click.echo(f"{'mails that ask for attention':32}{'with':>8}{'without':>10}")
    for kind in ("noisy", "flapping", "passing", "healthy"):
        counts = [
            sum(any(rule.startswith(kind) for rule in one.rules) for one in it.news)
            for it in (with_policies, without)
        ]
        click.echo(f"  {kind:30}{counts[0]:>8}{counts[1]:>10}")
    totals = [len(it.news) for it in (with_policies, without)]
    click.echo(f"  {'together':30}{totals[0]:>8}{totals[1]:>10}")
    shares = [f"{it.useful / max(len(it.news), 1):.0%}" for it in (with_policies, without)]
    click.echo(f"  {'about something acted on':30}{shares[0]:>8}{shares[1]:>10}\n")
    for rule, events in with_policies.noise_events.items():
        if not events:
            continue
        kinds = Counter(reason for _, reason, _ in events)
        click.echo(f"{rule}: {', '.join(f'{count} {reason}' for reason, count in kinds.items())}")
        for at, reason, sentence in events:
            if reason in ("downgraded", "restored"):
                click.echo(f"  {at:%d %b} {reason}: {sentence}")
    for rule, after in with_policies.delays.items():
        when = "NEVER" if after is None else f"after {after}"
        click.echo(f"{rule} became really bad, and was mailed {when}")


if __name__ == "__main__":
    main()
