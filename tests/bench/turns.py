"""Commands and calls measured in turns, so that what else the machine does weighs on all alike."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import click


def medians(label: str, ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Each way once a round, in an order that moves on by one; each gives its seconds."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    with click.progressbar(length=rounds * len(names), label=label, file=sys.stderr) as bar:
        for nth in range(rounds):
            start = nth % len(names)
            for name in (*names[start:], *names[:start]):
                found[name].append(ways[name]())
                bar.update(1)
    return {name: statistics.median(each) for name, each in found.items()}


def command(words: Sequence[str], codes: Sequence[int] = (0,)) -> Callable[[], float]:
    """Seconds of a process, from its start to its end. Fails when its exit code is none of
    those."""

    def run() -> float:
        began = time.perf_counter()
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        seconds = time.perf_counter() - began
        if done.returncode not in codes:
            raise click.ClickException(
                f"{words[0]} ended with {done.returncode}: {done.stderr[-300:]}"
            )
        return seconds

    return run


def line(name: str, seconds: float, yardstick: float) -> None:
    """One line of a table."""
    click.echo(f"{name:44}{seconds:9.3f} s{seconds / yardstick:9.2f} x")
