"""What is wrong for how long, what people decided about it, and why they are told or not. Frozen."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sanityd.model.runs import Resolution, Severity


class Cause(enum.StrEnum):
    """What an incident is about."""

    #: A rule's data breaks it.
    VIOLATED = "violated"
    #: A rule can't be evaluated; says nothing about the data.
    ERRORED = "errored"
    #: A source does not answer; such an incident belongs to no rule.
    SOURCE_DOWN = "source_down"
    #: The rules file is wrong, so that older rules than it says are looked at; it belongs to no rule.
    RULES_WRONG = "rules_wrong"


class Reason(enum.StrEnum):
    """Why the team is told, or why it is not. Every decision has one."""

    OPENED = "opened"
    ESCALATED = "escalated"
    #: Other rows than those that the recipient was told of.
    UPDATED = "updated"
    REMINDER = "reminder"
    RESOLVED = "resolved"
    SOURCE_DOWN = "source_down"
    ERRORED = "errored"
    #: A rule that nobody acts on will become a warning.
    DOWNGRADE_NOTICE = "downgrade_notice"
    DOWNGRADED = "downgraded"
    RESTORED = "restored"
    #: A rule that comes and goes is quiet from now on, and is calm again.
    FLAPPING_STARTED = "flapping_started"
    FLAPPING_ENDED = "flapping_ended"
    #: Many things in one mail: after an outage of the mail server, or beyond the number of mails an hour.
    SUMMARY = "summary"
    DIGEST = "digest"

    #: Nothing changed that the team was not told already.
    UNCHANGED = "unchanged"
    #: Warnings and infos are listed, not mailed.
    BELOW_THRESHOLD = "below_threshold"
    #: It was over before anybody was told, so nobody needs to hear that it is over.
    NEVER_NOTIFIED = "never_notified"
    #: It was not verified of late, so there is nothing new to say about the data.
    NOT_VERIFIED = "not_verified"
    #: A message about it waits in the outbox.
    WAITING = "waiting"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    ACCEPTED = "accepted"
    #: A human called it closed, and it has not grown since.
    CLOSED = "closed"
    SILENCED = "silenced"
    #: Another incident explains it: of a source, or of what the rule depends on.
    INHIBITED = "inhibited"
    QUIET_HOURS = "quiet_hours"
    #: The recipient got enough mails this hour; the rest comes as one.
    RATE_LIMITED = "rate_limited"
    #: The rule comes and goes; nothing is worse than it was when that was told.
    FLAPPING = "flapping"
    #: Open for weeks, and reminded of: in the digest only, until it grows.
    LONG_RUNNING = "long_running"

    @property
    def mails(self) -> bool:
        """Whether this reason tells the team."""
        return self in _TOLD

    @property
    def interrupts(self) -> bool:
        """Whether a mail for this reason asks for attention; that something is over or is due by the clock does not."""
        return self.mails and self not in (
            Reason.RESOLVED,
            Reason.RESTORED,
            Reason.DOWNGRADED,
            Reason.DIGEST,
        )


_TOLD = frozenset(
    {
        Reason.OPENED,
        Reason.ESCALATED,
        Reason.UPDATED,
        Reason.REMINDER,
        Reason.RESOLVED,
        Reason.SOURCE_DOWN,
        Reason.ERRORED,
        Reason.DOWNGRADE_NOTICE,
        Reason.DOWNGRADED,
        Reason.RESTORED,
        Reason.FLAPPING_STARTED,
        Reason.FLAPPING_ENDED,
        Reason.SUMMARY,
        Reason.DIGEST,
    }
)


class TriageAction(enum.StrEnum):
    """What a human decided about an incident or a row. It ends, and breaks when things get worse."""

    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    ACCEPTED = "accepted"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Incident:
    """A stretch of time in which a rule was violated or could not be evaluated, or a source was down.

    At most one of each cause is open per rule (or source). `violations` is the exact number at the last run that could
    tell. `fates` counts what became of its rows.
    """

    id: str
    #: `source:NAME` for an incident of a source.
    rule: str
    source: str
    opened_at: datetime
    #: As it counts today: `declared`, less the steps that the rule was downgraded by.
    severity: Severity
    violations: int
    checked: int | None = None
    resolved_at: datetime | None = None
    resolutions: Mapping[Resolution, int] = field(default_factory=dict)
    #: Hash of what the rule meant when the incident opened.
    meaning: str = ""
    cause: Cause = Cause.VIOLATED
    #: The highest step of the rule's ladder that is reached.
    declared: Severity = Severity.ERROR
    #: One fault that broke very many rows at once, rather than many cases.
    systemic: bool = False
    #: Why it can't be evaluated, or why the source does not answer.
    error: str = ""
    hint: str = ""

    @property
    def open(self) -> bool:
        """Whether it still goes on."""
        return self.resolved_at is None


@dataclass(frozen=True, slots=True)
class LastNotification:
    """What one recipient was last told of an incident, by a message that was delivered (or may have been)."""

    reason: Reason
    violations: int
    severity: Severity
    #: How many messages of the incident reached this recipient: tells apart two times at which the rest was the same.
    sequence: int = 0
    at: datetime | None = None
    #: How many reminders were among them since it was last told as news.
    reminders: int = 0
    #: The Message-ID of the first of them, which begins the thread.
    root: str = ""


@dataclass(frozen=True, slots=True)
class Triage:
    """What a human decided about an incident (or, with a fingerprint, about one of its rows), and until when."""

    id: int
    action: TriageAction
    rule: str
    incident: str
    author: str
    reason: str
    at: datetime
    until: datetime
    #: The number and the severity at that time: twice as many, or a higher one, break it.
    violations: int
    severity: Severity
    fingerprint: str | None = None
    #: How a human closed it: `fixed`, `false_positive`, `wont_fix`, `duplicate`.
    resolution: str = ""
    ended_at: datetime | None = None
    #: `expired`, `broken`, `withdrawn`, `resolved`; empty while it holds.
    ended: str = ""


@dataclass(frozen=True, slots=True)
class NoiseState:
    """What the policy of noise decided about a rule before, and on what grounds."""

    #: By how many steps its severity is lowered.
    steps: int = 0
    #: When it was last lowered.
    since: datetime | None = None
    #: When the notice went out that it will be, and when that takes effect.
    noticed_at: datetime | None = None
    due: datetime | None = None
    #: How many violations there were when it was lowered; far more bring it back.
    baseline: int = 0
    #: Until when a human's undo forbids the next step.
    locked_until: datetime | None = None
    flapping_since: datetime | None = None
    #: The most violations there were while it came and went.
    peak: int = 0
    #: When it was last restored: what was mailed before counts no longer.
    restored_at: datetime | None = None
    #: The decision in one sentence with its numbers.
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody hears of what it matches, for a while. What is still wrong when it ends is told then.

    `rule` is a name with `*` for any letters; `tag` and `source` narrow it further. Empty ones match everything.
    """

    id: int
    author: str
    reason: str
    at: datetime
    starts: datetime
    until: datetime
    rule: str = ""
    tag: str = ""
    source: str = ""
    ended_at: datetime | None = None


def about_file(name: str) -> str:
    """The same for a rules file."""
    return f"file:{name}"


def about_source(name: str) -> str:
    """What stands in place of a rule's id where something is said of a source; no rule can be called so."""
    return f"source:{name}"
