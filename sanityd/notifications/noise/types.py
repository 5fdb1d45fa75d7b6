"""What the noise policy knows of a rule, and what it decides. Frozen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sanityd.alerts.settings import NoiseMode
from sanityd.model import Reason, Severity


@dataclass(frozen=True, slots=True)
class SentMail:
    """One notification of a rule, however many recipients got it.

    Opened, escalated, updated and reminder count; resolved and messages about noise do not.
    """

    at: datetime
    incident: str


@dataclass(frozen=True, slots=True)
class Episode:
    """One incident of the rule."""

    incident: str
    began: datetime
    ended: datetime | None = None
    #: Whether a person acknowledged, snoozed, accepted, closed or repaired it, or edited the rule.
    acted: bool = False
    #: Whether a person closed it as a false positive.
    false_positive: bool = False
    #: Whether a person closed it.
    closed: bool = False

    @property
    def by_itself(self) -> bool:
        """Whether it ended, and nobody acted on it.

        A repair that nobody told of looks the same, unless `repairs.py` tells them apart.
        """
        return self.ended is not None and not self.acted

    @property
    def seconds(self) -> int:
        """How long it lasted, in seconds; 0 while it is open."""
        return int(((self.ended or self.began) - self.began).total_seconds())


@dataclass(frozen=True, slots=True)
class PastRunResult:
    """One run that had an answer: complete or truncated, not errored or skipped."""

    at: datetime
    violations: int
    #: The declared severity that was reached; None when the rule held.
    severity: Severity | None


@dataclass(frozen=True, slots=True)
class DayPeak:
    """A day on which a rule was violated."""

    day: date
    #: The most violations of one run.
    peak: int
    #: The most violations that two runs in a row had; 0 when no two runs were violated.
    lasting: int


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one rule, oldest first.

    It should reach back over the window of the noise policy and its grace period, and have at least
    one run more than the window of flapping. What is later than the time of the judgement does not
    count.
    """

    #: The declared severity of its open incident, or of the rule.
    declared: Severity
    #: Since when the rule has its present meaning.
    since: datetime
    #: The interval of its schedule.
    interval: timedelta
    sent: Sequence[SentMail] = ()
    episodes: Sequence[Episode] = ()
    looks: Sequence[PastRunResult] = ()
    #: The violated days of the window before the open incident began, at the latest of yesterday.
    #: Needed where mails of the rule are spared already.
    days: Sequence[DayPeak] = ()
    #: The rule's own `noise:`; None for what the settings say.
    mode: NoiseMode | None = None

    @property
    def open_episode(self) -> Episode | None:
        """The incident that is open; None without one."""
        if self.episodes and self.episodes[-1].ended is None:
            return self.episodes[-1]
        return None

    @property
    def ended(self) -> list[Episode]:
        """The incidents that ended, of those that began since the rule has its meaning."""
        episodes = [episode for episode in self.episodes if episode.ended is not None]
        return [episode for episode in episodes if episode.began >= self.since]


@dataclass(frozen=True, slots=True)
class NoiseDecision:
    """A decision of the policy: a downgrade announced, made or ended, or flapping."""

    reason: Reason
    #: One sentence with its numbers, without a full stop.
    sentence: str
    #: When an announced downgrade takes effect.
    due: datetime | None = None
