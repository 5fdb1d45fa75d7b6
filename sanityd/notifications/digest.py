"""The digest of each recipient, once a day: warnings, old incidents, the health of sanityd."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from sanityd import __version__
from sanityd.alerts.compose.digest_view import (
    Digest,
    DigestLine,
    acknowledge_command,
    render_digest,
)
from sanityd.alerts.compose.state import ended_unchecked
from sanityd.alerts.compose.times import format_time
from sanityd.alerts.settings import WEEKDAYS
from sanityd.model import Alert, Cause, Incident, NoiseState, Reason, Run, Severity, Silence, Triage
from sanityd.model.durations import format_duration
from sanityd.notifications import noise, noise_review
from sanityd.notifications.context import counted_incidents, sentence, triage_in_force
from sanityd.notifications.notify import EXPIRES
from sanityd.notifications.recipients import Recipient
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import (
    audit_chain,
    incidents,
    noise_state,
    notification_log,
    outbox,
    outbox_summary,
    runs,
    silences,
    triage,
)
from sanityd.store.outbox_summary import Summary

_DAY = timedelta(days=1)
#: The share of mails that somebody acted on is counted over so long.
_QUALITY = timedelta(days=28)
#: A rule that is overdue is listed when it was not checked for so long.
_AT_LEAST = timedelta(hours=1)
#: A rule that is violated again within that time came back.
_AGAIN = timedelta(days=7)


def send(connection: Connection, rules: RuleSet, at: datetime) -> int:
    """Put today's digests into the outbox when they are due. Returns the number of messages."""
    due_and_previous = _due(connection, rules, at)
    if due_and_previous is None:
        return 0
    due, previous = due_and_previous
    name = f"digest {due.date()}"
    decided = incidents.last_decisions(connection, [name])
    undecided = {
        recipient: rule_ids
        for recipient, rule_ids in _subscriptions(rules).items()
        if (name, *recipient) not in decided
    }
    if not undecided:
        return 0
    facts = DigestFacts.load(connection, rules, at, previous)
    queued = 0
    for recipient, rule_ids in undecided.items():
        subscribed = [rules.rules[rule_id] for rule_id in rule_ids]
        digest = _DigestComposer(facts, subscribed).digest(recipient)
        incidents.save_decision(connection, (name, *recipient), Reason.DIGEST, at)
        if not digest.empty or _sends_empty(rules, due):
            queued += _enqueue(connection, rules, digest)
    return queued


def _enqueue(connection: Connection, rules: RuleSet, digest: Digest) -> bool:
    message = render_digest(
        digest,
        zone=rules.alerts.zone,
        version=__version__,
        templates=rules.folder / "alerts",
    )
    at = digest.at
    alert = Alert(Reason.DIGEST, at, (), digest.channel, message.key)
    return outbox.enqueue(
        connection, message, alert, at=at, not_before=at, expires_at=at + EXPIRES / 3
    )


def _due(connection: Connection, rules: RuleSet, at: datetime) -> tuple[datetime, datetime] | None:
    """Return when the newest digest was due, and the one before.

    None on days without a digest, and before the first run. A pass that comes once a day, earlier
    than the time of the digest, sends that of the day before.
    """
    settings = rules.alerts.digest
    local = at.astimezone(settings.zone or rules.alerts.zone)
    if settings.at is None or WEEKDAYS[local.weekday()] not in settings.days:
        return None
    today = local.replace(hour=settings.at.hour, minute=settings.at.minute, second=0, microsecond=0)
    past = []
    for days_ago in range(15):
        due = today - _DAY * days_ago
        if due <= local and WEEKDAYS[due.weekday()] in settings.days:
            past.append(due)
    first_run = runs.first_at(connection)
    if len(past) < 2 or first_run is None or first_run >= past[0]:
        return None
    return past[0], past[1]


def _sends_empty(rules: RuleSet, due: datetime) -> bool:
    """Return whether a digest without news is sent on that day."""
    when = rules.alerts.digest.empty
    return when == "always" or (when == "monday" and WEEKDAYS[due.weekday()] == "mon")


