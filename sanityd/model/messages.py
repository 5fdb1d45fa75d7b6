"""Messages: what a recipient is notified of, before and after rendering."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sanityd.model.incidents import HeldBack, Incident, LastNotification, Reason, Triage
from sanityd.model.runs import Change, Evidence, Outcome, TrackedViolation


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """The parts of a rule that a message may show. All of them are words from the rules file."""

    id: str
    kind: str
    source: str
    table: str
    title: str
    why: str = ""
    fix: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    #: The names of the channels that are notified.
    notify: tuple[str, ...] = ()
    #: File and line of the rule, as in `rules.yaml:21`.
    location: str = ""
    #: Short hash of the rules file.
    revision: str = ""
    #: The columns that identify a row, in order.
    key: tuple[str, ...] = ()
    #: What its rows are called: `people`, `rows of payment`.
    population: str = "rows"


@dataclass(frozen=True, slots=True)
class PastRun:
    """One earlier run, as the bar chart of a mail shows it."""

    at: datetime
    outcome: Outcome
    violations: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """When a recipient is notified again of an open incident; None where that can't be."""

    #: From how many violations on, whenever that is.
    grows_to: int | None = None
    #: From how many new rows on, and from when on.
    update: tuple[int, datetime] | None = None
    #: When the next reminder is sent, if nothing else happens.
    reminder: datetime | None = None
    #: From when on only more violations than `quiet_limit` are notified.
    quiet_from: datetime | None = None
    quiet_limit: int = 0
    #: Whether its end is notified.
    resolved: bool = True
    #: Whether a measured value that gets much worse is notified.
    measures: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """One entry of a message: about one incident, or about the noise of one rule."""

    reason: Reason
    rule: RuleFacts
    #: None when the entry is about the rule itself, as when it is downgraded.
    incident: Incident | None = None
    #: What is wrong: `3 of 1,000 people have no row in mails`.
    sentence: str = ""
    #: When the rule was last evaluated with an answer, and whether all rows were read.
    looked_at: datetime | None = None
    complete: bool = True
    #: Since when the rule can't be verified; None when the last run had an answer.
    stale_since: datetime | None = None
    #: The open violations that are tracked one by one, oldest first.
    rows: tuple[TrackedViolation, ...] = ()
    #: How many rows the last run changed, by kind of change.
    changes: Mapping[Change, int] = field(default_factory=dict)
    #: What this recipient was told before; None for the first message about it.
    last_notification: LastNotification | None = None
    #: The last runs, oldest first.
    history: tuple[PastRun, ...] = ()
    #: What the noise policy decided, as in `declared error, now warning since 2 Nov: …`.
    noise: str = ""
    #: The decision of a person that this entry ends.
    triage: Triage | None = None
    #: When an announced downgrade takes effect.
    due: datetime | None = None
    #: The sentence in fewer words, for the subject: `3 people have no row in mails`.
    fact: str = ""
    #: What waited for the limit of mails per hour; None when nothing did.
    held_back: HeldBack | None = None
    #: The measured values, by fingerprint, and those that got much worse; worst first.
    measured: Mapping[str, float] = field(default_factory=dict)
    worse: tuple[str, ...] = ()
    #: The evidence that is mailed, by fingerprint.
    evidence: Mapping[str, tuple[Evidence, ...]] = field(default_factory=dict)
    #: When the recipient is notified again.
    outlook: Outlook = field(default_factory=Outlook)


@dataclass(frozen=True, slots=True)
class Alert:
    """The whole content of one message to one recipient, before rendering.

    Several incidents with the same reason at the same time share one message.
    """

    reason: Reason
    at: datetime
    news: tuple[News, ...]
    #: The name of the channel, so that a mail can say why it was sent.
    channel: str = ""
    #: Idempotency key: the same news for the same recipient has the same key.
    key: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One rendered message for one recipient. It doesn't change between attempts to deliver it."""

    message_id: str
    channel: str
    recipient: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str] = field(default_factory=dict)
    #: The same content as plain JSON, for programs.
    data: Mapping[str, object] = field(default_factory=dict)
    #: Idempotency key: the same at each attempt, another one for other news.
    key: str = ""


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """A message of the outbox that this process delivers until its lease ends."""

    id: str
    #: Fencing token. It grows with each claim; an old one shows that the lease was lost.
    fence: int
    message: Message
    reason: Reason
    #: How often delivery was tried, with the present attempt.
    attempts: int
