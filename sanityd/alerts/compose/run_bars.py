"""The last runs as a bar chart: the height of each bar and its label. Knows no HTML."""

from collections.abc import Sequence
from dataclasses import dataclass

from sanityd.model import Outcome, PastRun

#: The height of the highest bar, in pixels.
HEIGHT = 44
_LOWEST = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One run.

    `height` is in pixels, 0 for a run without violations or without a result. `has_result` is False
    for a run that failed (label `E`) or was skipped (label `–`).
    """

    height: int
    label: str
    has_result: bool = True


def bars(history: Sequence[PastRun]) -> tuple[Bar, ...]:
    """Return a bar for each run, oldest first; none when there are fewer than two runs."""
    if len(history) < 2:
        return ()
    highest = max(run.violations for run in history)
    return tuple(_bar(run, highest) for run in history)


def _bar(run: PastRun, highest: int) -> Bar:
    if run.outcome is Outcome.ERRORED:
        return Bar(0, "E", has_result=False)
    if run.outcome is Outcome.SKIPPED:
        return Bar(0, "–", has_result=False)
    height = 0
    if run.violations:
        height = max(_LOWEST, round(HEIGHT * run.violations / highest))
    return Bar(height, _short_number(run.violations))


def _short_number(count: int) -> str:
    """Return at most four characters, so that 14 fit a phone: `37`, `1.2k`, `40k`, `3M`."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= 10 * size:
            return f"{count // size}{unit}"
        if count >= size:
            return f"{count * 10 // size / 10}{unit}"
    return str(count)
