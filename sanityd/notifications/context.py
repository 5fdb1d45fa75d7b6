"""Everything that decisions at one moment are made of: the store, read once, as the policy wants to see it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection

from sanityd.model import (
    Cause,
    Incident,
    PastRun,
    Reason,
    RuleFacts,
    Run,
    Severity,
    Tracked,
    Triage,
)
from sanityd.notifications import policy
from sanityd.notifications.noise import effective
from sanityd.notifications.policy import PolicyInput
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import (
    incidents,
    noise_state,
    notification_log,
    runs,
    silences,
    triage,
    violations,
)
from sanityd.store.incidents import IncidentRecipient
from sanityd.store.notification_log import DeliveryState
from sanityd.store.runs import OVERLAP

#: How many runs the bar picture of a mail shows.
HISTORY = 14


class Background:
    """What is known of a rule besides its incident; each thing is asked when it is first needed."""

    def __init__(self, memory: Connection, rule: str, at: datetime) -> None:
        self._memory = memory
        self._rule = rule
        self._at = at

    @cached_property
    def answer(self) -> Run | None:
        """The last run that had an answer."""
        return runs.last_answered(self._memory, self._rule, self._at)

    @cached_property
    def last(self) -> Run | None:
        """The last run."""
        return runs.last(self._memory, self._rule, self._at)

    @cached_property
    def rows(self) -> tuple[Tracked, ...]:
        """The open violations."""
        return tuple(violations.open_rows(self._memory, self._rule))

    @cached_property
    def history(self) -> tuple[PastRun, ...]:
        """The last runs, oldest first."""
        return runs.history(self._memory, self._rule, HISTORY)

    @property
    def stale_since(self) -> datetime | None:
        """Since when it can't be verified; None when the last run had an answer."""
        if self.last is None or self.last.answered:
            return None
        return self.answer.at if self.answer else self.last.at


