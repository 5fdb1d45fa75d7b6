"""Incidents, what people decided about them, and the reasons to notify or not to notify."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sanityd.model.runs import Resolution, Severity


class Cause(enum.StrEnum):
    """Cause of an incident."""

    #: Rows violate a rule.
    VIOLATED = "violated"
    #: A rule can't be evaluated; this says nothing about the data.
    ERRORED = "errored"
    #: A source does not answer. The incident belongs to no rule.
    SOURCE_DOWN = "source_down"
    #: The rules file has errors, so older rules are still in use. The incident belongs to no rule.
    RULES_WRONG = "rules_wrong"


class Reason(enum.StrEnum):
    """Reason why recipients are notified, or why they are not. Every decision has one."""

    # Reasons to notify.

    #: A new incident.
    OPENED = "opened"
    #: The incident has a higher severity, or many more violations.
    ESCALATED = "escalated"
    #: Other rows than those of the last notification.
    UPDATED = "updated"
    #: Still open some time after the last notification.
    REMINDER = "reminder"
    #: The incident is over.
    RESOLVED = "resolved"
    #: A source does not answer.
    SOURCE_DOWN = "source_down"
    #: A rule can't be evaluated.
    ERRORED = "errored"
    #: A rule whose incidents nobody handles will soon be downgraded to a warning.
    DOWNGRADE_NOTICE = "downgrade_notice"
    #: The rule was downgraded by one step.
    DOWNGRADED = "downgraded"
    #: The rule has its declared severity again.
    RESTORED = "restored"
    #: A rule opens and resolves too often, so its notifications stop.
    FLAPPING_STARTED = "flapping_started"
    #: The rule is stable again, so its notifications start again.
    FLAPPING_ENDED = "flapping_ended"
    #: The remedy of a rule stopped by itself, or sends nothing as too many rows are violated.
    REMEDY_STOPPED = "remedy_stopped"
    #: A request of a remedy was refused or given up.
    REMEDY_FAILED = "remedy_failed"
    #: Many entries in one message: after an outage of the mail server, or over the hourly limit.
    SUMMARY = "summary"
    #: The regular digest.
    DIGEST = "digest"

    # Reasons not to notify.

    #: Nothing changed since the last notification.
    UNCHANGED = "unchanged"
    #: Warnings and infos are listed, not mailed.
    BELOW_THRESHOLD = "below_threshold"
    #: The incident was over before anybody was notified.
    NEVER_NOTIFIED = "never_notified"
    #: The rule could not be evaluated lately, so there is nothing new about the data.
    NOT_VERIFIED = "not_verified"
    #: A message about it waits in the outbox.
    WAITING = "waiting"
    #: A person acknowledged the incident.
    ACKNOWLEDGED = "acknowledged"
    #: A person snoozed the incident.
    SNOOZED = "snoozed"
    #: A person accepted the rows.
    ACCEPTED = "accepted"
    #: A person closed the incident, and it has not grown since.
    CLOSED = "closed"
    #: The rule holds again, but not for as long as it must (`keep_open`).
    KEPT_OPEN = "kept_open"
    #: The channel does not take messages for this reason (its option `events`).
    NOT_TAKEN = "not_taken"
    #: A silence matches.
    SILENCED = "silenced"
    #: Another incident explains it: of its source, or of a rule that this one depends on.
    INHIBITED = "inhibited"
    #: The channel has quiet hours.
    QUIET_HOURS = "quiet_hours"
    #: The recipient reached the hourly limit; news of what is known comes later, as one summary.
    RATE_LIMITED = "rate_limited"
    #: The rule is flapping, and nothing is worse than in the notification that it is.
    FLAPPING = "flapping"
    #: Most incidents of the rule end by themselves soon, so the first mail waits for so long.
    AUTO_PAUSED = "auto_paused"
    #: Nobody acted on the last mails about the rule, so the next one comes later.
    NOT_ACTED_ON = "not_acted_on"
    #: It belongs to an announced change, whose mail comes at the end.
    ANNOUNCED = "announced"
    #: The digest says so, which the recipient gets.
    IN_DIGEST = "in_digest"
    #: Open for weeks, with reminders sent: only the digest lists it, until it grows.
    LONG_RUNNING = "long_running"

    @property
    def mails(self) -> bool:
        """Whether a message is sent for this reason."""
        return self in _NOTIFYING

    @property
    def needs_attention(self) -> bool:
        """Whether a message for this reason asks for attention at once."""
        return self.mails and self not in _CALM


_NOTIFYING = frozenset(
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
        Reason.REMEDY_STOPPED,
        Reason.REMEDY_FAILED,
        Reason.SUMMARY,
        Reason.DIGEST,
    }
)
#: Good news, and messages that are due by the clock.
_CALM = frozenset({Reason.RESOLVED, Reason.RESTORED, Reason.DOWNGRADED, Reason.DIGEST})


class TriageAction(enum.StrEnum):
    """Decision of a person about an incident or a row. It ends by time, or when it gets worse."""

    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    ACCEPTED = "accepted"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Incident:
    """A period in which a rule was violated or could not be evaluated, or a source was down.

    A rule (or source) has at most one open incident of each cause.
    """

    id: str
    #: The id of the rule; `source:NAME` for the incident of a source, `file:NAME` of a rules file.
    rule: str
    source: str
    opened_at: datetime
    #: The severity in force: `declared`, minus the steps by which the rule is downgraded.
    severity: Severity
    #: The exact number of violations at the last run that had an answer.
    violations: int
    #: How many rows that run checked; None when that isn't known.
    checked: int | None = None
    #: None while it is open.
    resolved_at: datetime | None = None
    #: How many of its rows were resolved, by resolution.
    resolutions: Mapping[Resolution, int] = field(default_factory=dict)
    #: Hash of the rule's meaning when the incident opened.
    meaning: str = ""
    cause: Cause = Cause.VIOLATED
    #: The severity by the rules file: the highest step of the rule's ladder that is reached.
    declared: Severity = Severity.ERROR
    #: Whether very many rows broke at once, which points to one common fault.
    systemic: bool = False
    #: The ticket of the announced change that it began or grew in; empty for others.
    ticket: str = ""
    #: Why the rule can't be evaluated or the source does not answer, and what to do about it.
    error: str = ""
    hint: str = ""

    @property
    def open(self) -> bool:
        """Whether the incident is not resolved."""
        return self.resolved_at is None


@dataclass(frozen=True, slots=True)
class LastNotification:
    """The last message about an incident that was (or may have been) delivered to one recipient."""

    reason: Reason
    violations: int
    severity: Severity
    #: How many messages about the incident this recipient got. It makes each one distinct, even
    #: when reason and numbers are the same.
    sequence: int = 0
    at: datetime | None = None
    #: How many reminders were sent since the last message that was no reminder.
    reminders: int = 0
    #: The Message-ID of the first message, which starts the mail thread.
    root: str = ""
    #: The measured values at that time, by fingerprint (see `notifications.measured_values`).
    measured: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What a recipient was not notified of yet, because of the limit of mails per hour."""

    reason: Reason
    #: The violations when it was held back, and when that was.
    violations: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Triage:
    """A decision of a person about an incident or, with a fingerprint, about one of its rows."""

    id: int
    action: TriageAction
    rule: str
    #: The id of the incident.
    incident: str
    author: str
    #: Why, in the author's words.
    reason: str
    at: datetime
    until: datetime
    #: The violations and the severity at that time: twice as many, or a higher one, end it.
    violations: int
    severity: Severity
    #: The row that it is about; None for the whole incident.
    fingerprint: str | None = None
    #: How a person closed it: `fixed`, `false_positive`, `wont_fix`, `duplicate`.
    resolution: str = ""
    ended_at: datetime | None = None
    #: Why it ended: `expired`, `broken`, `withdrawn`, `replaced`, `resolved`; empty in force.
    ended: str = ""


