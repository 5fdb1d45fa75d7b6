"""Attention: how the mails of a rule are spared that nobody acts on. Pure.

Two things are learned from the incidents of a rule, and hold for its next mails:

- the *pace*: mails about incidents that ended by themselves come ever more rarely;
- the *pause*: where most incidents end by themselves, the first mail waits as long as they last.

Both end at once when the rule is worse than usual. Neither holds for what is critical.

The pace, by the number of mails in a row whose incidents ended and nobody acted on:

    0, 1       at once
    2          a day after the last mail, at the earliest
    3          three days after it
    4 and more ninety days after it; until then the digest has to do

An act on an incident of the usual size begins the count anew. An act on one that was worse than
usual says nothing about the usual ones. After fourteen days without an incident the next one is a
new problem, and counts from the beginning.

The count is kept in the state and not only read from the mails of the window, as a rule that sends
no mails would be new again after a month. Only incidents that ended since the last judgement are
added, so that each counts once.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from sanityd.alerts.compose.times import format_date, format_rounded
from sanityd.alerts.settings import Settings
from sanityd.model import NoiseState
from sanityd.notifications.noise.signals import CLEAN, PACE, mode
from sanityd.notifications.noise.types import Episode, Record
from sanityd.notifications.noise.usual import at_most, is_worse, self_ended, usual_of
from sanityd.notifications.policy import quiet_limit

#: How long after the last mail the next one is sent when nobody acted on more mails than `PACE` has
#: steps; until then there is only the digest.
SELDOM = timedelta(days=90)
#: A rule whose incidents end by themselves is one with so many of them, and such a share of all.
PASSING_OF, PASSING_SHARE = 5, 0.8
#: The pause is so many times as long as nine of ten incidents lasted, and no longer than that.
PAUSE_TIMES, LONGEST_PAUSE = 1.2, timedelta(hours=2)


def follow(record: Record, state: NoiseState, settings: Settings, at: datetime) -> NoiseState:
    """Return the state with the pace and the pause of the next mails, and what is usual.

    Asked again at the same time it returns the same.

    Parameters: `record` is what was known of the rule `at` that time, and nothing later; `state` is
    what was decided before.
    """
    if not may_quieten(record, state, settings, at):
        return forgotten(state)
    counted = _count_ignored(record, state)
    mailed_at = record.sent[-1].at if record.sent else state.mailed_at
    if mailed_at is not None and mailed_at > at:
        # A wrong clock wrote it: nothing may wait for that time.
        mailed_at = None
    paced = replace(
        counted,
        mailed_at=mailed_at if counted.ignored else None,
        mails_from=next_mail(counted.ignored, mailed_at),
    )
    return _compared(_with_pause(record, paced), record, settings, at)


def forgotten(state: NoiseState) -> NoiseState:
    """Return the state without pace and pause, as if people had acted on every mail."""
    return replace(
        state,
        ignored=0,
        ignored_until=None,
        mailed_at=None,
        mails_from=None,
        pause=0,
        pause_sentence="",
        usual=0,
        worse=False,
        worse_in="",
    )


def may_quieten(record: Record, state: NoiseState, settings: Settings, at: datetime) -> bool:
    """Return whether the settings and people let the policy spare mails of the rule.

    Not where it may only suggest, for a critical rule, or for thirty days after an undo.
    """
    is_locked = at < (state.locked_until or at)
    return mode(record, settings) == "on" and not is_locked


def next_mail(ignored: int, mailed_at: datetime | None) -> datetime | None:
    """Return from when on the next mail is sent; None for at once.

    Parameters: `ignored` is how many mails in a row nobody acted on, the last of them `mailed_at`.
    """
    gap = PACE[ignored] if ignored < len(PACE) else SELDOM
    if mailed_at is None or not gap:
        return None
    return mailed_at + gap


def sentences(state: NoiseState, settings: Settings, at: datetime) -> list[str]:
    """Return what is done to spare mails, each in one sentence with its numbers.

    They begin with a small letter and have no full stop, for `sanityd noise` and the digest.
    """
    words: list[str] = []
    if state.mails_from is not None and at < state.mails_from:
        begin = format_date(state.mails_from, at, settings.zone)
        words.append(
            f"nobody acted on the last {state.ignored} mails, so the next one comes on {begin}, "
            f"or with more than {quiet_limit(state.usual):,g} violations "
            f"(usually at most {state.usual:,})"
        )
    if state.pause_sentence:
        words.append(state.pause_sentence)
    return words


def footer(state: NoiseState) -> str:
    """Return the sentence for each mail about a rule whose mails are spared; empty for others.

    Of several the one that matters most: that it counts as less severe than declared, why this mail
    comes all the same, or that the next ones come later.
    """
    if state.steps:
        return state.sentence
    if state.worse and state.ignored:
        return (
            f"it is worse than usual, so this mail comes though nobody acted on the last "
            f"{state.ignored} about the rule"
        )
    if state.mails_from is not None:
        return (
            f"nobody acted on the last {state.ignored} mails about this rule; "
            f"if nobody acts on this one, the next comes later still"
        )
    return state.pause_sentence


def _count_ignored(record: Record, state: NoiseState) -> NoiseState:
    """Return the state with how many mails in a row nobody acted on.

    Mails count when their incident has ended. Whoever acts on an incident of the usual size, or an
    incident after a long calm, begins the count anew.
    """
    ignored = state.ignored
    begin = state.ignored_until or record.since
    if begin < record.since:
        # What was ignored was ignored of a rule that meant something else.
        begin = record.since
        ignored = 0
    until = state.ignored_until
    for episode in _ended_since(record, begin):
        until = episode.ended
        if not episode.acted:
            ignored += sum(mail.incident == episode.incident for mail in record.sent)
        elif episode.incident != state.worse_in:
            ignored = 0
    if _is_acted_on(record, state) or is_after_calm(record):
        ignored = 0
    return replace(state, ignored=ignored, ignored_until=until)


def _ended_since(record: Record, begin: datetime) -> list[Episode]:
    """Return the incidents that ended later than that, in the order of their ends."""
    ends = [
        (episode.ended, episode.incident, episode)
        for episode in record.episodes
        if episode.ended is not None
    ]
    return [episode for ended, _, episode in sorted(ends, key=_by_end) if ended > begin]


def _by_end(end: tuple[datetime, str, Episode]) -> tuple[datetime, str]:
    """Return by what ends are sorted; incidents that ended at the same time by their ids."""
    return end[:2]


def _is_acted_on(record: Record, state: NoiseState) -> bool:
    """Return whether people act on what is open, and it is not worse than usual."""
    episode = record.open_episode
    return episode is not None and episode.acted and episode.incident != state.worse_in


def is_after_calm(record: Record) -> bool:
    """Return whether the open incident is the first after so many days that it is a new problem."""
    episode = record.open_episode
    if episode is None:
        return False
    ends = [before.ended for before in record.episodes if before.ended is not None]
    return not ends or episode.began - max(ends) >= CLEAN


def _with_pause(record: Record, state: NoiseState) -> NoiseState:
    """Return the state with how long the first mail about an incident waits, in seconds."""
    ended = record.ended
    lasted = self_ended(record)
    longest = at_most(lasted)
    pause = int(PAUSE_TIMES * longest)
    least = max(PASSING_OF, PASSING_SHARE * len(ended))
    if len(lasted) < least or pause > LONGEST_PAUSE.total_seconds():
        return replace(state, pause=0, pause_sentence="")
    soon_over = sum(seconds <= longest for seconds in lasted)
    sentence = (
        f"the first mail waits {format_rounded(timedelta(seconds=pause))}, since {soon_over} of "
        f"{len(ended)} incidents were over by themselves within "
        f"{format_rounded(timedelta(seconds=longest))}"
    )
    return replace(state, pause=pause, pause_sentence=sentence)


def _compared(state: NoiseState, record: Record, settings: Settings, at: datetime) -> NoiseState:
    """Return the state with what is usual, and whether the rule is worse now.

    Where nothing is spared, nothing has to be known.
    """
    if not is_quiet(state):
        return replace(state, usual=0, worse=False, worse_in="")
    usual = usual_of(record, state.baseline, at, settings.zone)
    worse = is_worse(record, usual, at)
    worse_in = state.worse_in
    if worse and record.open_episode is not None:
        worse_in = record.open_episode.incident
    return replace(state, usual=usual, worse=worse, worse_in=worse_in)


def is_quiet(state: NoiseState) -> bool:
    """Return whether the policy spares mails of the rule, for whatever reason."""
    return any((state.ignored, state.pause, state.steps, state.flapping_since))
