"""What is decided after a run: a notice, a step down, the way back, and what a human's undo does."""

from bisect import bisect_right
from dataclasses import replace
from datetime import datetime

from sanityd.alerts.compose.times import day, length
from sanityd.alerts.settings import Settings
from sanityd.model import NoiseState, Reason, Severity
from sanityd.notifications.noise import flapping
from sanityd.notifications.noise.flapping import FlappingUpdate
from sanityd.notifications.noise.signals import (
    ACTED_AGAIN,
    Counts,
    acted_since,
    at_length,
    baseline,
    briefly,
    clean_before,
    declared,
    mode,
    noisy,
    ratchet,
)
from sanityd.notifications.noise.types import NoiseDecision, Record


def judge(record: Record, standing: NoiseState, settings: Settings, at: datetime) -> FlappingUpdate:
    """What is decided about a rule at this time, and what its team hears of that.

    Asked again with the answer at the same time it decides nothing more. Flapping is told of every rule; whoever
    mails it asks `effective` first, as nobody is mailed of a warning that comes and goes.
    """
    known = until(record, at)
    steady, first = flapping.follow(known, standing, settings.flapping)
    decided, second = _downgrading(known, steady, settings, at)
    return decided, (*first, *second)


def effective(severity: Severity, steps: int) -> Severity:
    """What a declared severity counts as, so many steps down: never below a warning, unless declared so."""
    return max(Severity(max(severity - steps, Severity.INFO)), min(severity, Severity.WARNING))


def undo(standing: NoiseState, settings: Settings, at: datetime) -> NoiseState:
    """A human takes a downgrade or a notice back: no other follows for a while, and never for the same mails."""
    return replace(_restored(standing, at), locked_until=at + settings.noise.lock_after_undo)


def until(record: Record, at: datetime) -> Record:
    """What was known at that time."""
    return replace(
        record,
        sent=record.sent[: bisect_right(record.sent, at, key=lambda mail: mail.at)],
        episodes=[
            replace(episode, ended=None) if episode.ended and episode.ended > at else episode
            for episode in record.episodes
            if episode.began <= at
        ],
        looks=record.looks[: bisect_right(record.looks, at, key=lambda look: look.at)],
    )


def barred(record: Record, standing: NoiseState, settings: Settings, at: datetime) -> str:
    """Why there is no downgrade whatever the mails say; empty if there may be one."""
    noise, severity = settings.noise, declared(record)
    if severity == Severity.CRITICAL:
        return "what is critical stays so"
    if effective(severity, standing.steps) <= Severity.WARNING:
        return f"it is only {'an info' if severity == Severity.INFO else 'a warning'}"
    if standing.locked_until and at < standing.locked_until:
        return f"undone by a human: not before {day(standing.locked_until, at, settings.zone)}"
    if standing.since and at < (next_step := standing.since + noise.cooldown):
        return (
            f"one step in {length(noise.cooldown)}: not before {day(next_step, at, settings.zone)}"
        )
    return ""


def restoring(record: Record, standing: NoiseState, settings: Settings, at: datetime) -> str:
    """Why a downgrade ends, in one sentence with its numbers; empty if it doesn't."""
    since = standing.since or at
    severity, then = declared(record), day(since, at, settings.zone)
    again = f"{severity.label} again"
    now = record.looks[-1].violations if record.looks else 0
    if severity == Severity.CRITICAL:
        return f"{again}: what is critical stays so"
    if mode(record, settings) == "off":
        return f"{again}: the rules file turns `noise` off for it"
    if record.since > since:
        return (
            f"{again}: the rule means something else since {day(record.since, at, settings.zone)}"
        )
    if now > ratchet(standing.baseline):
        return (
            f"{again}: {now:,} violations, more than {ratchet(standing.baseline):,g}; "
            f"there were {standing.baseline:,} when it was downgraded on {then}"
        )
    if (acted := acted_since(record, since)) >= ACTED_AGAIN:
        return f"{again}: {acted} incidents were acted on since it was downgraded on {then}"
    if clean := clean_before(record, since):
        return f"{again}: the first violation after {length(clean)} without one"
    return ""


def _downgrading(
    record: Record, standing: NoiseState, settings: Settings, at: datetime
) -> FlappingUpdate:
    if standing.steps and (why := restoring(record, standing, settings, at)):
        return _restored(standing, at), (NoiseDecision(Reason.RESTORED, why),)
    counts = _case(record, standing, settings, at)
    if counts is None:
        return replace(standing, noticed_at=None, due=None), ()
    if standing.due is None:
        due = at + settings.noise.grace
        noticed = replace(standing, noticed_at=at, due=due)
        return noticed, (
            NoiseDecision(Reason.DOWNGRADE_NOTICE, at_length(counts, settings, at), due),
        )
    if at < standing.due:
        return standing, ()
    lower = _lowered(record, standing, counts, settings, at)
    return lower, (NoiseDecision(Reason.DOWNGRADED, lower.sentence),)


def _case(record: Record, standing: NoiseState, settings: Settings, at: datetime) -> Counts | None:
    """The numbers for a downgrade, if it is to be. What would be taken back at once is not begun."""
    if mode(record, settings) != "on" or barred(record, standing, settings, at):
        return None
    counts = noisy(record, standing, settings, at)
    if counts and restoring(record, _lowered(record, standing, counts, settings, at), settings, at):
        return None
    return counts


def _lowered(
    record: Record, standing: NoiseState, counts: Counts, settings: Settings, at: datetime
) -> NoiseState:
    severity, steps = declared(record), standing.steps + 1
    now, since = effective(severity, steps), day(at, at, settings.zone)
    return replace(
        standing,
        steps=steps,
        since=at,
        noticed_at=None,
        due=None,
        baseline=baseline(record, settings, at),
        sentence=f"declared {severity.label}, now {now.label} since {since}: {briefly(counts)}",
    )


def _restored(standing: NoiseState, at: datetime) -> NoiseState:
    """`since` stays: the next downgrade waits from the last one."""
    return replace(
        standing, steps=0, noticed_at=None, due=None, baseline=0, sentence="", restored_at=at
    )
