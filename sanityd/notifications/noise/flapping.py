"""When a rule comes and goes: Icinga 2's score of its last runs, with one threshold to start and one to end."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from sanityd.alerts.settings import Flapping
from sanityd.model import NoiseState, Reason
from sanityd.notifications.noise.types import NoiseDecision, PastRunResult, Record

FlappingUpdate = tuple[NoiseState, tuple[NoiseDecision, ...]]


def flap_score(looks: Sequence[PastRunResult], window: int = 20) -> float:
    """How much a rule came and went in its last runs, from 0 to about 100.

    Icinga 2's sum in `Checkable::UpdateFlappingStatus` (lib/icinga/checkable-flapping.cpp): each change between one
    run and the next counts 0.8 if it is the oldest of the window, up to 1.18 for the newest of 20, as a share of the
    window. Runs that are missing count as unchanged, as there. The sum is made of whole numbers, so that a score on
    a threshold is on it.
    """
    changes = _changes(looks, window)
    newest = 3 * window - 1
    weights = range(newest - len(changes) + 1, newest + 1)
    return (
        40
        * sum(weight for weight, changed in zip(weights, changes, strict=True) if changed)
        / window**2
    )


def follow(record: Record, standing: NoiseState, settings: Flapping) -> FlappingUpdate:
    """Whether it begins or ends, each told once. Fewer runs than the window begin nothing."""
    looks = about_this_meaning(record)
    since = standing.flapping_since
    if (
        since is not None
        and since >= record.since
        and flap_score(looks, settings.window) > settings.end
    ):
        return standing, ()
    onset = _onset(looks, settings)
    if onset is None:
        calm = replace(standing, flapping_since=None, peak=0)
        return calm, () if since is None else (
            NoiseDecision(Reason.FLAPPING_ENDED, _calm(record, standing, settings)),
        )
    seen = looks[onset - settings.window : onset + 1]
    began = replace(
        standing, flapping_since=looks[onset].at, peak=max(look.violations for look in seen)
    )
    return began, () if since else (
        NoiseDecision(Reason.FLAPPING_STARTED, _flapping(looks, began, settings)),
    )


def about_this_meaning(record: Record) -> Sequence[PastRunResult]:
    """The looks since the rule means what it means."""
    return record.looks[bisect_left(record.looks, record.since, key=lambda look: look.at) :]


def _onset(looks: Sequence[PastRunResult], settings: Flapping) -> int | None:
    """Which look began the flapping that goes on at the last one.

    Looks back no further than it was calm, so that it doesn't matter after which looks this was asked before.
    """
    began = None
    for last in range(len(looks) - 1, settings.window - 1, -1):
        score = flap_score(looks[last - settings.window : last + 1], settings.window)
        if score <= settings.end:
            break
        if score >= settings.start:
            began = last
    return began


def _changes(looks: Sequence[PastRunResult], window: int) -> list[bool]:
    """Between held and violated, of whatever severity: that is what opens and resolves an incident.

    The severity as it counts today would not do: a downgrade would look like calm.
    """
    return [
        (before.severity is None) != (after.severity is None)
        for before, after in pairwise(looks[-window - 1 :])
    ]


def _flapping(looks: Sequence[PastRunResult], standing: NoiseState, settings: Flapping) -> str:
    changes, score = _changes(looks, settings.window), flap_score(looks, settings.window)
    return (
        f"it came or went {sum(changes)} times in the last {len(changes)} runs (score {score:.1f}, flapping from "
        f"{settings.start:g} on) with at most {_violations(standing.peak)}"
    )


def _calm(record: Record, standing: NoiseState, settings: Flapping) -> str:
    if standing.flapping_since is not None and standing.flapping_since < record.since:
        return "the rule means something else now, so it is not called flapping any more"
    looks = about_this_meaning(record)
    changes, score = _changes(looks, settings.window), flap_score(looks, settings.window)
    times = "once" if sum(changes) == 1 else f"{sum(changes)} times"
    return f"it came or went {times} in the last {len(changes)} runs (score {score:.1f}, calm at {settings.end:g})"


def _violations(count: int) -> str:
    return "1 violation" if count == 1 else f"{count:,} violations"
