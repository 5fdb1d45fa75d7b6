"""The daemon's loop for messages, in one function: claim, deliver, say what came of it. Knows nothing of incidents.

A message is claimed, and that is committed, before anybody is talked to; it ends as sent, to be tried again, uncertain
or dead. One message that can't be delivered never holds up the others.
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
from sanityd.model import Claimed

_log = logging.getLogger("sanityd.alerts")


class OutboxLike(Protocol):
    """What the dispatcher needs of the outbox. Each call is a transaction of its own."""

    def claim(self, at: datetime) -> Claimed | None:
        """Lease the message that is due next, or None when nothing is."""

    def sent(self, claimed: Claimed, at: datetime) -> None:
        """It was delivered."""

    def retry(self, claimed: Claimed, error: DeliveryError, at: datetime) -> None:
        """It was not delivered; try again later, until it expires."""

    def uncertain(self, claimed: Claimed, error: DeliveryError, at: datetime) -> None:
        """It may have been delivered: the answer was lost."""

    def dead(self, claimed: Claimed, error: DeliveryError, at: datetime) -> None:
        """It was refused for good."""


@dataclass(frozen=True, slots=True)
class DispatchSummary:
    """How many messages ended how, and what went wrong, each thing once, in words for the operator."""

    sent: int = 0
    retried: int = 0
    uncertain: int = 0
    dead: int = 0
    problems: tuple[str, ...] = ()

    @property
    def undelivered(self) -> int:
        """How many did not surely arrive."""
        return self.retried + self.uncertain + self.dead


def dispatch(
    outbox: OutboxLike,
    channels: Mapping[str, Channel],
    *,
    now: Callable[[], datetime],
    until: Callable[[], bool] = lambda: False,
    stop: threading.Event | None = None,
) -> DispatchSummary:
    """Deliver what is due, one message at a time, until nothing is, or `until()` is true, or `stop` is set.

    A message that was begun is finished. Raises StoreError when the outbox itself fails.
    """
    ends: Counter[str] = Counter()
    problems: dict[str, None] = {}
    while not until() and not (stop is not None and stop.is_set()):
        claimed = outbox.claim(now())
        if claimed is None:
            break
        error = _attempt(claimed, channels)
        if error is not None:
            problem = f"{claimed.message.channel}: {error.message}"
            _log.warning("message %s not delivered: %s", claimed.id, problem)
            problems[problem] = None
        ends[_settle(outbox, claimed, error, now())] += 1
    return DispatchSummary(
        ends["sent"], ends["retried"], ends["uncertain"], ends["dead"], tuple(problems)
    )


def _attempt(claimed: Claimed, channels: Mapping[str, Channel]) -> DeliveryError | None:
    """Deliver once; what went wrong, or None."""
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
    # A channel may be a user's own: whatever it raises, the other messages must go out, and this one is not lost.
    except Exception as error:
        telemetry.capture(error, channel=name, kind=channel.kind)
        return DeliveryError(
            f"the channel failed unexpectedly ({type(error).__name__})", retryable=True
        )
    return None


def _settle(outbox: OutboxLike, claimed: Claimed, error: DeliveryError | None, at: datetime) -> str:
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
