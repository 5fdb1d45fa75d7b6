"""`python -m tests.fuzz`: read very many broken rules files, and say what was seen."""

import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import click

from tests.fuzz.trial import Outcome, attempt, batch, content

#: Files that one process reads before the next one begins, so that all memory that is seen is that
#: of few files.
_BATCH = 500


@click.command()
@click.option("--files", default=1500, show_default=True, help="How many.")
@click.option("--seed", default=1, show_default=True, help="Another one makes other files.")
@click.option("--jobs", default=1, show_default=True, help="How many processes.")
@click.option("--only", type=int, help="Print the file of that number and what becomes of it.")
def main(files: int, seed: int, jobs: int, only: int | None) -> None:
    """Exit 1 when a file was neither read nor refused as it should be."""
    if only is not None:
        sys.stdout.buffer.write(content(seed, only) + b"\n")
        with tempfile.TemporaryDirectory() as folder:
            click.echo(attempt(seed, only, Path(folder)), err=True)
        return
    began, outcomes = time.monotonic(), list(_all(files, seed, jobs))
    faults = [outcome for outcome in outcomes if outcome.fault]
    for outcome in faults[:50]:
        click.echo(f"file {outcome.number} of seed {seed}: {outcome.fault}")
    refused = sum(outcome.errors > 0 for outcome in outcomes)
    slowest = max(outcomes, key=lambda outcome: outcome.seconds)
    largest = max(outcomes, key=lambda outcome: outcome.memory)
    click.echo(
        f"{len(outcomes):,} files in {time.monotonic() - began:,.0f} s: {refused:,} refused, "
        f"{len(outcomes) - refused:,} accepted, {sum(outcome.errors for outcome in outcomes):,} mistakes told; "
        f"slowest {slowest.seconds:.2f} s (file {slowest.number}), largest {largest.memory} MiB "
        f"(until file {largest.number}); {len(faults)} faults."
    )
    sys.exit(bool(faults))


def _all(files: int, seed: int, jobs: int) -> Iterator[Outcome]:
    batches = [(seed, start, min(start + _BATCH, files)) for start in range(0, files, _BATCH)]
    # ProcessPoolExecutor's `max_tasks_per_child` may wait for ever.
    with get_context("spawn").Pool(jobs, maxtasksperchild=1) as pool:
        for done, outcomes in enumerate(pool.imap(batch, batches), 1):
            yield from outcomes
            if done % 20 == 0:
                click.echo(f"{done * _BATCH:,} …", err=True)


if __name__ == "__main__":
    main()