def _subscriptions(rules: RuleSet) -> dict[Recipient, list[str]]:
    """Return the rules in the digest of each recipient: one per address, whatever its channels."""
    by_address: dict[str, Recipient] = {}
    subscriptions: dict[Recipient, list[str]] = {}
    for rule in rules.enabled():
        names = [name for name in (*rule.notify, *rule.on_error) if _gets_digests(rules, name)]
        for recipient in rules.recipients(names):
            _, address = recipient
            first = by_address.setdefault(address, recipient)
            rule_ids = subscriptions.setdefault(first, [])
            if rule.id not in rule_ids:
                rule_ids.append(rule.id)
    return subscriptions


def _gets_digests(rules: RuleSet, channel: str) -> bool:
    return rules.channels[channel].digests and rules.channels[channel].takes(Reason.DIGEST)


@dataclass(frozen=True, slots=True)
class DigestFacts:
    """All that the digests of a day are made of, read once."""

    rules: RuleSet
    at: datetime
    #: When the previous digest was due.
    since: datetime
    #: What is open, and the same as it counts now, by id.
    open: Sequence[Incident]
    counted: Mapping[str, Incident]
    #: The last run with an answer, of the rules of open incidents.
    answers: Mapping[str, Run]
    resolved: Sequence[Incident]
    #: When data was last repaired, by rule.
    last_repaired: Mapping[str, datetime]
    #: The last run of each rule.
    last_runs: Mapping[str, Run]
    #: The decision of a person that is in force about each incident; and all that are in force.
    triage: Mapping[str, Triage]
    in_force: Sequence[Triage]
    noise_states: Mapping[str, NoiseState]
    silences: Sequence[Silence]
    #: Rule and incident of each mail of the last weeks, and the incidents that somebody acted on.
    sent: Sequence[tuple[str, str]]
    acted_on: Set[str]
    outbox: Summary
    #: The number and digest of the last entry of the audit; empty without entries.
    audit_head: str

    @classmethod
    def load(
        cls, connection: Connection, rules: RuleSet, at: datetime, since: datetime
    ) -> "DigestFacts":
        """Read the store as it is at that time."""
        counted = counted_incidents(connection, rules, at)
        open_incidents = incidents.list_open(connection)
        violated_rules = {incident.rule for incident in open_incidents}
        resolved = incidents.resolved_since(connection, min(since, at - _AGAIN))
        return cls(
            rules=rules,
            at=at,
            since=since,
            open=open_incidents,
            counted={incident.id: incident for incident in counted},
            answers=runs.last_answered_of(connection, violated_rules, at),
            resolved=resolved,
            last_repaired=_last_repaired(resolved),
            last_runs=runs.last_of(connection, [rule.id for rule in rules.enabled()], at),
            triage=triage_in_force(connection, counted, at),
            in_force=triage.list_active(connection),
            noise_states=noise_state.all_of(connection),
            silences=silences.list_active(connection, at),
            sent=notification_log.sent_since(connection, at - _QUALITY),
            acted_on=noise_review.acted_on(connection, rules, at),
            outbox=outbox_summary.summary(connection),
            audit_head=audit_chain.head_text(connection),
        )


def _last_repaired(resolved: Iterable[Incident]) -> dict[str, datetime]:
    """Return when data was last repaired, by rule.

    A rule that only could not be checked, or was changed, says nothing about the data.
    """
    last: dict[str, datetime] = {}
    for incident in resolved:
        end = incident.resolved_at
        if end is None or incident.cause is not Cause.VIOLATED:
            continue
        if ended_unchecked(incident.resolutions):
            continue
        if incident.rule not in last or end > last[incident.rule]:
            last[incident.rule] = end
    return last


def _by_severity_and_age(incident: Incident) -> tuple[int, datetime]:
    return -incident.severity, incident.opened_at


