"""The channel `log`: one log line per message."""

import logging
from typing import ClassVar, Literal

from pydantic import Field

from sanityd.alerts.base import Channel
from sanityd.model import Message


class Log(Channel):
    """Writes one line to sanityd's own log for each message: its subject and its rules.

        note: {log: warning}

    `log` is the level: `info`, `warning` or `error`.
    """

    kind: ClassVar[str] = "log"

    log: Literal["info", "warning", "error"] = Field(description="The level.")

    def deliver(self, message: Message) -> None:
        """Write the line. Never fails."""
        level = logging.getLevelNamesMapping()[self.log.upper()]
        # A digest has no rules.
        about = message.headers.get("X-Sanityd-Rule") or message.text.partition("\n")[0]
        logging.getLogger("sanityd.alerts").log(level, "%s (%s)", message.subject, about)
