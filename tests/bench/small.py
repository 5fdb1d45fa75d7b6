"""How long sanityd takes to start, and to look at one small rule. The yardstick is the import of
SQLAlchemy alone."""

import json
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import click

from tests.bench import turns

YARDSTICK = "python -c 'import sqlalchemy'"


@click.command("small")
@click.option("--rounds", default=9, show_default=True, help="How often each is measured.")
def command(rounds: int) -> None:
    """Measure starting: `--help`, and one rule over SQLite."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with closing(sqlite3.connect(folder / "app.db")) as connection, connection:
            connection.execute("CREATE TABLE people (id integer PRIMARY KEY, email text)")
            connection.executemany(
                "INSERT INTO people VALUES (?, ?)", [(n, f"{n}@example.com") for n in range(1000)]
            )
        rules = folder / "rules.yaml"
        rule = {"table": "app.people", "not_null": "email"}
        rules.write_text(
            json.dumps({"sources": {"app": "sqlite:///app.db"}, "rules": {"r": rule}}),
            encoding="utf-8",
        )
        check = (sys.executable, "-m", "sanityd", "check", "--rules", str(rules))
        # The first pass makes the store; what is measured is a pass like all others.
        turns.command(check)()
        ways = {
            "python -c ''": turns.command((sys.executable, "-c", "")),
            YARDSTICK: turns.command((sys.executable, "-c", "import sqlalchemy")),
            "sanityd --help": turns.command((sys.executable, "-m", "sanityd", "--help")),
            "sanityd check --dry-run, one rule, SQLite": turns.command((*check, "--dry-run")),
            "sanityd check, one rule, SQLite": turns.command(check),
        }
        found = turns.medians("small", ways, rounds)
    click.echo(f"whole processes, median of {rounds} in turns\n")
    for way, seconds in found.items():
        turns.line(way, seconds, found[YARDSTICK])
