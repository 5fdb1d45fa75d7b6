"""The forty rules once more: when little is new, and when nothing was written. The yardstick is a
look at all rows.

Rules that can look at new rows do (`scan: new rows by created_at`); in the second measurement none
does, and only PostgreSQL's word that nothing was written spares them the look.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import click
from sqlalchemy import text

from sanityd import pipeline, plugins
from sanityd.rules.load import load
from sanityd.rules.rule import RuleSet
from sanityd.store.open import Store
from tests.bench import server, shop, turns
from tests.bench.forty import Promise, promises, rules_file
from tests.bench.server import Database
from tests.bench.shop import Shop

#: How many rows each table gets between two runs.
NEW = 1000
INDEXES = ("CREATE INDEX ON mails (created_at)", "CREATE INDEX ON orders (created_at)")
SCAN = "new rows by created_at, full daily"


class Pass(NamedTuple):
    """Seconds; statements; how many rules looked at less than all rows, and the seconds that their
    looks took."""

    seconds: float
    statements: int
    spared: int
    looking: float


class Again:
    """One store, and runs one after the other."""

    def __init__(
        self, folder: Path, name: str, url: str, rules: Sequence[Promise], *, scans: bool
    ) -> None:
        file = folder / f"{name}.yaml"
        words = rules_file(url, rules)
        for one in rules if scans else ():
            if plugins.load_kind("checks", one.kind).supports_new_rows:
                words = words.replace(f'"{one.id}": {{', f'"{one.id}": {{\n   "scan": "{SCAN}",')
        file.write_text(words, encoding="utf-8")
        file.chmod(0o600)
        self.rules: RuleSet = load(file)
        self.store = Store.open(f"sqlite:///{folder / name}.db", folder)
        self.at = datetime.now(UTC)

    def run(self) -> Pass:
        """All rules, with all that is remembered."""
        self.at += timedelta(minutes=5)
        began = time.perf_counter()
        results = pipeline.run_batch(
            self.rules, list(self.rules.rules.values()), self.store, self.at
        )
        seconds = time.perf_counter() - began
        wrong = {
            one.rule.id: one.run.error or one.run.violations
            for one in results
            if one.run.violations or one.run.error
        }
        if wrong:
            raise click.ClickException(f"a clean shop has violations: {wrong}")
        spared = [
            one.run.seconds
            for one in results
            if one.run.incremental or one.run.proved_by is not None
        ]
        return Pass(seconds, sum(one.run.statements for one in results), len(spared), sum(spared))


def grow(database: Database, there: Shop, nth: int) -> None:
    """Some new people with their welcome mails and orders, made now, that keep all rules."""
    with database.engine().connect() as connection:
        for step in shop.more(there, first=nth * NEW + 1, last=(nth + 1) * NEW):
            connection.execute(text(step.replace(":", "\\:")))


@click.command("again")
@click.option(
    "--rows",
    default=1_000_000,
    show_default=True,
    help="People; 1.2 times as many mails, twice as many orders.",
)
@click.option(
    "--rounds", default=5, show_default=True, help="How often the small runs are measured."
)
@click.option(
    "--gappy/--dense",
    default=False,
    show_default=True,
    help="Keys with gaps in any order, or one by one.",
)
def command(rows: int, rounds: int, gappy: bool) -> None:
    """Measure runs after the first: with 1,000 new rows in each table, and with none."""
    there = Shop(rows, gappy, planted=False)
    rules = promises(rows)
    with server.started() as database, tempfile.TemporaryDirectory() as name:
        shop.fill(database, there, rules, INDEXES)
        url = database.url.replace("+psycopg", "")
        narrow = Again(Path(name), "narrow", url, rules, scans=True)
        still = Again(Path(name), "still", url, rules, scans=False)
        with closing(narrow.store), closing(still.store):
            full, few, none = [still.run(), narrow.run()], [], []
            for nth in range(rounds):
                grow(database, there, nth)
                few.append(narrow.run())
            full.append(still.run())
            none += [still.run() for _ in range(rounds)]
    click.echo(f"{there}; forty rules, recorded; median of {rounds}\n")
    whole = statistics.median(one.seconds for one in full)
    for words, runs in (
        ("all rows", full),
        (f"{NEW:,} new rows a table", few),
        ("nothing written", none),
    ):
        last = runs[-1]
        turns.line(words, statistics.median(one.seconds for one in runs), whole)
        spared = f"{last.spared} rules looked at less than all rows, in {last.looking:.3f} s"
        click.echo(f"    {last.statements} statements; {spared}")
