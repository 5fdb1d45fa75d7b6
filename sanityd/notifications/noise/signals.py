"""What is counted of a rule's mails and incidents, and what that says for or against a downgrade."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sanityd.alerts.compose.times import day
from sanityd.alerts.settings import NoiseMode, Settings
from sanityd.model import NoiseState, Severity
from sanityd.notifications.noise.flapping import about_this_meaning
from sanityd.notifications.noise.types import PastRunResult, Record
from sanityd.notifications.noise.wilson import wilson_upper

_DAY = timedelta(days=1)
#: From which share of how many closed incidents false ones speak for themselves.
FALSE_SHARE, FALSE_OF = 0.5, 4
#: How many incidents that people acted on end a downgrade.
ACTED_AGAIN = 3
#: After how long without a violation the next one is news again.
CLEAN = 14 * _DAY


@dataclass(frozen=True, slots=True)
class Counts:
    """The mails and closed incidents that count."""

    mails: int
    acted: int
    days: int
    first: datetime | None
    closed: int
    false_positives: int

    @property
    def bound(self) -> float:
        """The share that people act on is at most this."""
        return wilson_upper(self.acted, self.mails)

    @property
    def mostly_false(self) -> bool:
        """Whether people closed enough incidents as false positives."""
        return self.closed >= FALSE_OF and self.false_positives >= FALSE_SHARE * self.closed


def count(record: Record, standing: NoiseState, settings: Settings, at: datetime) -> Counts:
    """What came within the window before `at`, since the rule has its meaning, and after the last downgrade's end."""
    begin = max(at - settings.noise.window, record.since)

    def counts(when: datetime) -> bool:
        return begin <= when and (standing.restored_at is None or standing.restored_at < when)

    acted = {episode.incident for episode in record.episodes if episode.acted}
    sent = [mail for mail in record.sent if counts(mail.at)]
    closed = [episode for episode in record.episodes if episode.closed and counts(episode.began)]
    return Counts(
        mails=len(sent),
        acted=sum(mail.incident in acted for mail in sent),
        days=len({mail.at.astimezone(settings.zone).date() for mail in sent}),
        first=sent[0].at if sent else None,
        closed=len(closed),
        false_positives=sum(episode.false_positive for episode in closed),
    )


def noisy(record: Record, standing: NoiseState, settings: Settings, at: datetime) -> Counts | None:
    """The numbers that speak for a downgrade, if they do.

    While a notice is out, what led to it still counts: only that people act withdraws it, not that time passes.
    """
    starts = [at] if standing.noticed_at is None else [standing.noticed_at, at]
    for start in starts:
        counts = count(record, standing, settings, start)
        if counts.mostly_false or _ignored(counts, record, settings, at):
            return counts
    return None


def mode(record: Record, settings: Settings) -> NoiseMode:
    """What may be done about the rule: what is critical is at most talked about."""
    general = record.mode or settings.noise.auto
    if general == "off" or declared(record) < Severity.CRITICAL:
        return general
    return settings.noise.critical


def declared(record: Record) -> Severity:
    """The declared severity, but what is critical at the last look is critical at once."""
    critical = bool(record.looks) and record.looks[-1].severity is Severity.CRITICAL
    return Severity.CRITICAL if critical else record.declared


def ratchet(baseline: int) -> float:
    """More violations than this are another matter than those that nobody acted on."""
    return max(1.5 * baseline, baseline + 5)


def baseline(record: Record, settings: Settings, at: datetime) -> int:
    """The violations at the last look, or at the last one that was violated if it holds just now.

    Nobody acted on those either. A rule that comes and goes would be back at its next violation otherwise.
    """
    looks = about_this_meaning(record)
    violated = next((look for look in reversed(looks) if look.severity is not None), None)
    recent = violated is not None and violated.at >= at - settings.noise.window
    return max(
        looks[-1].violations if looks else 0, violated.violations if violated and recent else 0
    )


def acted_since(record: Record, since: datetime) -> int:
    """How many incidents that began or went on since then were acted on."""
    return sum(
        episode.acted
        for episode in record.episodes
        if episode.ended is None or episode.ended > since
    )


def clean_before(record: Record, since: datetime) -> timedelta | None:
    """How long the rule had held before the first violation since then that came after 14 clean days; None: no such.

    Days on which nobody looked are not clean: a gap of more than four intervals, and more than a day, ends them.
    """
    gap = max(_DAY, 4 * record.interval)
    clean: datetime | None = None
    before: PastRunResult | None = None
    for look in record.looks:
        if before is not None and look.at - before.at > gap:
            clean = None
        if look.severity is None:
            clean = clean or look.at
        else:
            if clean is not None and look.at > since and look.at - clean >= CLEAN:
                return look.at - clean
            clean = None
        before = look
    return None


def clean_until(record: Record, at: datetime) -> timedelta:
    """How long it has held without a violation by now; nothing if it doesn't, or if nobody looked."""
    held: datetime | None = None
    for look in reversed(record.looks):
        if look.severity is not None:
            break
        held = look.at
    return at - held if held else timedelta(0)


def briefly(counts: Counts) -> str:
    """The numbers for a line in each mail: `14 mails, none acted on`."""
    if counts.mostly_false:
        return _false(counts)
    return f"{_mails(counts)}, {counts.acted or 'none'} acted on"


def at_length(counts: Counts, settings: Settings, at: datetime) -> str:
    """The numbers for the mail that is about them."""
    if counts.mostly_false:
        return _false(counts)
    since = f" since {day(counts.first, at, settings.zone)}" if counts.first else ""
    days = "1 day" if counts.days == 1 else f"{counts.days} days"
    return f"{_mails(counts)} on {days}{since}, {counts.acted or 'none'} of them about something that anybody acted on"


def _ignored(counts: Counts, record: Record, settings: Settings, at: datetime) -> bool:
    noise = settings.noise
    return (
        counts.mails >= noise.min_mails
        and counts.days >= noise.min_days
        and at - record.since >= noise.min_rule_age
        and counts.bound < noise.acted_upper_bound
    )


def _mails(counts: Counts) -> str:
    return "1 mail" if counts.mails == 1 else f"{counts.mails:,} mails"


def _false(counts: Counts) -> str:
    return f"{counts.false_positives} of {counts.closed} incidents that were closed were false positives"
