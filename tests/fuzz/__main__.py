"""`python -m tests.fuzz`: read very many broken rules files, and say what was seen."""

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import click
import duckdb

from tests.fuzz import column_types, types
from tests.fuzz.trial import Outcome, attempt, batch, content
from tests.support import services
from tests.support.databases import fresh_database

#: Files that one process reads before the next one begins, so that all memory that is seen is that
#: of few files.
_BATCH = 500


@click.command()
@click.option("--files", default=1500, show_default=True, help="How many.")
@click.option("--seed", default=1, show_default=True, help="Another one makes other files.")
@click.option("--jobs", default=1, show_default=True, help="How many processes.")
@click.option("--only", type=int, help="Print the file of that number and what becomes of it.")
@click.option("--types", is_flag=True, help="Try all kinds on all types of columns instead.")
def main(files: int, seed: int, jobs: int, only: int | None, types: bool) -> None:
    """Exit 1 when a file was neither read nor refused as it should be."""
    if types:
        sys.exit(_try_types())
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


def _try_types() -> bool:
    """Try the whole product on each database; return whether there was a fault."""
    run, has_faults = services.Run(), False
    try:
        for name in column_types.TYPES:
            with tempfile.TemporaryDirectory() as folder, _database(name, run, folder) as url:
                types.build(name, url)
                began = time.monotonic()
                runs, faults = types.attempt(name, url, types.product(name), Path(folder))
                has_faults = has_faults or bool(faults)
                for fault in faults:
                    click.echo(str(fault))
                seconds = time.monotonic() - began
                click.echo(f"{name}: {len(runs):,} runs in {seconds:,.0f} s, {len(faults)} faults.")
    finally:
        run.end()
    return has_faults


@contextmanager
def _database(name: str, run: services.Run, folder: str) -> Iterator[str]:
    if name in _SERVERS:
        with fresh_database(_SERVERS[name].shared(run.folder)) as url:
            yield url
        return
    path = Path(folder) / "database"
    duckdb.connect(str(path)).close() if name == "duckdb" else path.touch()
    yield f"{name}:///{path}"


_SERVERS: Mapping[str, type[services.Server]] = {
    "postgres": services.PostgreSQL,
    "mariadb": services.MariaDB,
}


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
