"""What people are told about a rule's noise when they ask: suggestions, and each number with its threshold."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sanityd.alerts.compose.times import length, moment
from sanityd.alerts.settings import Settings
from sanityd.model import NoiseState, Severity
from sanityd.notifications.noise.decisions import barred, effective, until
from sanityd.notifications.noise.flapping import about_this_meaning, flap_score
from sanityd.notifications.noise.signals import (
    ACTED_AGAIN,
    CLEAN,
    FALSE_OF,
    FALSE_SHARE,
    acted_since,
    at_length,
    clean_until,
    count,
    declared,
    mode,
    noisy,
    ratchet,
)
from sanityd.notifications.noise.types import Episode, Record

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_LOOK_BACK = timedelta(days=14)
#: From which share of how many incidents those that were over at once are the rule's habit.
_SHORT_SHARE, _SHORT_OF = 0.8, 5


@dataclass(frozen=True, slots=True)
class _Transient:
    """The incidents of two weeks, those of them that were soon over by themselves, and the mails about them."""

    episodes: int
    short: list[Episode]
    mails: int
    spared: int

    @property
    def habit(self) -> bool:
        return self.episodes >= _SHORT_OF and len(self.short) >= _SHORT_SHARE * self.episodes


def suggestion(record: Record, at: datetime) -> str | None:
    """That the rule waits a little, if most of what it finds is soon over by itself, and how many mails that saves."""
    found = _transient(until(record, at), at)
    if not found.habit or not found.spared:
        return None
    wait = _longer_than(
        max(episode.ended - episode.began for episode in found.short if episode.ended)
    )
    noun = "mail" if found.mails == 1 else "mails"
    return f"`within: {wait}` would have spared you {found.spared:,} of {found.mails:,} {noun}"


def advice(record: Record, standing: NoiseState, settings: Settings, at: datetime) -> list[str]:
    """What its people could do about the rule's noise that isn't done by itself."""
    if (record.mode or settings.noise.auto) == "off":
        return []
    found = [suggestion(record, at), _suggested_step(until(record, at), standing, settings, at)]
    return [sentence for sentence in found if sentence]


def explain(record: Record, standing: NoiseState, settings: Settings, at: datetime) -> list[str]:
    """Each signal with its number and what it is compared with."""
    known = until(record, at)
    return [
        _severity(known, standing),
        *_decided(standing, settings, at),
        f"downgrading: {_downgrading(known, standing, settings, at)}",
        *_mails(known, standing, settings, at),
        _flaps(known, standing, settings, at),
        _brief(known, at),
        *(
            _way_back(known, standing, standing.since, at)
            if standing.steps and standing.since
            else []
        ),
    ]


def _suggested_step(
    record: Record, standing: NoiseState, settings: Settings, at: datetime
) -> str | None:
    severity = declared(record)
    counted = effective(severity, standing.steps)
    locked = standing.locked_until is not None and at < standing.locked_until
    if mode(record, settings) != "suggest" or locked or counted <= Severity.WARNING:
        return None
    counts = noisy(record, standing, settings, at)
    return (
        f"{at_length(counts, settings, at)}: consider `severity: {effective(counted, 1).label}`"
        if counts
        else None
    )


def _transient(record: Record, at: datetime) -> _Transient:
    begin = max(at - _LOOK_BACK, record.since)
    episodes = [episode for episode in record.episodes if episode.began >= begin]
    short = [episode for episode in episodes if _soon_over(episode, 2 * record.interval)]
    mails = [mail.incident for mail in record.sent if mail.at >= begin]
    spared = {episode.incident for episode in short}
    return _Transient(
        len(episodes), short, len(mails), sum(incident in spared for incident in mails)
    )


def _soon_over(episode: Episode, limit: timedelta) -> bool:
    """By itself: what people had a hand in was worth a mail."""
    by_itself = not (episode.acted or episode.closed)
    return by_itself and episode.ended is not None and episode.ended - episode.began <= limit


def _longer_than(span: timedelta) -> str:
    """The next whole minute, or hour, as the rules file writes it: a row that is exactly as old is judged already."""
    if span < 2 * _HOUR:
        return f"{span // _MINUTE + 1}m"
    return f"{span // _HOUR + 1}h"


def _severity(record: Record, standing: NoiseState) -> str:
    severity = declared(record)
    sentence = f": {standing.sentence}" if standing.sentence else ""
    return f"severity: declared {severity.label}, counts as {effective(severity, standing.steps).label}{sentence}"


def _decided(standing: NoiseState, settings: Settings, at: datetime) -> list[str]:
    def when(moment_: datetime | None) -> str:
        return moment(moment_, at, settings.zone) if moment_ else "none"

    said = [
        ("notice", standing.noticed_at, f", due {when(standing.due)}"),
        ("last downgrade", standing.since, f", at most one in {length(settings.noise.cooldown)}"),
        ("last end of a downgrade", standing.restored_at, ", mails until then don't count"),
        ("no downgrade before", standing.locked_until, ", by a human's undo"),
    ]
    return [f"{what}: {when(then)}{more}" for what, then, more in said if then]


def _downgrading(record: Record, standing: NoiseState, settings: Settings, at: datetime) -> str:
    whose = "the rule's own `noise`" if record.mode else "`alerts.noise`"
    chosen = mode(record, settings)
    if (record.mode or settings.noise.auto) != chosen:
        whose = "`alerts.noise.critical`"
    never = barred(record, standing, settings, at)
    return f"{chosen}, says {whose}{f'; none now, as {never}' if never else ''}"


def _mails(record: Record, standing: NoiseState, settings: Settings, at: datetime) -> list[str]:
    noise, counts = settings.noise, count(record, standing, settings, at)
    return [
        f"mails in {length(noise.window)}: {counts.mails} (at least {noise.min_mails}) "
        f"on {counts.days} days (at least {noise.min_days})",
        f"age of the rule's meaning: {length(at - record.since)} (at least {length(noise.min_rule_age)})",
        f"acted on: {counts.acted} of {counts.mails}, so at most {counts.bound:.3f} of them by Wilson's bound "
        f"(less than {noise.acted_upper_bound:g})",
        f"false positives: {counts.false_positives} of {counts.closed} closed incidents "
        f"(at least {FALSE_SHARE:.0%} of at least {FALSE_OF})".replace("%", " %"),
    ]


def _flaps(record: Record, standing: NoiseState, settings: Settings, at: datetime) -> str:
    flapping, looks = settings.flapping, about_this_meaning(record)
    score = flap_score(looks, flapping.window)
    seen = min(max(len(looks) - 1, 0), flapping.window)
    since = standing.flapping_since
    state = f"flapping since {moment(since, at, settings.zone)}" if since else "not flapping"
    return (
        f"flap score: {score:.1f} over {seen} of {flapping.window} changes of run "
        f"(flapping from {flapping.start:g} on, calm at {flapping.end:g}): {state}"
    )


def _brief(record: Record, at: datetime) -> str:
    found = _transient(record, at)
    return (
        f"soon over by itself: {len(found.short)} of {found.episodes} incidents in {length(_LOOK_BACK)} within "
        f"{length(2 * record.interval)} (a habit from {_SHORT_SHARE:.0%} of at least {_SHORT_OF} on)".replace(
            "%", " %"
        )
    )


def _way_back(record: Record, standing: NoiseState, since: datetime, at: datetime) -> list[str]:
    now = record.looks[-1].violations if record.looks else 0
    return [
        f"violations: {now:,} (restored above {ratchet(standing.baseline):,g}, it was {standing.baseline:,})",
        f"incidents acted on since the downgrade: {acted_since(record, since)} (restored at {ACTED_AGAIN})",
        f"without a violation: {length(clean_until(record, at))} (the first one after {length(CLEAN)} restores)",
    ]
