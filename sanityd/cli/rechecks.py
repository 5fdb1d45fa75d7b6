"""The rechecks of a pass of `check`: one wait for all rules of all sources that need one."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sanityd import clock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sanityd.checks.confirm import Suspects
    from sanityd.model import Run
    from sanityd.rules.rule import Rule

#: The most rule ids in one line.
_MOST_NAMES = 3


@dataclass
class Rechecks:
    """The rules of a pass whose violations count only when a recheck finds them, too."""

    rules: list["Rule"] = field(default_factory=list)
    suspects: dict[str, "Suspects"] = field(default_factory=dict)
    #: When all of them are due; None without any.
    due_at: "datetime | None" = None

    def add(self, rule: "Rule", run: "Run") -> None:
        """Add an unconfirmed run that has just ended."""
        from sanityd.checks.confirm import Suspects

        self.rules.append(rule)
        self.suspects[rule.id] = Suspects.of(run)
        due_at = clock.now() + rule.invariant.confirm.after
        self.due_at = due_at if self.due_at is None else max(self.due_at, due_at)

    def wait(self) -> None:
        """Wait until all are due, and show what for, if stderr is a terminal."""
        from sanityd.cli.terminal import waiting

        if self.due_at is None:
            return
        seconds = max(0.0, (self.due_at - clock.now()).total_seconds())
        with waiting(describe(self.rules)) as show:
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
