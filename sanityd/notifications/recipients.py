"""Which recipients are responsible for an incident, as the rules file says. Pure."""

from sanityd.model import Cause, Incident, Severity
from sanityd.rules.rule import Rule, RuleSet

#: The name of a channel, and an address in it.
Recipient = tuple[str, str]


def recipients(rules: RuleSet, incident: Incident) -> list[Recipient]:
    """Return every recipient of an incident, each once.

    The incident of a source goes to the recipients of all rules that read it and can become errors
    at least; the incident of the rules file goes to the owners of all rules.
    """
    if incident.cause is Cause.RULES_WRONG:
        return rules.recipients(name for rule in rules.enabled() for name in rule.on_error)
    if incident.cause is Cause.SOURCE_DOWN:
        return rules.recipients(_outage_channels(rules, incident.source))
    rule = rules.rules.get(incident.rule)
    if rule is None:
        return []
    if incident.cause is Cause.ERRORED:
        return rules.recipients(rule.on_error)
    return rules.recipients(rule.notify)


def _outage_channels(rules: RuleSet, source: str) -> list[str]:
    channels: list[str] = []
    for rule in reading(rules, source):
        if rule.invariant.ladder.worst >= Severity.ERROR:
            channels += rule.notify
    return channels


def reading(rules: RuleSet, source: str) -> list[Rule]:
    """Return the enabled rules that read a source, as their own or as the second one."""
    return [rule for rule in rules.enabled() if source in (rule.source, rule.invariant.elsewhere)]
