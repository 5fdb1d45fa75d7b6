"""The contract of a channel: one way to reach people.

Each channel is one file in `channels/`, named like its kind. A channel knows nothing of incidents
or of the outbox: it gets a finished message for one recipient and delivers it, or raises an error
that says why it did not.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from sanityd.model import Message


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
