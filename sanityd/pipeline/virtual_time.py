"""The policies over given runs, in memory: a quarter of forty rules takes seconds.

The decisions are those of sanityd itself: `lifecycle` opens and ends incidents, `noise.judge`
judges a rule after its run, `decide` and `batch` say who is notified of what. Only what the store
remembers between them is kept here, in dictionaries, and every message arrives at once.

    record(runs, at)    lifecycle → noise → decide → batch; returns the mails of this time
    decide(triage)      what a person decided; it holds for what is open of the rule now

A run that says the same as the one before is only remembered, unless the noise policy waits for
time to pass. News is looked for when a run says something else, and once an hour for what is due
by time alone, as reminders are. A test compares the mails with those of a store.

Left out is what recorded runs do not need: rows that wait for a second run are not in them, and the
fate of single rows is not followed, only since when each is there. A rule that depends on another
is explained by it while that is open, and not for a run longer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sanityd import lifecycle
from sanityd.model import (
    HeldBack,
    Incident,
    NoiseState,
    Reason,
    Run,
    Severity,
    Triage,
    source_rule_id,
)
from sanityd.notifications import noise
from sanityd.notifications.batching import Notification, RateLimited, batch
from sanityd.notifications.context import AlertContext, LastRuns, end_of_triage
from sanityd.notifications.decisions import Decision, decide
from sanityd.notifications.noise import NoiseDecision, Record, SentMail
from sanityd.notifications.noise_review import why_not_mailed
from sanityd.notifications.outlook import after_message
from sanityd.notifications.policy import RATE_LIMIT_WINDOW
from sanityd.notifications.recipients import Recipient, reading, recipients
from sanityd.pipeline.virtual_rule import NoiseEvent, RuleMemory
from sanityd.rules.rule import RuleSet
from sanityd.store.incidents import IncidentRecipient
from sanityd.store.notification_log import DeliveryState

#: How often notifications that are due by time alone are looked for.
TICK = timedelta(hours=1)
#: Before every run.
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
#: Of a recipient who was not notified yet.
_NEVER = DeliveryState()
#: Reasons of the messages that the noise policy counts.
_COUNTED = frozenset({Reason.OPENED, Reason.ESCALATED, Reason.UPDATED, Reason.REMINDER})
#: After these reasons nothing is left to notify of an incident that is resolved.
_FINAL = frozenset({Reason.RESOLVED, Reason.NEVER_NOTIFIED, Reason.UNCHANGED, Reason.NOT_TAKEN})


@dataclass(frozen=True, slots=True)
class VirtualMail:
    """One message that would have been sent to one recipient.

    A message about the noise of a rule may be about no incident; it names the rule all the same.
    """

    at: datetime
    reason: Reason
    recipient: Recipient
    #: The incidents that it is about, and the rule of each.
    incidents: tuple[str, ...]
    rules: tuple[str, ...]
    #: The number of violations in it, by rule.
    violations: Mapping[str, int]


class VirtualTime:
    """One virtual sanityd: runs and decisions of people go in, messages come out.

    Parameters: `rules` are the rules whose policies are tried; their sources and channels are never
    used.
    """

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self.sent: list[VirtualMail] = []
        self._rules = {name: RuleMemory(rule) for name, rule in rules.rules.items()}
        self._outages: dict[str, Incident | None] = {}
        #: Open incidents, and resolved ones whose end was not notified yet.
        self._unsettled: dict[str, Incident] = {}
        self._deliveries: dict[IncidentRecipient, DeliveryState] = {}
        self._reasons: dict[IncidentRecipient, Reason] = {}
        self._held_back: dict[IncidentRecipient, HeldBack] = {}
        self._triage: dict[str, Triage] = {}
        self._ended_triage: dict[str, Triage] = {}
        self._recently_sent: list[tuple[datetime, Recipient, Severity]] = []
        self._next_notify = _LONG_AGO
        #: Whether news of one rule may be news of another.
        self._has_dependencies = any(rule.depends_on for rule in rules.rules.values())

    def record(self, batch_runs: Iterable[Run], at: datetime) -> list[VirtualMail]:
        """Record runs that ended at the same time, whatever their own time.

        Returns the messages that are sent then, one for each recipient.

        Parameters: `batch_runs` are runs of different rules, each of a rule of the file; a caller
        that gives the same object again for a rule of which nothing changed saves time. `at` is
        when they ended, not before the batch given last.
        """
        begin = len(self.sent)
        changed = [run for run in batch_runs if self._may_change_something(run, at)]
        for run in changed:
            self._record(run, at)
        self._record_outages(changed, at)
        if at >= self._next_notify or self._has_dependencies:
            self._notify(self._unsettled.values(), at)
        elif changed:
            self._notify(self._about(changed), at)
        return self.sent[begin:]

    def decide(self, decision: Triage) -> None:
        """Apply the decision of a person about what is open of a rule, whatever incident it names.

        Decisions about single rows have no effect here.
        """
        incident = self.open_incident(decision.rule)
        if incident is None or decision.fingerprint is not None:
            return
        if decision.rule in self._rules:
            self._rules[decision.rule].add_triage(replace(decision, incident=incident.id))
        self._triage[incident.id] = replace(decision, incident=incident.id, ended_at=None, ended="")

    def open_incident(self, rule: str) -> Incident | None:
        """Return what is open of a rule, or of a source by its `source:NAME`."""
        if rule in self._rules:
            return self._rules[rule].open
        return self._outages.get(rule)

    def noise_state(self, rule: str) -> NoiseState:
        """Return what the noise policy has decided about a rule so far."""
        return self._rules[rule].state if rule in self._rules else NoiseState()

    def noise_events(self, rule: str) -> list[NoiseEvent]:
        """Return the decisions of the noise policy about a rule, oldest first."""
        return self._rules[rule].events

    def _may_change_something(self, run: Run, at: datetime) -> bool:
        """Return whether anything may follow from the run; if not, it is only remembered."""
        memory = self._rules[run.rule]
        is_kept_open = memory.open is not None and bool(memory.rule.keep_open)
        if (
            is_kept_open
            or noise.awaits_run(memory.state, at, is_open=memory.open is not None)
            or not memory.is_same(run)
        ):
            return True
        memory.remember(run, at)
        return False

    def _record(self, run: Run, at: datetime) -> None:
        """Record one run and what follows from it, as `recording.record` does."""
        memory = self._rules[run.rule]
        run = replace(run, at=at)
        before = memory.open
        memory.remember(run, at)
        if run.answered:
            memory.follow_rows(run, at)
        after = lifecycle.incident_after(before, run, (), meaning=memory.rule.meaning)
        self._save(memory, memory.kept_open(after, at))
        fault = lifecycle.fault_after(memory.fault, run, memory.rule.severity)
        memory.fault = self._save_unsettled(fault)
        if run.answered:
            self._judge(memory, at)

    def _save(self, memory: RuleMemory, incident: Incident | None) -> None:
        """Keep the violated incident of a rule, at the severity that counts."""
        if incident is None:
            return
        severity = noise.effective(incident.declared, memory.state.steps)
        counted = replace(incident, severity=severity)
        memory.incidents[incident.id] = counted
        memory.open = self._save_unsettled(counted)

    def _save_unsettled(self, incident: Incident | None) -> Incident | None:
        """Keep an incident until everybody was notified of its end. Returns it while it is open."""
        if incident is None:
            return None
        self._unsettled[incident.id] = incident
        if incident.open:
            return incident
        return None

    def _record_outages(self, batch_runs: Sequence[Run], at: datetime) -> None:
        """Open, keep or resolve the incident of each source of which runs changed."""
        skipped = {run.down: replace(run, at=at) for run in batch_runs if run.down}
        answering = {self._rules[run.rule].rule.source for run in batch_runs if not run.down}
        for source in sorted(skipped.keys() | answering):
            name = source_rule_id(source)
            before = self._outages.get(name)
            run = skipped.get(source)
            after = lifecycle.outage_after(before, source, run, at, self._outage_severity(source))
            self._outages[name] = self._save_unsettled(after)

    def _outage_severity(self, source: str) -> Severity:
        """Return the worst severity that a rule reading the source can have; at least error.

        As declared: unlike a store, virtual time does not lower it with downgraded rules.
        """
        worst = [rule.invariant.ladder.worst for rule in reading(self.rules, source)]
        return max(Severity.ERROR, *worst)

    def _judge(self, memory: RuleMemory, at: datetime) -> None:
        """Apply the noise policy to a rule after its run."""
        if memory.state == NoiseState() and not memory.incidents:
            return
        record = memory.record(self.rules.alerts, at)
        memory.state, decisions = noise.judge(record, memory.state, self.rules.alerts, at)
        for decision in decisions:
            memory.events.append((at, decision.reason.value, decision.sentence))
            self._apply(memory, record, decision, at)
        self._save(memory, memory.open)

    def _apply(
        self, memory: RuleMemory, record: Record, decision: NoiseDecision, at: datetime
    ) -> None:
        """Notify the recipients of a rule of a decision of the noise policy."""
        if decision.reason is Reason.FLAPPING_ENDED:
            for name in memory.ended_episodes:
                self._unsettled.pop(name, None)
        if record.declared < Severity.ERROR:
            return
        incidents = (memory.open,) if memory.open else ()
        for recipient in self.rules.recipients(memory.rule.notify):
            if why_not_mailed(self.rules, recipient, decision.reason) is None:
                self._send(decision.reason, recipient, incidents, at, memory.rule.id)

    def _send(
        self,
        reason: Reason,
        recipient: Recipient,
        incidents: Sequence[Incident],
        at: datetime,
        rule: str = "",
    ) -> None:
        """Let a message arrive, and count it against the hourly limit of its recipient.

        Parameters: `rule` is what it is about when there are no `incidents`.
        """
        rules = tuple(incident.rule for incident in incidents)
        mail = VirtualMail(
            at=at,
            reason=reason,
            recipient=recipient,
            incidents=tuple(incident.id for incident in incidents),
            rules=rules or (rule,),
            violations={incident.rule: incident.violations for incident in incidents},
        )
        self.sent.append(mail)
        worst = max((incident.severity for incident in incidents), default=Severity.ERROR)
        self._recently_sent.append((at, recipient, worst))

    def _about(self, changed: Iterable[Run]) -> list[Incident]:
        """Return the incidents of these rules and of their sources: of others there is no news."""
        names = {run.rule for run in changed}
        names |= {source_rule_id(self._rules[name].rule.source) for name in names}
        return [incident for incident in self._unsettled.values() if incident.rule in names]

    def _notify(self, incidents: Iterable[Incident], at: datetime) -> None:
        """Notify every recipient of each of these incidents of which there is news."""
        if at >= self._next_notify:
            self._next_notify = at + TICK
            self._expire_triage(at)
        context = self._context(incidents, at)
        decisions = decide(context)
        results = {decision.key: decision.reason for decision in decisions}
        for batched in batch(decisions, context):
            if isinstance(batched, RateLimited):
                for decision in batched.decisions:
                    results[decision.key] = Reason.RATE_LIMITED
                    held_back = HeldBack(decision.reason, decision.incident.violations, at)
                    self._held_back.setdefault(decision.key, held_back)
            else:
                self._deliver(batched, results, at)
        self._reasons.update(results)
        self._settle(context.incidents, results)
        if any(reason is Reason.RATE_LIMITED for reason in results.values()):
            self._next_notify = at

    def _expire_triage(self, at: datetime) -> None:
        """End the decisions of people that ran out, or broke, or whose incident is over."""
        for name, decision in list(self._triage.items()):
            incident = self._unsettled.get(name)
            ended = "resolved"
            if incident is not None:
                ended = end_of_triage(decision, incident, at) or ""
            if ended:
                del self._triage[name]
                self._ended_triage[name] = replace(decision, ended_at=at, ended=ended)

    def _context(self, unordered: Iterable[Incident], at: datetime) -> AlertContext:
        """Return what the decisions about these incidents depend on, as the store would say it.

        Messages older than an hour are forgotten: only the limit of mails per hour counts them.
        """
        incidents = sorted(unordered, key=lambda incident: (incident.opened_at, incident.id))
        self._recently_sent = [
            sent for sent in self._recently_sent if sent[0] > at - RATE_LIMIT_WINDOW
        ]
        sent_this_hour: dict[Recipient, list[int]] = {}
        for _, recipient, severity in self._recently_sent:
            sent_this_hour.setdefault(recipient, []).append(severity)
        names = {incident.rule for incident in incidents}
        return AlertContext(
            rules=self.rules,
            at=at,
            incidents=incidents,
            delivery_states=self._deliveries,
            last_reasons=self._reasons,
            triage=self._triage,
            ended_triage=self._ended_triage,
            silences=(),
            announced=(),
            noise_states={name: self.noise_state(name) for name in names},
            last_runs={name: self._last_runs(name) for name in names},
            measured={},
            new_rows=self._new_rows(incidents),
            sent_this_hour=sent_this_hour,
            held_back=self._held_back,
            explained_until={},
        )

    def _last_runs(self, rule: str) -> LastRuns:
        """Return the last runs of a rule; none of a source."""
        return self._rules[rule].last_runs() if rule in self._rules else LastRuns()

    def _new_rows(self, incidents: Iterable[Incident]) -> dict[IncidentRecipient, int]:
        """Return how many rows violate now that each recipient was not told of."""
        new_rows: dict[IncidentRecipient, int] = {}
        for incident in incidents:
            for recipient in recipients(self.rules, incident):
                key = (incident.id, *recipient)
                last = self._deliveries.get(key, _NEVER).last_notification
                if last is not None and incident.rule in self._rules:
                    new_rows[key] = self._rules[incident.rule].new_rows(last.at)
        return new_rows

    def _deliver(
        self, message: Notification, results: dict[IncidentRecipient, Reason], at: datetime
    ) -> None:
        """Let a message arrive, and remember what its recipient knows now."""
        incidents = [decision.incident for decision in message.decisions]
        self._send(message.reason, message.recipient, incidents, at)
        for decision in message.decisions:
            results[decision.key] = decision.reason
            self._held_back.pop(decision.key, None)
            self._remember_delivery(decision, at)

    def _remember_delivery(self, decision: Decision, at: datetime) -> None:
        """Remember what a recipient knows of an incident after a message."""
        before = self._deliveries.get(decision.key, _NEVER).last_notification
        after = after_message(decision.reason, decision.incident, before, at)
        sequence = before.sequence + 1 if before else 1
        self._deliveries[decision.key] = DeliveryState(replace(after, sequence=sequence))
        if decision.reason in _COUNTED:
            self._rules[decision.incident.rule].add_mail(SentMail(at, decision.incident.id))

    def _settle(
        self, incidents: Iterable[Incident], results: Mapping[IncidentRecipient, Reason]
    ) -> None:
        """Forget the resolved ones of these of which nobody has to be notified any more."""
        waiting = {name for (name, *_), reason in results.items() if reason not in _FINAL}
        for incident in incidents:
            if not incident.open and incident.id not in waiting:
                del self._unsettled[incident.id]
