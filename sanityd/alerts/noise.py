"""What to do about rules that cry wolf: stop mailing, keep checking, keep listing. Pure: no clock, no I/O.

The severity that the rules file declares is never changed; what counts today is that, less the steps that are kept in
a rule's `Standing`. Each decision is one sentence with its numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from sanityd.alerts.flapping import flap_score
from sanityd.alerts.policy import ratchet
from sanityd.alerts.settings import NoiseMode, Settings
from sanityd.alerts.times import day
from sanityd.alerts.wilson import wilson_upper
from sanityd.durations import format_duration
from sanityd.model import Reason, Severity, Standing

#: After so long without a violation the next one is news again.
CLEAN = timedelta(days=14)
#: So many incidents that were acted on show that a downgraded rule matters.
MATTERS = 3
#: Of so many incidents that humans closed, such a share of false alarms makes a rule noisy.
CLOSED, FALSE = 4, 0.5
#: What comes and goes by itself: so many times in so long, such a share of them within so many intervals.
PASSING, PASSING_TIME, PASSING_SHARE, PASSING_INTERVALS = 5, timedelta(days=14), 0.8, 2


@dataclass(frozen=True, slots=True)
class Sent:
    """A piece of news that the team was mailed at once, however many people got it."""

    at: datetime
    incident: str


@dataclass(frozen=True, slots=True)
class Episode:
    """One incident of the rule: how long it lasted, and whether anybody did anything about it."""

    incident: str
    began: datetime
    ended: datetime | None = None
    acted: bool = False
    #: Whether a human closed it, and as what it was not.
    closed: bool = False
    false_positive: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """One run that had an answer; `severity` is the step of the ladder that was reached, None when the rule held."""

    at: datetime
    violations: int
    severity: Severity | None


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one rule, each thing oldest first."""

    declared: Severity
    #: Since when the rule has meant what it means.
    since: datetime
    #: How long from one run to the next.
    interval: timedelta
    sent: Sequence[Sent]
    episodes: Sequence[Episode]
    looks: Sequence[Look]
    #: The rule's own word; None: as the settings say.
    mode: NoiseMode | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision, as people are told it. `due` is when a downgrade that is announced takes place."""

    reason: Reason
    sentence: str
    due: datetime | None = None


def effective(declared: Severity, steps: int) -> Severity:
    """The severity that counts: never below a warning, unless it was declared so."""
    return Severity(max(declared - steps, min(declared, Severity.WARNING)))


def judge(record: Record, standing: Standing, settings: Settings, at: datetime) -> tuple[Standing, tuple[Verdict, ...]]:
    """What the policy decides after a run. Asked twice at the same moment, it has nothing to add.

    Parameters: `standing` is what it decided before; the new one is to be kept.
    """
    verdicts: list[Verdict] = []
    for policy in (_flapping, _restored, _downgraded):
        standing, verdict = policy(record, standing, settings, at)
        if verdict is not None:
            verdicts.append(verdict)
    return standing, tuple(verdicts)


def undo(standing: Standing, settings: Settings, at: datetime) -> Standing:
    """A human takes a downgrade back, or the notice of one, and wants no other for a while."""
    return replace(
        _as_declared(standing, at), flapping_since=standing.flapping_since, peak=standing.peak,
        locked_until=at + settings.noise.lock_after_undo,
    )  # fmt: skip


def score(record: Record, settings: Settings) -> float:
    """How restlessly the rule comes and goes. Only whether it is violated counts, not how severely."""
    return flap_score([look.severity is not None for look in record.looks], settings.flapping.window)


def advice(record: Record, standing: Standing, settings: Settings, at: datetime) -> list[str]:
    """What a human might do about the rule; nothing of it is done."""
    found = [suggestion(record, at)]
    if _mode(record, settings) == "suggest" and (why := _unactionable(record, standing, settings, at)):
        found.append(f"it could be downgraded: {why}")
    return [sentence for sentence in found if sentence]


def suggestion(record: Record, at: datetime) -> str | None:
    """For a rule whose violations mostly pass by themselves: how long to wait, and what that would have spared."""
    late = [one for one in record.episodes if one.began >= at - PASSING_TIME]
    ended = [(one, one.ended - one.began) for one in late if one.ended is not None and not one.acted]
    passing = [(one, length) for one, length in ended if length <= PASSING_INTERVALS * record.interval]
    if len(late) < PASSING or len(passing) < PASSING_SHARE * len(late):
        return None
    spared = {one.incident for one, _ in passing}
    mails = [one for one in record.sent if one.at >= at - PASSING_TIME]
    fewer = sum(one.incident in spared for one in mails)
    # A minute more than the longest of them, in whole minutes.
    wait = timedelta(minutes=max(length for _, length in passing) // timedelta(minutes=1) + 1)
    return f"`within: {format_duration(wait).replace(' ', '')}` would have spared you {fewer} of {len(mails)} mails"


def explain(record: Record, standing: Standing, settings: Settings, at: datetime) -> list[str]:
    """Every number that the policy looks at, with what it is compared with."""
    noise, flapping = settings.noise, settings.flapping
    sent, acted, days = _counts(record, standing, settings, at)
    closed, false = _closed(record)
    lines = [
        f"Mails in {format_duration(noise.window)}: {sent} on {days} days, {acted} of them acted on"
        f" (noisy from {noise.min_mails} mails on {noise.min_days} days).",
        f"Share acted on: at most {wilson_upper(acted, sent):.2f} with 95 % confidence"
        f" (noisy below {noise.acted_upper_bound}).",
        f"Closed by people: {closed}, {false} as false positive (noisy from {CLOSED}, {FALSE:.0%}).",
        f"Flapping score: {score(record, settings):.0f} (flapping from {flapping.start:g}, calm at {flapping.end:g}).",
        f"The rule means what it means since {day(record.since, at, settings.zone)}"
        f" (noisy after {format_duration(noise.min_rule_age)}).",
    ]
    if standing.locked_until and standing.locked_until > at:
        lines.append(f"A human's undo forbids a downgrade until {day(standing.locked_until, at, settings.zone)}.")
    if standing.sentence:
        lines.append(f"Decided: {standing.sentence}.")
    return lines


def _flapping(record: Record, standing: Standing, settings: Settings, at: datetime) -> tuple[Standing, Verdict | None]:
    limits, now = settings.flapping, score(record, settings)
    if standing.flapping_since is None and now >= limits.start:
        recent = record.looks[-limits.window - 1 :]
        changes = sum((a.severity is None) != (b.severity is None) for a, b in pairwise(recent))
        peak = max(look.violations for look in recent)
        sentence = f"it came and went {changes} times in its last {len(recent) - 1} runs (score {now:.0f})"
        return replace(standing, flapping_since=at, peak=peak), Verdict(Reason.FLAPPING, sentence)
    if standing.flapping_since is not None and now <= limits.end:
        lasted = format_duration(at - standing.flapping_since)
        state = "it holds" if record.looks and record.looks[-1].severity is None else "it is violated"
        sentence = f"it came and went for {lasted}, and {state} now (score {now:.0f})"
        return replace(standing, flapping_since=None, peak=0), Verdict(Reason.CALM, sentence)
    return standing, None


def _restored(record: Record, standing: Standing, settings: Settings, at: datetime) -> tuple[Standing, Verdict | None]:
    if not standing.steps:
        return standing, None
    why = _reason_to_restore(record, standing, settings)
    if why is None:
        return standing, None
    sentence = f"declared {record.declared.label} counts again: {why}"
    return _as_declared(standing, at), Verdict(Reason.RESTORED, sentence)


def _reason_to_restore(record: Record, standing: Standing, settings: Settings) -> str | None:
    since = standing.since or record.since
    last = record.looks[-1] if record.looks else None
    if record.since > since:
        return "the rule means something else now"
    if _mode(record, settings) == "off":
        return "the policy is switched off"
    if last is not None and last.violations > ratchet(standing.baseline):
        return f"{last.violations:,} violations, {standing.baseline:,} when it was downgraded"
    acted = sum(one.acted for one in record.episodes if one.ended is None or one.ended > since)
    if acted >= MATTERS:
        return f"{acted} incidents were acted on since it was downgraded"
    if last is not None and last.severity is not None and _was_clean(record.looks[:-1], last.at):
        return f"it is violated for the first time in {format_duration(CLEAN)}"
    return None


def _was_clean(before: Sequence[Look], at: datetime) -> bool:
    """Whether it was looked at for all that time, and held."""
    covered = bool(before) and before[0].at <= at - CLEAN
    return covered and not any(look.severity is not None for look in before if look.at > at - CLEAN)


def _downgraded(
    record: Record, standing: Standing, settings: Settings, at: datetime
) -> tuple[Standing, Verdict | None]:
    why = _unactionable(record, standing, settings, at) if _mode(record, settings) == "on" else None
    if why is None:
        # Somebody acted meanwhile, or the mails grew old.
        return replace(standing, noticed_at=None, due=None), None
    below = effective(record.declared, standing.steps + 1)
    if standing.due is None:
        due = at + settings.noise.grace
        sentence = f"it will count as {below.label} from {day(due, at, settings.zone)} on: {why}"
        return replace(standing, noticed_at=at, due=due), Verdict(Reason.NOTICE, sentence, due)
    if at < standing.due:
        return standing, None
    sentence = f"declared {record.declared.label}, now {below.label} since {day(at, at, settings.zone)}: {why}"
    now = replace(
        standing,
        steps=standing.steps + 1,
        since=at,
        noticed_at=None,
        due=None,
        baseline=record.looks[-1].violations if record.looks else 0,
        sentence=sentence,
    )
    return now, Verdict(Reason.DOWNGRADED, sentence)


def _unactionable(record: Record, standing: Standing, settings: Settings, at: datetime) -> str | None:
    """Why the rule is noisy, with the numbers; None when it isn't, or when nothing may be done about it."""
    noise = settings.noise
    may = (
        effective(record.declared, standing.steps) > Severity.WARNING
        and at - record.since >= noise.min_rule_age
        and (standing.locked_until is None or at >= standing.locked_until)
        and (standing.since is None or at - standing.since >= noise.cooldown)
    )
    if not may:
        return None
    sent, acted, days = _counts(record, standing, settings, at)
    if sent >= noise.min_mails and days >= noise.min_days and wilson_upper(acted, sent) < noise.acted_upper_bound:
        return f"{sent} mails on {days} days, {'none' if not acted else acted} acted on"
    closed, false = _closed(record)
    if closed >= CLOSED and false >= FALSE * closed:
        return f"{false} of {closed} incidents were closed as false positive"
    return None


def _counts(record: Record, standing: Standing, settings: Settings, at: datetime) -> tuple[int, int, int]:
    """Mails in the window, those of them that are about something that was acted on, and on how many days."""
    begin = max(filter(None, (at - settings.noise.window, record.since, standing.restored_at)))
    acted = {one.incident for one in record.episodes if one.acted}
    sent = [one for one in record.sent if one.at >= begin]
    days = {one.at.astimezone(settings.zone).date() for one in sent}
    return len(sent), sum(one.incident in acted for one in sent), len(days)


def _closed(record: Record) -> tuple[int, int]:
    closed = [one for one in record.episodes if one.closed]
    return len(closed), sum(one.false_positive for one in closed)


def _mode(record: Record, settings: Settings) -> NoiseMode:
    """What may be done: of critical rules it is only said."""
    mode = record.mode or settings.noise.auto
    if record.declared is Severity.CRITICAL and mode == "on":
        return settings.noise.critical
    return mode


def _as_declared(standing: Standing, at: datetime) -> Standing:
    return Standing(
        flapping_since=standing.flapping_since,
        peak=standing.peak,
        locked_until=standing.locked_until,
        # The time of the last step stays, as there is at most one in a while.
        since=standing.since,
        restored_at=at,
    )
