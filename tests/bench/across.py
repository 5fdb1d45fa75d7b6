"""Keys of PostgreSQL against MariaDB: sanityd, and the bitmaps that one would write by hand, in
turns.

Prints the median of each, their ratio, the peak memory of sanityd's process, and the statements it
took.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy import create_engine

from tests.bench.optimisations import VARIABLE
from tests.support import services
from tests.support.databases import fresh_database

#: One key of these isn't there, in each table.
MISSING = 77
TABLES = {
    "dense ids": ("dense", "bigint", "n", "n"),
    "ids with gaps": ("gappy", "bigint", "n * 37", "n * 37"),
    "text": ("words", "varchar(40)", "md5(cast(n as char(20)))", "md5(cast(n as varchar))"),
}
PG_BITMAP = (
    "SELECT id >> 6 AS b, bit_or(1::bigint << (id & 63)::int) FROM dense GROUP BY b ORDER BY b"
)
MY_BITMAP = "SELECT id >> 6 AS b, bit_or(1 << (id & 63)) FROM dense GROUP BY b ORDER BY b"


@contextmanager
def databases(rows: int) -> Iterator[tuple[str, str]]:
    """URLs of two servers with the same keys, but for one."""
    run = services.Run()
    servers = services.PostgreSQL.shared(run.folder), services.MariaDB.shared(run.folder)
    try:
        with fresh_database(servers[0]) as here, fresh_database(servers[1]) as there:
            _fill(here, there, rows)
            yield here, there
    finally:
        run.end()


def _fill(here: str, there: str, rows: int) -> None:
    with create_engine(here).begin() as connection:
        for table, kind, _, key in TABLES.values():
            connection.exec_driver_sql(f"CREATE TABLE {table} (id {kind} PRIMARY KEY, amount int)")
            series = f"generate_series(1, {rows}) AS s(n)"
            connection.exec_driver_sql(
                f"INSERT INTO {table} SELECT {key}, mod(n, 1000) FROM {series}"
            )
    with create_engine(here, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    with create_engine(there).begin() as connection:
        for table, kind, key, _ in TABLES.values():
            connection.exec_driver_sql(f"CREATE TABLE {table} (id {kind} PRIMARY KEY, amount int)")
            series = f"(SELECT seq AS n FROM seq_1_to_{rows} WHERE seq <> {MISSING}) AS s"
            connection.exec_driver_sql(
                f"INSERT INTO {table} SELECT {key}, mod(n, 1000) FROM {series}"
            )


def by_hand(here: str, there: str) -> float:
    """Seconds of two bitmaps, one after the other, compared as dictionaries."""
    began = time.perf_counter()
    with create_engine(here).connect() as connection:
        mine = dict(tuple(row) for row in connection.exec_driver_sql(PG_BITMAP))
    with create_engine(there).connect() as connection:
        theirs = dict(tuple(row) for row in connection.exec_driver_sql(MY_BITMAP))
    missing = [b for b, bits in mine.items() if (bits & 2**64 - 1) & ~theirs.get(b, 0)]
    assert missing == [MISSING >> 6]
    return time.perf_counter() - began


def sanityd(
    folder: Path, urls: tuple[str, str], rule: dict[str, object], without: str = ""
) -> tuple[float, float, int]:
    """Run one rule once, perhaps `without` an optimisation."""
    rules = folder / "rules.json.yaml"
    sources = {
        name: {"url": url, "statement_timeout": "1h"}
        for name, url in zip(("here", "there"), urls, strict=True)
    }
    rules.write_text(
        json.dumps({"sources": sources, "rules": {"r": {**rule, "confirm": "no"}}}),
        encoding="utf-8",
    )
    rules.chmod(0o600)
    command = [sys.executable, "-m", "tests.bench.look", str(rules)]
    environment = {**os.environ, VARIABLE: without}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    seconds, peak, statements = json.loads(done.stdout)
    return seconds, peak, statements


@click.command()
@click.option("--rows", default=1_000_000, help="Keys a side.")
@click.option("--rounds", default=3, help="How often each is measured.")
def main(rows: int, rounds: int) -> None:
    """Measure rules whose evidence is in another database."""
    with databases(rows) as (here, there), tempfile.TemporaryDirectory() as folder:
        cases: dict[str, dict[str, object]] = {}
        for name, (table, *_) in TABLES.items():
            cases[f"has, {name}"] = {
                "table": f"here.{table}",
                "has": {"in": f"there.{table}", "on": {"id": "id"}},
            }
        without = {
            "has, dense ids, no bitmaps": "bitmaps",
            "has, ids with gaps, no bitmaps": "bitmaps",
        }
        for name in without:
            cases[name] = cases[name.removesuffix(", no bitmaps")]
        same = {"in": "there.dense", "on": "id", "compare": "amount"}
        cases["same_as, dense ids"] = {"table": "here.dense", "same_as": same}
        measured: dict[str, list[tuple[float, float, int]]] = {name: [] for name in cases}
        hand = []
        total = rounds * (len(cases) + 1)
        with click.progressbar(length=total, label=f"{rows:,} keys", file=sys.stderr) as bar:
            for _ in range(rounds):
                hand.append(by_hand(here, there))
                bar.update(1)
                for name, rule in cases.items():
                    measured[name].append(
                        sanityd(Path(folder), (here, there), rule, without.get(name, ""))
                    )
                    bar.update(1)
    yardstick = statistics.median(hand)
    click.echo(f"{rows:,} keys, PostgreSQL against MariaDB, median of {rounds}\n")
    click.echo(f"{'bitmaps by hand':24}{yardstick:8.2f} s")
    for name, runs in measured.items():
        seconds, peak = statistics.median(run[0] for run in runs), max(run[1] for run in runs)
        ratio = f"{seconds / yardstick:6.2f} x"
        click.echo(f"{name:24}{seconds:8.2f} s {ratio}  {peak:5.0f} MiB  {runs[0][2]} statements")
