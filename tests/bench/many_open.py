"""What it costs when thousands of rules are violated at once, as after a migration that went wrong:
seconds and peak memory of `check` and `status`."""

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import click

TABLES = 20
CHANNELS = ("a", "b", "c")
#: What 2,000 open rules may need, for `check` and for `status`.
MEMORY = 200


def project(folder: Path, rules: int) -> Path:
    """A rules file with so many rules over small tables, each of which is violated by five rows;
    three recipients are notified of each."""
    with closing(sqlite3.connect(folder / "app.db")) as connection, connection:
        for table in range(TABLES):
            connection.execute(f"CREATE TABLE t{table} (id integer PRIMARY KEY, email text)")
            connection.executemany(
                f"INSERT INTO t{table} (id) VALUES (?)", [(n,) for n in range(5)]
            )
    listed = {
        f"rule-{n}": {
            "table": f"app.t{n % TABLES}",
            "not_null": "email",
            "where": f"id < {n // TABLES + 1000}",
            "notify": list(CHANNELS),
        }
        for n in range(rules)
    }
    content = {
        "sources": {"app": "sqlite:///app.db"},
        "channels": {name: {"file": f"mails-{name}"} for name in CHANNELS},
        "rules": listed,
    }
    file = folder / "rules.yaml"
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return file


def measured(words: tuple[str, ...]) -> tuple[float, float, float]:
    """The seconds, those of the processor, and the peak memory in MiB of a process."""
    script = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); \
used = resource.getrusage(resource.RUSAGE_CHILDREN); \
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024); sys.exit(done.returncode > 1)"
    )
    began = time.perf_counter()
    done = subprocess.run(
        (sys.executable, "-c", script, *words), check=True, capture_output=True, text=True
    )
    processor, peak = done.stdout.split()
    return time.perf_counter() - began, float(processor), float(peak)


@click.command("many-open")
@click.option("--rules", default=2_000, show_default=True, help="Rules that are violated at once.")
def command(rules: int) -> None:
    """Measure many rules that are violated at once."""
    with tempfile.TemporaryDirectory() as name:
        file = project(Path(name), rules)
        click.echo(f"{rules:,} rules violated, {len(CHANNELS)} recipients of each\n")
        worst = 0.0
        for label, words in (
            ("lint: reading the rules alone", ("lint",)),
            ("check: all open", ("check",)),
            ("check: nothing is new", ("check",)),
            ("status", ("status",)),
        ):
            seconds, processor, peak = measured(
                (sys.executable, "-m", "sanityd", *words, "--rules", str(file))
            )
            worst = max(worst, peak)
            times = f"{seconds:9.2f} s{processor:9.2f} s of CPU"
            click.echo(f"{label:32}{times}{peak:9.0f} MiB")
    if rules <= 2_000 and worst >= MEMORY:
        raise click.ClickException(f"it must take less than {MEMORY} MiB")
