"""Decide: which decisions share a message, and which wait for the hourly limit. Pure.

A recipient gets one message for each reason; one for everything when there would be too many, or
when messages piled up while the mail server was down.
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from sanityd.model import Reason, Severity
from sanityd.notifications.context import AlertContext
from sanityd.notifications.decisions import Decision
from sanityd.notifications.recipients import Recipient


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one recipient, about one incident or several."""

    recipient: Recipient
    decisions: tuple[Decision, ...]

    @property
    def reason(self) -> Reason:
        """The reason that all its decisions share; SUMMARY when they have several."""
        reasons = {decision.reason for decision in self.decisions}
        if len(reasons) == 1:
            return self.decisions[0].reason
        return Reason.SUMMARY


@dataclass(frozen=True, slots=True)
class RateLimited:
    """Decisions about a recipient who got as many messages within the hour as the limit allows.

    They are decided again in later passes, and then share one message.
    """

    recipient: Recipient
    decisions: tuple[Decision, ...]


Batched = Notification | RateLimited


def batch(
    decisions: Iterable[Decision],
    context: AlertContext,
    backlogged: Set[Recipient] = frozenset(),
) -> list[Batched]:
    """Return the messages for the decisions that mail, and those that the limit holds back.

    Parameters: `backlogged` are the recipients whose waiting messages were taken back, to be
    replaced by a single one.
    """
    batches: list[Batched] = []
    for recipient, mailed in _mailed_by_recipient(decisions).items():
        if recipient in backlogged and len(mailed) > 1:
            batches.append(Notification(recipient, tuple(mailed)))
            continue
        # Critical decisions have an hourly limit of their own, and never wait behind the rest.
        critical = [item for item in mailed if item.incident.severity is Severity.CRITICAL]
        other = [item for item in mailed if item.incident.severity is not Severity.CRITICAL]
        sent = context.sent_this_hour.get(recipient, ())
        critical_sent = sum(severity == Severity.CRITICAL for severity in sent)
        batches += _within_limit(recipient, critical, context, critical_sent)
        batches += _within_limit(recipient, other, context, len(sent) - critical_sent)
    return batches


def _mailed_by_recipient(decisions: Iterable[Decision]) -> dict[Recipient, list[Decision]]:
    by_recipient: dict[Recipient, list[Decision]] = {}
    for decision in decisions:
        if decision.reason.mails:
            by_recipient.setdefault(decision.recipient, []).append(decision)
    return by_recipient


def _within_limit(
    recipient: Recipient, decisions: Sequence[Decision], context: AlertContext, sent: int
) -> list[Batched]:
    """Return one message for each reason, or one for all, or none.

    Parameters: `sent` is the number of messages of the last hour that count against the limit.
    """
    if not decisions:
        return []
    allowed = context.rules.alerts.limits.mails_per_hour - sent
    if allowed <= 0:
        return [RateLimited(recipient, tuple(decisions))]
    by_reason: dict[Reason, list[Decision]] = {}
    for decision in decisions:
        by_reason.setdefault(decision.reason, []).append(decision)
    was_limited = any(
        context.last_reasons.get(decision.key) is Reason.RATE_LIMITED for decision in decisions
    )
    if was_limited or len(by_reason) > allowed:
        return [Notification(recipient, tuple(decisions))]
    return [Notification(recipient, tuple(shared)) for shared in by_reason.values()]
