"""The digest of each recipient, filled from the store once a day: what is mild, old or quiet, how the checker is."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from sanityd import __version__
from sanityd.alerts.compose.digest_view import Digest, DigestLine, acknowledge, render_digest
from sanityd.alerts.compose.times import moment as said
from sanityd.alerts.settings import WEEKDAYS
from sanityd.model import Alert, Cause, Incident, Reason, Run, Severity, Triage
from sanityd.model.durations import format_duration
from sanityd.notifications.context import AlertContext, sentence
from sanityd.notifications.notify import EXPIRES, Recipient
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import incidents, notification_log, outbox, runs, silences, triage

_DAY = timedelta(days=1)
#: Over how long the share of mails that somebody acted on is told.
_QUALITY = timedelta(days=28)
#: A rule that was not looked at for so many of its intervals, and a while, is overdue.
_LATE, _AT_LEAST = 3, timedelta(hours=1)
#: What is open again within that time came back.
_AGAIN = timedelta(days=7)


def send(memory: Connection, rules: RuleSet, at: datetime) -> int:
    """Ask for the digests of today, once their time has come. Returns how many messages that are."""
    dues = _due(memory, rules, at)
    if dues is None:
        return 0
    due, begin = dues
    settings = rules.alerts
    done = f"digest {due.date()}"
    decided = incidents.decided(memory, [done])
    left = {who: names for who, names in _readers(rules).items() if (done, *who) not in decided}
    if not left:
        return 0
    known = _DigestInput(memory, rules, at, begin)
    queued = 0
    for who, names in left.items():
        digest = known.digest(who, [rules.rules[name] for name in names])
        incidents.decide(memory, (done, *who), Reason.DIGEST, at)
        if digest.empty and not _says_all_is_well(rules, due):
            continue
        message = render_digest(
            digest, zone=settings.zone, version=__version__, templates=rules.folder / "alerts"
        )
        alert = Alert(Reason.DIGEST, at, (), who[0], message.key)
        queued += outbox.enqueue(
            memory, message, alert, at=at, not_before=at, expires_at=at + EXPIRES / 3
        )
    return queued


def _due(memory: Connection, rules: RuleSet, at: datetime) -> tuple[datetime, datetime] | None:
    """When the newest digest was due, and the one before; None on other days, and before anything was looked at.

    Whoever passes by only once a day, and earlier than its time, gets the one of the day before.
    """
    settings = rules.alerts.digest
    local = at.astimezone(settings.zone or rules.alerts.zone)
    if settings.at is None or WEEKDAYS[local.weekday()] not in settings.days:
        return None
    today = local.replace(hour=settings.at.hour, minute=settings.at.minute, second=0, microsecond=0)
    days = (today - _DAY * ago for ago in range(15))
    dues = [due for due in days if due <= local and WEEKDAYS[due.weekday()] in settings.days]
    first = runs.first_at(memory)
    if len(dues) < 2 or first is None or first >= dues[0]:
        return None
    return dues[0], dues[1]


def _says_all_is_well(rules: RuleSet, due: datetime) -> bool:
    when = rules.alerts.digest.empty
    return when == "always" or (when == "monday" and WEEKDAYS[due.weekday()] == "mon")


def _readers(rules: RuleSet) -> dict[Recipient, list[str]]:
    """Who gets a digest of which rules: each address one, however many channels it has."""
    readers: dict[str, Recipient] = {}
    heard: dict[Recipient, dict[str, None]] = {}
    for rule in rules.enabled():
        names = [name for name in (*rule.notify, *rule.on_error) if rules.channels[name].digests]
        for channel, recipient in rules.recipients(names):
            who = readers.setdefault(recipient, (channel, recipient))
            heard.setdefault(who, {})[rule.id] = None
    return {who: list(names) for who, names in heard.items()}


@dataclass
class _DigestInput:
    """What all digests of a day are made of, read once."""

    memory: Connection
    rules: RuleSet
    at: datetime
    #: When the digest before was due.
    since: datetime

    def __post_init__(self) -> None:
        self.moment = AlertContext(self.memory, self.rules, self.at)
        self.open = incidents.list_open(self.memory)
        self.counted = {incident.id: incident for incident in self.moment.incidents}
        self.over = incidents.resolved_since(self.memory, min(self.since, self.at - _AGAIN))
        self.last = {
            rule.id: runs.last(self.memory, rule.id, self.at) for rule in self.rules.enabled()
        }
        self.sent = notification_log.sent_since(self.memory, self.at - _QUALITY)
        self.acted = {
            one.incident for one in triage.since(self.memory, self.at - _QUALITY - _AGAIN)
        }
        self.undelivered = outbox.summary(self.memory)

    def digest(self, who: Recipient, rules: list[Rule]) -> Digest:
        """What one recipient reads."""
        ours = {rule.id for rule in rules}
        about = [
            self.counted.get(one.id, one)
            for one in self.open
            if one.rule in ours and one.cause is Cause.VIOLATED
        ]
        fresh = [one for one in about if one.opened_at >= self.since]
        back = [one for one in fresh if self._came_back(one)]
        loud = [one for one in about if one not in fresh and one.severity >= Severity.ERROR]
        undecided = [one for one in loud if self.moment.triage(one) is None]
        return Digest(
            at=self.at,
            recipient=who[1],
            channel=who[0],
            health=tuple(self._health(rules)),
            decisions=(*map(self._line, undecided), *self._ending(ours), *self._downgrades(ours)),
            new=tuple(self._line(one) for one in fresh if one not in back),
            regressed=tuple(map(self._line, back)),
            open=tuple(
                self._line(one) for one in about if one not in fresh and one not in undecided
            ),
            noise=tuple(self._quiet(ours)),
            resolved=tuple(
                self._ended(one) for one in self.over if one.rule in ours and self._is_news(one)
            ),
            quality=self._quality(ours),
            holding=sum(self._holds(self.last.get(rule.id)) for rule in rules),
        )

    def _health(self, rules: list[Rule]) -> Iterator[DigestLine]:
        ours = {rule.id for rule in rules}
        sources = {name for rule in rules for name in (rule.source, rule.invariant.elsewhere)}
        for one in self.open:
            if one.cause is Cause.SOURCE_DOWN and one.source in sources:
                yield DigestLine(one.rule, sentence(self.moment, one), None, one.opened_at)
            if one.cause is Cause.ERRORED and one.rule in ours:
                yield DigestLine(
                    one.rule,
                    sentence(self.moment, one),
                    None,
                    one.opened_at,
                    f"sanityd try {one.rule}",
                )
        for rule in rules:
            last = self.last.get(rule.id)
            patience = max(_LATE * rule.schedule.interval, _AT_LEAST)
            if (
                last is not None
                and rule.schedule.slot_before(self.at)
                and self.at - last.at > patience
            ):
                ago = format_duration(self.at - last.at)
                yield DigestLine(
                    rule.id,
                    f"was not looked at for {ago}; it is due {rule.schedule}",
                    None,
                    last.at,
                )
        if self.undelivered.dead or self.undelivered.waiting:
            dead, waiting = self.undelivered.dead, self.undelivered.waiting
            words = f"messages: {dead:,} given up, {waiting:,} not delivered yet"
            yield DigestLine("outbox", words, None, self.undelivered.oldest, "sanityd status")

    def _line(self, one: Incident) -> DigestLine:
        decision = self.moment.triage(one)
        words = sentence(self.moment, one)
        if decision is not None:
            words += (
                f"; {decision.action.value} by {decision.author} until {self._said(decision.until)}"
            )
        command = "" if decision is not None else acknowledge(one.rule)
        return DigestLine(one.rule, words, one.severity, one.opened_at, command)

    def _ended(self, one: Incident) -> DigestLine:
        lasted = format_duration((one.resolved_at or self.at) - one.opened_at)
        return DigestLine(one.rule, f"holds again, after {lasted}", one.severity, one.resolved_at)

    def _ending(self, ours: set[str]) -> Iterator[DigestLine]:
        """Decisions that run out before the next digest."""
        for one in triage.in_force(self.memory):
            if one.rule in ours and one.until <= self.at + (self.at - self.since):
                yield DigestLine(
                    one.rule,
                    f"{_decided(one)} ends {self._said(one.until)}",
                    None,
                    one.at,
                    acknowledge(one.rule),
                )

    def _downgrades(self, ours: set[str]) -> Iterator[DigestLine]:
        for rule, standing in self.moment.noise_states.items():
            if rule in ours and standing.due is not None:
                words = f"will be a warning from {self._said(standing.due)} on, as nobody acts on its mails"
                yield DigestLine(
                    rule, words, None, standing.noticed_at, f"sanityd noise undo {rule}"
                )

    def _quiet(self, ours: set[str]) -> Iterator[DigestLine]:
        for rule, standing in self.moment.noise_states.items():
            if rule in ours and standing.flapping_since is not None:
                yield DigestLine(
                    rule, "comes and goes, so it is quiet", None, standing.flapping_since
                )
            if rule in ours and standing.steps:
                yield DigestLine(
                    rule, standing.sentence, None, standing.since, f"sanityd noise undo {rule}"
                )
        for one in silences.listed(self.memory, self.at):
            about = ", ".join(
                part for part in (one.rule, one.tag and f"tag {one.tag}", one.source) if part
            )
            words = f"silenced by {one.author} until {self._said(one.until)}: {one.reason}"
            yield DigestLine(about, words, None, one.starts, f"sanityd silence --end {one.id}")

    def _quality(self, ours: set[str]) -> str:
        mails = [incident for rule, incident in self.sent if rule in ours]
        if not mails:
            return ""
        acted = sum(incident in self.acted for incident in mails)
        return (
            f"{_QUALITY.days} d: {len(mails):,} mail{'s' * (len(mails) != 1)}, {acted:,} acted on"
        )

    def _came_back(self, one: Incident) -> bool:
        return any(
            before.rule == one.rule
            and before.resolved_at is not None
            and before.resolved_at > one.opened_at - _AGAIN
            for before in self.over
        )

    def _is_news(self, one: Incident) -> bool:
        return (
            one.cause is Cause.VIOLATED
            and one.resolved_at is not None
            and one.resolved_at >= self.since
        )

    def _said(self, when: datetime) -> str:
        return said(when, self.at, self.rules.alerts.zone)

    @staticmethod
    def _holds(last: Run | None) -> bool:
        return last is not None and last.verdict == "passed"


def _decided(one: Triage) -> str:
    what = "the accepted row" if one.fingerprint else f"what {one.author} {one.action.value}"
    return f"{what} ({one.reason})"
