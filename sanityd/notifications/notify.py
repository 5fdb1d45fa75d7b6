"""Notify: read → decide → write. The present is compared with what each recipient was notified of.

Nothing follows from the run that has just ended, so `notify` may be called at any time: reminders,
the end of a silence and a message that was lost need no event of their own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from sanityd import __version__
from sanityd.model import (
    Alert,
    Cause,
    Change,
    Incident,
    News,
    Outcome,
    PastRun,
    Reason,
    TrackedViolation,
)
from sanityd.notifications import evidence, policy
from sanityd.notifications.batching import Batched, Notification, RateLimited, batch
from sanityd.notifications.context import AlertContext, fact, sentence
from sanityd.notifications.decisions import Decision, decide
from sanityd.notifications.noise import footer
from sanityd.notifications.outlook import after_message, outlook
from sanityd.notifications.recipients import Recipient
from sanityd.notifications.triage import expire_triage
from sanityd.rules.rule import RuleSet
from sanityd.store import audit, incidents, notification_log, outbox, runs, triage, violations
from sanityd.store.audit import AuditEntry
from sanityd.store.incidents import IncidentRecipient
from sanityd.store.notification_log import DeliveryState

#: How long a message may wait for its mail server before it is given up.
EXPIRES = timedelta(hours=72)
#: The number of runs in the bar picture of a mail.
HISTORY = 14
#: After these reasons, nothing is left to notify of an incident that is resolved.
_FINAL = (Reason.RESOLVED, Reason.NEVER_NOTIFIED, Reason.UNCHANGED, Reason.NOT_TAKEN)
#: Messages for these reasons wait for others that open at nearly the same time.
_GROUPED = (Reason.OPENED, Reason.ERRORED, Reason.SOURCE_DOWN)

#: The numbers of rows by how the last run changed them, by rule.
RuleChanges = Mapping[str, Mapping[Change, int]]


@dataclass(frozen=True, slots=True)
class RuleDetails:
    """What a message shows of a rule: its violations, and its last runs, oldest first.

    Rows that people accepted are in neither.
    """

    rows: tuple[TrackedViolation, ...]
    history: tuple[PastRun, ...]


@dataclass(frozen=True, slots=True)
class NotificationResult:
    """What came of one decision: its reason, and whether a message was put into the outbox.

    `messages` is 1 for the first of the results that share a message, so that messages can be
    counted.
    """

    incident: Incident
    recipient: Recipient
    reason: Reason
    queued: bool = False
    messages: int = 0
    #: Why a message would have been sent without the limit of mails per hour.
    held_back: Reason | None = None

    @property
    def key(self) -> IncidentRecipient:
        """The incident and the recipient, as the store names them."""
        return (self.incident.id, *self.recipient)


def notify(
    connection: Connection,
    rules: RuleSet,
    at: datetime,
    *,
    wait: timedelta = timedelta(0),
    changes: RuleChanges | None = None,
) -> list[NotificationResult]:
    """Notify every recipient of every incident of which there is news.

    Parameters: `wait` is how long messages about new incidents wait for others to join them;
    `changes` is what the last runs changed. Returns one result for each recipient and incident.
    """
    outbox.cancel_resolved(connection, at)
    backlogged = take_back_backlog(connection, at)
    expire_triage(connection, rules, at)
    context = AlertContext.load(connection, rules, at)
    decisions = decide(context)
    batches = batch(decisions, context, backlogged)
    return write(connection, context, decisions, batches, wait=wait, changes=changes or {})


def take_back_backlog(connection: Connection, at: datetime) -> set[Recipient]:
    """Take messages out of the outbox that piled up behind a mail server that is down.

    Returns their recipients; what the messages said is decided anew, and sent as one message.
    """
    backlog = notification_log.backlog(connection)
    for messages in backlog.values():
        about = notification_log.incidents_in_messages(connection, messages)
        incidents.mark_unsettled(connection, about)
        outbox.mark_superseded(connection, messages, at)
    return set(backlog)


def write(
    connection: Connection,
    context: AlertContext,
    decisions: Iterable[Decision],
    batches: Iterable[Batched],
    *,
    wait: timedelta,
    changes: RuleChanges,
) -> list[NotificationResult]:
    """Put the messages into the outbox, and every decision that is new into the audit.

    Returns one result for each decision, in their order.
    """
    results: dict[IncidentRecipient, NotificationResult] = {}
    for decision in decisions:
        results[decision.key] = NotificationResult(
            decision.incident, decision.recipient, decision.reason
        )
    details = _DetailsReader(connection, context.rules)
    for batched in batches:
        if isinstance(batched, RateLimited):
            for decision in batched.decisions:
                results[decision.key] = NotificationResult(
                    decision.incident,
                    decision.recipient,
                    Reason.RATE_LIMITED,
                    held_back=decision.reason,
                )
            continue
        alert = _alert(context, batched, details, changes)
        queued = _put_into_outbox(connection, context, batched, alert, wait)
        for position, decision in enumerate(batched.decisions):
            is_counted = queued and position == 0
            results[decision.key] = NotificationResult(
                decision.incident,
                decision.recipient,
                decision.reason,
                queued,
                1 if is_counted else 0,
            )
    _write_audit(connection, context, results.values())
    _settle(connection, context, results.values())
    return list(results.values())


def enqueue(
    connection: Connection,
    rules: RuleSet,
    alert: Alert,
    address: str,
    *,
    not_before: datetime | None = None,
) -> bool:
    """Render an alert for one recipient and put it into the outbox.

    Returns False when the same news for the same recipient is there already.
    """
    # Imported only here: most passes have nothing to send, and templates take 0.1 s to import.
    from sanityd.alerts.compose.render import render

    settings = rules.alerts
    message = render(
        alert,
        recipient=address,
        zone=settings.zone,
        version=__version__,
        rows=settings.limits.rows_in_mail,
        templates=rules.folder / "alerts",
    )
    return outbox.enqueue(
        connection,
        message,
        alert,
        at=alert.at,
        not_before=not_before or alert.at,
        expires_at=alert.at + EXPIRES,
    )


def rule_details(
    connection: Connection, rule: str, incident: Incident | None = None
) -> RuleDetails:
    """Read what a message shows of a rule besides the incident.

    Parameters: of an `incident` that is over, the rows that were resolved in it come first.
    """
    decisions = triage.list_active(connection, [rule])
    fingerprints = {decision.fingerprint for decision in decisions}
    rows = []
    accepted_since = []
    for row in violations.open_rows(connection, rule):
        if row.fingerprint in fingerprints:
            accepted_since.append(row.first_seen)
        else:
            rows.append(row)
    if incident is not None and not incident.open and incident.cause is Cause.VIOLATED:
        rows = [*violations.resolved_rows(connection, rule, incident.opened_at), *rows]
    history = runs.history(connection, rule, HISTORY)
    return RuleDetails(tuple(rows), _without_accepted(history, accepted_since))


def _without_accepted(
    history: Sequence[PastRun], accepted_since: Sequence[datetime]
) -> tuple[PastRun, ...]:
    """Return the runs without the accepted rows, which violate since these times."""
    counted = []
    for run in history:
        accepted = sum(since <= run.at for since in accepted_since)
        counted.append(replace(run, violations=max(0, run.violations - accepted)))
    return tuple(counted)


class _DetailsReader:
    """Reads the details of the rules that a message lists, and keeps those of the last rules.

    A message may be about thousands of rules, each with thousands of rows; it lists a few.
    """

    def __init__(self, connection: Connection, rules: RuleSet) -> None:
        self._connection, self._rules = connection, rules
        self._details: dict[str, RuleDetails] = {}

    def added_to(self, news: Sequence[News]) -> tuple[News, ...]:
        """Return the news of a message, with rows and history where the message lists them."""
        # Imported only here, as in `enqueue`.
        from sanityd.alerts.compose.email_view import MOST_PARTS
        from sanityd.alerts.compose.state import by_severity

        if len(self._details) > MOST_PARTS:
            self._details.clear()
        listed = {id(item) for item in by_severity(news)[:MOST_PARTS]}
        return tuple(self._with_details(item) if id(item) in listed else item for item in news)

    def _with_details(self, news: News) -> News:
        incident = news.incident
        key = incident.id if incident is not None else news.rule.id
        if key not in self._details:
            self._details[key] = rule_details(self._connection, news.rule.id, incident)
        details = self._details[key]
        is_about_rows = incident is not None and incident.cause is Cause.VIOLATED
        rows = details.rows if is_about_rows else ()
        outlook = news.outlook
        if not details.rows:
            # Without rows that are tracked one by one, there is no message about new ones.
            outlook = replace(outlook, update=None)
        news = replace(news, rows=rows, history=details.history, outlook=outlook)
        return evidence.with_evidence(self._connection, self._rules, news)


def _put_into_outbox(
    connection: Connection,
    context: AlertContext,
    notification: Notification,
    alert: Alert,
    wait: timedelta,
) -> bool:
    """Queue a message, in place of older chatter about its incidents; False for a duplicate."""
    superseded = []
    begin = context.at
    for decision in notification.decisions:
        state = context.delivery_state(decision.incident, decision.recipient)
        if state.waiting is None or state.pending is None:
            continue
        # The same news waits only where messages about one server are joined.
        if state.waiting.reason in (*policy.REPLACEABLE, decision.reason):
            superseded.append(state.pending)
            begin = min(begin, state.waiting.at or begin)
    outbox.mark_superseded(connection, superseded, context.at)
    _, address = notification.recipient
    # A message that others join does not wait for longer than it would have alone.
    not_before = max(context.at, begin + wait) if alert.reason in _GROUPED else None
    return enqueue(connection, context.rules, alert, address, not_before=not_before)


def _alert(
    context: AlertContext,
    notification: Notification,
    details: "_DetailsReader",
    changes: RuleChanges,
) -> Alert:
    news: list[News] = []
    identities = []
    for decision in notification.decisions:
        incident = decision.incident
        state = context.delivery_state(incident, decision.recipient)
        row_changes = changes.get(incident.rule, {})
        news.append(_news(context, decision, state, row_changes))
        identities.append(
            policy.news_identity(incident, decision.reason, state.last_notification, state.lost)
        )
    channel, address = notification.recipient
    reason = notification.reason
    return Alert(
        reason=reason,
        at=context.at,
        news=details.added_to(news),
        channel=channel,
        key=policy.dedup_key(reason, channel, address, identities),
    )


def _news(
    context: AlertContext,
    decision: Decision,
    state: DeliveryState,
    row_changes: Mapping[Change, int],
) -> News:
    incident = decision.incident
    last_runs = context.last_runs[incident.rule]
    answer = last_runs.answer
    is_complete = answer is None or answer.outcome is Outcome.COMPLETE
    channel = context.rules.channels[decision.recipient[0]]
    message = after_message(decision.reason, incident, state.last_notification, context.at)
    noise = context.noise_states.get(incident.rule)
    is_about_rows = incident.cause is Cause.VIOLATED
    return News(
        reason=decision.reason,
        rule=context.facts(incident),
        incident=incident,
        sentence=sentence(context.rules, incident, answer),
        fact=fact(context.rules, incident, answer),
        looked_at=answer.at if answer else None,
        complete=is_complete,
        stale_since=last_runs.stale_since if is_about_rows and incident.open else None,
        changes=row_changes if is_about_rows else {},
        last_notification=state.last_notification,
        noise=footer(noise) if noise else "",
        triage=context.lapsed_triage(incident, state),
        held_back=context.held_back.get(decision.key),
        measured=context.measured.get(incident.id, {}),
        worse=context.much_worse(incident, state),
        outlook=outlook(
            incident,
            message,
            context.rules.alerts,
            channel.takes,
            follows_rows=is_complete,
            measures=incident.id in context.measured,
        ),
    )


def _write_audit(
    connection: Connection, context: AlertContext, results: Iterable[NotificationResult]
) -> None:
    """Append each result to the audit unless it is the same as the last one."""
    reasons = {}
    entries = []
    for result in results:
        if not result.queued and context.last_reasons.get(result.key) is result.reason:
            continue
        reasons[result.key] = result.reason
        channel, address = result.recipient
        detail: dict[str, object] = {
            "channel": channel,
            "recipient": address,
            "violations": result.incident.violations,
        }
        if result.held_back is not None:
            detail["held_back"] = result.held_back.value
        action = "notified" if result.queued else "not notified"
        incident = result.incident
        entries.append(
            AuditEntry("sanityd", action, result.reason, incident.rule, incident.id, detail)
        )
    incidents.save_decisions(connection, reasons, context.at)
    audit.append_all(connection, context.at, entries)


def _settle(
    connection: Connection, context: AlertContext, results: Iterable[NotificationResult]
) -> None:
    """Settle the resolved incidents of which no recipient has to be notified any more."""
    unsettled = {incident.id for incident in context.incidents if incident.open}
    for result in results:
        # An end that could not be queued is not sent at once, and not forgotten either.
        is_put_off = result.reason is Reason.RESOLVED and not result.queued
        if result.reason not in _FINAL or is_put_off:
            unsettled.add(result.incident.id)
    settled = {incident.id for incident in context.incidents} - unsettled
    incidents.mark_all_settled(connection, settled)
