"""Faults of a store, a source or the clock, end to end; those of mail, scheduler and death have
files of their own."""

import os
import shutil
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, NullPool, create_engine, make_url, text

from tests.support.project import RULES, Project
from tests.support.scene import Scene, events
from tests.support.services import owner
from tests.support.smtp_server import Mailbox, working

SECOND, HOUR, YEAR = timedelta(seconds=1), timedelta(hours=1), timedelta(days=365)
#: The rules file up to its rules.
HEAD = RULES.split("rules:\n", maxsplit=1)[0] + "rules:\n"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "sanityd", str(place)],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("only who may mount file systems can have a full one")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_told_and_when_there_is_room_again_all_is_found(
    disk: Path, project: Project
) -> None:
    """Nothing was half recorded, and nobody is mailed twice."""
    state = f"sqlite:///{disk}/state.db"
    with working() as box:
        named = {"SANITYD_STATE": state, "SMTP_URL": f"smtp://127.0.0.1:{box.port}"}
        assert project.run("check", **named).code == 0
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"x" * 512)
        project.sql("UPDATE mails SET status = 'queued' WHERE person_id IN (7, 77, 777)")
        full = project.run("check", **named)
        assert full.code not in (0, 1)
        # SQLite says that its disk failed where it is full for the log beside the file.
        assert "disk is full" in full.err
        assert "Traceback" not in full.err
        assert box.mails == []
        filler.unlink()
        assert project.run("check", **named).code == 1
        assert project.run("check", **named).code == 1
        assert [mail["X-Sanityd-Event"] for _, mail in box.mails] == ["opened"]


def test_a_store_that_vanishes_is_made_anew_and_tells_what_is_open(project: Project) -> None:
    with working() as box:
        named = {"SMTP_URL": f"smtp://127.0.0.1:{box.port}"}
        project.sql("UPDATE mails SET status = 'queued' WHERE person_id = 7")
        project.run("check", **named)
        shutil.rmtree(project.folder / ".sanityd")
        assert project.run("check", **named).code == 1
        assert [mail["X-Sanityd-Event"] for _, mail in box.mails] == ["opened", "opened"]


def _keep_copy(state: str) -> Callable[[], None]:
    """Copy a store as its administrator would; call what is returned to put the copy in its
    place."""
    url = make_url(state)
    if url.drivername == "sqlite":
        place, copy = Path(str(url.database)), Path(f"{url.database}.copy")
        with closing(sqlite3.connect(place)) as connection:
            connection.execute("VACUUM INTO ?", [str(copy)])

        def put_back() -> None:
            for rest in ("-wal", "-shm"):
                Path(f"{place}{rest}").unlink(missing_ok=True)
            shutil.copy(copy, place)

        return put_back

    # Nobody may be connected to a database that is copied, ourselves included.
    engine = create_engine(
        url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool
    )
    with engine.connect() as administrator:
        administrator.execute(text(f"CREATE DATABASE {url.database}_copy TEMPLATE {url.database}"))

    def rename_back() -> None:
        with engine.connect() as administrator:
            administrator.execute(text(f"DROP DATABASE {url.database} WITH (FORCE)"))
            administrator.execute(
                text(f"ALTER DATABASE {url.database}_copy RENAME TO {url.database}")
            )

    return rename_back


