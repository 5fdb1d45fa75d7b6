"""Flapping: Icinga 2's score of the last runs, with one threshold to start and one to end."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from sanityd.alerts.settings import Flapping
from sanityd.model import NoiseState, Reason
from sanityd.notifications.noise.types import NoiseDecision, PastRunResult, Record

#: Flapping ends after a calm of so many of the gaps between its changes, and at least so long.
CALM_GAPS, LEAST_CALM = 4, timedelta(days=1)
#: What begins again so soon after its end is the same flapping.
SAME_PERIOD = timedelta(days=7)

#: The new state of a rule, and the decisions that led to it.
FlappingUpdate = tuple[NoiseState, tuple[NoiseDecision, ...]]


def flap_score(looks: Sequence[PastRunResult], window: int = 20) -> float:
    """Return how much a rule came and went in its last runs, from 0 to about 100.

    Icinga 2's sum in `Checkable::UpdateFlappingStatus` (lib/icinga/checkable-flapping.cpp): each
    change between one run and the next counts 0.8 if it is the oldest of the window, up to 1.18 for
    the newest of 20, as a share of the window. Missing runs count as unchanged, as there. The sum
    is made of whole numbers, so that a score that equals a threshold compares as equal.
    """
    changes = _changes(looks, window)
    newest_weight = 3 * window - 1
    oldest_weight = newest_weight - len(changes) + 1
    total = 0
    for weight, is_change in enumerate(changes, start=oldest_weight):
        if is_change:
            total += weight
    return 40 * total / window**2


def follow(record: Record, state: NoiseState, settings: Flapping) -> FlappingUpdate:
    """Return whether the rule is flapping now; a decision when that begins or ends.

    Fewer runs than the window begin nothing. It ends when the score is low and the rule did not
    change for several times as long as it usually takes to, at least a day. When it begins again
    within a week, that is the same flapping, and no decision.
    """
    looks = about_this_meaning(record)
    since = state.flapping_since
    is_flapping = since is not None and since >= record.since
    if is_flapping:
        state = replace(state, calm_from=_calm_from(looks, settings) or state.calm_from)
        if not _is_over(looks, state, settings):
            return state, ()
    onset = _onset(looks, settings)
    if onset is None or is_flapping:
        return _ended(record, state, settings)
    before_onset = looks[onset - settings.window : onset + 1]
    peak = max(look.violations for look in before_onset)
    flapping = replace(
        state,
        flapping_since=looks[onset].at,
        peak=peak,
        calm_from=_calm_from(looks, settings),
        flapping_ended_at=None,
    )
    if since is not None or _ended_lately(state, looks[-1].at):
        return flapping, ()
    sentence = _flapping(looks, flapping, settings)
    return flapping, (NoiseDecision(Reason.FLAPPING_STARTED, sentence),)


def _ended(record: Record, state: NoiseState, settings: Flapping) -> FlappingUpdate:
    """Return the state of a rule that is not flapping, and the decision when it was until now."""
    at = record.looks[-1].at if record.looks else None
    calm = replace(state, flapping_since=None, peak=0, calm_from=None)
    if state.flapping_since is None:
        if at is None or not _ended_lately(state, at):
            calm = replace(calm, flapping_ended_at=None)
        return calm, ()
    is_same_meaning = state.flapping_since >= record.since
    calm = replace(calm, flapping_ended_at=at if is_same_meaning else None)
    return calm, (NoiseDecision(Reason.FLAPPING_ENDED, _calm(record, state, settings)),)


def _ended_lately(state: NoiseState, at: datetime) -> bool:
    """Return whether flapping that begins at that time is the one of before."""
    return state.flapping_ended_at is not None and at - state.flapping_ended_at < SAME_PERIOD


def _is_over(looks: Sequence[PastRunResult], state: NoiseState, settings: Flapping) -> bool:
    """Return whether a rule that was flapping is calm, and was so for long enough."""
    if flap_score(looks, settings.window) > settings.end:
        return False
    return state.calm_from is None or looks[-1].at >= state.calm_from


def _calm_from(looks: Sequence[PastRunResult], settings: Flapping) -> datetime | None:
    """Return from when on the rule is calm if it does not change any more.

    None when it did not change in the window.
    """
    is_change = _changes(looks, settings.window)
    runs = looks[len(looks) - len(is_change) :]
    changes = [run.at for run, changed in zip(runs, is_change, strict=True) if changed]
    if not changes:
        return None
    gap = (changes[-1] - changes[0]) / max(len(changes) - 1, 1)
    return changes[-1] + max(CALM_GAPS * gap, LEAST_CALM)


def about_this_meaning(record: Record) -> Sequence[PastRunResult]:
    """Return the runs since the rule has its present meaning."""
    first = bisect_left(record.looks, record.since, key=lambda look: look.at)
    return record.looks[first:]


def _onset(looks: Sequence[PastRunResult], settings: Flapping) -> int | None:
    """Return the index of the run that began the flapping that still goes on; None without one.

    Goes back no further than to the last calm run, so that it doesn't matter after which runs this
    was called before.
    """
    onset = None
    for last in range(len(looks) - 1, settings.window - 1, -1):
        score = flap_score(looks[last - settings.window : last + 1], settings.window)
        if score <= settings.end:
            break
        if score >= settings.start:
            onset = last
    return onset


def _changes(looks: Sequence[PastRunResult], window: int) -> list[bool]:
    """Return for each run of the window whether it changed between held and violated.

    By the declared severity: with the one that counts today, a downgrade would look like calm.
    """
    return [
        (before.severity is None) != (after.severity is None)
        for before, after in pairwise(looks[-window - 1 :])
    ]


def _flapping(looks: Sequence[PastRunResult], state: NoiseState, settings: Flapping) -> str:
    """Return the sentence that says why a rule is flapping."""
    changes, score = _changes(looks, settings.window), flap_score(looks, settings.window)
    return (
        f"it came or went {sum(changes)} times in the last {len(changes)} runs "
        f"(score {score:.1f}, flapping from {settings.start:g} on) "
        f"with at most {_violations(state.peak)}"
    )


def _calm(record: Record, state: NoiseState, settings: Flapping) -> str:
    """Return the sentence that says why a rule is not flapping any more."""
    if state.flapping_since is not None and state.flapping_since < record.since:
        return "the rule means something else now, so it is not called flapping any more"
    looks = about_this_meaning(record)
    changes, score = _changes(looks, settings.window), flap_score(looks, settings.window)
    times = "once" if sum(changes) == 1 else f"{sum(changes)} times"
    return (
        f"it came or went {times} in the last {len(changes)} runs "
        f"(score {score:.1f}, ends at {settings.end:g})"
    )


def _violations(count: int) -> str:
    """Return a number of violations in words."""
    return "1 violation" if count == 1 else f"{count:,} violations"
