"""Flapping: Icinga 2's score of the last runs, with one threshold to start and one to end."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from sanityd.alerts.settings import Flapping
from sanityd.model import NoiseState, Reason
from sanityd.notifications.noise.types import NoiseDecision, PastRunResult, Record

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

    Fewer runs than the window begin nothing.
    """
    looks = about_this_meaning(record)
    since = state.flapping_since
    is_flapping = since is not None and since >= record.since
    if is_flapping and flap_score(looks, settings.window) > settings.end:
        return state, ()
    onset = _onset(looks, settings)
    if onset is None:
        calm = replace(state, flapping_since=None, peak=0)
        if since is None:
            return calm, ()
        return calm, (NoiseDecision(Reason.FLAPPING_ENDED, _calm(record, state, settings)),)
    before_onset = looks[onset - settings.window : onset + 1]
    peak = max(look.violations for look in before_onset)
    flapping = replace(state, flapping_since=looks[onset].at, peak=peak)
    if since is not None:
        return flapping, ()
    sentence = _flapping(looks, flapping, settings)
    return flapping, (NoiseDecision(Reason.FLAPPING_STARTED, sentence),)


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
    changes, score = _changes(looks, settings.window), flap_score(looks, settings.window)
    return (
        f"it came or went {sum(changes)} times in the last {len(changes)} runs "
        f"(score {score:.1f}, flapping from {settings.start:g} on) "
        f"with at most {_violations(state.peak)}"
    )


def _calm(record: Record, state: NoiseState, settings: Flapping) -> str:
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
    return "1 violation" if count == 1 else f"{count:,} violations"
