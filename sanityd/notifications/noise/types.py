"""What the noise policy is told, what it remembers, and what it decides. Frozen, without behaviour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sanityd.alerts.settings import NoiseMode
from sanityd.model import Reason, Severity


@dataclass(frozen=True, slots=True)
class SentMail:
    """One piece of news that was mailed at once, however many recipients got it.

    Opened, escalated, updated and reminder are; the end of an incident and what is said about noise are not.
    """

    at: datetime
    incident: str


@dataclass(frozen=True, slots=True)
class Episode:
    """One incident of the rule."""

    incident: str
    began: datetime
    ended: datetime | None = None
    #: Acknowledged, snoozed, accepted, closed with a reason, remedied, or the rule was edited.
    acted: bool = False
    #: A human closed it as such.
    false_positive: bool = False
    #: A human closed it, however.
    closed: bool = False


@dataclass(frozen=True, slots=True)
class PastRunResult:
    """One run that had an answer: a complete or a truncated one. Those that errored or were skipped say nothing."""

    at: datetime
    violations: int
    #: The declared step that was reached; None when the rule held.
    severity: Severity | None


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one rule, all oldest first.

    It should reach back over the window of the noise policy and three days more, and hold at least one look more
    than the window of flapping. What is later than the time it is judged at does not count.
    """

    #: The highest step of its ladder that was reached of late, or its declared one.
    declared: Severity
    #: Since when the rule has meant what it means.
    since: datetime
    #: Of its schedule.
    interval: timedelta
    sent: Sequence[SentMail] = ()
    episodes: Sequence[Episode] = ()
    looks: Sequence[PastRunResult] = ()
    #: The rule's own `noise:`; None for what the settings say.
    mode: NoiseMode | None = None


@dataclass(frozen=True, slots=True)
class NoiseDecision:
    """One decision that the team hears of: notice, downgraded, restored, flapping or calm."""

    reason: Reason
    #: One sentence with its numbers, without a full stop.
    sentence: str
    #: When a downgrade that is announced takes place.
    due: datetime | None = None
