"""What remembering costs: rows that break a rule, written by sanityd's store and by the bare
driver, in turns."""

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import psycopg

from sanityd.model import Change, Resolution, Transition, Violation, fingerprint
from sanityd.store import violations
from sanityd.store.open import Store
from sanityd.store.violations import RowChanges
from tests.bench import turns
from tests.bench.server import Database, started
from tests.support.databases import fresh_database

AT = datetime(2026, 1, 1, tzinfo=UTC)
_AT = AT.isoformat(sep=" ")
#: What a run that finds a million bad rows may need.
MEMORY = 150
_COLUMNS = "rule, fingerprint, source, key, shown, detail, open, first_seen, last_seen, resolved_at, resolution, episodes"


def transitions(rows: int, change: Change) -> list[Transition]:
    """So many rows of a rule that all changed in the same way."""
    resolution = Resolution.FIXED if change is Change.RESOLVED else None
    return [
        Transition(
            fingerprint("r", "app", {"id": n}),
            change,
            {"id": n},
            Violation({"id": n}, {}, "email is null"),
            resolution,
            AT,
        )
        for n in range(rows)
    ]


def as_rows(changes: Sequence[Transition]) -> list[tuple[Any, ...]]:
    """The same as the table keeps them, made before the clock starts."""
    return [
        (
            "r",
            one.fingerprint,
            "app",
            json.dumps(dict(one.key)),
            "{}",
            "email is null",
            True,
            _AT,
            _AT,
            None,
            None,
            1,
        )
        for one in changes
    ]


class Ways:
    """Three things that happen to as many rows, each by the store and by the driver; every call has
    a new store."""

    def __init__(self, rows: int, database: Database | None) -> None:
        self.changes = {
            change: transitions(rows, change)
            for change in (Change.NEW, Change.ONGOING, Change.RESOLVED)
        }
        self.raw = as_rows(self.changes[Change.NEW])
        self.database = database

    def all(self) -> dict[str, Callable[[], float]]:
        """By name."""
        return {
            "new, driver": lambda: self._time(self._driver, filled=False),
            "new, sanityd": lambda: self._time(self._apply(Change.NEW), filled=False),
            "unchanged, driver (only read)": lambda: self._time(self._read),
            "unchanged, sanityd (read, compared)": lambda: self._time(self._unchanged),
            "resolved, driver": lambda: self._time(self._end),
            "resolved, sanityd": lambda: self._time(self._apply(Change.RESOLVED)),
        }

    def _time(self, work: Callable[[str, Store], object], *, filled: bool = True) -> float:
        with self._store() as (where, store):
            if filled:
                self._driver(where, store)
            began = time.perf_counter()
            work(where, store)
            return time.perf_counter() - began

    @contextmanager
    def _store(self) -> Iterator[tuple[str, Store]]:
        with tempfile.TemporaryDirectory() as folder:
            if self.database is None:
                where, url = f"{folder}/state.db", f"sqlite:///{folder}/state.db"
                with closing(Store.open(url, Path(folder))) as store:
                    yield where, store
                return
            with (
                fresh_database(self.database.url) as url,
                closing(Store.open(url, Path(folder))) as store,
            ):
                yield url.replace("+psycopg", ""), store

    def _apply(self, change: Change) -> Callable[[str, Store], object]:
        def work(_where: str, store: Store) -> None:
            with store.write() as memory:
                violations.apply(memory, [RowChanges("r", "app", self.changes[change])], AT)

        return work

    def _unchanged(self, _where: str, store: Store) -> None:
        with store.write() as memory:
            assert len(violations.recent_rows(memory, "r", AT)) == len(self.raw)
            violations.apply(memory, [RowChanges("r", "app", self.changes[Change.ONGOING])], AT)

    def _driver(self, where: str, _store: Store) -> None:
        """executemany on SQLite, COPY on PostgreSQL."""
        if self.database is None:
            with closing(sqlite3.connect(where)) as connection, connection:
                marks = ", ".join("?" * len(self.raw[0]))
                connection.executemany(
                    f"INSERT INTO violations ({_COLUMNS}) VALUES ({marks})", self.raw
                )
            return
        into = f"COPY violations ({_COLUMNS}) FROM STDIN"
        with psycopg.connect(where) as server, server.cursor() as cursor, cursor.copy(into) as copy:
            for row in self.raw:
                copy.write_row(row)

    def _read(self, where: str, _store: Store) -> None:
        connect: Callable[[str], Any] = (
            sqlite3.connect if self.database is None else psycopg.connect
        )
        with closing(connect(where)) as connection:
            found = connection.execute(
                f"SELECT {_COLUMNS} FROM violations WHERE rule = 'r'"
            ).fetchall()
        assert len(found) == len(self.raw)

    def _end(self, where: str, _store: Store) -> None:
        change = "UPDATE violations SET open = false, resolved_at = {0}, resolution = 'fixed'"
        sql = change + " WHERE rule = 'r' AND fingerprint = {0}"
        marks = [(_AT, row[1]) for row in self.raw]
        if self.database is None:
            with closing(sqlite3.connect(where)) as connection, connection:
                connection.executemany(sql.format("?"), marks)
            return
        with psycopg.connect(where) as server, server.cursor() as cursor:
            cursor.executemany(sql.format("%s"), marks)


def flood(database: Database, rows: int) -> tuple[int, float, float]:
    """A recorded run that finds so many bad rows at once: its count, its seconds, its peak of
    memory in MiB."""
    with psycopg.connect(database.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE TABLE people (id bigint PRIMARY KEY, email text)")
        connection.execute(
            f"INSERT INTO people SELECT n, NULL FROM generate_series(1, {rows}) AS s(n)"
        )
        connection.execute("VACUUM ANALYZE people")
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.yaml"
        app = {"url": database.url.replace("+psycopg", ""), "statement_timeout": "1h"}
        rule = {"table": "app.people", "not_null": "email"}
        rules.write_text(
            json.dumps({"sources": {"app": app}, "rules": {"r": rule}}), encoding="utf-8"
        )
        rules.chmod(0o600)
        words = (sys.executable, "-m", "tests.bench.inside", "record", str(rules))
        said = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return said["counts"]["r"], said["seconds"], said["peak"]


@click.command("recording")
@click.option("--rows", default=100_000, show_default=True, help="Rows that break a rule.")
@click.option(
    "--many", default=1_000_000, show_default=True, help="Rows that break a rule all at once."
)
@click.option("--rounds", default=3, show_default=True, help="How often each is measured.")
def command(rows: int, many: int, rounds: int) -> None:
    """Measure writing what was found into sanityd's own memory."""
    with started() as database:
        found = {
            name: turns.medians(name, Ways(rows, where).all(), rounds)
            for name, where in (("SQLite", None), ("PostgreSQL", database))
        }
        count, seconds, peak = flood(database, many)
    click.echo(
        f"{rows:,} rows that break a rule, median of {rounds} in turns; the driver's rows are made beforehand"
    )
    for name, ways in found.items():
        click.echo(f"\n{name}")
        for way, took in ways.items():
            turns.line(f"  {way}", took, ways[f"{way.partition(', ')[0]}, driver{_suffix(way)}"])
    click.echo(
        f"\n{many:,} bad rows at once: {count:,} counted, {seconds:.2f} s, peak {peak:.0f} MiB"
    )
    if count != many or peak >= MEMORY:
        raise click.ClickException(f"it must count all, in less than {MEMORY} MiB")


def _suffix(way: str) -> str:
    return " (only read)" if way.startswith("unchanged") else ""
