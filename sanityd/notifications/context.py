"""Read: all that the decisions of one pass depend on, read from the store once. Writes nothing."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain

from sqlalchemy import Connection

from sanityd.model import (
    AnnouncedChange,
    Cause,
    HeldBack,
    Incident,
    NoiseState,
    Reason,
    RuleFacts,
    Run,
    Severity,
    Silence,
    Triage,
    file_rule_id,
    source_rule_id,
)
from sanityd.notifications import policy
from sanityd.notifications.measured_values import much_worse
from sanityd.notifications.measurements import values_of_incidents
from sanityd.notifications.new_rows import count_new_rows
from sanityd.notifications.noise import effective
from sanityd.notifications.recipients import Recipient, reading
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import (
    announced_changes,
    audit,
    incidents,
    noise_state,
    notification_log,
    rules_seen,
    runs,
    silences,
    triage,
)
from sanityd.store.incidents import IncidentRecipient
from sanityd.store.notification_log import DeliveryState
from sanityd.store.runs import OVERLAP

#: Before every run.
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LastRuns:
    """The last run of a rule, and the last one that had an answer; None where there is none."""

    last: Run | None = None
    answer: Run | None = None

    @property
    def measured(self) -> float | None:
        """What the last run with an answer measured; None where it measured nothing."""
        return self.answer.measured if self.answer else None

    @property
    def stale_since(self) -> datetime | None:
        """Since when the rule can't be verified; None when the last run had an answer."""
        if self.last is None or self.last.answered:
            return None
        return self.answer.at if self.answer else self.last.at


