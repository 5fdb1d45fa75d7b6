"""A rule's own history as the policy of noise wants it, what that policy decides, and who is told of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from sanityd.alerts.compose.times import day
from sanityd.model import Alert, Cause, Incident, News, NoiseState, Reason, Severity, Triage
from sanityd.notifications import noise, policy
from sanityd.notifications.context import AlertContext, Background, sentence
from sanityd.notifications.noise import (
    Episode,
    NoiseDecision,
    PastRunResult,
    Record,
    SentMail,
    effective,
)
from sanityd.notifications.notify import enqueue
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import audit, incidents, noise_state, notification_log, rules_seen, runs, triage

#: How far back it matters whether a downgraded rule was clean.
_CLEAN = timedelta(days=15)


def record_of(
    memory: Connection, rules: RuleSet, rule: Rule, standing: NoiseState, at: datetime
) -> Record:
    """What the store knows of one rule, as far back as the policy looks."""
    settings = rules.alerts
    since = at - settings.noise.window - settings.noise.grace
    found = [
        one for one in incidents.of_rule(memory, rule.id, since) if one.cause is Cause.VIOLATED
    ]
    acts = triage.of_rule(memory, rule.id, min((one.opened_at for one in found), default=since))
    if standing.steps:
        looks = runs.looks(memory, rule.id, since=at - _CLEAN)
    else:
        looks = runs.looks(memory, rule.id, most=settings.flapping.window + 1)
    return Record(
        declared=max((one.declared for one in found if one.open), default=rule.severity),
        since=rules_seen.since(memory, rules.name, rule.id) or at,
        interval=rule.schedule.interval,
        sent=[
            SentMail(when, incident)
            for when, incident in notification_log.sent_of_rule(memory, rule.id, since)
        ],
        episodes=[_episode(one, rule, acts) for one in found],
        looks=[PastRunResult(when, count, severity) for when, count, severity in looks],
        mode=rule.noise,
    )


@dataclass(frozen=True, slots=True)
class Profile:
    """How noisy one rule is, for people."""

    rule: str
    declared: Severity
    effective: Severity
    noise_state: NoiseState
    #: Mails in the window of the policy, and those that somebody acted upon.
    sent: int
    acted: int
    score: float
    #: What was decided, and what people might do.
    sentences: tuple[str, ...]
    #: Every number with what it is compared with.
    explained: tuple[str, ...]


def profile(memory: Connection, rules: RuleSet, rule: Rule, at: datetime) -> Profile:
    """What the policy knows and thinks of a rule; nothing is decided."""
    standing, settings = noise_state.of_rule(memory, rule.id), rules.alerts
    record = record_of(memory, rules, rule, standing, at)
    late = [one for one in record.sent if one.at >= at - settings.noise.window]
    acted = {one.incident for one in record.episodes if one.acted}
    decided = [standing.sentence] if standing.steps else []
    if standing.due:
        decided.append(
            f"it will be downgraded on {day(standing.due, at, settings.zone)}, unless somebody acts"
        )
    return Profile(
        rule=rule.id,
        declared=record.declared,
        effective=effective(record.declared, standing.steps),
        noise_state=standing,
        sent=len(late),
        acted=sum(one.incident in acted for one in late),
        score=noise.flap_score(record.looks, settings.flapping.window),
        sentences=(*decided, *noise.advice(record, standing, settings, at)),
        explained=tuple(noise.explain(record, standing, settings, at)),
    )


def judge(memory: Connection, rules: RuleSet, rule: Rule, at: datetime) -> int:
    """Let the policy look at a rule after its run; what it decides is kept, and told where it matters.

    Returns how many messages that are.
    """
    standing = noise_state.of_rule(memory, rule.id)
    if standing == NoiseState() and not incidents.of_rule(
        memory, rule.id, at - rules.alerts.noise.window
    ):
        return 0
    record = record_of(memory, rules, rule, standing, at)
    now, verdicts = noise.judge(record, standing, rules.alerts, at)
    if now != standing:
        noise_state.save(memory, rule.id, now, at)
    return sum(_tell(memory, rules, rule, record, verdict, at) for verdict in verdicts)


def _episode(incident: Incident, rule: Rule, acts: list[Triage]) -> Episode:
    ours = [one for one in acts if one.incident == incident.id]
    closed = [one for one in ours if one.resolution]
    # Who changes the rule while it is violated has acted, too.
    edited = not incident.open and bool(incident.meaning) and incident.meaning != rule.meaning
    return Episode(
        incident=incident.id,
        began=incident.opened_at,
        ended=incident.resolved_at,
        acted=bool(ours) or edited,
        false_positive=any(one.resolution == "false_positive" for one in closed),
        closed=bool(closed),
    )


def _tell(
    memory: Connection,
    rules: RuleSet,
    rule: Rule,
    record: Record,
    verdict: NoiseDecision,
    at: datetime,
) -> int:
    detail = {"sentence": verdict.sentence, "due": verdict.due.isoformat() if verdict.due else None}
    audit.append(memory, at, "sanityd", "judged", verdict.reason, rule=rule.id, detail=detail)
    moment = AlertContext(memory, rules, at)
    ours = [one for one in moment.incidents if one.rule == rule.id and one.cause is Cause.VIOLATED]
    if verdict.reason is Reason.FLAPPING_ENDED:
        # One mail says how it ended; what came and went meanwhile needs none of its own.
        for one in ours:
            incidents.settle(memory, one.id)
    if record.declared < Severity.ERROR:
        return 0
    incident = next((one for one in ours if one.open), None)
    background = Background(memory, rule.id, at)
    queued = 0
    for channel, recipient in rules.recipients(rule.notify):
        news = News(
            reason=verdict.reason,
            rule=rule.facts(rules.revision),
            incident=incident,
            sentence=sentence(moment, incident) if incident else "",
            looked_at=at,
            rows=background.rows if incident else (),
            history=background.history,
            noise=verdict.sentence,
            due=verdict.due,
        )
        key = policy.dedup_key(verdict.reason, channel, recipient, [[rule.id, at.isoformat()]])
        queued += enqueue(moment, Alert(verdict.reason, at, (news,), channel, key), recipient)
    return queued
