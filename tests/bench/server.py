"""A PostgreSQL server of the benchmark's own, and what it spent: CPU seconds of all its processes,
and statements."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sqlalchemy import Engine, NullPool, create_engine, make_url, text

from tests.support import services
from tests.support.databases import fresh_database

#: How long backends of a candidate that ended may take to go.
PATIENCE = 30.0


class Measured(services.PostgreSQL):
    """With memory as a small real server has it, and a count of its statements."""

    settings: ClassVar[str] = (
        "-c shared_buffers=512MB -c shared_preload_libraries=pg_stat_statements"
    )


@dataclass(frozen=True)
class Spent:
    """What the server spent until some moment, or between two."""

    cpu: float
    statements: int

    def __sub__(self, before: "Spent") -> "Spent":
        return Spent(self.cpu - before.cpu, self.statements - before.statements)


@dataclass(frozen=True)
class Database:
    """A database on a server that nobody else uses."""

    url: str
    postmaster: int

    def engine(self) -> Engine:
        """Of its owner; keeps no connection open."""
        return create_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def spent(self) -> Spent:
        """All so far. Waits until backends that were left are gone, so that their time is known to
        the postmaster."""
        with self.engine().connect() as connection:
            until = time.monotonic() + PATIENCE
            while connection.execute(text(_OTHERS)).scalar_one():
                if time.monotonic() > until:
                    raise RuntimeError(
                        "a connection was left open; the server's CPU time can't be told"
                    )
                time.sleep(0.02)
            statements = int(connection.execute(text(_STATEMENTS)).scalar_one())
        time.sleep(0.1)
        return Spent(_cpu(self.postmaster), statements)


_OTHERS = """SELECT count(*) FROM pg_stat_activity
WHERE backend_type IN ('client backend', 'parallel worker') AND pid <> pg_backend_pid()"""
#: Those that read a table of the shop; what is asked of the catalog has its names as parameters.
_STATEMENTS = r"""SELECT coalesce(sum(calls), 0) FROM pg_stat_statements(true) AS s
JOIN pg_database AS d ON d.oid = s.dbid AND d.datname = current_database()
WHERE s.query ~* '\m(from|join)\s+\S*\m(people|mails|orders|countries)\M'"""


@contextmanager
def started() -> Iterator[Database]:
    """An empty database on a new server, which is stopped at the end."""
    services.sweep()
    run = services.Run()
    try:
        administrator = Measured.shared(run.folder)
        pid = int((run.folder / Measured.name / "data" / "postmaster.pid").read_text().split()[0])
        with fresh_database(administrator) as url:
            database = Database(url, pid)
            with database.engine().connect() as connection:
                connection.execute(text("CREATE EXTENSION pg_stat_statements"))
            yield database
    finally:
        run.end()


def parts(url: str) -> dict[str, str]:
    """A URL as those want it who don't take URLs."""
    read = make_url(url)
    return {
        "host": read.host or "",
        "port": str(read.port),
        "user": read.username or "",
        "password": str(read.password),
        "database": read.database or "",
    }


def _cpu(postmaster: int) -> float:
    """Of the postmaster, the children it has waited for, and those that live: all processes that
    the server has."""
    total = sum(ticks(postmaster, 4))
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _parent(int(process.name)) == postmaster:
            total += sum(ticks(int(process.name), 2))
    return total / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """The fields behind the name, which may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _parent(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def ticks(pid: int, fields: int) -> list[int]:
    """utime and stime; with four fields, those of its children that ended, too."""
    return [int(field) for field in _stat(pid)[11 : 11 + fields]]