@dataclass(frozen=True, slots=True)
class NoiseState:
    """What the noise policy decided about a rule so far, and on which grounds."""

    #: By how many steps the severity is downgraded.
    steps: int = 0
    #: When it was last downgraded.
    since: datetime | None = None
    #: When a downgrade was announced, and when it takes effect.
    noticed_at: datetime | None = None
    due: datetime | None = None
    #: The violations at the downgrade; many more restore the severity.
    baseline: int = 0
    #: Until when the undo of a person prevents the next downgrade.
    locked_until: datetime | None = None
    flapping_since: datetime | None = None
    #: The highest number of violations while it was flapping.
    peak: int = 0
    #: When the severity was last restored; messages before that no longer count as ignored.
    restored_at: datetime | None = None
    #: The decision in one sentence with its numbers.
    sentence: str = ""
    #: When its flapping ends if it does not change any more, and when its last flapping ended.
    calm_from: datetime | None = None
    flapping_ended_at: datetime | None = None
    #: How many mails in a row nobody acted on, by the incidents that ended until then.
    ignored: int = 0
    ignored_until: datetime | None = None
    #: When the last of them was sent, and from when on the next one is; None for at once.
    mailed_at: datetime | None = None
    mails_from: datetime | None = None
    #: How long the first mail about an incident waits, in seconds, and why.
    pause: int = 0
    pause_sentence: str = ""
    #: The usual number of violations, and whether it is worse than usual now.
    usual: int = 0
    worse: bool = False
    #: The last incident that was worse than usual.
    worse_in: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """A period without notifications for all rules that match.

    Incidents that are still open at its end are notified then. A rule matches when all of `rule`,
    `tag` and `source` match; an empty one matches everything.
    """

    id: int
    author: str
    #: Why, in the author's words.
    reason: str
    at: datetime
    starts: datetime
    until: datetime
    #: A rule id, in which `*` stands for any characters.
    rule: str = ""
    tag: str = ""
    source: str = ""
    #: When it was ended early; None otherwise.
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AnnouncedChange:
    """A mass change that somebody announced, as an import: until its end, one mail for all of it.

    What opens or grows meanwhile belongs to its ticket. It ends by itself.
    """

    id: int
    ticket: str
    author: str
    #: Why, in the author's words.
    reason: str
    #: The ids of the rules whose tables it changes, and the tables as they were named.
    rules: tuple[str, ...]
    tables: tuple[str, ...]
    starts: datetime
    until: datetime
    #: When it was ended early; None otherwise.
    ended_at: datetime | None = None


def file_rule_id(name: str) -> str:
    """Return the rule id of incidents that are about a rules file. No rule can have such an id."""
    return f"file:{name}"


def source_rule_id(name: str) -> str:
    """Return the rule id of incidents that are about a source. No rule can have such an id."""
    return f"source:{name}"
