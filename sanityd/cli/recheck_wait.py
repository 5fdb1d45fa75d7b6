"""Waits for the rechecks of a pass, and shows on the terminal what for."""

import math
from typing import TYPE_CHECKING

from sanityd import clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sanityd.api.rechecks import Rechecks
    from sanityd.rules.rule import Rule

#: The most rule ids in one line.
_MOST_NAMES = 3


def wait(rechecks: "Rechecks") -> None:
    """Wait until all rechecks are due, and show what for, if stderr is a terminal."""
    from sanityd.cli.terminal import waiting

    if not rechecks.rules:
        return
    seconds = rechecks.seconds_left()
    with waiting(describe(rechecks.rules)) as show:
        for left in range(math.ceil(seconds), 0, -1):
            show(f"{left} s left")
            clock.pause(min(1.0, seconds - left + 1))


def describe(rules: "Sequence[Rule]") -> str:
    """Return what is waited for: the rules and the sources that they read."""
    from sanityd.cli.terminal import plural

    sources: dict[str, None] = {}
    for rule in rules:
        sources[rule.source] = None
        sources[rule.invariant.elsewhere or rule.source] = None
    names = ", ".join(rule.id for rule in rules[:_MOST_NAMES])
    more = len(rules) - _MOST_NAMES
    if more > 0:
        names += f" and {more:,} more"
    words = f"{len(rules):,} {plural(len(rules), 'rule')} of {', '.join(sources)}"
    return f"waiting to read {words} once more: {names}"
