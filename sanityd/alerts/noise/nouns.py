"""What the noise policy is told, what it remembers, and what it decides. Frozen, without behaviour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sanityd.model import Reason, Severity

Mode = Literal["on", "suggest", "off"]


@dataclass(frozen=True, slots=True)
class Sent:
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
class Look:
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
    sent: Sequence[Sent] = ()
    episodes: Sequence[Episode] = ()
    looks: Sequence[Look] = ()
    #: The rule's own `noise:`; None for what the settings say.
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What was decided about a rule before; kept between runs."""

    #: How many steps down.
    steps: int = 0
    #: The last downgrade. Stays when it is over, so that the next one is not too soon.
    since: datetime | None = None
    #: A notice is out since then, and takes effect when it is due.
    noticed_at: datetime | None = None
    due: datetime | None = None
    #: The violations at the downgrade, for the ratchet.
    baseline: int = 0
    #: By an undo.
    locked_until: datetime | None = None
    flapping_since: datetime | None = None
    #: The most violations while it came and went, before it was called flapping: more than that is a worsening.
    peak: int = 0
    #: The downgrade in one sentence with its numbers.
    sentence: str = ""
    #: The end of the last downgrade. What was mailed until then does not count again.
    restored_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision that the team hears of: notice, downgraded, restored, flapping or calm."""

    reason: Reason
    #: One sentence with its numbers, without a full stop.
    sentence: str
    #: When a downgrade that is announced takes place.
    due: datetime | None = None
