"""Remedies: requests that repair violating rows, each sent under one id for each episode. Pure."""

import enum
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sanityd.model.runs import Value


class RemedyState(enum.StrEnum):
    """State of one request. It says nothing about the data: only a run resolves a violation."""

    #: Recorded, and to be sent from `next_at` on.
    PLANNED = "planned"
    #: Given to the receiver; its answer is not recorded yet.
    SENT = "sent"
    #: The receiver has accepted it.
    DONE = "done"
    #: Given up after the last attempt; whether the receiver acted on it is not certain.
    FAILED = "failed"
    #: The receiver refused it for good.
    REFUSED = "refused"
    #: No longer needed: its rows are resolved, accepted or snoozed.
    CANCELLED = "cancelled"

    @property
    def is_waiting(self) -> bool:
        """Whether it is to be sent, or its answer is outstanding."""
        return self in (RemedyState.PLANNED, RemedyState.SENT)

    @property
    def is_problem(self) -> bool:
        """Whether a person has to look at it."""
        return self in (RemedyState.FAILED, RemedyState.REFUSED)


@dataclass(frozen=True, slots=True)
class RemedyRow:
    """One violating row of a request, with the values that the request may contain."""

    fingerprint: str
    #: How many times the row was a violation, with this time.
    episode: int
    key: Mapping[str, Value]
    shown: Mapping[str, Value] = field(default_factory=dict)

    @property
    def request_id(self) -> str:
        """The id of a request about this row alone."""
        return f"{self.fingerprint}.{self.episode}"


@dataclass(frozen=True, slots=True)
class StoredRemedy:
    """A request as the store has it."""

    id: str
    rule: str
    rows: tuple[RemedyRow, ...]
    state: RemedyState
    attempts: int
    next_at: datetime
    #: Counts the claims, so that a process that lost its lease can't write.
    fence: int
    #: Who asked for it, and why.
    author: str
    reason: str
    at: datetime
    #: The status of the last answer: of HTTP, or the exit code of a command.
    code: int | None = None
    error: str = ""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RemedyStatus:
    """What is known of the remedy of one rule besides its requests."""

    rule: str
    #: When it stopped by itself, and why; None while it goes on.
    stopped_at: datetime | None = None
    stopped: str = ""
    #: When a person let it go on.
    resumed_at: datetime | None = None
    #: The incident and its violations when the first request about it was recorded.
    incident: str = ""
    baseline: int = 0
    #: The incident of which it was notified that nothing is sent, or that a request failed.
    notified: str = ""


def batch_id(rows: Iterable[RemedyRow]) -> str:
    """Return the id of a request about several rows: a digest of their sorted ids."""
    ids = sorted(row.request_id for row in rows)
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()
