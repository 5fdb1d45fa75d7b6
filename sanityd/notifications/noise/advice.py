"""The noise of a rule, for people: suggestions, and each number with its threshold."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sanityd.alerts.compose.times import format_rounded, format_time
from sanityd.alerts.settings import Settings
from sanityd.model import NoiseState, Severity
from sanityd.notifications.noise.attention import SELDOM
from sanityd.notifications.noise.decisions import effective, until, why_not
from sanityd.notifications.noise.flapping import about_this_meaning, flap_score
from sanityd.notifications.noise.signals import (
    ACTED_AGAIN,
    CLEAN,
    FALSE_OF,
    FALSE_SHARE,
    PACE,
    acted_since,
    at_length,
    clean_until,
    count,
    declared,
    mode,
    noisy,
)
from sanityd.notifications.noise.types import Episode, Record
from sanityd.notifications.policy import quiet_limit

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_LOOK_BACK = timedelta(days=14)
#: Incidents that are soon over are a habit from this share on, among so many.
_SHORT_SHARE, _SHORT_OF = 0.8, 5


@dataclass(frozen=True, slots=True)
class _Transient:
    """The incidents of two weeks, and the mails about them."""

    episodes: int
    #: Those that were soon over by themselves.
    short: list[Episode]
    mails: int
    #: The mails about the short ones.
    spared: int

    @property
    def habit(self) -> bool:
        """Whether most incidents are short."""
        return self.episodes >= _SHORT_OF and len(self.short) >= _SHORT_SHARE * self.episodes


def suggestion(record: Record, at: datetime) -> str | None:
    """Suggest `within` when most incidents are soon over by themselves; with the mails it saves."""
    transient = _transient(until(record, at), at)
    if not transient.habit or not transient.spared:
        return None
    longest = max(
        episode.ended - episode.began for episode in transient.short if episode.ended is not None
    )
    mails = "1 mail" if transient.mails == 1 else f"{transient.mails:,} mails"
    wait = _longer_than(longest)
    return f"`within: {wait}` would have spared you {transient.spared:,} of {mails}"


def advice(record: Record, state: NoiseState, settings: Settings, at: datetime) -> list[str]:
    """Return what people could do about the noise that the policy does not do by itself."""
    if (record.mode or settings.noise.auto) == "off":
        return []
    suggestions = [
        suggestion(record, at),
        _suggested_step(until(record, at), state, settings, at),
    ]
    return [sentence for sentence in suggestions if sentence]


def explain(record: Record, state: NoiseState, settings: Settings, at: datetime) -> list[str]:
    """Return each signal with its number and its threshold."""
    known_then = until(record, at)
    lines = [
        _severity(known_then, state),
        *_decided(state, settings, at),
        f"downgrading: {_downgrading(known_then, state, settings, at)}",
        *_mails(known_then, state, settings, at),
        _flaps(known_then, state, settings, at),
        _brief(known_then, at),
        _pace(state),
        f"pause: {state.pause_sentence or 'none, the first mail comes at once'}",
    ]
    if state.steps and state.since:
        lines += _restoration(known_then, state, state.since, at)
    return lines


def _pace(state: NoiseState) -> str:
    """Return how many mails nobody acted on, and after how many the next ones come when."""
    gaps = ", ".join(format_rounded(gap) if gap else "at once" for gap in PACE)
    return (
        f"mails in a row that nobody acted on: {state.ignored} "
        f"(the next one comes {gaps} later, after that in {format_rounded(SELDOM)})"
    )


def _suggested_step(
    record: Record, state: NoiseState, settings: Settings, at: datetime
) -> str | None:
    """Return the suggestion to lower a severity that may not be lowered by itself."""
    severity = declared(record)
    counted = effective(severity, state.steps)
    is_locked = at < (state.locked_until or at)
    only_suggests = mode(record, settings) == "suggest"
    if not all((only_suggests, not is_locked, counted > Severity.WARNING)):
        return None
    counts = noisy(record, state, settings, at)
    if counts is None:
        return None
    lower = effective(counted, 1).label
    return f"{at_length(counts, settings, at)}: consider `severity: {lower}`"


def _transient(record: Record, at: datetime) -> _Transient:
    """Count the incidents that were soon over by themselves, and the mails about them."""
    begin = max(at - _LOOK_BACK, record.since)
    limit = 2 * record.interval
    episodes = [episode for episode in record.episodes if episode.began >= begin]
    short = [episode for episode in episodes if _soon_over(episode, limit)]
    short_incidents = {episode.incident for episode in short}
    mails = 0
    avoidable = 0
    for mail in record.sent:
        if mail.at < begin:
            continue
        mails += 1
        if mail.incident in short_incidents:
            avoidable += 1
    return _Transient(len(episodes), short, mails, avoidable)


def _soon_over(episode: Episode, limit: timedelta) -> bool:
    """Return whether it was over within the limit by itself: no person acted on it."""
    if episode.acted or episode.closed or episode.ended is None:
        return False
    return episode.ended - episode.began <= limit


def _longer_than(span: timedelta) -> str:
    """Return the next whole minute or hour, as the rules file writes it.

    Not the span itself: a row exactly that old is judged already.
    """
    if span < 2 * _HOUR:
        return f"{span // _MINUTE + 1}m"
    return f"{span // _HOUR + 1}h"


def _severity(record: Record, state: NoiseState) -> str:
    """Return the declared severity, the one that counts, and why they differ."""
    severity = declared(record)
    counted = effective(severity, state.steps)
    sentence = f": {state.sentence}" if state.sentence else ""
    return f"severity: declared {severity.label}, counts as {counted.label}{sentence}"


def _decided(state: NoiseState, settings: Settings, at: datetime) -> list[str]:
    """Return the decisions of the past that still matter, with their times."""

    def local(when: datetime) -> str:
        return format_time(when, at, settings.zone)

    lines = []
    if state.noticed_at is not None:
        due = local(state.due) if state.due else "none"
        lines.append(f"notice: {local(state.noticed_at)}, due {due}")
    if state.since is not None:
        cooldown = format_rounded(settings.noise.cooldown)
        lines.append(f"last downgrade: {local(state.since)}, at most one in {cooldown}")
    if state.restored_at is not None:
        ended = local(state.restored_at)
        lines.append(f"last end of a downgrade: {ended}, mails until then don't count")
    if state.locked_until is not None:
        lines.append(f"no downgrade before: {local(state.locked_until)}, by a human's undo")
    return lines


def _downgrading(record: Record, state: NoiseState, settings: Settings, at: datetime) -> str:
    """Return what the policy may do, which setting says so, and why it does nothing now."""
    chosen = mode(record, settings)
    if (record.mode or settings.noise.auto) != chosen:
        setting = "`alerts.noise.critical`"
    elif record.mode:
        setting = "the rule's own `noise`"
    else:
        setting = "`alerts.noise`"
    why = why_not(record, state, settings, at)
    return f"{chosen} (set in {setting})" + (f"; none now, as {why}" if why else "")


def _mails(record: Record, state: NoiseState, settings: Settings, at: datetime) -> list[str]:
    """Return the numbers of mails, days and incidents that a downgrade needs."""
    noise, counts = settings.noise, count(record, state, settings, at)
    age, least_age = format_rounded(at - record.since), format_rounded(noise.min_rule_age)
    return [
        f"mails in {format_rounded(noise.window)}: {counts.mails} (at least {noise.min_mails}) "
        f"on {counts.days} days (at least {noise.min_days})",
        f"days since the check was last changed: {age} (at least {least_age})",
        f"acted on: {counts.acted} of {counts.mails}, so at most {counts.bound:.3f} of them "
        f"by Wilson's bound (less than {noise.acted_upper_bound:g})",
        f"false positives: {counts.false_positives} of {counts.closed} closed incidents "
        f"(at least {_percent(FALSE_SHARE)} of at least {FALSE_OF})",
    ]


def _flaps(record: Record, state: NoiseState, settings: Settings, at: datetime) -> str:
    """Return the flap score with its thresholds, and since when the rule is flapping."""
    flapping, looks = settings.flapping, about_this_meaning(record)
    score = flap_score(looks, flapping.window)
    changes = min(max(len(looks) - 1, 0), flapping.window)
    is_flapping = "not flapping"
    if state.flapping_since:
        is_flapping = f"flapping since {format_time(state.flapping_since, at, settings.zone)}"
    return (
        f"flap score: {score:.1f} over {changes} of {flapping.window} changes of state "
        f"(flapping from {flapping.start:g} on, ends at {flapping.end:g}): {is_flapping}"
    )


def _brief(record: Record, at: datetime) -> str:
    """Return how many incidents were soon over, and from how many on that is a habit."""
    transient = _transient(record, at)
    return (
        f"incidents that ended soon without action: {len(transient.short)} of {transient.episodes} "
        f"in {format_rounded(_LOOK_BACK)} within {format_rounded(2 * record.interval)} "
        f"(a suggestion from {_percent(_SHORT_SHARE)} of at least {_SHORT_OF} on)"
    )


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _restoration(record: Record, state: NoiseState, since: datetime, at: datetime) -> list[str]:
    """Return how far the rule is from the end of its downgrade."""
    now = record.looks[-1].violations if record.looks else 0
    usual = state.usual or state.baseline
    limit = quiet_limit(usual)
    clean = format_rounded(clean_until(record, at))
    return [
        f"violations: {now:,} (restored above {limit:,g}, usually at most {usual:,})",
        f"incidents acted on since the downgrade: {acted_since(record, since)} "
        f"(restored at {ACTED_AGAIN})",
        f"without a violation: {clean} (the first one after {format_rounded(CLEAN)} restores)",
    ]
