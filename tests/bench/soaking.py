"""Many runs in virtual time, through all that a daemon does: look, record, tell, send, tidy. Prints
lines of JSON.

Run in a process of its own, so that its memory is its own: `python -m tests.bench.soaking FOLDER
--runs 20000`.
"""

import json
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from sanityd import clock, pipeline
from sanityd.rules.load import load
from sanityd.store import retention
from sanityd.store.open import Store
from tests.bench.peer.told import peak

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
#: How many rules are about people.
PEOPLE = 20
#: How often it says how things stand.
LINES = 20


def project(folder: Path, rules: int) -> Path:
    """An application with some people and some things, and so many rules; those about people break
    now and then."""
    with closing(sqlite3.connect(folder / "app.db")) as connection, connection:
        connection.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, age INTEGER)")
        connection.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, age INTEGER)")
        for table in ("people", "things"):
            connection.executemany(
                f"INSERT INTO {table} VALUES (?, 30)", [(number,) for number in range(50)]
            )
    said = {
        "sources": {"app": "sqlite:///app.db"},
        "channels": {"team": {"log": "info"}},
        "alerts": {"noise": {"auto": "off", "critical": "off"}},
        "defaults": {"notify": "team"},
        "rules": {
            f"rule-{number}": {
                "table": "app.people" if number < PEOPLE else "app.things",
                "between": {"age": [18, 100 + number]},
            }
            for number in range(rules)
        },
    }
    file = folder / "rules.yaml"
    file.write_text(json.dumps(said, indent=1), encoding="utf-8")
    return file


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--runs", default=20_000, show_default=True)
@click.option("--rules", default=20, show_default=True)
@click.option("--hours", default=8.0, show_default=True, help="Between two looks.")
def main(folder: Path, runs: int, rules: int, hours: float) -> None:
    """Go through so many runs, and tell how large all is."""
    at = BEGIN
    clock.now = lambda: at
    ours = load(project(folder, rules), {})
    store = Store.open("sqlite:///state.db", folder)
    passes, tidied = runs // rules, 0
    for number in range(1, passes + 1):
        if number % 10 == 0:
            _break(folder, number // 10 % 2 == 1)
        pipeline.run_batch(ours, ours.enabled(), store, at)
        pipeline.notify_due(ours, store, at)
        pipeline.deliver(ours, store)
        if (done := retention.apply_retention(store, at)) is not None:
            tidied += done.runs
        if number % max(passes // LINES, 1) == 0 or number == passes:
            sys.stdout.write(
                json.dumps({"runs": number * rules, "tidied": tidied, **_size(store)}) + "\n"
            )
            sys.stdout.flush()
        at += timedelta(hours=hours)
    store.close()


def _break(folder: Path, broken: bool) -> None:
    with closing(sqlite3.connect(folder / "app.db")) as connection, connection:
        connection.execute("UPDATE people SET age = ? WHERE id < 3", [5 if broken else 30])


def _size(store: Store) -> dict[str, float]:
    """Rows and pages of the store, and the most memory this process had so far, in MiB. What it has
    now says less: the system may take idle pages back."""
    with store.read() as memory:
        stored = memory.exec_driver_sql("SELECT count(*) FROM runs").scalar_one()
        pages = memory.exec_driver_sql("PRAGMA page_count").scalar_one()
        free = memory.exec_driver_sql("PRAGMA freelist_count").scalar_one()
    return {"stored": stored, "pages": pages, "free": free, "memory": round(peak(), 1)}


if __name__ == "__main__":
    main()
