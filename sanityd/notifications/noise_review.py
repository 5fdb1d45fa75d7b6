"""Apply the noise policy to rules: read their records, save and notify the decisions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from sqlalchemy import Connection

from sanityd.alerts.compose.times import format_date
from sanityd.model import Alert, Cause, Incident, News, NoiseState, Reason, Severity, Triage
from sanityd.notifications import noise, policy
from sanityd.notifications.context import counted_incidents, sentence
from sanityd.notifications.noise import (
    DayPeak,
    Episode,
    NoiseDecision,
    PastRunResult,
    Record,
    SentMail,
    effective,
)
from sanityd.notifications.noise.repairs import with_repairs
from sanityd.notifications.notify import enqueue, rule_details
from sanityd.notifications.recipients import Recipient
from sanityd.notifications.triage import expire_triage
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import (
    audit,
    incidents,
    noise_state,
    notification_log,
    outbox,
    remedies,
    rules_seen,
    runs,
    triage,
)

#: Decisions that nobody has to hear of at once: who gets a digest finds them there.
IN_DIGEST = frozenset({Reason.DOWNGRADE_NOTICE, Reason.DOWNGRADED, Reason.FLAPPING_ENDED})
#: The most runs that are read to learn what is usual: a week of a rule that runs each minute.
_MOST_RUNS = 10_000
#: How far back the runs of a downgraded rule are read: 14 days without a violation matter.
_CLEAN = timedelta(days=15)


def records_of(
    connection: Connection,
    rules: RuleSet,
    selected: Sequence[Rule],
    states: Mapping[str, NoiseState],
    at: datetime,
) -> dict[str, Record]:
    """Read what the store knows of rules, as far back as the policy looks, by rule.

    One statement for all rules, for each thing that is read.
    """
    names = [rule.id for rule in selected]
    violated = _violated_incidents(connection, names, _since(rules, at))
    pasts = _pasts(connection, rules, selected, violated, at)
    seen = rules_seen.of_rules(connection, rules.name, names)
    looks = _past_results(connection, rules, names, states, at)
    records = {}
    for rule in selected:
        name = rule.id
        is_seen = name in seen and seen[name].removed_at is None
        mails, episodes = pasts[name]
        records[name] = Record(
            declared=_declared(rule, violated[name]),
            since=seen[name].since if is_seen else at,
            interval=rule.schedule.interval,
            sent=mails,
            episodes=episodes,
            looks=looks.get(name, ()),
            days=_violated_days(connection, rules, rule, states, violated[name], at),
            mode=rule.noise,
        )
    return records


def _violated_incidents(
    connection: Connection, names: Sequence[str], since: datetime
) -> dict[str, list[Incident]]:
    """Return the incidents of rules that were violated, by rule, oldest first."""
    violated: dict[str, list[Incident]] = {name: [] for name in names}
    for incident in chain.from_iterable(incidents.of_rules(connection, names, since).values()):
        if incident.cause is Cause.VIOLATED:
            violated[incident.rule].append(incident)
    return violated


def acted_on(connection: Connection, rules: RuleSet, at: datetime) -> set[str]:
    """Return the incidents of the last weeks that somebody acted on."""
    selected = list(rules.enabled())
    names = [rule.id for rule in selected]
    violated = _violated_incidents(connection, names, _since(rules, at))
    ids = set()
    for _, episodes in _pasts(connection, rules, selected, violated, at).values():
        ids |= {episode.incident for episode in episodes if episode.acted}
    return ids


def _since(rules: RuleSet, at: datetime) -> datetime:
    """Return how far back the policy looks at mails and incidents."""
    return at - rules.alerts.noise.window - rules.alerts.noise.grace


def _pasts(
    connection: Connection,
    rules: RuleSet,
    selected: Sequence[Rule],
    violated: Mapping[str, Sequence[Incident]],
    at: datetime,
) -> dict[str, tuple[list[SentMail], list[Episode]]]:
    """Return the mails about rules, and their incidents with whether somebody acted, by rule."""
    names = [rule.id for rule in selected]
    since = _since(rules, at)
    opened = [incident.opened_at for incident in chain.from_iterable(violated.values())]
    first_opened = min([since, *opened])
    decisions = triage.of_rules(connection, names, first_opened)
    sent = notification_log.sent_of_rules(connection, names, since)
    with_remedy = [rule.id for rule in selected if rule.remedy is not None]
    repairs = remedies.times_done(connection, with_remedy, first_opened)
    pasts = {}
    for rule in selected:
        mails = [SentMail(sent_at, incident) for sent_at, incident in sent.get(rule.id, ())]
        acts, repaired_at = decisions.get(rule.id, ()), repairs.get(rule.id, ())
        episodes = [_episode(each, rule, acts, repaired_at) for each in violated[rule.id]]
        pasts[rule.id] = mails, with_repairs(episodes, mails)
    return pasts


def _declared(rule: Rule, violated: Iterable[Incident]) -> Severity:
    """Return the declared severity of the open incident; that of the rule without one."""
    return max((incident.declared for incident in violated if incident.open), default=rule.severity)


def _past_results(
    connection: Connection,
    rules: RuleSet,
    names: Iterable[str],
    states: Mapping[str, NoiseState],
    at: datetime,
) -> dict[str, list[PastRunResult]]:
    """Return the last results of the rules, by rule; more of those that are downgraded."""
    downgraded: list[str] = []
    others: list[str] = []
    for name in names:
        if states.get(name, NoiseState()).steps:
            downgraded.append(name)
        else:
            others.append(name)
    answered = runs.newest_answered(connection, others, rules.alerts.flapping.window + 1)
    if downgraded:
        answered |= runs.answered_since(connection, downgraded, at - _CLEAN)
    return {name: [PastRunResult(*run) for run in past] for name, past in answered.items()}


def _violated_days(
    connection: Connection,
    rules: RuleSet,
    rule: Rule,
    states: Mapping[str, NoiseState],
    violated: Sequence[Incident],
    at: datetime,
) -> tuple[DayPeak, ...]:
    """Read the violated days before the open incident, at the latest of yesterday.

    Nothing is read where no mails are spared yet, and so nothing has to be compared.
    """
    opened_at = [incident.opened_at for incident in violated if incident.open]
    if not opened_at or not noise.is_quiet(states.get(rule.id, NoiseState())):
        return ()
    local = at.astimezone(rules.alerts.zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    since = midnight - rules.alerts.noise.window
    until = max(midnight, opened_at[-1])
    results = runs.answered_since(connection, [rule.id], since, until).get(rule.id, [])
    past = [PastRunResult(*result) for result in results[-_MOST_RUNS:]]
    return noise.daily_peaks(past, rules.alerts.zone)


def _episode(
    incident: Incident, rule: Rule, decisions: Iterable[Triage], repaired_at: Iterable[datetime]
) -> Episode:
    """Return what the policy knows of an incident.

    Parameters: `decisions` are those of people about the rule, among them those about others of
    its incidents; at `repaired_at` requests of its remedy were done.
    """
    about = [decision for decision in decisions if decision.incident == incident.id]
    resolutions = {decision.resolution for decision in about}
    # Whoever changes the rule while it is violated has acted, too.
    has_other_meaning = incident.meaning not in ("", rule.meaning)
    is_edited = has_other_meaning and not incident.open
    is_repaired = any(
        incident.opened_at <= at <= (incident.resolved_at or at) for at in repaired_at
    )
    return Episode(
        incident=incident.id,
        began=incident.opened_at,
        ended=incident.resolved_at,
        acted=any((about, is_edited, is_repaired)),
        false_positive="false_positive" in resolutions,
        closed=bool(resolutions - {""}),
    )


@dataclass(frozen=True, slots=True)
class Profile:
    """How noisy one rule is, for people."""

    rule: str
    declared: Severity
    effective: Severity
    noise_state: NoiseState
    #: The mails in the window of the policy, and those that somebody acted on.
    sent: int
    acted: int
    #: The incidents in that time about which no mail was sent: what the policy spared people.
    spared: int
    score: float
    #: What was decided, and what people might do.
    sentences: tuple[str, ...]
    #: Every number with its threshold.
    explained: tuple[str, ...]


def profile(connection: Connection, rules: RuleSet, rule: Rule, at: datetime) -> Profile:
    """Return what the policy knows of a rule. Decides nothing."""
    state, settings = noise_state.of_rule(connection, rule.id), rules.alerts
    record = records_of(connection, rules, [rule], {rule.id: state}, at)[rule.id]
    mails = [mail for mail in record.sent if mail.at >= at - settings.noise.window]
    acted = {episode.incident for episode in record.episodes if episode.acted}
    sentences = []
    if state.steps:
        sentences.append(state.sentence)
    if state.due:
        due = format_date(state.due, at, settings.zone)
        sentences.append(f"it will be downgraded on {due}, unless somebody acts")
    return Profile(
        rule=rule.id,
        declared=record.declared,
        effective=effective(record.declared, state.steps),
        noise_state=state,
        sent=len(mails),
        acted=sum(mail.incident in acted for mail in mails),
        spared=_count_spared(record, at - settings.noise.window),
        score=noise.flap_score(record.looks, settings.flapping.window),
        sentences=(
            *sentences,
            *noise.sentences(state, settings, at),
            *noise.advice(record, state, settings, at),
        ),
        explained=tuple(noise.explain(record, state, settings, at)),
    )


def _count_spared(record: Record, begin: datetime) -> int:
    """Return how many incidents began since then of which no mail was sent; 0 for a warning."""
    if record.declared < Severity.ERROR:
        return 0
    mailed = {mail.incident for mail in record.sent}
    recent = {episode.incident for episode in record.episodes if episode.began >= begin}
    return len(recent - mailed)


def judge(
    connection: Connection, rules: RuleSet, judged: Sequence[Rule], at: datetime
) -> dict[str, int]:
    """Apply the policy to rules after their runs; save, audit and notify what it decides.

    Returns the number of messages put into the outbox, by rule.
    """
    names = [rule.id for rule in judged]
    states = noise_state.of_rules(connection, names)
    violated = incidents.of_rules(connection, names, at - rules.alerts.noise.window)
    noticed = [rule for rule in judged if rule.id in states or rule.id in violated]
    if not noticed:
        return {}
    records = records_of(connection, rules, noticed, states, at)
    decided = {}
    changed = {}
    for rule in noticed:
        state = states.get(rule.id, NoiseState())
        new_state, decided[rule.id] = noise.judge(records[rule.id], state, rules.alerts, at)
        if new_state != state:
            changed[rule.id] = new_state
    noise_state.save_all(connection, changed, at)
    queued = {}
    for rule in noticed:
        queued[rule.id] = sum(
            _apply(connection, rules, rule, records[rule.id], decision, at)
            for decision in decided[rule.id]
        )
    return queued


def _apply(
    connection: Connection,
    rules: RuleSet,
    rule: Rule,
    record: Record,
    decision: NoiseDecision,
    at: datetime,
) -> int:
    """Audit one decision and notify the recipients of the rule. Returns the number of messages."""
    due = decision.due.isoformat() if decision.due else None
    detail = {"sentence": decision.sentence, "due": due}
    audit.append(connection, at, "sanityd", "judged", decision.reason, rule=rule.id, detail=detail)
    expire_triage(connection, rules, at, rule.id)
    violated = [
        incident
        for incident in counted_incidents(connection, rules, at, rule.id)
        if incident.cause is Cause.VIOLATED
    ]
    if decision.reason is Reason.FLAPPING_ENDED:
        # One mail says how it ended; the incidents that came and went need none of their own.
        for incident in violated:
            outbox.cancel_pending(connection, incident.id, at)
            incidents.mark_settled(connection, incident.id)
    if record.declared < Severity.ERROR:
        return 0
    news = _news(connection, rules, rule, decision, violated, at)
    queued = 0
    for channel, address in rules.recipients(rule.notify):
        reason = why_not_mailed(rules, (channel, address), decision.reason)
        if reason is not None:
            recipient = {"channel": channel, "recipient": address}
            audit.append(
                connection, at, "sanityd", "not notified", reason, rule=rule.id, detail=recipient
            )
            continue
        key = policy.dedup_key(decision.reason, channel, address, [[rule.id, at.isoformat()]])
        alert = Alert(decision.reason, at, (news,), channel, key)
        queued += enqueue(connection, rules, alert, address)
    return queued


def why_not_mailed(rules: RuleSet, recipient: Recipient, reason: Reason) -> Reason | None:
    """Return why a decision of the policy is not mailed to a recipient at once; None if it is."""
    channel = rules.channels[recipient[0]]
    if not channel.takes(reason):
        return Reason.NOT_TAKEN
    has_digest = rules.alerts.digest.at is not None
    is_in_digest = (reason in IN_DIGEST, has_digest, channel.digests, channel.takes(Reason.DIGEST))
    return Reason.IN_DIGEST if all(is_in_digest) else None


def _news(
    connection: Connection,
    rules: RuleSet,
    rule: Rule,
    decision: NoiseDecision,
    violated: Sequence[Incident],
    at: datetime,
) -> News:
    """Return what a message says of a decision about a rule, and of what is open of it."""
    incident = next((incident for incident in violated if incident.open), None)
    details = rule_details(connection, rule.id)
    words = ""
    if incident is not None:
        answer = runs.last_answered(connection, rule.id, at)
        words = sentence(rules, incident, answer)
    return News(
        reason=decision.reason,
        rule=rule.facts(rules.revision),
        incident=incident,
        sentence=words,
        looked_at=at,
        rows=details.rows if incident else (),
        history=details.history,
        noise=decision.sentence,
        due=decision.due,
    )
