"""Decide: why each recipient of each incident is notified, or is not. Pure."""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from sanityd.model import Incident, NoiseState, Reason
from sanityd.notifications import announcements, policy
from sanityd.notifications.context import AlertContext
from sanityd.notifications.policy import PolicyInput
from sanityd.notifications.recipients import Recipient, recipients
from sanityd.store.incidents import IncidentRecipient

_NOTHING_DECIDED = NoiseState()


@dataclass(frozen=True, slots=True)
class Decision:
    """Why one recipient is to be notified of one incident, or is not."""

    incident: Incident
    recipient: Recipient
    reason: Reason

    @property
    def key(self) -> IncidentRecipient:
        """The incident and the recipient, as the store names them."""
        return (self.incident.id, *self.recipient)


def decide(context: AlertContext) -> list[Decision]:
    """Return one decision for each recipient of each incident, in the order of the incidents."""
    inhibiting = context.inhibiting()
    decisions = []
    for incident in context.incidents:
        for recipient in recipients(context.rules, incident):
            facts = _policy_input(context, incident, recipient, inhibiting)
            reason = policy.decide_reason(facts, context.rules.alerts, context.at)
            decisions.append(Decision(incident, recipient, reason))
    return decisions


def _policy_input(
    context: AlertContext, incident: Incident, recipient: Recipient, inhibiting: Set[str]
) -> PolicyInput:
    """Return all that decides whether one recipient is notified of one incident."""
    state = context.delivery_state(incident, recipient)
    settings = context.rules.alerts
    noise = context.noise_states.get(incident.rule, _NOTHING_DECIDED)
    is_flapping = noise.flapping_since is not None
    rule = context.rules.rules.get(incident.rule)
    formerly = rule.formerly if rule is not None else ()
    return PolicyInput(
        incident=incident,
        last_notification=state.last_notification,
        waiting=state.waiting,
        replaceable=state.pending is not None,
        new_rows=context.new_rows.get((incident.id, *recipient), 0),
        got_worse=bool(context.much_worse(incident, state)),
        verified=context.last_runs[incident.rule].stale_since is None,
        holds=context.holds_again(incident),
        triage=context.triage.get(incident.id),
        held_back=context.held_back.get((incident.id, *recipient)),
        lapsed=context.lapsed_triage(incident, state),
        announced=announcements.goes_on(context.announced, incident, context.at, formerly),
        silenced=policy.is_silenced(context.facts(incident), context.silences, context.at),
        inhibited=context.is_inhibited(incident, inhibiting),
        peak=noise.peak if is_flapping else None,
        refused=context.rules.channels[recipient[0]].refused,
        quiet_hours=policy.in_quiet_hours(settings.quiet_hours, settings, context.at),
        paused_until=_paused_until(incident, noise, context.at),
        mails_from=noise.mails_from,
        worse=noise.worse,
    )


def _paused_until(incident: Incident, noise: NoiseState, at: datetime) -> datetime | None:
    """Return until when the first mail waits; None without a pause, and where the clock was wrong
    when the incident began."""
    if not noise.pause or incident.opened_at > at:
        return None
    return incident.opened_at + timedelta(seconds=noise.pause)