class AlertContext:
    """The incidents of which there may be something to say, and all that decides whether there is.

    Parameters: `at` is the moment; decisions of humans that have run out or are broken by then are ended, unless
    somebody is only `asking`.
    """

    def __init__(
        self, memory: Connection, rules: RuleSet, at: datetime, *, asking: bool = False
    ) -> None:
        self.memory, self.rules, self.at = memory, rules, at
        self._asking = asking
        if not asking:
            triage.expire(memory, at)
        self._accepted = triage.accepted(memory)
        self.noise_states = noise_state.all_of(memory)
        self.incidents = [self._as_it_counts(incident) for incident in incidents.unsettled(memory)]
        names = [incident.id for incident in self.incidents]
        self.delivery_states: Mapping[IncidentRecipient, DeliveryState] = (
            notification_log.delivery_states(memory, names, at)
        )
        self.decided = incidents.decided(memory, names)
        self._in_force = self._holding()
        self._lapsed = triage.lapsed(memory, names)
        self._silences = silences.listed(memory, at)
        self._backgrounds: dict[str, Background] = {}

    def reason(self, incident: Incident, channel: str, recipient: str) -> Reason:
        """Why this recipient hears of the incident, or doesn't."""
        return policy.decide(
            self._situation(incident, channel, recipient), self.rules.alerts, self.at
        )

    def background(self, incident: Incident) -> Background:
        """What else is known of its rule."""
        if incident.rule not in self._backgrounds:
            self._backgrounds[incident.rule] = Background(self.memory, incident.rule, self.at)
        return self._backgrounds[incident.rule]

    def facts(self, incident: Incident) -> RuleFacts:
        """The words of the rules file about it."""
        rule = self.rules.rules.get(incident.rule)
        if rule is not None:
            answer = self.background(incident).answer
            return rule.facts(self.rules.revision, answer.key if answer else ())
        if incident.cause is Cause.RULES_WRONG:
            return RuleFacts(
                incident.rule, "rules", "", "", "Rules file", revision=self.rules.revision
            )
        title = (
            f"Source {incident.source}" if incident.cause is Cause.SOURCE_DOWN else incident.rule
        )
        return RuleFacts(
            incident.rule, "source", incident.source, "", title, revision=self.rules.revision
        )

    def triage(self, incident: Incident) -> Triage | None:
        """What a human decided about it, if that holds."""
        return self._in_force.get(incident.id)

    def lapsed(self, incident: Incident, heard: DeliveryState) -> Triage | None:
        """What a human had decided, if that ended since the recipient was told."""
        found = self._lapsed.get(incident.id)
        if found is None or incident.id in self._in_force or found.ended_at is None:
            return None
        if found.ended_at > self.at + OVERLAP:
            # It ran out when the clock was wrong; until then it would be news in every pass.
            return None
        unheard = (
            heard.last_notification is None
            or heard.last_notification.at is None
            or heard.last_notification.at < found.ended_at
        )
        return found if unheard else None

    @cached_property
    def inhibiting(self) -> set[str]:
        """Rules and sources whose incident explains others; a rule made by `for_each` goes by its first name, too."""
        bad = [one for one in self.incidents if one.open and one.severity >= Severity.ERROR]
        names = {one.source if one.cause is Cause.SOURCE_DOWN else one.rule for one in bad}
        return names | {name.partition("[")[0] for name in names}

    def _situation(self, incident: Incident, channel: str, recipient: str) -> PolicyInput:
        heard = self.delivery_states.get((incident.id, channel, recipient), DeliveryState())
        told_at = heard.last_notification.at if heard.last_notification else None
        settings = self.rules.alerts
        is_ripe = (
            incident.open and told_at is not None and self.at - told_at >= settings.update_every
        )
        rule = self.rules.rules.get(incident.rule)
        standing = self.noise_states.get(incident.rule)
        return PolicyInput(
            incident=incident,
            last_notification=heard.last_notification,
            waiting=heard.waiting,
            replaceable=heard.pending is not None,
            new_rows=violations.new_since(self.memory, incident.rule, told_at, self.at)
            if is_ripe and told_at
            else 0,
            verified=self.background(incident).stale_since is None,
            triage=self.triage(incident),
            lapsed=self.lapsed(incident, heard),
            silenced=policy.is_silenced(self.facts(incident), self._silences, self.at),
            inhibited=rule is not None and bool(self.inhibiting.intersection(rule.depends_on)),
            peak=standing.peak if standing and standing.flapping_since else None,
            quiet_hours=policy.in_quiet_hours(settings.quiet_hours, settings, self.at),
        )

    def _as_it_counts(self, incident: Incident) -> Incident:
        """The incident without the rows that a human accepted, at the severity that counts today."""
        if incident.cause is not Cause.VIOLATED or not incident.open:
            return incident
        standing = self.noise_states.get(incident.rule)
        declared = incident.declared
        rule, accepted = self.rules.rules.get(incident.rule), self._accepted.get(incident.rule, 0)
        if rule is not None and accepted:
            left = max(incident.violations - accepted, 0)
            reached = rule.invariant.ladder.severity(left, left, incident.checked)
            incident, declared = replace(incident, violations=left), reached or Severity.INFO
        return replace(incident, severity=effective(declared, standing.steps if standing else 0))

    def _holding(self) -> dict[str, Triage]:
        """What humans decided and still holds, by incident; what was broken, or is over, is ended."""
        by_id = {incident.id: incident for incident in self.incidents}
        holding = {}
        for one in triage.in_force(self.memory):
            incident = by_id.get(one.incident)
            if incident is None:
                continue
            ended = self._end_of(one, incident)
            if ended is None:
                holding[one.incident] = one
            elif not self._asking:
                triage.end(self.memory, [one.id], ended, self.at)
        return holding

    def _end_of(self, one: Triage, incident: Incident) -> str | None:
        """Why a decision does not hold any more; None when it does."""
        if one.until <= self.at:
            return "expired"
        if not incident.open:
            return "resolved"
        return "broken" if policy.breaks(one, incident.violations, incident.severity) else None


def sentence(moment: AlertContext, incident: Incident) -> str:
    """What is wrong, in words and numbers, as far as it is known."""
    match incident.cause:
        case Cause.ERRORED:
            return f"this rule can't be checked: {incident.error}"
        case Cause.RULES_WRONG:
            return f"the rules file is wrong, so the rules of before are still in force: {incident.error}"
        case Cause.SOURCE_DOWN:
            blind = sum(
                incident.source in (rule.source, rule.invariant.elsewhere)
                for rule in moment.rules.enabled()
            )
            skipped = "1 rule is" if blind == 1 else f"{blind:,} rules are"
            return (
                f"`{incident.source}` does not answer, so {skipped} not checked: {incident.error}"
            )
    rule: Rule | None = moment.rules.rules.get(incident.rule)
    answer = moment.background(incident).answer
    if rule is None or answer is None:
        return f"{incident.violations:,} violations"
    hidden = answer.violations - incident.violations if incident.open else 0
    return rule.sentence(
        replace(answer, violations=answer.violations - hidden, rows=max(answer.rows - hidden, 0))
    )
