"""`scripts/bench signal`: what share of the mails is about something that somebody acts on.

A quarter of a team's life in virtual time, for several teams and seeds: forty rules, people who
read their mail, and the policies of the product itself (`pipeline/virtual_time.py`); only the data
(`quarter_data.py`) and the people are made up.

Each team acts on what is real only. Of a mail it is `useful` when its incident is acted on, now or
later. A worsening is `hidden` when no mail says at least half of its rows within two runs.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import starmap
from pathlib import Path
from time import process_time
from typing import Any

import click

from sanityd.model import Severity, Triage, TriageAction
from sanityd.pipeline.virtual_rule import NoiseEvent
from sanityd.pipeline.virtual_time import VirtualMail, VirtualTime
from sanityd.rules.load import load
from sanityd.rules.rule import RuleSet
from tests.bench.quarter_data import (
    DAY,
    FIRST_KINDS,
    HOUR,
    KINDS,
    MINUTE,
    START,
    STEP,
    Trouble,
    World,
    at_work,
)

#: The policies switched off, with the rest as it is.
WITHOUT: dict[str, Any] = {"noise": {"auto": "off"}, "flapping": {"start": 100, "end": 99}}
#: A worsening must be mailed so soon.
SOON = 2 * STEP
#: What is real, but no more than the rule is used to, must be mailed so soon.
LATEST = 6 * HOUR
SETTLED = START + 30 * DAY


@dataclass(frozen=True)
class Team:
    """How people act on mails about what is real."""

    name: str
    #: The share of the mails that they act on at all.
    share: float = 1.0
    weekdays_only: bool = False


TEAMS = (Team("all"), Team("half", share=0.5), Team("weekdays", weekdays_only=True))


@dataclass
class Quarter:
    """How it went."""

    world: World
    sent: list[VirtualMail]
    #: The incidents that somebody acted on.
    acted: set[str]
    noise_events: dict[str, list[NoiseEvent]] = field(default_factory=dict)

    @property
    def mails(self) -> list[VirtualMail]:
        """The mails that ask for attention."""
        return [mail for mail in self.sent if mail.reason.needs_attention]

    def is_useful(self, mail: VirtualMail) -> bool:
        """Return whether somebody acted on something that the mail is about."""
        return not self.acted.isdisjoint(mail.incidents)

    def delays(self) -> Iterable[tuple[str, Trouble, timedelta | None]]:
        """Yield how long it took to mail each real trouble; None for never.

        Not what begins while the rule is violated by something real anyhow.
        """
        for rule, trouble in self.world.expected:
            begin = self.world.visible_from(rule, trouble)
            others = [
                other
                for other in self.world.rules[rule].troubles
                if other.real and other.begin < trouble.begin
            ]
            is_over = begin > self.world.end - LATEST
            if is_over or any(other.end is None or other.end > begin for other in others):
                continue
            yield rule, trouble, self._delay(rule, trouble, begin)

    def _delay(self, rule: str, trouble: Trouble, begin: datetime) -> timedelta | None:
        for mail in self.sent:
            is_late_enough = mail.at >= begin and rule in mail.rules
            if is_late_enough and mail.violations.get(rule, 0) >= trouble.rows / 2:
                return mail.at - begin
        return None


def rules_of(folder: Path, world: World, policies: dict[str, Any]) -> RuleSet:
    """Return a rules file of forty rules; their databases are never opened."""
    content = {
        "sources": {"app": "sqlite:///app.db", "warehouse": "sqlite:///warehouse.db"},
        "channels": {"team": {"file": "mails"}},
        "alerts": policies,
        "defaults": {"notify": ["team"], "schedule": "every 15m"},
        "rules": {
            rule: {"source": data.source, "query": f"select '{rule}' as id", "key": "id"}
            for rule, data in world.rules.items()
        },
    }
    path = folder / "rules.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")
    return load(path, {})


class Life:
    """People who get the mails of a virtual sanityd, and what they do about them."""

    def __init__(self, world: World, team: Team, rules: RuleSet) -> None:
        self.world = world
        self.team = team
        self.virtual = VirtualTime(rules)
        self.acted: set[str] = set()
        self._todo: list[tuple[datetime, str, str]] = []
        self._mails: Counter[str] = Counter()

    def live(self) -> Quarter:
        """Check, mail and let people work, every quarter of an hour."""
        at = START
        names = list(self.world.rules)
        while at < self.world.end:
            runs = [self.world.run(rule, at) for rule in names]
            for mail in self.virtual.record(runs, at):
                if mail.reason.needs_attention:
                    self._read(mail, at)
            self._work(at)
            at += STEP
        events = {rule: self.virtual.noise_events(rule) for rule in names}
        return Quarter(self.world, self.virtual.sent, self.acted, events)

    def _read(self, mail: VirtualMail, at: datetime) -> None:
        """Take up what is real, unless nobody does this time."""
        for rule, incident in zip(mail.rules, mail.incidents, strict=False):
            data = self.world.rules.get(rule)
            is_real = data.is_bad(at) if data is not None else True
            if not is_real or incident in self.acted:
                continue
            self._mails[incident] += 1
            chance = self.world.chance(incident, self._mails[incident])
            if chance.random() < self.team.share:
                self.acted.add(incident)
                begin = at + timedelta(minutes=chance.uniform(10, 90))
                begin = at_work(begin, weekdays_only=self.team.weekdays_only)
                self._todo.append((begin, rule, incident))

    def _work(self, at: datetime) -> None:
        for due in [due for due in self._todo if due[0] <= at]:
            self._todo.remove(due)
            _, rule, incident = due
            self._act(rule, incident, at)

    def _act(self, rule: str, name: str, at: datetime) -> None:
        """Acknowledge it, and repair the data within a day."""
        incident = self.virtual.open_incident(rule)
        if incident is None or incident.id != name:
            return
        decision = Triage(
            id=0,
            action=TriageAction.ACKNOWLEDGED,
            rule=rule,
            incident=name,
            author="ana",
            reason="on it",
            at=at,
            until=at + 7 * DAY,
            violations=incident.violations,
            severity=Severity.ERROR,
        )
        self.virtual.decide(decision)
        if rule in self.world.rules:
            hours = self.world.chance("repair", name).uniform(1, 20)
            self.world.rules[rule].repair(at, at + timedelta(hours=hours))


def live(world: World, team: Team, policies: dict[str, Any]) -> Quarter:
    """Let a quarter go by."""
    with tempfile.TemporaryDirectory() as name:
        return Life(world, team, rules_of(Path(name), world, policies)).live()


@dataclass
class Figures:
    """What a quarter comes to; the sum of several."""

    mails: Counter[str] = field(default_factory=Counter)
    useful: int = 0
    late_mails: int = 0
    late_useful: int = 0
    weeks: float = 0
    delays: list[float] = field(default_factory=list)
    expected: int = 0
    hidden: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """The number of all mails that ask for attention."""
        return self.mails["all"]

    def add(self, other: "Figures") -> None:
        """Add those of another quarter."""
        self.mails.update(other.mails)
        self.useful += other.useful
        self.late_mails += other.late_mails
        self.late_useful += other.late_useful
        self.weeks += other.weeks
        self.delays += other.delays
        self.expected += other.expected
        self.hidden += other.hidden

    def line(self, name: str) -> str:
        """Return the figures in one line."""
        delays = sorted(self.delays)
        slowest = max(delays, default=0)
        middle = delays[len(delays) // 2] if delays else 0
        return (
            f"{name:10} overall {self.useful / max(self.total, 1):.0%}"
            f" · after day 30 {self.late_useful / max(self.late_mails, 1):.0%}"
            f" · {self.total / max(self.weeks, 1):.1f} mails a person and week"
            f" · worsening mailed after {middle:.0f} min, at most {slowest:.0f} min"
            f" · hidden {len(self.hidden)} of {self.expected}"
        )


def kind_of(rule: str) -> str:
    """Return the kind of a rule by its name; `source` of `source:NAME`."""
    return rule.partition(":")[0].rpartition("-")[0] or "source"


def figures(quarter: Quarter) -> Figures:
    """Return the figures of one quarter."""
    result = Figures(weeks=quarter.world.days / 7)
    for mail in quarter.mails:
        useful = quarter.is_useful(mail)
        result.mails["all"] += 1
        for kind in {kind_of(rule) for rule in mail.rules}:
            result.mails[kind] += 1
            result.mails[f"{kind} useful"] += useful
        result.useful += useful
        if mail.at >= SETTLED:
            result.late_mails += 1
            result.late_useful += useful
    for rule, trouble, delay in quarter.delays():
        result.expected += 1
        limit = LATEST if trouble.usual else SOON
        if delay is None or delay > limit:
            begin = f"{trouble.begin - START}".partition(".")[0]
            result.hidden.append(f"seed {quarter.world.seed}: {rule} at {begin}: {delay}")
        elif not trouble.usual:
            result.delays.append(delay / MINUTE)
    return result


def story(quarter: Quarter, rule: str) -> list[str]:
    """Return the mails about a rule and what was decided about its noise, in the order of time."""
    entries = [
        (
            mail.at,
            mail.reason.value,
            f"{mail.violations[rule]}{', acted on' * quarter.is_useful(mail)}",
        )
        for mail in quarter.mails
        if rule in mail.violations
    ]
    entries += quarter.noise_events.get(rule, [])
    return [f"{at:%d %b %H:%M}  {what:18} {words}" for at, what, words in sorted(entries)]


def _one(team: Team, seed: int, days: int, mix: str, policies: dict[str, Any]) -> Figures:
    kinds = FIRST_KINDS if mix == "first" else KINDS
    return figures(live(World(days, seed, dict(kinds)), team, policies))


@click.command()
@click.option("--days", default=91, show_default=True)
@click.option("--seeds", default=3, show_default=True, help="How many quarters of each team.")
@click.option("--team", "names", multiple=True, help="Only this team.")
@click.option("--mix", type=click.Choice(["all", "first"]), default="all", show_default=True)
@click.option("--without", is_flag=True, help="Without the policies of noise.")
@click.option("--jobs", default=1, show_default=True, help="How many processes.")
@click.option("--story", "rules", multiple=True, help="Print one quarter of this rule instead.")
def command(
    days: int,
    seeds: int,
    names: tuple[str, ...],
    mix: str,
    without: bool,
    jobs: int,
    rules: tuple[str, ...],
) -> None:
    """Print what share of the mails is about something that somebody acts on."""
    policies = WITHOUT if without else {}
    if rules:
        quarter = live(World(days, 1, dict(KINDS)), TEAMS[0], policies)
        for rule in rules:
            click.echo(f"\n{rule}\n" + "\n".join(story(quarter, rule)))
        return
    click.echo(f"{days} days, 40 rules every 15 minutes, {seeds} seeds")
    for team in TEAMS:
        if names and team.name not in names:
            continue
        begin = process_time()
        quarters = [(team, seed, days, mix, policies) for seed in range(1, seeds + 1)]
        total = Figures()
        with ProcessPoolExecutor(jobs) as pool:
            parts = (
                pool.map(_one, *zip(*quarters, strict=True))
                if jobs > 1
                else starmap(_one, quarters)
            )
            for part in parts:
                total.add(part)
        click.echo(
            f"\n{total.line(team.name)}  ({(process_time() - begin) / seeds:.0f} s a quarter)"
        )
        kinds = [*(KINDS if mix == "all" else FIRST_KINDS), "source"]
        for kind in kinds:
            mails, useful = total.mails[kind], total.mails[f"{kind} useful"]
            click.echo(f"  {kind:10} {mails / seeds:6.1f} mails, {useful / seeds:6.1f} useful")
        for line in total.hidden[:10]:
            click.echo(f"  hidden: {line}")


if __name__ == "__main__":
    command()
