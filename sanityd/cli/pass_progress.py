"""Shows on the terminal how far a pass is, and what it waits for."""

from collections.abc import Sequence
from contextlib import ExitStack

import click
from rich.progress import Progress

from sanityd.api.one_pass import Observer
from sanityd.api.rechecks import Rechecks
from sanityd.cli import recheck_wait
from sanityd.cli.terminal import progress
from sanityd.model import Run
from sanityd.rules.rule import Rule, RuleSet


class ProgressBar(Observer):
    """A progress bar on stderr, if stderr is a terminal."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._stack = ExitStack()
        self._bar: Progress | None = None

    def begin(self, rules: Sequence[Rule]) -> None:
        """Show the bar."""
        self._bar = self._stack.enter_context(progress(len(rules), "checking"))

    def read(self, source: str) -> None:
        """Show the name of the source."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=source)

    def seen(self, run: Run) -> None:
        """Move the bar by one rule."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])

    def repaired(self, words: str) -> None:
        """Print what became of the remedies on stderr."""
        if words:
            click.echo(f"remedies: {words}", err=True)

    def end(self) -> None:
        """Remove the bar."""
        self._stack.close()

    def wait(self, rechecks: Rechecks) -> None:
        """Wait, and show what for."""
        recheck_wait.wait(rechecks)
