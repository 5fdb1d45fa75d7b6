"""`has` between columns of all pairs of types, on each database, with and without an index.

Prints the seconds of each statement; what takes much longer than its neighbours reads one table
anew for each row of the other.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import click
from sqlalchemy import Engine

from sanityd.checks.invariant import Invariant, Subject, TableName
from sanityd.checks.kinds.has import Has
from sanityd.checks.planner import plan_check
from sanityd.errors import CheckError
from sanityd.sources.base import AnySelect, Snapshot, SourceSettings
from sanityd.sources.open import open_source
from tests.support import services
from tests.support.databases import fresh_database

#: A letter for each type of column, with its declaration and its value in row `{n}`.
TYPES = {
    "t": ("varchar(40)", "'{n}'"),
    "i": ("integer", "{n}"),
    "n": ("decimal(12, 2)", "{n}.00"),
    "f": ("double precision", "{n}"),
    "d": ("date", "'{year:04}-{month:02}-01'"),
    "u": ("char(36)", "'{n:036}'"),
}
#: No rule compares a date with a number.
PAIRS = [
    pair for pair in product(TYPES, repeat=2) if "d" not in pair or set(pair).isdisjoint("inf")
]
COUNTS = ["at least 1", "none", "at most 1"]
TABLES = ("plain", "indexed")


def fill(engine: Engine, own: int, other: int) -> None:
    """Make a table of `own` rows, and two of `other` rows, one with an index on each column."""
    columns = ", ".join(f"{name} {type_}" for name, (type_, _) in TYPES.items())
    row = "({n}, " + ", ".join(value for _, value in TYPES.values()) + ")"
    with engine.begin() as connection:
        for table, rows in (("own", own), ("plain", other), ("indexed", other)):
            connection.exec_driver_sql(f"CREATE TABLE {table} (id integer PRIMARY KEY, {columns})")
            for first in range(1, rows + 1, 1000):
                numbers = range(first, min(first + 1000, rows + 1))
                values = [row.format(n=n, year=1 + n // 12, month=1 + n % 12) for n in numbers]
                connection.exec_driver_sql(f"INSERT INTO {table} VALUES {', '.join(values)}")
        for name in TYPES:
            connection.exec_driver_sql(f"CREATE INDEX by_{name} ON indexed ({name})")
        if engine.dialect.name != "mysql":
            connection.exec_driver_sql("ANALYZE")
        else:
            connection.exec_driver_sql("ANALYZE TABLE own, plain, indexed")


def statement_of(
    snapshot: Snapshot, own: str, table: str, other: str, count: str
) -> tuple[Snapshot, AnySelect]:
    """The SELECT of the rows of `own` without the right number of counterparts."""
    subject = Subject("app", TableName("app", "own"), frozenset({"app"}), key=("id",))
    check = Has.model_validate({"in": table, "on": {own: other}, "count": count})
    planned = plan_check(Invariant("rule", "has", check, subject), snapshot)
    [(scope, statement)] = planned.form.statements(planned)
    return scope.snapshot, statement


@contextmanager
def databases() -> Iterator[dict[str, str]]:
    """URLs of an empty database of each kind."""
    run = services.Run()
    servers = services.PostgreSQL.shared(run.folder), services.MariaDB.shared(run.folder)
    try:
        with (
            tempfile.TemporaryDirectory() as name,
            fresh_database(servers[0]) as postgresql,
            fresh_database(servers[1]) as mariadb,
        ):
            yield {
                "SQLite": f"sqlite:///{Path(name) / 'app.db'}",
                "DuckDB": f"duckdb:///{Path(name) / 'app.duckdb'}",
                "PostgreSQL": postgresql,
                "MariaDB": mariadb,
            }
    finally:
        run.end()


@click.command("matching")
@click.option("--own", default=20_000, show_default=True, help="Rows of the rule's table.")
@click.option("--other", default=60_000, show_default=True, help="Rows of the other table.")
def command(own: int, other: int) -> None:
    """Measure `has` between all pairs of types, with and without an index."""
    click.echo(f"{own:,} × {other:,} rows; seconds; t text, i integer, n decimal, f double,")
    click.echo("d date, u char(36); the other table without an index, and with one")
    with databases() as urls:
        for database, url in urls.items():
            engine = services.owner(url)
            fill(engine, own, other)
            engine.dispose()
            source = open_source(SourceSettings("app", url))
            with source.snapshot() as snapshot:
                for count in COUNTS:
                    click.echo(f"\n{database}, {count}")
                    for pair in PAIRS:
                        cells = [f"{_seconds(snapshot, pair, table, count):>8}" for table in TABLES]
                        click.echo(f"{pair[0]} → {pair[1]} {''.join(cells)}")
            source.close()


def _seconds(snapshot: Snapshot, pair: tuple[str, ...], table: str, count: str) -> str:
    own, other = pair
    try:
        reader, statement = statement_of(snapshot, own, table, other, count)
        began = time.perf_counter()
        reader.rows(statement)
    except CheckError as error:
        return "cut off" if "cut off" in error.message else "refused"
    return f"{time.perf_counter() - began:.2f}"
