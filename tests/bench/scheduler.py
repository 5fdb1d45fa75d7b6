"""What many rules cost while little is due: sanityd's own time for each that is, its memory, and
its CPU when idle.

Two measurements. The scheduler alone, with batches that do nothing: what the clock costs. And
`sanityd serve` over small SQLite tables: its first pass, which looks at all rules, and then some
time in which none is due.
"""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import click

from tests.bench.server import ticks

TABLES = 20
#: How long the first pass may take.
PATIENCE = 280.0


def idle(number: int, seconds: int) -> dict[str, Any]:
    """A scheduler of so many batches, in a process of its own, for so long."""
    words = (sys.executable, "-m", "tests.bench.ticking", str(number), str(seconds))
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def project(folder: Path, rules: int) -> Path:
    """A rules file with so many rules over small tables, each of which holds, on sixty
    schedules."""
    with closing(sqlite3.connect(folder / "app.db")) as connection, connection:
        for table in range(TABLES):
            connection.execute(
                f"CREATE TABLE t{table} (id integer PRIMARY KEY, email text, age int)"
            )
            rows = [(n, f"{n}@example.com", n % 90) for n in range(100)]
            connection.executemany(f"INSERT INTO t{table} VALUES (?, ?, ?)", rows)
    listed = {
        f"rule-{n}": {
            "table": f"app.t{n % TABLES}",
            **({"not_null": "email"} if n % 2 else {"between": {"age": [0, 120 + n]}}),
            "schedule": f"every {24 * 60 + n % 60}m",
        }
        for n in range(rules)
    }
    file = folder / "rules.yaml"
    file.write_text(
        json.dumps({"sources": {"app": "sqlite:///app.db"}, "rules": listed}, indent=1),
        encoding="utf-8",
    )
    return file


def serving(rules: int, seconds: int) -> dict[str, float]:
    """`sanityd serve`: CPU and seconds until all rules were looked at, then CPU while nothing is
    due."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = (sys.executable, "-m", "sanityd", "serve", "--rules", str(project(folder, rules)))
        began = time.perf_counter()
        with subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                looking = None
                while (done := _looked_at(folder / ".sanityd" / "state.db")) < rules:
                    if done and looking is None:
                        looking = time.perf_counter() - began
                    if time.perf_counter() - began > PATIENCE or process.poll() is not None:
                        raise click.ClickException(f"serve looked at {done:,} of {rules:,} rules")
                    time.sleep(0.5)
                first, cpu = time.perf_counter() - began, _cpu(process.pid)
                time.sleep(seconds)
                rested = _cpu(process.pid) - cpu
                memory = _memory(process.pid)
            finally:
                process.send_signal(signal.SIGTERM)
        return {
            "first": first,
            "first_cpu": cpu,
            "start": looking or first,
            "idle": rested / seconds,
            "now": memory["VmRSS"],
            "peak": memory["VmHWM"],
        }


def _looked_at(store: Path) -> int:
    if not store.exists():
        return 0
    with (
        suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection,
    ):
        return int(connection.execute("SELECT count(DISTINCT rule) FROM runs").fetchone()[0])
    return 0


def _cpu(pid: int) -> float:
    return sum(ticks(pid, 2)) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> dict[str, float]:
    """In MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return {
        name: int(size) / 1024 for name, size in re.findall(r"(VmRSS|VmHWM):\s+([0-9]+) kB", status)
    }


@click.command("scheduler")
@click.option(
    "--rules", default=10_000, show_default=True, help="Rules, and batches of the scheduler alone."
)
@click.option("--seconds", default=30, show_default=True, help="How long each is watched.")
def command(rules: int, seconds: int) -> None:
    """Measure many rules of which few are due."""
    alone = idle(rules, seconds)
    served = serving(rules, seconds)
    due, cpu = alone["evaluations"], alone["cpu"]
    click.echo(
        f"\nthe scheduler alone: {rules:,} batches, each due every 10 s, which do nothing; {seconds} s"
    )
    click.echo(
        f"  planned in {alone['planned']:.2f} s; {due:,} evaluations of {alone['expected']:,} that were due"
    )
    click.echo(f"  CPU of each {cpu / max(due, 1) * 1000:.3f} ms; peak {alone['peak']:.0f} MiB")
    click.echo(
        f"\nsanityd serve: {rules:,} rules on 60 schedules, over {TABLES} SQLite tables of 100 rows"
    )
    click.echo(
        f"  the first pass begins to be recorded after {served['start']:.1f} s and ends after {served['first']:.1f} s"
    )
    each = served["first_cpu"] / rules * 1000
    click.echo(
        f"  CPU {served['first_cpu']:.1f} s until then, {each:.2f} ms a rule: start, SQLite's own time, recording"
    )
    click.echo(f"  memory {served['now']:.0f} MiB, peak {served['peak']:.0f} MiB")
    click.echo(f"  idle for {seconds} s: {served['idle'] * 100:.2f} % of a CPU")
