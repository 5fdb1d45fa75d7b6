"""What people are told, and in which envelope. Frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sanityd.model.incidents import Incident, LastNotification, Reason, Triage
from sanityd.model.runs import Change, Outcome, Tracked


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """What a mail may say about a rule: words from the rules file only."""

    id: str
    kind: str
    source: str
    table: str
    title: str
    why: str = ""
    fix: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    #: Where it stands, as `rules.yaml:21`.
    location: str = ""
    #: Short hash of the rules file.
    revision: str = ""
    #: The columns that identify a row, in order.
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PastRun:
    """One earlier run, as the bar picture of a mail shows it."""

    at: datetime
    outcome: Outcome
    violations: int


@dataclass(frozen=True, slots=True)
class News:
    """What a message says about one incident, or about one rule's noise.

    `sentence` says what is wrong (`3 of 1,000 people have no row in mails`). `rows` are the open violations that are
    tracked, oldest first; `changes` counts the last run's transitions. `told` is what this recipient knew before.
    """

    reason: Reason
    rule: RuleFacts
    #: None when the news is about the rule itself, as when it is downgraded.
    incident: Incident | None = None
    sentence: str = ""
    #: When it was last looked at with an answer, and whether all rows were read.
    looked_at: datetime | None = None
    complete: bool = True
    #: Since when it can't be verified; None when the last run had an answer.
    stale_since: datetime | None = None
    rows: tuple[Tracked, ...] = ()
    changes: Mapping[Change, int] = field(default_factory=dict)
    last_notification: LastNotification | None = None
    #: The last runs, oldest first.
    history: tuple[PastRun, ...] = ()
    #: A decision about noise in one sentence with its numbers, as in `declared error, now warning since 2 Nov: …`.
    noise: str = ""
    #: What a human had decided, when this news breaks or ends that.
    triage: Triage | None = None
    #: When a downgrade that is announced takes place.
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """All that a message to one recipient says; rendering adds nothing but form.

    Several incidents that are told for the same reason at the same time share a message.
    """

    reason: Reason
    at: datetime
    news: tuple[News, ...]
    #: The name of the channel, so that a mail can say why it came.
    channel: str = ""
    #: The identity of the message: the same news for the same recipient has the same one.
    key: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One rendered message for one recipient, frozen before the first attempt to deliver it.

    `data` says the same in plain JSON, for programs; `key` is the same at each attempt, and differs for other news.
    """

    message_id: str
    channel: str
    recipient: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, object] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message of the outbox that is ours to deliver until its lease ends.

    `fence` grows with every claim: who comes back with an old one has lost the lease. `attempts` counts this one too.
    """

    id: str
    fence: int
    message: Message
    reason: Reason
    attempts: int
