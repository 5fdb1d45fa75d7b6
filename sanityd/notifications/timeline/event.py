"""The event of a timeline, and what an author of events is asked for."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from sanityd.model import Evidence

#: Returns the number of violations of a rule in the word of its kind; empty for none.
Counted = Callable[[str, int], str]


class EventKind(enum.StrEnum):
    """What an event is about; events of the same time are in this order."""

    RULE = "rule"
    RUN = "run"
    INCIDENT = "incident"
    ROW = "row"
    EVIDENCE = "evidence"
    DECISION = "decision"
    MAIL = "mail"
    ACT = "act"
    REMEDY = "remedy"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `who` is a person, a recipient, or nobody."""

    at: datetime
    rule: str
    what: str
    who: str = ""
    detail: str = ""
    kind: EventKind = EventKind.INCIDENT
    #: The id of the incident that it belongs to; empty where that is not known.
    incident: str = ""
    #: The fingerprint of the row that it is about; empty unless it is about one row.
    row: str = ""
    #: What was read about the row; None for other kinds of events.
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events of a rule are asked for; `rule` may be `source:NAME` or `file:NAME`, too."""

    connection: Connection
    rule: str
    since: datetime
    counted: Counted
    #: Whether decisions that say nothing new are wanted, as that a message waits.
    every_decision: bool = False


def cut(words: list[str], most: int) -> str:
    """Return the first words as a list, with how many more there are."""
    shown = "; ".join(words[:most])
    if len(words) > most:
        return f"{shown}; and {len(words) - most:,} more"
    return shown
