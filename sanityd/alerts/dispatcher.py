"""The loop that delivers messages: claim one, deliver it, record the result.

Knows nothing of incidents. A claim is committed before any network traffic; a message ends as
sent, retried, uncertain or dead. A message that can't be delivered never blocks the others.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sanityd import telemetry
from sanityd.alerts.base import Channel
from sanityd.errors import DeliveryError
from sanityd.model import ClaimedMessage

_log = logging.getLogger("sanityd.alerts")


class OutboxLike(Protocol):
    """The methods of the outbox that the dispatcher needs. Each call is its own transaction."""

    def claim(self, at: datetime) -> ClaimedMessage | None:
        """Lease the message that is due next and return it, or None when none is due."""

    def sent(self, claimed: ClaimedMessage, at: datetime) -> None:
        """Record that the message was delivered."""

    def retry(self, claimed: ClaimedMessage, error: DeliveryError, at: datetime) -> None:
        """Record that the message was not delivered; it is tried again until it expires."""

    def uncertain(self, claimed: ClaimedMessage, error: DeliveryError, at: datetime) -> None:
        """Record that the message may have been delivered: the answer was lost."""

    def dead(self, claimed: ClaimedMessage, error: DeliveryError, at: datetime) -> None:
        """Record that the message was refused and is not tried again."""


@dataclass(frozen=True, slots=True)
class DispatchSummary:
    """The number of messages per result, and the problems for the operator, each listed once."""

    sent: int = 0
    retried: int = 0
    uncertain: int = 0
    dead: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: "DispatchSummary") -> "DispatchSummary":
        """Return the sum of two."""
        return DispatchSummary(
            self.sent + other.sent,
            self.retried + other.retried,
            self.uncertain + other.uncertain,
            self.dead + other.dead,
            tuple(dict.fromkeys(self.problems + other.problems)),
        )

    @property
    def undelivered(self) -> int:
        """The number of messages that are not known to have arrived."""
        return self.retried + self.uncertain + self.dead


def dispatch(
    outbox: OutboxLike,
    channels: Mapping[str, Channel],
    *,
    now: Callable[[], datetime],
    until: Callable[[], bool] = lambda: False,
    stop: threading.Event | None = None,
) -> DispatchSummary:
    """Deliver the messages that are due, one at a time.

    Ends when none is due, when `until()` is true, or when `stop` is set; a delivery that has begun
    is completed. Raises StoreError when the outbox itself fails.
    """
    results: Counter[str] = Counter()
    # A dictionary is an ordered set here.
    problems: dict[str, None] = {}
    while not until():
        if stop is not None and stop.is_set():
            break
        claimed = outbox.claim(now())
        if claimed is None:
            break
        error = _attempt(claimed, channels)
        if error is not None:
            problem = f"{claimed.message.channel}: {error.message}"
            _log.warning("message %s not delivered: %s", claimed.id, problem)
            problems[problem] = None
        results[_record(outbox, claimed, error, now())] += 1
    return DispatchSummary(
        sent=results["sent"],
        retried=results["retried"],
        uncertain=results["uncertain"],
        dead=results["dead"],
        problems=tuple(problems),
    )


def _attempt(claimed: ClaimedMessage, channels: Mapping[str, Channel]) -> DeliveryError | None:
    """Try to deliver once. Return the error, or None when the message was delivered."""
    name = claimed.message.channel
    channel = channels.get(name)
    if channel is None:
        return DeliveryError(
            f"there is no channel `{name}` in the rules file any more", retryable=False
        )
    try:
        channel.deliver(claimed.message)
    except DeliveryError as error:
        return error
    # A channel may be a user's own code. Whatever it raises, the other messages must go out, and
    # this one must not be lost.
    except Exception as error:  # noqa: BLE001 (one message must not stop the others)
        telemetry.capture(error, channel=name, kind=channel.kind)
        return DeliveryError(
            f"the channel failed unexpectedly ({type(error).__name__})", retryable=True
        )
    return None


def _record(
    outbox: OutboxLike, claimed: ClaimedMessage, error: DeliveryError | None, at: datetime
) -> str:
    """Record the result of an attempt in the outbox, and return its name."""
    if error is None:
        outbox.sent(claimed, at)
        return "sent"
    if error.uncertain:
        outbox.uncertain(claimed, error, at)
        return "uncertain"
    if error.retryable:
        outbox.retry(claimed, error, at)
        return "retried"
    outbox.dead(claimed, error, at)
    return "dead"