def test_a_store_from_a_backup_does_not_storm(state: str, tmp_path: Path) -> None:
    """Thirty rules broke, and thirty others were repaired, since the copy was made: all comes as
    two mails."""
    project = Project(tmp_path)
    rules = "".join(f"  r{n}: {{table: app.t, never: n = {n}}}\n" for n in range(60))
    project.rules(HEAD + rules)
    with working() as box:
        named = {"SMTP_URL": f"smtp://127.0.0.1:{box.port}", "SANITYD_STATE": state}
        first, second = (
            ",".join(f"({n})" for n in range(30)),
            ",".join(f"({n})" for n in range(30, 60)),
        )
        project.sql(
            f"CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t (n) VALUES {first}"
        )
        project.run("check", **named)
        put_back = _keep_copy(state)
        project.sql(f"DELETE FROM t; INSERT INTO t (n) VALUES {second}")
        project.run("check", **named)
        before = Counter(mail["X-Sanityd-Event"] for _, mail in box.mails)
        assert before.keys() == {"opened", "resolved"}
        put_back()
        for _ in range(3):
            project.run("check", **named)
        after = Counter(mail["X-Sanityd-Event"] for _, mail in box.mails)
    assert sum((after - before).values()) == 2
    engine = create_engine(state, poolclass=NullPool)
    with engine.connect() as memory:
        is_open = "SELECT count(*) FROM incidents WHERE resolved_at IS NULL"
        assert memory.execute(text(is_open)).scalar_one() == 30


def test_a_million_bad_rows_are_counted_followed_in_part_and_told_once(
    scene: Scene, box: Mailbox
) -> None:
    scene.sql(
        "WITH RECURSIVE n(x) AS (SELECT 11 UNION ALL SELECT x + 1 FROM n WHERE x < 1000010) "
        "INSERT INTO people SELECT x, 5 FROM n"
    )
    [result] = scene.look()
    scene.mail()
    assert (result.run.violations, len(result.run.tracked)) == (1_000_000, 1000)
    assert len(scene.rows()) == 1000
    scene.tick()
    assert events(box) == [("ada", "opened")]
    assert "1,000,000" in str(box.mails[0][1].get_body(("plain",)))
    scene.sql("UPDATE people SET age = 30")
    scene.tick()
    assert scene.rows() == []
    assert [event for _, event in events(box)] == ["opened", "resolved"]


@pytest.mark.parametrize(
    "by",
    [
        -YEAR,
        -timedelta(hours=1),
        -timedelta(seconds=1),
        timedelta(seconds=1),
        timedelta(hours=1),
        YEAR,
    ],
)
def test_a_clock_that_jumps_neither_repeats_nor_silences(
    scene: Scene, box: Mailbox, by: timedelta
) -> None:
    """And when it is right again, what breaks is told, once."""
    scene.children(1)
    scene.tick()
    scene.clock.shift(by)
    scene.tick()
    scene.tick()
    scene.clock.shift(-by)
    scene.tick()
    scene.children()
    scene.tick(120)
    scene.children(2)
    scene.tick(120)
    told = [event for _, event in events(box) if event != "reminder"]
    assert told == ["opened", "resolved", "opened"]


@pytest.fixture
def shop(postgres: str, tmp_path: Path) -> Iterator[tuple[Project, Connection]]:
    """Ten people in PostgreSQL, of whom one is a child; the owner's connection to break things."""
    project = Project(tmp_path)
    adults = "  adults: {table: app.people, between: {age: [18, 150]}}\n"
    project.rules(HEAD.replace("sqlite:///app.db", "${APP_URL}") + adults)
    engine = owner(postgres)
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE people (id integer PRIMARY KEY, age integer)"))
        connection.execute(
            text(
                "INSERT INTO people SELECT n, CASE n WHEN 7 THEN 5 ELSE 30 END FROM generate_series(1, 10) n"
            )
        )
        connection.commit()
        yield project, connection
    engine.dispose()


