"""The contract of a channel: one way to reach people.

Each channel is one file in `channels/`, named like its kind. A channel knows nothing of incidents
or of the outbox: it gets a finished message for one recipient and delivers it, or raises an error
that says why it did not.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sanityd.model import Message, Reason
from sanityd.model.option_types import option_error

#: The events of which a channel can be notified: values of `Reason`.
Event = Literal[
    "opened",
    "escalated",
    "updated",
    "reminder",
    "resolved",
    "source_down",
    "errored",
    "downgrade_notice",
    "downgraded",
    "restored",
    "flapping_started",
    "flapping_ended",
    "remedy_stopped",
    "remedy_failed",
    "digest",
]
EVENTS: tuple[Event, ...] = get_args(Event)
#: Events that follow from others: without one of these, nobody would ever be notified of them.
_FOLLOW: dict[Event, tuple[Event, ...]] = {
    "escalated": ("opened",),
    "updated": ("opened",),
    "reminder": ("opened",),
    "resolved": ("opened", "source_down", "errored"),
}


class Channel(BaseModel, ABC):
    """One entry of `channels:` in the rules file.

    Its fields are its options; the first one is named like the kind. Its docstring is its page in
    the manual. `name` is its key in the rules file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: ClassVar[str]
    #: Whether digests go to this channel, too. True for channels that people read later, as mail.
    digests: ClassVar[bool] = False

    name: str
    events: list[Event] | None = Field(
        None,
        min_length=1,
        description="The only events of which this channel is notified; all if left out.",
        examples=[["opened", "escalated", "source_down"]],
    )

    @model_validator(mode="after")
    def _has_first_events(self) -> Self:
        events = set(self.events or EVENTS)
        for event, first in _FOLLOW.items():
            if event in events and not events.intersection(first):
                raise option_error(
                    f"a channel that takes `{event}` must take what comes before it",
                    f"add `{'` or `'.join(first)}` to `events`",
                )
        return self

    def takes(self, event: Reason) -> bool:
        """Return whether messages for this reason go to the channel."""
        return event not in self.refused

    @property
    def refused(self) -> frozenset[Reason]:
        """The reasons for messages that the channel does not take."""
        return frozenset(map(Reason, set(EVENTS) - set(self.events or EVENTS)))

    def recipients(self) -> list[str]:
        """Return the recipients, each of whom gets a message of their own.

        A channel with a single destination returns only its own name.
        """
        return [self.name]

    @abstractmethod
    def deliver(self, message: Message) -> None:
        """Deliver the message. When this returns, the receiver has accepted it.

        Raises DeliveryError: `retryable` when a later attempt may succeed, `uncertain` when the
        message may have arrived although no answer came.
        """
