"""Open the store, SQLite or PostgreSQL, migrate it, and turn its errors into StoreError."""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from sanityd import clock
from sanityd.errors import StoreError, StoreUnavailableError
from sanityd.store import remedy_tables  # noqa: F401 (a part of the schema)
from sanityd.store.tables import create_all

#: The newest migration; a test compares it with the scripts.
HEAD = "0015"
_WAIT_SECONDS = 10
#: How long a thread waits for the transactions of the other threads of this process.
_OWN_WAIT_SECONDS = 30

_LOCKED = (
    "is locked by somebody else",
    "Is another sanityd, a backup or an editor using it? Try again.",
)
#: What the databases say, in words for the operator. Their texts hold no data.
_FAULTS = {
    "locked": _LOCKED,
    "lock timeout": _LOCKED,
    "readonly": (
        "can't be written",
        "Give the user that runs sanityd the right to write the file and its folder.",
    ),
    "full": (
        "can't grow: the disk is full",
        "Free some space; nothing was recorded or mailed meanwhile.",
    ),
    "not a database": (
        "is not a SQLite database",
        "Move the file away, or name another in `state:`.",
    ),
    "malformed": ("is damaged", "Restore it from a backup, or move it away to begin anew."),
    "unable to open": ("can't be opened", "Check that its folder exists and may be written."),
    "disk i/o": (
        "can't be read or written (disk I/O error)",
        "See whether the disk is full, or failing.",
    ),
}


#: Those of them that time does not cure.
_LASTING_FAULTS = ("not a database", "malformed")


