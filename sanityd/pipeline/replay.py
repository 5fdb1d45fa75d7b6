"""The policies over the recorded history: what would have been mailed and downgraded.

So settings can be tried before they are used. Nothing is written or sent.

The same runs are lived through twice, in virtual time: with the noise policy as the rules file sets
it, and without. The difference in mails is what the policy spares its readers. Runs that were
recorded have passed every guard already: rows that needed a second run to count are in them only
where they had it.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sanityd.alerts.settings import Flapping, Noise
from sanityd.model import Outcome, Run
from sanityd.pipeline.virtual_rule import NoiseEvent
from sanityd.pipeline.virtual_time import VirtualMail, VirtualTime
from sanityd.rules.rule import RuleSet
from sanityd.store import runs, triage
from sanityd.store.open import Store

#: Recorded runs so close to each other are of one batch.
_SAME_BATCH = timedelta(seconds=30)
#: Progress is reported after so many runs.
_REPORTED = 100
#: Settings with the noise policy switched off.
WITHOUT = {"noise": Noise(auto="off", critical="off"), "flapping": Flapping(start=100, end=100)}


@dataclass(frozen=True, slots=True)
class Replay:
    """A rule's history as it would have been.

    `mails` is their number with the noise policy, `without` the number without it; `verdicts` are
    the decisions of the policy.
    """

    rule: str
    runs: int
    mails: int
    without: int
    verdicts: tuple[NoiseEvent, ...]


def replay(
    rules: RuleSet, store: Store, since: datetime, seen: Callable[[int], object] = lambda _: None
) -> list[Replay]:
    """Return what would have been mailed and downgraded since then with the settings of today.

    Runs are taken as they were recorded, whatever the rule meant then. Of their rows only the
    number is known, so the first rows of a run are taken for those of the run before. Decisions of
    people are taken over at their time.

    Parameters: `seen` is called with the number of further runs, from time to time, for progress.
    """
    without_policy = replace(rules, alerts=rules.alerts.model_copy(update=WITHOUT))
    with_noise = _replay_runs(rules, store, since, seen)
    without = _replay_runs(without_policy, store, since, seen)
    return [
        Replay(
            rule,
            with_noise.runs[rule],
            with_noise.mails[rule],
            without.mails[rule],
            tuple(with_noise.noise_events.get(rule, ())),
        )
        for rule in rules.rules
        if with_noise.runs[rule]
    ]


@dataclass
class _Replayed:
    """The numbers of runs and mails, and the decisions of the noise policy, by rule."""

    runs: Counter[str] = field(default_factory=Counter)
    mails: Counter[str] = field(default_factory=Counter)
    noise_events: dict[str, list[NoiseEvent]] = field(default_factory=dict)


def _replay_runs(
    rules: RuleSet, store: Store, since: datetime, seen: Callable[[int], object]
) -> _Replayed:
    """Live through the runs since then with the settings of these rules.

    Decisions of people come in between, at their time, and hold for what is open then.
    """
    replayed = _Replayed()
    virtual = VirtualTime(rules)
    with store.read() as connection:
        decisions = deque(triage.since(connection, since))
        batch: list[Run] = []
        for count, run in enumerate(runs.iterate(connection, list(rules.rules), since), start=1):
            replayed.runs[run.rule] += 1
            if batch and not _is_same_batch(batch, run):
                virtual.record(batch, batch[-1].at)
                batch = []
            while decisions and decisions[0].at <= run.at:
                virtual.decide(decisions.popleft())
            batch.append(_with_source(run))
            if count % _REPORTED == 0:
                seen(_REPORTED)
        if batch:
            virtual.record(batch, batch[-1].at)
    for rule in replayed.runs:
        replayed.noise_events[rule] = virtual.noise_events(rule)
    replayed.mails = _count_mails(virtual.sent)
    return replayed


def _count_mails(sent: Iterable[VirtualMail]) -> Counter[str]:
    """Return the number of mails that ask for attention, by rule."""
    mails: Counter[str] = Counter()
    for mail in sent:
        if mail.reason.needs_attention:
            mails.update(set(mail.rules))
    return mails


def _is_same_batch(batch: Sequence[Run], run: Run) -> bool:
    """Return whether a run belongs to the batch before it: soon after, and of another rule."""
    if run.at > batch[-1].at + _SAME_BATCH:
        return False
    return all(earlier.rule != run.rule for earlier in batch)


def _with_source(run: Run) -> Run:
    """Return a recorded run with the source that did not answer, where it was skipped."""
    return replace(run, down=run.source) if run.outcome is Outcome.SKIPPED else run