@dataclass(frozen=True, slots=True)
class AlertContext:
    """The incidents that recipients may have to be notified of, and all that decides whether.

    Made by `load`. Decisions of people that ran out or broke must have been ended before, by
    `triage.expire_triage`; those that were not are left out of `triage` all the same.
    """

    rules: RuleSet
    at: datetime
    #: Open incidents, and resolved ones whose end was not notified yet, as `counted_incidents`
    #: returns them.
    incidents: Sequence[Incident]
    delivery_states: Mapping[IncidentRecipient, DeliveryState]
    #: The reason of the last decision about each recipient of an incident.
    last_reasons: Mapping[IncidentRecipient, Reason]
    #: The decision of a person that is in force, by incident.
    triage: Mapping[str, Triage]
    #: The last decision of a person that ran out or was broken, by incident.
    ended_triage: Mapping[str, Triage]
    silences: Sequence[Silence]
    announced: Sequence[AnnouncedChange]
    #: By rule.
    noise_states: Mapping[str, NoiseState]
    #: By rule, for the rules of all incidents.
    last_runs: Mapping[str, LastRuns]
    #: The number of open rows first seen since the recipient was notified, where that was long
    #: enough ago for an update.
    new_rows: Mapping[IncidentRecipient, int]
    #: The measured values that are wrong, by incident; see `measured_values`.
    measured: Mapping[str, Mapping[str, float]]
    #: The severities of the messages of the last hour, by recipient.
    sent_this_hour: Mapping[Recipient, Sequence[int]]
    #: What waits for the hourly limit.
    held_back: Mapping[IncidentRecipient, HeldBack]
    #: When the last incident ended that explained others, by the rule or source that these name.
    explained_until: Mapping[str, datetime]

    @classmethod
    def load(cls, connection: Connection, rules: RuleSet, at: datetime) -> "AlertContext":
        """Read the store as it is; `at` is the time of the decisions."""
        counted = counted_incidents(connection, rules, at)
        ids = [incident.id for incident in counted]
        delivery_states = notification_log.delivery_states(connection, ids, at)
        last_reasons = incidents.last_decisions(connection, ids)
        last_runs = _last_runs(connection, counted, at)
        # Only runs with an answer measure something.
        measured = {name: last.measured for name, last in last_runs.items()}
        return cls(
            rules=rules,
            at=at,
            incidents=counted,
            delivery_states=delivery_states,
            last_reasons=last_reasons,
            triage=triage_in_force(connection, counted, at),
            ended_triage=triage.last_ended(connection, ids),
            silences=silences.list_active(connection, at),
            announced=announced_changes.list_active(connection, at),
            noise_states=noise_state.all_of(connection),
            last_runs=last_runs,
            measured=values_of_incidents(connection, rules, counted, measured),
            new_rows=count_new_rows(connection, rules, counted, delivery_states, at),
            sent_this_hour=notification_log.severities_since(
                connection, at - policy.RATE_LIMIT_WINDOW, at
            ),
            held_back=_held_back(connection, last_reasons),
            explained_until=_explained_until(connection, rules, at),
        )

    def delivery_state(self, incident: Incident, recipient: Recipient) -> DeliveryState:
        """Return what a recipient was notified of about an incident."""
        return self.delivery_states.get((incident.id, *recipient), DeliveryState())

    def server(self, incident: Incident) -> tuple[object, ...] | None:
        """Return the server of an outage; None of other incidents, and without the source."""
        settings = self.rules.sources.get(incident.source)
        if incident.cause is not Cause.SOURCE_DOWN or settings is None:
            return None
        return settings.server

    def facts(self, incident: Incident) -> RuleFacts:
        """Return what the rules file says about the rule, the source or the file of an incident."""
        revision = self.rules.revision
        rule = self.rules.rules.get(incident.rule)
        if rule is not None:
            answer = self.last_runs[incident.rule].answer
            return rule.facts(revision, answer.key if answer else ())
        if incident.cause is Cause.RULES_WRONG:
            return RuleFacts(incident.rule, "rules", "", "", "Rules file", revision=revision)
        title = incident.rule
        if incident.cause is Cause.SOURCE_DOWN:
            title = f"Source {incident.source}"
        return RuleFacts(incident.rule, "source", incident.source, "", title, revision=revision)

    def lapsed_triage(self, incident: Incident, state: DeliveryState) -> Triage | None:
        """Return the decision of a person that ended since the recipient was last notified."""
        decision = self.ended_triage.get(incident.id)
        if decision is None or incident.id in self.triage or decision.ended_at is None:
            return None
        if decision.ended_at > self.at + OVERLAP:
            # It ran out while the clock was wrong; until then it would be news in every pass.
            return None
        last = state.last_notification
        if last is None or last.at is None or last.at < decision.ended_at:
            return decision
        return None

    def much_worse(self, incident: Incident, state: DeliveryState) -> tuple[str, ...]:
        """Return the fingerprints of values that got much worse since the last notification."""
        rule, last = self.rules.rules.get(incident.rule), state.last_notification
        if rule is None or last is None:
            return ()
        return much_worse(rule, self.measured.get(incident.id, {}), last.measured)

    def holds_again(self, incident: Incident) -> bool:
        """Return whether the rule of a violated incident held at its last run with an answer."""
        answer = self.last_runs[incident.rule].answer
        if incident.cause is not Cause.VIOLATED or answer is None:
            return False
        return answer.severity is None

    def is_inhibited(self, incident: Incident, inhibiting: Set[str]) -> bool:
        """Return whether another incident explains this one.

        That is also so after the end of the other one, until the rule was checked again.
        """
        rule = self.rules.rules.get(incident.rule)
        if rule is None or not rule.depends_on:
            return False
        if not inhibiting.isdisjoint(rule.depends_on):
            return True
        last_runs = self.last_runs[incident.rule]
        run = last_runs.answer if incident.cause is Cause.VIOLATED else last_runs.last
        ends = [self.explained_until.get(name, _NEVER) for name in rule.depends_on]
        return run is not None and run.at < max(ends)

    def inhibiting(self) -> set[str]:
        """Return the rules and sources with a severe open incident, which explains others.

        A rule made by `for_each` is in it by its first name, too.
        """
        names = set()
        for incident in self.incidents:
            if incident.open and incident.severity >= Severity.ERROR:
                is_outage = incident.cause is Cause.SOURCE_DOWN
                names.add(incident.source if is_outage else incident.rule)
        return names | {name.partition("[")[0] for name in names}


def counted_incidents(
    connection: Connection, rules: RuleSet, at: datetime, rule_id: str | None = None
) -> list[Incident]:
    """Return the open incidents, and the resolved ones whose end was not notified yet.

    Open violations are without the rows that people accepted, at the severity that counts today.
    Incidents of rules of another file in the same store are left out: who is notified of them, and
    whether that is settled, is for that file to say. Parameters: `rule_id` limits them to one rule.
    """
    elsewhere = rules_seen.names_elsewhere(connection, rules.name) - rules.rules.keys()
    accepted_rows = triage.count_accepted_rows(connection, at)
    noise_states = noise_state.all_of(connection)
    counted = []
    for incident in incidents.list_unsettled(connection, rule_id):
        if elsewhere and _is_of_another_file(incident, rules, elsewhere):
            continue
        if incident.open and incident.cause is Cause.VIOLATED:
            noise = noise_states.get(incident.rule)
            accepted = accepted_rows.get(incident.rule, 0)
            rule = rules.rules.get(incident.rule)
            counted.append(_as_it_counts(incident, rule, accepted, noise.steps if noise else 0))
        else:
            counted.append(incident)
    return counted


def _is_of_another_file(incident: Incident, rules: RuleSet, elsewhere: Set[str]) -> bool:
    """Return whether an incident belongs to another rules file; `elsewhere` are its rules."""
    if incident.cause is Cause.SOURCE_DOWN:
        return incident.source not in rules.sources
    if incident.cause is Cause.RULES_WRONG:
        return incident.rule != file_rule_id(rules.named or rules.path.name)
    return incident.rule in elsewhere