class Store:
    """The store. `read` and `write` yield a connection in a transaction."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self._write_lock = threading.Lock()
        #: What to call it in a log: the file's name, or the kind of database; never a URL.
        self.name = name

    @classmethod
    def open(cls, url: str | None, folder: Path) -> "Store":
        """Open the store; create or migrate it if necessary.

        Parameters: `url` is any SQLAlchemy URL of SQLite or PostgreSQL, None for
        `.sanityd/state.db` in `folder`, which relative paths are relative to.
        Raises StoreError when it can't be used, or was written by a newer version.
        """
        parsed = _parse(url, folder)
        if url is None:
            _make_home(folder)
        name = (
            Path(parsed.database or "memory").name
            if parsed.get_backend_name() == "sqlite"
            else "PostgreSQL"
        )
        try:
            store = cls(_engine(parsed), name)
        except (TypeError, ValueError):
            raise StoreError(
                f"the store's URL ({name}) has an option that its driver can't take"
            ) from None
        try:
            store._migrate()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def existing(cls, url: str | None, folder: Path) -> "Store | None":
        """Open the store for reading only; None where there is none yet.

        Raises StoreError when it can't be read, or was written by another version.
        """
        parsed = _parse(url, folder)
        if parsed.get_backend_name() == "sqlite":
            path = Path(parsed.database or "")
            if not path.is_file():
                return None
            parsed = parsed.set(
                database=f"file:{quote(str(path.resolve()))}", query={"mode": "ro", "uri": "true"}
            )
        store = cls(_reading_engine(parsed), Path(parsed.database or "memory").name)
        try:
            with store.read() as connection:
                version = _version(connection)
        except BaseException:
            store.close()
            raise
        if version == HEAD:
            return store
        store.close()
        if version is None:
            return None
        raise StoreError(
            "the store was written by another version of sanityd",
            "`sanityd check` brings it up to date.",
        )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Begin a transaction for reading; all statements see the same data. Raises StoreError."""
        options: dict[str, Any] = {}
        if self.engine.dialect.name == "postgresql":
            # By default its statements see what others have committed since the transaction began.
            options = {"isolation_level": "REPEATABLE READ"}
        with (
            self._errors_translated(),
            self.engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Begin a transaction for writing. Raises StoreError."""
        # SQLite: locked at once, so that nobody changes what is read before it is written.
        options = {"sanityd_write": True}
        with (
            self._turn_to_write(),
            self._errors_translated(),
            self.engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            if connection.dialect.name == "postgresql":
                # The same for PostgreSQL: one writer at a time. The lock ends with the transaction.
                connection.execute(text(f"SET LOCAL lock_timeout = '{_WAIT_SECONDS}s'"))
                connection.execute(text("SELECT pg_advisory_xact_lock(20260101)"))
            yield connection

    @contextmanager
    def _turn_to_write(self) -> Iterator[None]:
        """Wait for the other threads of this process, which would look like another process."""
        if not self._write_lock.acquire(timeout=_OWN_WAIT_SECONDS):
            raise StoreUnavailableError(
                f"the store ({self.name}) is busy: another thread of this process has been writing"
                f" for {_OWN_WAIT_SECONDS} s",
                "See whether its disk is slow or its server overloaded.",
            )
        try:
            yield
        finally:
            self._write_lock.release()

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Lock a store that only one daemon may use: yields True for a file.

        Raises StoreError when another daemon has locked it.
        """
        path = self.engine.url.database
        if self.engine.dialect.name != "sqlite" or not path:
            yield False
            return
        # The system releases the lock when the process ends, however that happens.
        with open(f"{path}.serving", "a", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise StoreError(
                    f"another `sanityd serve` works with this store ({self.name})",
                    "Stop it first; for several at once name a PostgreSQL database in `state:`"
                    " or SANITYD_STATE.",
                ) from None
            yield True

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise _fault(self.name, error) from None

    def _migrate(self) -> None:
        with self.read() as connection:
            version = _version(connection)
        if version == HEAD:
            return
        if version is not None and version > HEAD:
            raise StoreError(
                f"the store ({self.name}) was written by a newer sanityd"
                f" (its schema is {version}, ours is {HEAD})",
                "Install the newer version again, or name another store in `state:`.",
            )
        with self.write() as connection:
            # Another that started at the same moment may have been first.
            version = _version(connection)
            if version is None:
                _make(connection)
            elif version != HEAD:
                # Alembic takes a tenth of a second to import and is needed once per version.
                from sanityd.store.migrate import upgrade

                upgrade(connection)


def _make(connection: Connection) -> None:
    """A new store has the newest schema; there is nothing to migrate."""
    create_all(connection)
    # As Alembic makes it, which goes on from here.
    connection.execute(
        text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _parse(url: str | None, folder: Path) -> URL:
    if url is None:
        return URL.create("sqlite", database=str(folder.resolve() / ".sanityd" / "state.db"))
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError(
            "the store's URL can't be read", "Write `sqlite:///state.db` or `postgresql://…`."
        ) from None
    if parsed.get_backend_name() == "sqlite":
        if parsed.host:
            raise StoreError(
                "the store's URL names no file", "Write `sqlite:///state.db`, with three slashes."
            )
        database = str(folder / parsed.database) if parsed.database else None
        return parsed.set(drivername="sqlite", database=database)
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise StoreError(
        "the store can be SQLite or PostgreSQL, nothing else", "Change `state:` or SANITYD_STATE."
    )


def _make_home(folder: Path) -> None:
    try:
        (folder.resolve() / ".sanityd").mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the folder `.sanityd` can't be made ({error.strerror})") from None


def _reading_engine(url: URL) -> Engine:
    """One that can't change anything, nor make what isn't there."""
    if url.get_backend_name() == "sqlite":
        engine = create_engine(
            url, connect_args={"timeout": _WAIT_SECONDS}, poolclass=NullPool, hide_parameters=True
        )
        event.listen(engine, "connect", _disable_driver_transactions)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return _postgresql(url, execution_options={"postgresql_readonly": True})


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        if url.database:
            # Rows' keys are in it: nobody else on the machine needs to read it.
            _make_private(Path(url.database))
        engine = create_engine(url, connect_args={"timeout": _WAIT_SECONDS}, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return _postgresql(url)


def _postgresql(url: URL, **options: Any) -> Engine:
    reach = {"connect_timeout": 10}
    try:
        return create_engine(
            url, pool_pre_ping=True, hide_parameters=True, connect_args=reach, **options
        )
    except ImportError:
        raise StoreError(
            "PostgreSQL's driver isn't installed", "pip install 'sanityd[postgresql]'"
        ) from None


def _make_private(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError:
        # SQLite will say what is wrong, better than we can here.
        return


def _disable_driver_transactions(connection: Any, _: object) -> None:
    # The driver's own begin too late, and end too early; ours begin in `_begin_sqlite`.
    connection.isolation_level = None


def _prepare_sqlite(connection: Any, record: object) -> None:
    _disable_driver_transactions(connection, record)
    _use_write_ahead_log(connection)
    for pragma in ("synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _use_write_ahead_log(connection: Any) -> None:
    """Turn on the write-ahead log, so that readers and a writer don't wait for each other.

    When several processes do this on a new file, SQLite refuses all but one at once.
    """
    started = clock.stopwatch()
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or clock.stopwatch() - started > _WAIT_SECONDS:
                raise
            clock.pause(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("sanityd_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _fault(name: str, error: SQLAlchemyError) -> StoreError:
    cause = str(error.orig).lower() if isinstance(error, DBAPIError) else ""
    for sign, (what, hint) in _FAULTS.items():
        if sign in cause:
            error_class = StoreError if sign in _LASTING_FAULTS else StoreUnavailableError
            return error_class(f"the store ({name}) {what}", hint)
    kind = type(error.orig if isinstance(error, DBAPIError) and error.orig else error).__name__
    return StoreUnavailableError(f"the store ({name}) can't be used ({kind})")
