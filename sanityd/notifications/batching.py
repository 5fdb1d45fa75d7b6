"""Decide: which decisions share a message, and which wait for the hourly limit. Pure.

A recipient gets one message for each reason; one for everything when there would be too many, or
when messages piled up while the mail server was down. The hourly limit is for what is repeated:
the first message about an incident never waits for it.
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace

from sanityd.model import Reason, Severity
from sanityd.notifications import policy
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
#: Messages about the outage of a source, and its end, are joined by those about the same server.
JOINING = (Reason.SOURCE_DOWN, Reason.RESOLVED)


def batch(
    decisions: Iterable[Decision],
    context: AlertContext,
    backlogged: Set[Recipient] = frozenset(),
) -> list[Batched]:
    """Return the messages for the decisions that mail, and those that the limit holds back.

    Parameters: `backlogged` are the recipients whose waiting messages were taken back, to be
    replaced by a single one.
    """
    all_decisions = list(decisions)
    batches: list[Batched] = []
    for recipient, mailed in _mailed_by_recipient(_in_order(all_decisions, context)).items():
        if recipient in backlogged and len(mailed) > 1:
            batches.append(Notification(recipient, tuple(mailed)))
            continue
        # Critical decisions have an hourly limit of their own, and never wait behind the rest.
        critical = [item for item in mailed if item.incident.severity is Severity.CRITICAL]
        other = [item for item in mailed if item.incident.severity is not Severity.CRITICAL]
        sent = context.sent_this_hour.get(recipient, ())
        critical_sent = sum(severity == Severity.CRITICAL for severity in sent)
        batches += _limited(recipient, critical, context, critical_sent)
        batches += _limited(recipient, other, context, len(sent) - critical_sent)
    return [_with_waiting_outages(batched, all_decisions, context) for batched in batches]


def _in_order(decisions: Iterable[Decision], context: AlertContext) -> list[Decision]:
    """Return the decisions with the most severe first, then in the order of the rules file."""
    positions = {name: position for position, name in enumerate(context.rules.rules)}

    def order(decision: Decision) -> tuple[int, int]:
        rule = decision.incident.rule
        return -decision.incident.severity, positions.get(rule, len(positions))

    return sorted(decisions, key=order)


def _limited(
    recipient: Recipient, decisions: Iterable[Decision], context: AlertContext, sent: int
) -> list[Batched]:
    """Return the first words about incidents at once, and what is repeated within the limit.

    The end of an incident comes before the beginning of the next one of its rule. Parameters:
    `sent` is the number of messages of the last hour that count against the limit.
    """
    first: list[Decision] = []
    repeated: list[Decision] = []
    for decision in decisions:
        (first if decision.reason in policy.FIRST else repeated).append(decision)
    limit = context.rules.alerts.limits.mails_per_hour
    first_words = _grouped(recipient, first, limit - sent)
    sent += len(first_words)
    others = _within_limit(recipient, repeated, context, limit - sent)
    return sorted([*first_words, *others], key=lambda batched: not _is_end(batched))


def _is_end(batched: Batched) -> bool:
    """Return whether a message says of nothing but that it is over."""
    return all(decision.reason is Reason.RESOLVED for decision in batched.decisions)


def _mailed_by_recipient(decisions: Iterable[Decision]) -> dict[Recipient, list[Decision]]:
    by_recipient: dict[Recipient, list[Decision]] = {}
    for decision in decisions:
        if decision.reason.mails:
            by_recipient.setdefault(decision.recipient, []).append(decision)
    return by_recipient


def _within_limit(
    recipient: Recipient, decisions: Sequence[Decision], context: AlertContext, allowed: int
) -> list[Batched]:
    """Return messages about what is known already; one for all when some of it was held back.

    What was held back for an hour is sent whatever the limit says.
    """
    held_back = [context.held_back[item.key] for item in decisions if item.key in context.held_back]
    latest = context.at - policy.RATE_LIMIT_WINDOW
    is_overdue = any(item.at <= latest for item in held_back)
    if decisions and allowed <= 0 and not is_overdue:
        return [RateLimited(recipient, tuple(decisions))]
    return list(_grouped(recipient, decisions, 1 if held_back else allowed))


def _grouped(recipient: Recipient, decisions: Sequence[Decision], most: int) -> list[Notification]:
    """Return one message for each reason, or one for all when these would be too many.

    What belongs to an announced change has a message of its own.
    """
    shared: dict[tuple[Reason, str], list[Decision]] = {}
    for decision in decisions:
        key = (decision.reason, decision.incident.ticket)
        shared.setdefault(key, []).append(decision)
    if len(shared) > max(most, 1):
        return [Notification(recipient, tuple(decisions))]
    return [Notification(recipient, tuple(together)) for together in shared.values()]


def _with_waiting_outages(
    batched: Batched, decisions: Iterable[Decision], context: AlertContext
) -> Batched:
    """Return a message about an outage with those that wait in the outbox about the same server."""
    if isinstance(batched, RateLimited) or batched.reason not in JOINING:
        return batched
    servers = {context.server(decision.incident) for decision in batched.decisions} - {None}
    same = {(batched.recipient, server) for server in servers}
    joining = [
        replace(decision, reason=batched.reason)
        for decision in decisions
        if (decision.recipient, context.server(decision.incident)) in same
        if _waits_for(context, decision) is batched.reason
    ]
    return replace(batched, decisions=(*joining, *batched.decisions))


def _waits_for(context: AlertContext, decision: Decision) -> Reason | None:
    """Return why a message about the incident waits that can still be replaced."""
    state = context.delivery_state(decision.incident, decision.recipient)
    if state.pending is None or state.waiting is None or decision.reason is not Reason.WAITING:
        return None
    return state.waiting.reason
