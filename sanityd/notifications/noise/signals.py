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
#: How long after the last mail the next one is sent, by how many mails in a row nobody acted on.
PACE = (timedelta(0), timedelta(0), _DAY, 3 * _DAY)
#: A rule that is an error again is on probation: after so many mails or incidents that nobody
#: acted on, it is noisy again.
PROBATION = 2
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
    #: Incidents that nobody was mailed about, as nobody acted on the mails before.
    kept_back: int = 0

    @property
    def total(self) -> int:
        """The mails, and the incidents that were kept out of them."""
        return self.mails + self.kept_back

    @property
    def bound(self) -> float:
        """The largest plausible share of mails that people act on."""
        return wilson_upper(self.acted, self.total)

    @property
    def mostly_false(self) -> bool:
        """Whether people closed enough incidents as false positives."""
        return self.closed >= FALSE_OF and self.false_positives >= FALSE_SHARE * self.closed


def count(record: Record, state: NoiseState, settings: Settings, at: datetime) -> Counts:
    """Count the window before `at`.

    Only what came since the rule has its meaning, and after the end of the last downgrade. Of
    incidents without a mail only those count that were kept out because nobody acted on the mails
    before; others were not kept from anybody.
    """
    begin = max(at - settings.noise.window, record.since)
    sent = [mail for mail in record.sent if _counts(mail.at, begin, state)]
    in_time = [episode for episode in record.episodes if _counts(episode.began, begin, state)]
    closed = [episode.false_positive for episode in in_time if episode.closed]
    acted = {episode.incident for episode in record.episodes if episode.acted}
    kept_back = [episode.began for episode in _kept_back(record, state, begin)]
    times = [*kept_back, *(mail.at for mail in sent)]
    return Counts(
        mails=len(sent),
        acted=sum(mail.incident in acted for mail in sent),
        days=len({time.astimezone(settings.zone).date() for time in times}),
        first=min(times, default=None),
        closed=len(closed),
        false_positives=sum(closed),
        kept_back=len(kept_back),
    )


def is_seldom(state: NoiseState) -> bool:
    """Return whether nobody acted on so many mails that the digest has to do."""
    return state.ignored >= len(PACE)


def _kept_back(record: Record, state: NoiseState, begin: datetime) -> list[Episode]:
    """Return the incidents that ended by themselves and were kept out of the mails."""
    if not is_seldom(state):
        return []
    mailed = {mail.incident for mail in record.sent}
    kept_back = []
    for episode in record.ended:
        has_mail = episode.incident in mailed
        if all((episode.by_itself, not has_mail, _counts(episode.began, begin, state))):
            kept_back.append(episode)
    return kept_back


def _counts(when: datetime, begin: datetime, state: NoiseState) -> bool:
    """Return whether what happened then counts: in the window, and after the last downgrade."""
    return begin <= when and (state.restored_at is None or state.restored_at < when)


def noisy(record: Record, state: NoiseState, settings: Settings, at: datetime) -> Counts | None:
    """Return the numbers that speak for a downgrade; None when they do not.

    After a notice, the numbers that led to it still count: people withdraw it by acting, not time
    by passing.
    """
    starts = [at] if state.noticed_at is None else [state.noticed_at, at]
    for start in starts:
        counts = count(record, state, settings, start)
        is_ignored = _ignored(counts, record, settings, at)
        if any((counts.mostly_false, is_ignored, is_unchanged(counts, state))):
            return counts
    return None


def is_unchanged(counts: Counts, state: NoiseState) -> bool:
    """Return whether nobody acts on a rule that is on probation, as nobody did before."""
    is_restored = state.since is not None and state.restored_at is not None
    return all((is_restored, is_seldom(state), counts.total >= PROBATION, not counts.acted))


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
    return f"{_mails(counts)}{_without_mail(counts)}, {counts.acted or 'none'} acted on"


def at_length(counts: Counts, settings: Settings, at: datetime) -> str:
    """Return the numbers in full, for the mail that is about them."""
    if counts.mostly_false:
        return _false(counts)
    since = f" since {format_date(counts.first, at, settings.zone)}" if counts.first else ""
    days = "1 day" if counts.days == 1 else f"{counts.days} days"
    acted = counts.acted or "none"
    return (
        f"{_mails(counts)}{_without_mail(counts)} on {days}{since}, "
        f"{acted} of them about something that anybody acted on"
    )


def _ignored(counts: Counts, record: Record, settings: Settings, at: datetime) -> bool:
    """Return whether there were enough mails, and certainly few that people acted on."""
    noise = settings.noise
    enough_mails = counts.total >= noise.min_mails
    enough_days = counts.days >= noise.min_days
    old_enough = at - record.since >= noise.min_rule_age
    few_acted_on = counts.bound < noise.acted_upper_bound
    return all((enough_mails, enough_days, old_enough, few_acted_on))


def _mails(counts: Counts) -> str:
    """Return the number of mails in words."""
    return "1 mail" if counts.mails == 1 else f"{counts.mails:,} mails"


def _without_mail(counts: Counts) -> str:
    """Return the number of incidents that were kept out of the mails; empty without any."""
    if not counts.kept_back:
        return ""
    incidents = "1 incident" if counts.kept_back == 1 else f"{counts.kept_back:,} incidents"
    return f" and {incidents} without a mail"


def _false(counts: Counts) -> str:
    """Return how many incidents were closed as false positives, of how many that were closed."""
    return (
        f"{counts.false_positives} of {counts.closed} incidents that were closed "
        "were false positives"
    )
