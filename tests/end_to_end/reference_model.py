"""What alerting promises, as a model of its own: written from the design, and knowing nothing of
how it is built."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

#: How often the number that was told fits into the present one, at most.
GROWTH = 2


@dataclass(frozen=True)
class Mail:
    """One delivery that the receiver knows of: `sure` is False when our side never heard that it
    arrived."""

    at: datetime
    event: str
    incident: str
    violations: int
    message_id: str
    sure: bool


@dataclass
class Reference:
    """The truth about one rule, and what each recipient got."""

    #: The rows that really break the rule now.
    bad: set[int] = field(default_factory=set)
    #: Those that the last look with an answer saw, and whether it could follow all of them.
    seen: set[int] = field(default_factory=set)
    all_followed: bool = True
    mails: dict[str, list[Mail]] = field(default_factory=dict)

    def looked(self, cap: int) -> None:
        """A look that had an answer."""
        self.seen, self.all_followed = set(self.bad), len(self.bad) <= cap

    def received(
        self, recipient: str, data: Mapping[str, Any], message_id: str, at: datetime, sure: bool
    ) -> None:
        """A message reached somebody: it may tell of several incidents."""
        box = self.mails.setdefault(recipient, [])
        box += [
            Mail(at, one["event"], one["incident"], one["violations"], message_id, sure)
            for one in data["incidents"]
        ]

    def complaints(self) -> list[str]:
        """What must never be, whatever has happened so far."""
        found = []
        for recipient, mails in self.mails.items():
            for place, mail in enumerate(mails):
                before = [one for one in mails[:place] if one.incident == mail.incident]
                if mail.event == "resolved" and not before:
                    found.append(f"{recipient} hears of an end without a beginning")
                if (
                    before
                    and before[-1].event == "resolved"
                    and before[-1].message_id != mail.message_id
                ):
                    found.append(f"{recipient} hears more of what is over: {mail.event}")
                twins = [one for one in before if one.message_id == mail.message_id]
                if any(one.sure for one in twins):
                    found.append(f"{recipient} gets {mail.event} twice though it surely arrived")
        return found

    def unsettled(self, recipients: Sequence[str]) -> list[str]:
        """Who doesn't know the truth, once everything works again and nobody wants quiet."""
        return [name for name in recipients if not self._knows(self.mails.get(name, []))]

    def _knows(self, mails: Sequence[Mail]) -> bool:
        if not self.bad:
            return not mails or mails[-1].event == "resolved"
        if not mails or mails[-1].event == "resolved":
            return False
        told = max(one.violations for one in mails if one.incident == mails[-1].incident)
        return len(self.bad) < GROWTH * max(told, 1)
