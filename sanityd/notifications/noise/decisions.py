"""The decisions after a run: a notice, a downgrade, the end of one; and what an undo does."""

from bisect import bisect_right
from dataclasses import replace
from datetime import datetime

from sanityd.alerts.compose.times import format_date, format_rounded
from sanityd.alerts.settings import Settings
from sanityd.model import NoiseState, Reason, Severity
from sanityd.notifications.noise import attention, flapping
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
    is_seldom,
    mode,
    noisy,
)
from sanityd.notifications.noise.types import NoiseDecision, Record
from sanityd.notifications.noise.usual import is_worse, lasts_long, usual_of
from sanityd.notifications.policy import quiet_limit


def judge(record: Record, state: NoiseState, settings: Settings, at: datetime) -> FlappingUpdate:
    """Return the new state of a rule at this time, and the decisions that its team is notified of.

    Called again with the new state at the same time it decides nothing more. Flapping is decided
    about every rule, also about warnings, of which nobody is notified.
    """
    known_then = until(record, at)
    after_flapping, flapping_decisions = flapping.follow(known_then, state, settings.flapping)
    paced = attention.follow(known_then, after_flapping, settings, at)
    new_state, downgrade_decisions = _downgrading(known_then, paced, settings, at)
    if downgrade_decisions:
        # What is usual counts from another number now.
        new_state = attention.follow(known_then, new_state, settings, at)
    return new_state, (*flapping_decisions, *downgrade_decisions)


def effective(severity: Severity, steps: int) -> Severity:
    """Return a declared severity so many steps down: never below a warning, or as declared."""
    lowered = Severity(max(severity - steps, Severity.INFO))
    lowest = min(severity, Severity.WARNING)
    return max(lowered, lowest)


def awaits_run(state: NoiseState, at: datetime, *, is_open: bool) -> bool:
    """Return whether a run that says the same as the one before may change the state of a rule.

    That is so when a time has come that the state waits for, and while something is open of a rule
    whose mails are spared: it may be worse than usual by lasting so long, or in its second run.
    """
    due = [state.due, state.calm_from]
    if any(time <= at for time in due if time is not None):
        return True
    return is_open and attention.is_quiet(state)


def undo(state: NoiseState, settings: Settings, at: datetime) -> NoiseState:
    """Return the state after a person undid a downgrade, a notice, or the sparing of mails.

    No other follows for a while, and never one for the same mails.
    """
    restored = attention.forgotten(_restored(state, at))
    return replace(restored, locked_until=at + settings.noise.lock_after_undo)


def until(record: Record, at: datetime) -> Record:
    """Return what was known at that time."""
    episodes = []
    for episode in record.episodes:
        if episode.began <= at:
            was_open = episode.ended is not None and episode.ended > at
            episodes.append(replace(episode, ended=None) if was_open else episode)
    return replace(
        record,
        sent=record.sent[: bisect_right(record.sent, at, key=lambda mail: mail.at)],
        episodes=episodes,
        looks=record.looks[: bisect_right(record.looks, at, key=lambda look: look.at)],
    )


def why_not(record: Record, state: NoiseState, settings: Settings, at: datetime) -> str:
    """Return why there can be no downgrade whatever the mails say; empty when there can."""
    noise, severity = settings.noise, declared(record)
    if severity == Severity.CRITICAL:
        return "what is critical stays so"
    if effective(severity, state.steps) <= Severity.WARNING:
        return f"it is only {'an info' if severity == Severity.INFO else 'a warning'}"
    if state.locked_until and at < state.locked_until:
        return f"undone by a human: not before {format_date(state.locked_until, at, settings.zone)}"
    if state.since is not None:
        next_step = state.since + noise.cooldown
        if at < next_step and not is_seldom(state):
            earliest = format_date(next_step, at, settings.zone)
            return f"one step in {format_rounded(noise.cooldown)}: not before {earliest}"
    return ""


def restoring(record: Record, state: NoiseState, settings: Settings, at: datetime) -> str:
    """Return why a downgrade ends, as a sentence with its numbers; empty when it goes on."""
    since = state.since or at
    severity, begin = declared(record), format_date(since, at, settings.zone)
    again = f"{severity.label} again"
    if severity == Severity.CRITICAL:
        return f"{again}: what is critical stays so"
    if mode(record, settings) == "off":
        return f"{again}: the rules file turns `noise` off for it"
    if record.since > since:
        changed = format_date(record.since, at, settings.zone)
        return f"{again}: the rule means something else since {changed}"
    usual = usual_of(record, state.baseline, at, settings.zone)
    if is_worse(record, usual, at):
        return f"{again}: {_worse(record, usual, at)}"
    acted = acted_since(record, since)
    if acted >= ACTED_AGAIN:
        return f"{again}: {acted} incidents were acted on since it was downgraded on {begin}"
    clean = clean_before(record, since)
    if clean:
        return f"{again}: the first violation after {format_rounded(clean)} without one"
    return ""


def _worse(record: Record, usual: int, at: datetime) -> str:
    """Return in words how a rule is worse than usual."""
    now = record.looks[-1].violations
    if lasts_long(record, at):
        return f"{now:,} violations for much longer than they usually last"
    limit = quiet_limit(usual)
    return f"{now:,} violations, more than {limit:,g}; there are usually at most {usual:,}"


def _downgrading(
    record: Record, state: NoiseState, settings: Settings, at: datetime
) -> FlappingUpdate:
    """Return the state after a notice, a downgrade or the end of one, and that decision.

    A downgrade that ends is followed by nothing else in the same judgement.
    """
    if state.steps:
        why = restoring(record, state, settings, at)
        if why:
            return _restored(state, at), (NoiseDecision(Reason.RESTORED, why),)
    counts = _case(record, state, settings, at)
    if counts is None:
        return replace(state, noticed_at=None, due=None), ()
    if state.due is None:
        due = at + settings.noise.grace
        sentence = at_length(counts, settings, at)
        decision = NoiseDecision(Reason.DOWNGRADE_NOTICE, sentence, due)
        return replace(state, noticed_at=at, due=due), (decision,)
    if at < state.due:
        return state, ()
    lowered = _lowered(record, state, counts, settings, at)
    return lowered, (NoiseDecision(Reason.DOWNGRADED, lowered.sentence),)


def _case(record: Record, state: NoiseState, settings: Settings, at: datetime) -> Counts | None:
    """Return the numbers for a downgrade; None without a case, or if it would end at once."""
    if mode(record, settings) != "on" or why_not(record, state, settings, at):
        return None
    counts = noisy(record, state, settings, at)
    if counts is None:
        return None
    lowered = _lowered(record, state, counts, settings, at)
    if restoring(record, lowered, settings, at):
        return None
    return counts


def _lowered(
    record: Record, state: NoiseState, counts: Counts, settings: Settings, at: datetime
) -> NoiseState:
    """Return the state one step further down, with the sentence that says why."""
    severity, steps = declared(record), state.steps + 1
    now, since = effective(severity, steps), format_date(at, at, settings.zone)
    return replace(
        state,
        steps=steps,
        since=at,
        noticed_at=None,
        due=None,
        baseline=baseline(record, settings, at),
        sentence=f"declared {severity.label}, now {now.label} since {since}: {briefly(counts)}",
    )


def _restored(state: NoiseState, at: datetime) -> NoiseState:
    """Return the state without a downgrade. `since` stays: the next one waits from then on."""
    return replace(
        state, steps=0, noticed_at=None, due=None, baseline=0, sentence="", restored_at=at
    )
