"""The contract of a channel: one way to reach people. A channel is one file in `channels/`, named like its kind.

Knows nothing of incidents or of the outbox: it is handed a finished message for one recipient, and delivers it or says
why not.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from sanityd.model import Message


class Channel(BaseModel, ABC):
    """One entry of `channels:`. Its fields are its options, the first one named like the kind; its docstring is its
    manual. `name` is the key in the rules file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: ClassVar[str]
    #: Whether people read it at their leisure, and so get the digest there, too.
    digests: ClassVar[bool] = False

    name: str

    def recipients(self) -> list[str]:
        """Who gets a message of their own. A channel that reaches one place only names itself."""
        return [self.name]

    @abstractmethod
    def deliver(self, message: Message) -> None:
        """Hand the message over; when this returns, the receiver has taken responsibility for it.

        Raises DeliveryError: `retryable` when a later attempt may succeed, `uncertain` when it may have arrived.
        """
