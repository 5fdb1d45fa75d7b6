"""The last runs as bars: how high each is, and what is written below. Knows no HTML."""

from collections.abc import Sequence
from dataclasses import dataclass

from sanityd.model import Outcome, PastRun

#: The height of the highest bar, in pixels.
HEIGHT = 44
_LOWEST = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One run. `height` is 0 for a run that found nothing or could not look; `label` tells these apart."""

    height: int
    label: str
    looked: bool = True


def bars(history: Sequence[PastRun]) -> tuple[Bar, ...]:
    """A bar for each run, oldest first. A single one is no picture, so there is none."""
    if len(history) < 2:
        return ()
    highest = max(run.violations for run in history)
    return tuple(_bar(run, highest) for run in history)


def _bar(run: PastRun, highest: int) -> Bar:
    match run.outcome:
        case Outcome.ERRORED:
            return Bar(0, "E", looked=False)
        case Outcome.SKIPPED:
            return Bar(0, "–", looked=False)
    height = max(_LOWEST, round(HEIGHT * run.violations / highest)) if run.violations else 0
    return Bar(height, _short(run.violations))


def _short(count: int) -> str:
    """At most four characters, so that fourteen of them fit a phone: `37`, `1.2k`, `40k`, `3M`."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return (
                f"{count // size}{letter}"
                if count >= 10 * size
                else f"{count * 10 // size / 10}{letter}"
            )
    return str(count)