def triage_in_force(
    connection: Connection, counted: Iterable[Incident], at: datetime
) -> dict[str, Triage]:
    """Return the decision of a person that is in force about each of these incidents, by id."""
    by_id = {incident.id: incident for incident in counted}
    return {
        decision.incident: decision
        for decision in triage.list_active(connection)
        if decision.incident in by_id
        and end_of_triage(decision, by_id[decision.incident], at) is None
    }


def end_of_triage(decision: Triage, incident: Incident, at: datetime) -> str | None:
    """Return why a decision of a person is no longer in force; None while it is."""
    if decision.until <= at:
        return "expired"
    if not incident.open:
        return "resolved"
    if policy.breaks(decision, incident.violations, incident.severity):
        return "broken"
    return None


def sentence(rules: RuleSet, incident: Incident, answer: Run | None) -> str:
    """Return a sentence that says what is wrong, with its numbers, as far as they are known.

    Parameters: `answer` is the last run of the rule that had an answer.
    """
    match incident.cause:
        case Cause.ERRORED:
            return f"this rule can't be checked: {incident.error}"
        case Cause.RULES_WRONG:
            return (
                "the rules file has errors, so the rules read before stay in force: "
                f"{incident.error}"
            )
        case Cause.SOURCE_DOWN:
            skipped = len(reading(rules, incident.source))
            are = "1 rule is" if skipped == 1 else f"{skipped:,} rules are"
            return f"`{incident.source}` does not answer, so {are} not checked: {incident.error}"
    rule = rules.rules.get(incident.rule)
    if rule is None or answer is None:
        return f"{incident.violations:,} violations"
    return rule.sentence(_counted(answer, incident))


def fact(rules: RuleSet, incident: Incident, answer: Run | None) -> str:
    """Return the same in fewer words, for a subject."""
    rule = rules.rules.get(incident.rule)
    if rule is None or answer is None or incident.cause is not Cause.VIOLATED:
        return sentence(rules, incident, answer)
    return rule.fact(_counted(answer, incident))


def _counted(answer: Run, incident: Incident) -> Run:
    """Return the run without the rows that people accepted."""
    accepted = answer.violations - incident.violations if incident.open else 0
    return replace(
        answer,
        violations=answer.violations - accepted,
        rows=max(answer.rows - accepted, 0),
    )


def _as_it_counts(incident: Incident, rule: Rule | None, accepted: int, steps: int) -> Incident:
    """Return an open incident without its accepted rows, downgraded by so many steps."""
    declared = incident.declared
    if rule is not None and accepted:
        violations_left = max(incident.violations - accepted, 0)
        reached = rule.invariant.ladder.severity(violations_left, violations_left, incident.checked)
        declared = reached or Severity.INFO
        incident = replace(incident, violations=violations_left)
    return replace(incident, severity=effective(declared, steps))


def _last_runs(
    connection: Connection, counted: Iterable[Incident], at: datetime
) -> dict[str, LastRuns]:
    names = {incident.rule for incident in counted}
    last = runs.last_of(connection, names, at)
    answered = runs.last_answered_of(connection, names, at)
    return {name: LastRuns(last.get(name), answered.get(name)) for name in names}


def _held_back(
    connection: Connection, last_reasons: Mapping[IncidentRecipient, Reason]
) -> dict[IncidentRecipient, HeldBack]:
    """Return what was decided last, and waits since then for the hourly limit."""
    limited = {key for key, reason in last_reasons.items() if reason is Reason.RATE_LIMITED}
    held_back = {}
    for key, entry in audit.last_not_notified(connection, Reason.RATE_LIMITED, limited).items():
        detail = entry["detail"]
        reason = Reason(detail.get("held_back", Reason.UPDATED))
        held_back[key] = HeldBack(reason, detail["violations"], entry["at"])
    return held_back


def _explained_until(connection: Connection, rules: RuleSet, at: datetime) -> dict[str, datetime]:
    """Return when the last severe incident ended of the rules and sources that others depend on."""
    names = set(chain.from_iterable(rule.depends_on for rule in rules.rules.values()))
    members = [rule for rule in rules.rules.values() if rule.written in names]
    name_by_id = {name: name for name in names}
    name_by_id |= {source_rule_id(name): name for name in names}
    name_by_id |= {rule.id: rule.written for rule in members}
    # A wrong clock may have stored a time to come.
    latest = at + OVERLAP
    ends: dict[str, datetime] = {}
    for rule_id, end in incidents.last_ends(connection, name_by_id, Severity.ERROR, latest).items():
        name = name_by_id[rule_id]
        ends[name] = max(end, ends.get(name, end))
    return ends
