"""What happens to the data of forty rules in a quarter: of each kind of rule its own sort of days.

All of it follows from the seed, and not from what the policies decide.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta

from sanityd.model import Outcome, Run, Severity, Violation

START = datetime(2026, 1, 5, tzinfo=UTC)
#: Rules are checked every quarter of an hour.
STEP = timedelta(minutes=15)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ROWS = 20_000
#: How many rules there are of each kind, together forty.
KINDS = {
    "healthy": 27,
    "noisy": 3,
    "flapping": 2,
    "passing": 2,
    "seasonal": 1,
    "drifting": 1,
    "stepping": 1,
    "bursting": 1,
    "releasing": 2,
}
#: The forty rules by which the policies were measured at first.
FIRST_KINDS = {"healthy": 27, "noisy": 6, "flapping": 4, "passing": 3}


@dataclass(frozen=True, slots=True)
class Trouble:
    """So many rows are bad from then on, until then or until somebody repairs them."""

    begin: datetime
    end: datetime | None
    rows: int
    #: Whether people care.
    real: bool = False
    #: Whether it is no more than what the rule is used to.
    usual: bool = False

    def is_there(self, at: datetime) -> bool:
        """Whether it is there at that time."""
        return self.begin <= at and (self.end is None or at < self.end)


@dataclass
class RuleData:
    """The data of one rule."""

    rule: str
    source: str
    troubles: list[Trouble]
    _run: Run | None = None
    _until: datetime | None = None

    def run(self, at: datetime) -> Run:
        """Return what a check sees; the same object as long as nothing changes."""
        if self._run is None or (self._until is not None and at >= self._until):
            self._run = self._look(at)
            changes = [trouble.begin for trouble in self.troubles]
            changes += [trouble.end for trouble in self.troubles if trouble.end]
            self._until = min((change for change in changes if change > at), default=None)
        return self._run

    def is_bad(self, at: datetime) -> bool:
        """Return whether people should care now."""
        return any(trouble.real and trouble.is_there(at) for trouble in self.troubles)

    def repair(self, at: datetime, end: datetime) -> None:
        """End by then what is real and there now."""
        self.troubles = [
            replace(trouble, end=end) if trouble.real and trouble.is_there(at) else trouble
            for trouble in self.troubles
        ]
        self._run = None

    def _look(self, at: datetime) -> Run:
        keys = [
            f"{number}-{row}"
            for number, trouble in enumerate(self.troubles)
            if trouble.is_there(at)
            for row in range(trouble.rows)
        ]
        return Run(
            rule=self.rule,
            kind="query",
            source=self.source,
            at=at,
            outcome=Outcome.COMPLETE,
            violations=len(keys),
            rows=len(keys),
            checked=ROWS,
            tracked=tuple(Violation({"id": key}) for key in keys),
            severity=Severity.ERROR if keys else None,
        )


@dataclass
class World:
    """The data of all rules, and when their second source does not answer."""

    days: int = 91
    seed: int = 1
    kinds: dict[str, int] = field(default_factory=lambda: dict(KINDS))
    rules: dict[str, RuleData] = field(default_factory=dict)
    outages: list[tuple[datetime, datetime]] = field(default_factory=list)
    #: What a check of a rule of that source sees then.
    skipped: dict[str, Run] = field(default_factory=dict)
    #: The troubles of each rule that people must hear of, as they began.
    expected: list[tuple[str, Trouble]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.outages = [self._outage(number) for number in range(2)]
        for kind, count in self.kinds.items():
            for number in range(count):
                self._add(kind, number)

    @property
    def end(self) -> datetime:
        """When it is over."""
        return START + self.days * DAY

    def run(self, rule: str, at: datetime) -> Run:
        """Return what a check of the rule sees at that time."""
        data = self.rules[rule]
        if data.source == "warehouse" and self.is_down(at):
            return self.skipped[rule]
        return data.run(at)

    def is_down(self, at: datetime) -> bool:
        """Return whether the second source does not answer."""
        return any(begin <= at < end for begin, end in self.outages)

    def visible_from(self, rule: str, trouble: Trouble) -> datetime:
        """Return from when on a check can see a trouble."""
        for begin, end in self.outages:
            is_hidden = begin - STEP <= trouble.begin < end
            if self.rules[rule].source == "warehouse" and is_hidden:
                return end
        return trouble.begin

    def chance(self, *about: object) -> random.Random:
        """Return chance that is the same for the same seed and subject."""
        return random.Random(f"{self.seed} {about}")

    def _add(self, kind: str, number: int) -> None:
        rule = f"{kind}-{number}"
        chance = self.chance(rule)
        days: Callable[[random.Random], Iterator[Trouble]] = getattr(self, f"_{kind}")
        troubles = list(days(chance))
        if kind != "healthy":
            troubles.append(self._worsening(chance, troubles))
        troubles.sort(key=lambda trouble: trouble.begin)
        source = "warehouse" if kind == "healthy" and number < 6 else "app"
        self.rules[rule] = RuleData(rule, source, troubles)
        if source == "warehouse":
            self.skipped[rule] = _skipped_run(rule, source)
        for trouble in troubles:
            if trouble.real:
                self.expected.append((rule, trouble))

    def _worsening(self, chance: random.Random, troubles: list[Trouble]) -> Trouble:
        """Return what happens once in the later quarter: what was harmless is harmless no more."""
        most = max((trouble.rows for trouble in troubles if not trouble.real), default=3)
        begin = START + timedelta(days=self.days * chance.uniform(0.35, 0.95))
        return Trouble(begin, None, int(most * chance.uniform(3, 10)) + 10, real=True)

    def _outage(self, number: int) -> tuple[datetime, datetime]:
        """Return a long outage of the second source."""
        chance = self.chance("outage", number)
        first_day = self.days * (number + chance.uniform(0.1, 0.8)) / 2
        begin = START + timedelta(days=first_day)
        return begin, begin + timedelta(hours=chance.uniform(10, 60))

    def _healthy(self, chance: random.Random) -> Iterator[Trouble]:
        """About every three weeks something real breaks, and stays so until somebody repairs it."""
        at = START + timedelta(days=chance.uniform(0, 21))
        while at < self.end:
            yield Trouble(at, None, chance.randint(1, 30), real=True)
            at += timedelta(days=chance.uniform(10, 32))

    def _noisy(self, chance: random.Random) -> Iterator[Trouble]:
        """Each night an import leaves some rows, which a job of the next night tidies up."""
        yield from self._nightly(chance, lambda _: (3, 12))

    def _nightly(
        self, chance: random.Random, rows: Callable[[int], tuple[int, int]]
    ) -> Iterator[Trouble]:
        for day in range(self.days):
            if chance.random() < 0.8:
                begin = START + timedelta(days=day, hours=chance.uniform(2, 10))
                end = begin + timedelta(hours=chance.uniform(3, 12))
                yield Trouble(begin, end, chance.randint(*rows(day)))

    def _flapping(self, chance: random.Random) -> Iterator[Trouble]:
        """For some days a week it comes and goes every half hour or so."""
        for day in range(0, self.days, 7):
            at = START + timedelta(days=day, hours=chance.uniform(0, 24))
            while at < START + timedelta(days=day + 3):
                yield Trouble(at, at + STEP * chance.randint(1, 2), chance.randint(1, 4))
                at += STEP * chance.randint(2, 4)

    def _passing(self, chance: random.Random) -> Iterator[Trouble]:
        """Some times a day something is late by a quarter of an hour."""
        for day in range(self.days):
            for _ in range(chance.randint(0, 3)):
                begin = START + timedelta(days=day, hours=chance.uniform(0, 24))
                end = begin + timedelta(minutes=chance.uniform(16, 28))
                yield Trouble(begin, end, chance.randint(1, 3))

    def _seasonal(self, chance: random.Random) -> Iterator[Trouble]:
        """Each Monday there is much, on other days little or nothing."""
        for day in range(self.days):
            is_monday = day % 7 == 0
            if is_monday or chance.random() < 0.3:
                begin = START + timedelta(days=day, hours=chance.uniform(5, 9))
                end = begin + timedelta(hours=chance.uniform(4, 8))
                yield Trouble(begin, end, chance.randint(*((40, 60) if is_monday else (1, 4))))

    def _drifting(self, chance: random.Random) -> Iterator[Trouble]:
        """As noisy, and each day a fiftieth more."""
        yield from self._nightly(chance, lambda day: (int(8 * 1.02**day), int(10 * 1.02**day)))

    def _stepping(self, chance: random.Random) -> Iterator[Trouble]:
        """As noisy; from the middle on there are three times as many, and it is nothing either."""
        middle = self.days // 2
        yield from self._nightly(chance, lambda day: (4, 8) if day < middle else (14, 24))

    def _bursting(self, chance: random.Random) -> Iterator[Trouble]:
        """A few rows on most days; and every few days very many, which only one check sees."""
        yield from self._nightly(chance, lambda _: (1, 4))
        at = START + timedelta(days=chance.uniform(0, 4))
        while at < self.end:
            yield Trouble(at, at + 14 * MINUTE, chance.randint(100, 300))
            at += timedelta(days=chance.uniform(1, 6))

    def _releasing(self, chance: random.Random) -> Iterator[Trouble]:
        """Twice a week a release breaks many rows, and repairs them; once it does not."""
        unrepaired = chance.randint(self.days // 3, max(self.days - 5, self.days // 3))
        for day in range(self.days):
            begin = START + timedelta(days=day, hours=chance.uniform(9, 17))
            rows = chance.randint(20, 120)
            if day == unrepaired:
                yield Trouble(begin, None, rows, real=True, usual=True)
            elif day % 7 in (1, 3):
                yield Trouble(begin, begin + timedelta(minutes=chance.uniform(20, 75)), rows)


def _skipped_run(rule: str, source: str) -> Run:
    return Run(
        rule=rule,
        kind="query",
        source=source,
        at=START,
        outcome=Outcome.SKIPPED,
        error="the server does not answer",
        down=source,
    )


def at_work(at: datetime, *, weekdays_only: bool = False) -> datetime:
    """Return when people take something up that they hear at that time: from nine to six."""
    if at.time() >= time(18):
        at = at.replace(hour=9, minute=0) + DAY
    elif at.time() < time(9):
        at = at.replace(hour=9, minute=0)
    while weekdays_only and at.weekday() >= 5:
        at = at.replace(hour=9, minute=0) + DAY
    return at
