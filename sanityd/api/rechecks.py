"""The rechecks of a pass: one wait for all rules of all sources that need one."""

from dataclasses import dataclass, field
from datetime import datetime

from sanityd import clock
from sanityd.checks.confirm import Suspects
from sanityd.model import Run
from sanityd.rules.rule import Rule


@dataclass
class Rechecks:
    """The rules of a pass whose violations count only when a recheck finds them, too."""

    rules: list[Rule] = field(default_factory=list)
    suspects: dict[str, Suspects] = field(default_factory=dict)
    #: When all of them are due; None without any.
    due_at: datetime | None = None

    def add(self, rule: Rule, run: Run) -> None:
        """Add an unconfirmed run that has just ended."""
        self.rules.append(rule)
        self.suspects[rule.id] = Suspects.of(run)
        due_at = clock.now() + rule.invariant.confirm.after
        self.due_at = due_at if self.due_at is None else max(self.due_at, due_at)

    def seconds_left(self) -> float:
        """Return for how long to wait until all are due; 0 when they are, or without any."""
        if self.due_at is None:
            return 0.0
        return max(0.0, (self.due_at - clock.now()).total_seconds())