@pytest.mark.parametrize(
    ("breaks", "mends", "event"),
    [
        (
            "ALTER TABLE people RENAME COLUMN age TO years",
            "ALTER TABLE people RENAME COLUMN years TO age",
            "errored",
        ),
        ("ALTER TABLE people RENAME TO persons", "ALTER TABLE persons RENAME TO people", "errored"),
        ("REVOKE ALL ON people FROM reader", "GRANT SELECT ON people TO reader", "errored"),
        ("ALTER ROLE reader NOLOGIN", "ALTER ROLE reader LOGIN", "source_down"),
        (
            "CREATE TABLE away AS SELECT * FROM people; DELETE FROM people",
            "INSERT INTO people SELECT * FROM away",
            "errored",
        ),
    ],
    ids=["schema", "renamed", "right", "login", "emptied"],
)
def test_a_source_that_changes_below_us_resolves_nothing_and_is_told_once(
    shop: tuple[Project, Connection], postgres: str, breaks: str, mends: str, event: str
) -> None:
    project, connection = shop
    reader = f"reader_{os.getpid()}"
    url = connection.engine.url.set(username=reader, password="reads")
    connection.execute(text(f"CREATE ROLE {reader} LOGIN PASSWORD 'reads'"))
    connection.execute(text(f"GRANT SELECT ON people TO {reader}"))
    connection.commit()
    try:
        with working() as box:
            named = {
                "SMTP_URL": f"smtp://127.0.0.1:{box.port}",
                "APP_URL": url.render_as_string(hide_password=False),
            }
            assert project.run("check", **named).code == 1
            _all(connection, breaks.replace("reader", reader))
            for _ in range(2):
                assert project.run("check", **named).code == 3
            assert project.state("SELECT count(*) FROM violations WHERE open") == [(1,)]
            _all(connection, mends.replace("reader", reader))
            assert project.run("check", **named).code == 1
            told = [mail["X-Sanityd-Event"] for _, mail in box.mails]
        assert told == ["opened", event, "resolved"]
        assert project.state("SELECT count(*) FROM violations WHERE open") == [(1,)]
    finally:
        _all(connection, f"DROP OWNED BY {reader}; DROP ROLE {reader}")


def _all(connection: Connection, statements: str) -> None:
    for statement in statements.split("; "):
        connection.execute(text(statement))
    connection.commit()


def test_a_source_that_deadlocks_with_a_migration_resolves_nothing(
    shop: tuple[Project, Connection], postgres: str
) -> None:
    """Reading takes locks, too: one table is read already; who alters the other one wants the first
    one next.

    PostgreSQL looks for a deadlock once, a while after a session began to wait, and ends the session
    that found it: the check waits for three seconds, the migration for longer."""
    project, connection = shop
    url = connection.engine.url.render_as_string(hide_password=False)
    both = "".join(
        f"  {table}: {{table: app.{table}, between: {{age: [18, 150]}}}}\n"
        for table in ("people", "mails")
    )
    project.rules(HEAD.replace("sqlite:///app.db", "${APP_URL}") + both)
    _all(
        connection,
        "CREATE TABLE mails AS SELECT * FROM people; ALTER TABLE mails ADD PRIMARY KEY (id); "
        f"ALTER DATABASE {connection.engine.url.database} SET deadlock_timeout = '3s'; "
        "SET deadlock_timeout = '1min'",
    )
    with working() as box, ThreadPoolExecutor(1) as beside:
        named = {"SMTP_URL": f"smtp://127.0.0.1:{box.port}", "APP_URL": url}
        assert project.run("check", **named).code == 1
        connection.execute(text("LOCK TABLE mails"))
        looking = beside.submit(project.run, "check", "--format", "json", **named)
        _until_it_waits(connection)
        connection.execute(text("LOCK TABLE people"))
        connection.commit()
        done = looking.result(60)
        assert done.code == 3
        assert "deadlock" in done.out
        assert project.state("SELECT count(*) FROM violations WHERE open") == [(2,)]
        assert project.run("check", **named).code == 1
        assert [mail["X-Sanityd-Event"] for _, mail in box.mails] == [
            "opened",
            "errored",
            "resolved",
        ]


def _until_it_waits(connection: Connection) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
        " WHERE NOT granted AND relation IS NOT NULL AND datname = current_database()"
    )
    for _ in range(2_000):
        if connection.execute(waiting).scalar_one():
            return
        time.sleep(0.01)
    pytest.fail("nobody waits")
