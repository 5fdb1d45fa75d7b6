"""The loop from the outbox to the channels."""

import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from sanityd.alerts.base import Channel
from sanityd.alerts.dispatcher import DispatchSummary, dispatch
from sanityd.errors import DeliveryError
from sanityd.model import ClaimedMessage, Message, Reason
from tests.alerts.samples import AT, mail, opened


@dataclass
class Outbox:
    """An outbox in memory: what is due, in order, and how each message ended."""

    due: deque[ClaimedMessage] = field(default_factory=deque)
    ends: list[tuple[str, str]] = field(default_factory=list)

    def put(self, *recipients: str) -> None:
        for recipient in recipients:
            name = str(len(self.due))
            self.due.append(
                ClaimedMessage(name, 1, mail(opened(channel="team"), recipient), Reason.OPENED, 1)
            )

    def claim(self, at: datetime) -> ClaimedMessage | None:
        return self.due.popleft() if self.due else None

    def sent(self, claimed: ClaimedMessage, at: datetime) -> None:
        self.ends.append((claimed.message.recipient, "sent"))

    def retry(self, claimed: ClaimedMessage, error: DeliveryError, at: datetime) -> None:
        self.ends.append((claimed.message.recipient, "retry"))

    def uncertain(self, claimed: ClaimedMessage, error: DeliveryError, at: datetime) -> None:
        self.ends.append((claimed.message.recipient, "uncertain"))

    def dead(self, claimed: ClaimedMessage, error: DeliveryError, at: datetime) -> None:
        self.ends.append((claimed.message.recipient, f"dead: {error.message}"))


FAILURES = {
    "later@x": DeliveryError("busy", retryable=True),
    "never@x": DeliveryError("refused", retryable=False),
    "perhaps@x": DeliveryError("lost", retryable=True, uncertain=True),
    "broken@x": ZeroDivisionError("a value: 4711"),
}


class Fickle(Channel):
    """A channel of a user, which fails for some recipients."""

    kind: ClassVar[str] = "fickle"

    def deliver(self, message: Message) -> None:
        if message.recipient in FAILURES:
            raise FAILURES[message.recipient]


CHANNELS = {"team": Fickle(name="team")}


def test_every_message_ends_in_its_own_way_and_stops_no_other() -> None:
    outbox = Outbox()
    outbox.put("a@x", "later@x", "never@x", "perhaps@x", "broken@x", "b@x")
    summary = dispatch(outbox, CHANNELS, now=lambda: AT)
    assert outbox.ends == [
        ("a@x", "sent"),
        ("later@x", "retry"),
        ("never@x", "dead: refused"),
        ("perhaps@x", "uncertain"),
        ("broken@x", "retry"),
        ("b@x", "sent"),
    ]
    assert (summary.sent, summary.retried, summary.uncertain, summary.dead) == (2, 2, 1, 1)
    assert summary.undelivered == 4


def test_a_problem_is_told_once_and_without_values() -> None:
    outbox = Outbox()
    outbox.put("broken@x", "broken@x")
    summary = dispatch(outbox, CHANNELS, now=lambda: AT)
    assert summary.problems == ("team: the channel failed unexpectedly (ZeroDivisionError)",)


def test_a_channel_that_left_the_rules_file_is_named() -> None:
    outbox = Outbox()
    outbox.put("a@x")
    dispatch(outbox, {}, now=lambda: AT)
    assert outbox.ends == [("a@x", "dead: there is no channel `team` in the rules file any more")]


def test_nothing_due_is_nothing_done() -> None:
    assert dispatch(Outbox(), CHANNELS, now=lambda: AT) == DispatchSummary()


def test_it_stops_when_time_is_up_and_leaves_the_rest() -> None:
    outbox = Outbox()
    outbox.put("a@x", "b@x", "c@x")
    dispatch(outbox, CHANNELS, now=lambda: AT, until=lambda: len(outbox.ends) == 2)
    assert [claimed.message.recipient for claimed in outbox.due] == ["c@x"]


def test_it_claims_nothing_when_it_is_told_to_stop() -> None:
    stop = threading.Event()
    stop.set()
    outbox = Outbox()
    outbox.put("a@x")
    assert dispatch(outbox, CHANNELS, now=lambda: AT, stop=stop) == DispatchSummary()
    assert len(outbox.due) == 1