class _DigestComposer:
    """Composes the digest about some rules."""

    def __init__(self, facts: DigestFacts, rules: Sequence[Rule]) -> None:
        self.facts = facts
        self.rules = rules
        self.rule_ids = {rule.id for rule in rules}

    def digest(self, recipient: Recipient) -> Digest:
        """Return the digest for one recipient."""
        channel, address = recipient
        new, regressed, undecided, still_open = self._sorted_open()
        return Digest(
            at=self.facts.at,
            recipient=address,
            channel=channel,
            health=tuple(self._health()),
            decisions=(
                *map(self._line, undecided),
                *self._ending_decisions(),
                *self._coming_downgrades(),
            ),
            new=tuple(map(self._line, new)),
            regressed=tuple(map(self._line, regressed)),
            open=tuple(map(self._line, still_open)),
            noise=(*self._quiet_rules(), *self._silences()),
            resolved=tuple(self._resolved()),
            quality=self._quality(),
            holding=self._holding(),
            audit_head=self.facts.audit_head,
        )

    def _sorted_open(
        self,
    ) -> tuple[list[Incident], list[Incident], list[Incident], list[Incident]]:
        """Return what is violated: new, regressed, waiting for a decision, and the rest.

        The most severe comes first, and of equal ones the oldest.
        """
        new: list[Incident] = []
        regressed: list[Incident] = []
        undecided: list[Incident] = []
        still_open: list[Incident] = []
        counted = [self.facts.counted.get(listed.id, listed) for listed in self.facts.open]
        for incident in sorted(counted, key=_by_severity_and_age):
            if incident.rule not in self.rule_ids or incident.cause is not Cause.VIOLATED:
                continue
            is_new = incident.opened_at >= self.facts.since
            if is_new and self._came_back(incident):
                regressed.append(incident)
            elif is_new:
                new.append(incident)
            elif incident.severity >= Severity.ERROR and incident.id not in self.facts.triage:
                undecided.append(incident)
            else:
                still_open.append(incident)
        return new, regressed, undecided, still_open

    def _health(self) -> Iterator[DigestLine]:
        """Yield what is wrong with sanityd itself: sources, rules with errors, late rules, mail."""
        sources = set()
        for rule in self.rules:
            sources |= {rule.source, rule.invariant.elsewhere}
        for incident in self.facts.open:
            if incident.cause is Cause.SOURCE_DOWN and incident.source in sources:
                yield self._fault(incident, "")
            if incident.cause is Cause.ERRORED and incident.rule in self.rule_ids:
                yield self._fault(incident, f"sanityd try {incident.rule}")
        yield from self._overdue_rules()
        summary = self.facts.outbox
        if summary.dead or summary.waiting:
            words = f"messages: {summary.dead:,} given up, {summary.waiting:,} not delivered yet"
            yield DigestLine("outbox", words, None, summary.oldest, "sanityd status")

    def _overdue_rules(self) -> Iterator[DigestLine]:
        for rule in self.rules:
            last = self.facts.last_runs.get(rule.id)
            # Who looks only now and then would be told of every rule with a short interval.
            latest = self.facts.at - _AT_LEAST
            if last is None or last.at > latest:
                continue
            if rule.schedule.is_missed(last.at, self.facts.at):
                ago = format_duration(self.facts.at - last.at)
                words = f"was not checked for {ago}; it is due {rule.schedule}"
                yield DigestLine(rule.id, words, None, last.at)

    def _fault(self, incident: Incident, command: str) -> DigestLine:
        return DigestLine(
            incident.rule, self._sentence(incident), None, incident.opened_at, command
        )

    def _line(self, incident: Incident) -> DigestLine:
        """Return the line of an open incident, with the decision about it, or how to decide."""
        words = self._sentence(incident)
        decision = self.facts.triage.get(incident.id)
        if decision is None:
            command = acknowledge_command(incident.rule)
        else:
            until = self._time(decision.until)
            words += f"; {decision.action.value} by {decision.author} until {until}"
            command = ""
        return DigestLine(incident.rule, words, incident.severity, incident.opened_at, command)

    def _sentence(self, incident: Incident) -> str:
        return sentence(self.facts.rules, incident, self.facts.answers.get(incident.rule))

    def _resolved(self) -> Iterator[DigestLine]:
        for incident in sorted(self.facts.resolved, key=_by_severity_and_age):
            if incident.rule not in self.rule_ids or incident.cause is not Cause.VIOLATED:
                continue
            resolved_at = incident.resolved_at
            if resolved_at is not None and resolved_at >= self.facts.since:
                lasted = format_duration(resolved_at - incident.opened_at)
                words = f"holds again, after {lasted}"
                severity = incident.severity
                yield DigestLine(incident.rule, words, severity, resolved_at, resolved=True)

    def _ending_decisions(self) -> Iterator[DigestLine]:
        """Yield the decisions of people that run out before the next digest."""
        next_digest = self.facts.at + (self.facts.at - self.facts.since)
        for decision in self.facts.in_force:
            if decision.rule not in self.rule_ids or decision.until > next_digest:
                continue
            subject = f"what {decision.author} {decision.action.value}"
            if decision.fingerprint:
                subject = "the accepted row"
            words = f"{subject} ({decision.reason}) ends {self._time(decision.until)}"
            command = acknowledge_command(decision.rule)
            yield DigestLine(decision.rule, words, None, decision.at, command)

    def _coming_downgrades(self) -> Iterator[DigestLine]:
        for rule, state in self.facts.noise_states.items():
            if rule in self.rule_ids and state.due is not None:
                due = self._time(state.due)
                words = f"will be a warning from {due} on, as nobody acts on its mails"
                yield DigestLine(rule, words, None, state.noticed_at, f"sanityd noise undo {rule}")

    def _quiet_rules(self) -> Iterator[DigestLine]:
        for rule, state in self.facts.noise_states.items():
            if rule not in self.rule_ids:
                continue
            if state.flapping_since is not None:
                words = "is flapping, so it sends no mails"
                yield DigestLine(rule, words, None, state.flapping_since)
            if state.flapping_ended_at is not None and state.flapping_ended_at >= self.facts.since:
                words = "is not flapping any more"
                yield DigestLine(rule, words, None, state.flapping_ended_at, resolved=True)
            command = f"sanityd noise undo {rule}"
            for words in noise.sentences(state, self.facts.rules.alerts, self.facts.at):
                yield DigestLine(rule, words, None, state.mailed_at, command)
            if state.steps:
                yield DigestLine(rule, state.sentence, None, state.since, command)

    def _silences(self) -> Iterator[DigestLine]:
        for silence in self.facts.silences:
            tag = f"tag {silence.tag}" if silence.tag else ""
            about = ", ".join(filter(None, (silence.rule, tag, silence.source)))
            until = self._time(silence.until)
            words = f"silenced by {silence.author} until {until}: {silence.reason}"
            command = f"sanityd silence --end {silence.id}"
            yield DigestLine(about, words, None, silence.starts, command)

    def _quality(self) -> str:
        """Return how many mails there were, and how many somebody acted on."""
        mailed = [incident for rule, incident in self.facts.sent if rule in self.rule_ids]
        if not mailed:
            return ""
        acted = sum(incident in self.facts.acted_on for incident in mailed)
        mails = "1 mail" if len(mailed) == 1 else f"{len(mailed):,} mails"
        return f"{_QUALITY.days} d: {mails}, {acted:,} acted on"

    def _holding(self) -> int:
        """Return how many of the rules held at their last run."""
        last_runs = [self.facts.last_runs.get(rule.id) for rule in self.rules]
        return sum(last is not None and last.verdict == "passed" for last in last_runs)

    def _came_back(self, incident: Incident) -> bool:
        """Return whether the data was repaired within the last days, and is wrong again."""
        last = self.facts.last_repaired.get(incident.rule)
        return last is not None and last > incident.opened_at - _AGAIN

    def _time(self, when: datetime) -> str:
        return format_time(when, self.facts.at, self.facts.rules.alerts.zone)
