"""The numbers of a rule's mails and incidents that speak for or against a downgrade."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sanityd.alerts.compose.times import format_date
from sanityd.alerts.settings import NoiseMode, Settings
from sanityd.model import NoiseState, Severity
from sanityd.notifications.noise.flapping import about_this_meaning
from sanityd.notifications.noise.types import Episode, PastRunResult, Record
from sanityd.notifications.noise.wilson import wilson_upper

_DAY = timedelta(days=1)
#: A rule is noisy from this share of false positives on, among so many closed incidents.
FALSE_SHARE, FALSE_OF = 0.5, 4
#: So many incidents that people acted on end a downgrade.
ACTED_AGAIN = 3
#: After so long without a violation the next one ends a downgrade.
CLEAN = 14 * _DAY


@dataclass(frozen=True, slots=True)
class Counts:
    """The mails and closed incidents that count, and those that people acted on."""

    mails: int
    acted: int
    days: int
    first: datetime | None
    closed: int
    false_positives: int

    @property
    def bound(self) -> float:
        """The largest plausible share of mails that people act on."""
        return wilson_upper(self.acted, self.mails)

    @property
    def mostly_false(self) -> bool:
        """Whether people closed enough incidents as false positives."""
        return self.closed >= FALSE_OF and self.false_positives >= FALSE_SHARE * self.closed


def count(record: Record, state: NoiseState, settings: Settings, at: datetime) -> Counts:
    """Count the window before `at`.

    Only what came since the rule has its meaning, and after the end of the last downgrade.
    """
    begin = max(at - settings.noise.window, record.since)
    sent = [mail for mail in record.sent if _counts(mail.at, begin, state)]
    closed = [episode for episode in _closed(record) if _counts(episode.began, begin, state)]
    acted = {episode.incident for episode in record.episodes if episode.acted}
    return Counts(
        mails=len(sent),
        acted=sum(mail.incident in acted for mail in sent),
        days=len({mail.at.astimezone(settings.zone).date() for mail in sent}),
        first=sent[0].at if sent else None,
        closed=len(closed),
        false_positives=sum(episode.false_positive for episode in closed),
    )


def _closed(record: Record) -> list[Episode]:
    return [episode for episode in record.episodes if episode.closed]


def _counts(when: datetime, begin: datetime, state: NoiseState) -> bool:
    return begin <= when and (state.restored_at is None or state.restored_at < when)


def noisy(record: Record, state: NoiseState, settings: Settings, at: datetime) -> Counts | None:
    """Return the numbers that speak for a downgrade; None when they do not.

    After a notice, the numbers that led to it still count: people withdraw it by acting, not time
    by passing.
    """
    starts = [at] if state.noticed_at is None else [state.noticed_at, at]
    for start in starts:
        counts = count(record, state, settings, start)
        if counts.mostly_false or _ignored(counts, record, settings, at):
            return counts
    return None


def mode(record: Record, settings: Settings) -> NoiseMode:
    """Return what the policy may do about the rule; critical rules have a setting of their own."""
    general = record.mode or settings.noise.auto
    if general == "off" or declared(record) < Severity.CRITICAL:
        return general
    return settings.noise.critical


def declared(record: Record) -> Severity:
    """Return the declared severity; critical at once when the last run was."""
    critical = bool(record.looks) and record.looks[-1].severity is Severity.CRITICAL
    return Severity.CRITICAL if critical else record.declared


def baseline(record: Record, settings: Settings, at: datetime) -> int:
    """Return the violations of the last run, or of the last violated one if that had more.

    Nobody acted on those either. Otherwise the next violation of a flapping rule would end its
    downgrade.
    """
    looks = about_this_meaning(record)
    if not looks:
        return 0
    last_violations = looks[-1].violations
    for look in reversed(looks):
        if look.severity is not None:
            is_recent = look.at >= at - settings.noise.window
            return max(last_violations, look.violations) if is_recent else last_violations
    return last_violations


def acted_since(record: Record, since: datetime) -> int:
    """Return how many incidents that were open at some time since then people acted on."""
    return sum(
        episode.acted
        for episode in record.episodes
        if episode.ended is None or episode.ended > since
    )


def clean_before(record: Record, since: datetime) -> timedelta | None:
    """Return how long the rule had held before the first violation after 14 clean days.

    None when there is no such violation since then. Days without runs are not clean: a gap of more
    than four intervals, and more than a day, starts them anew.
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
    """Return for how long the rule has held by now; zero if it does not, or was never run."""
    clean_since = at
    for look in reversed(record.looks):
        if look.severity is not None:
            break
        clean_since = look.at
    return at - clean_since


def briefly(counts: Counts) -> str:
    """Return the numbers for a line in each mail: `14 mails, none acted on`."""
    if counts.mostly_false:
        return _false(counts)
    return f"{_mails(counts)}, {counts.acted or 'none'} acted on"


def at_length(counts: Counts, settings: Settings, at: datetime) -> str:
    """Return the numbers in full, for the mail that is about them."""
    if counts.mostly_false:
        return _false(counts)
    since = f" since {format_date(counts.first, at, settings.zone)}" if counts.first else ""
    days = "1 day" if counts.days == 1 else f"{counts.days} days"
    acted = counts.acted or "none"
    return (
        f"{_mails(counts)} on {days}{since}, {acted} of them about something that anybody acted on"
    )


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
    return (
        f"{counts.false_positives} of {counts.closed} incidents that were closed "
        "were false positives"
    )
