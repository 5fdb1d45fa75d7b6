"""What virtual time remembers of one rule: its runs, incidents, mails and rows. In memory."""

from bisect import bisect_left
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sanityd.alerts.settings import Settings
from sanityd.model import Incident, NoiseState, Run, Triage
from sanityd.notifications import noise
from sanityd.notifications.context import LastRuns
from sanityd.notifications.noise import DayPeak, Episode, PastRunResult, Record, SentMail
from sanityd.notifications.noise.repairs import with_repairs
from sanityd.rules.rule import Rule

#: As far back as the store is read for a rule that is downgraded.
_CLEAN = timedelta(days=15)
#: The number of rows that are told apart; more are only counted.
_MOST_ROWS = 1000
#: More days than any window of the noise policy has.
_MOST_DAYS = 400

#: When the noise policy decided something about a rule, why, and in which words.
NoiseEvent = tuple[datetime, str, str]


@dataclass
class RuleMemory:
    """What is remembered of one rule."""

    rule: Rule
    #: When it was first checked.
    since: datetime | None = None
    looks: list[PastRunResult] = field(default_factory=list)
    sent: list[SentMail] = field(default_factory=list)
    #: All its violated incidents, by id, in the order of their beginning.
    incidents: dict[str, Incident] = field(default_factory=dict)
    open: Incident | None = None
    fault: Incident | None = None
    state: NoiseState = field(default_factory=NoiseState)
    last: Run | None = None
    #: The object that the caller gave for it.
    seen: Run | None = None
    result: tuple[object, ...] = ()
    answer: Run | None = None
    holding_since: datetime | None = None
    #: Since when each row violates.
    rows: dict[Hashable, datetime] = field(default_factory=dict)
    events: list[NoiseEvent] = field(default_factory=list)
    #: Nobody can act on these any more.
    ended_episodes: dict[str, Episode] = field(default_factory=dict)
    #: The violated days before that time, which is a midnight.
    days: tuple[DayPeak, ...] = ()
    days_until: datetime | None = None
    #: The incidents that people acted on, and those that they closed as false positives.
    acted: set[str] = field(default_factory=set)
    false_positives: set[str] = field(default_factory=set)

    def is_same(self, run: Run) -> bool:
        """Return whether the run says the same as the one before."""
        return self.seen is run or self.result == _result(run)

    def remember(self, run: Run, at: datetime) -> None:
        """Keep the run as the newest."""
        self.seen = run
        self.result = _result(run)
        self.last = replace(run, at=at)
        self.since = self.since or at
        if not run.answered:
            return
        self.answer = self.last
        self.looks.append(PastRunResult(at, run.violations, run.severity))
        if run.severity is not None:
            self.holding_since = None
        elif self.holding_since is None:
            self.holding_since = at

    def follow_rows(self, run: Run, at: datetime) -> None:
        """Keep since when each row violates.

        Rows of a run that has no keys are told apart by their number: the first ones are taken for
        those of the run before.
        """
        keys: Iterable[Hashable] = range(min(run.violations, _MOST_ROWS))
        if run.tracked:
            keys = (tuple(violation.key.items()) for violation in run.tracked)
        self.rows = {key: self.rows.get(key, at) for key in keys}

    def new_rows(self, since: datetime | None) -> int:
        """Return how many rows that violate now were not seen by then.

        Parameters: `since` is when somebody was told of those that were there; None for never.
        """
        if since is None:
            return len(self.rows)
        return sum(first_seen > since for first_seen in self.rows.values())

    def kept_open(self, incident: Incident | None, at: datetime) -> Incident | None:
        """Return the incident, still open when the rule holds again for less than `keep_open`."""
        if incident is None or incident.open or not self.rule.keep_open:
            return incident
        holding_since = self.holding_since or at
        if at - holding_since >= self.rule.keep_open:
            return incident
        return replace(incident, resolved_at=None)

    def add_triage(self, decision: Triage) -> None:
        """Remember that somebody acted on an incident of the rule."""
        self.acted.add(decision.incident)
        if decision.resolution == "false_positive":
            self.false_positives.add(decision.incident)

    def add_mail(self, mail: SentMail) -> None:
        """Remember a mail about the rule, once for all its recipients."""
        if not self.sent or self.sent[-1] != mail:
            self.sent.append(mail)

    def last_runs(self) -> LastRuns:
        """Return the last run and the last one with an answer."""
        return LastRuns(self.last, self.answer)

    def record(self, settings: Settings, at: datetime) -> Record:
        """Return what the noise policy knows of the rule, as `noise_review.records_of` reads it.

        Incidents that ended before that are forgotten.
        """
        since = at - settings.noise.window - settings.noise.grace
        self.incidents = {
            incident.id: incident
            for incident in self.incidents.values()
            if (incident.resolved_at or at) >= since
        }
        looks = self.looks[-settings.flapping.window - 1 :]
        if self.state.steps:
            looks = self._looks(at - _CLEAN, at + _CLEAN)
        sent = self.sent[bisect_left(self.sent, since, key=lambda mail: mail.at) :]
        episodes = [self._episode(incident) for incident in self.incidents.values()]
        return Record(
            declared=self.open.declared if self.open else self.rule.severity,
            since=self.since or at,
            interval=self.rule.schedule.interval,
            sent=sent,
            episodes=with_repairs(episodes, sent),
            looks=looks,
            days=self._days(settings, at),
            mode=self.rule.noise,
        )

    def _days(self, settings: Settings, at: datetime) -> tuple[DayPeak, ...]:
        """Return the violated days before the open incident, at the latest of yesterday."""
        if self.open is None or not noise.is_quiet(self.state):
            return ()
        local = at.astimezone(settings.zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        if self.days_until != midnight:
            self.days += noise.daily_peaks(self._looks(self.days_until, midnight), settings.zone)
            self.days_until = midnight
        first_day = (midnight - settings.noise.window).date()
        days = tuple(day for day in self.days[-_MOST_DAYS:] if day.day >= first_day)
        this_day = self._looks(midnight, self.open.opened_at)
        return (*days, *noise.daily_peaks(this_day, settings.zone))

    def _looks(self, begin: datetime | None, end: datetime) -> list[PastRunResult]:
        """Return the runs from one time to another."""
        first = 0
        if begin is not None:
            first = bisect_left(self.looks, begin, key=lambda look: look.at)
        last = bisect_left(self.looks, end, key=lambda look: look.at)
        return self.looks[first:last]

    def _episode(self, incident: Incident) -> Episode:
        """Return an incident as the noise policy knows it; what is over is made once."""
        if incident.id in self.ended_episodes:
            return self.ended_episodes[incident.id]
        is_false = incident.id in self.false_positives
        episode = Episode(
            incident=incident.id,
            began=incident.opened_at,
            ended=incident.resolved_at,
            acted=incident.id in self.acted,
            false_positive=is_false,
            closed=is_false,
        )
        if not incident.open:
            self.ended_episodes[incident.id] = episode
        return episode


def _result(run: Run) -> tuple[object, ...]:
    """Return what a run says of the data: the same result has the same consequences."""
    return (run.outcome, run.severity, run.violations, run.tracked)
