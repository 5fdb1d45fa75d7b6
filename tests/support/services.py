"""Private database servers for one run of the tests: one class per server, which knows nothing of
pytest.

Everything lives in a folder of the run: started on a free loopback port with a random password and
without the safety that costs time (fsync, logs), stopped and deleted at the end. Servers refuse to
run as root, so that root lends them the account that their Debian package made.
"""

import fcntl
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import URL, Engine, NullPool, create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError

PATIENCE = 60.0


def owner(url: str) -> Engine:
    """The engine of a database's owner. A DuckDB file that is open for writing can't be looked at
    by anybody else, so that its connections are closed after each use."""
    return (
        create_engine(url, poolclass=NullPool) if url.startswith("duckdb") else create_engine(url)
    )


class Missing(Exception):
    """This machine has no such server."""


class Server(ABC):
    """One server in one folder. Processes of the same run share it by `shared`."""

    name: ClassVar[str]
    #: The account that root lends.
    account: ClassVar[str]
    #: What is asked for on the command line to see whether the server is installed.
    program: ClassVar[str]
    places: ClassVar[tuple[str, ...]]

    def __init__(self, run: Path) -> None:
        self.folder = run / self.name
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self._url = self.folder / "url"

    @classmethod
    def shared(cls, run: Path) -> str:
        """The administrator's URL; the first process that asks starts the server, the others wait
        for it."""
        server = cls(run)
        with (run / f"{cls.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not server._url.exists():
                server._start()
            return server._url.read_text()

    def stop(self) -> None:
        """Stop it, if it runs.

        It is asked first: after the machine's restart the number in a file is another process's, or
        nobody's.
        """
        if self._url.exists() and self._answers(make_url(self._url.read_text())):
            self._stop()

    def _start(self) -> None:
        program = self._program(self.program)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.log.touch()
        if self._lent_account():
            shutil.chown(self.folder, self.account)
            shutil.chown(self.log, self.account)
        url = self._launch(program, _free_port(), secrets.token_hex(12))
        until = time.monotonic() + PATIENCE
        while not self._answers(url):
            if time.monotonic() > until:
                self._stop()
                raise RuntimeError(f"{self.name} does not answer:\n{self._last_words()}")
            time.sleep(0.1)
        self._url.write_text(url.render_as_string(hide_password=False))

    @abstractmethod
    def _launch(self, program: str, port: int, password: str) -> URL:
        """Make the data folder and start the server in the background."""

    @abstractmethod
    def _stop(self) -> None:
        """Stop the server at once; its data is of no use any more."""

    def _program(self, name: str) -> str:
        """The path of one of its programs. Debian keeps those of PostgreSQL out of the PATH."""
        for place in self.places:
            for folder in sorted(Path("/").glob(place), reverse=True):
                if (folder / name).exists():
                    return str(folder / name)
        if found := shutil.which(name):
            return found
        raise Missing(f"{self.name}: the program `{name}` is not installed")

    def _run(self, *command: str) -> None:
        with self.log.open("ab") as log:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env={**os.environ, "HOME": str(self.folder), "TMPDIR": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,  # or ^C would stop the server before its tests
                check=False,
                timeout=PATIENCE,
                **self._lent_account(),
            )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{self._last_words()}")

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def _lent_account(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        try:
            group = pwd.getpwnam(self.account).pw_gid
        except KeyError:
            raise Missing(
                f"{self.name}: it refuses to run as root, and there is no account `{self.account}`"
            ) from None
        return {"user": self.account, "group": group, "extra_groups": []}

    def _answers(self, url: URL) -> bool:
        try:
            with create_engine(
                url, poolclass=NullPool, connect_args={"connect_timeout": 10}
            ).connect():
                return True
        except SQLAlchemyError:
            return False


class PostgreSQL(Server):
    """PostgreSQL, the newest version installed."""

    name = "postgresql"
    account = "postgres"
    program = "pg_ctl"
    places = ("usr/lib/postgresql/*/bin", "opt/homebrew/opt/postgresql*/bin")
    settings: ClassVar[str] = "-c shared_buffers=32MB"

    def _launch(self, program: str, port: int, password: str) -> URL:
        secret = self.folder / "password"
        secret.write_text(password)
        options = "--username=owner --auth=md5 --encoding=UTF8 --locale=C.UTF-8 --no-sync"
        self._run(
            self._program("initdb"), *options.split(), f"--pwfile={secret}", f"--pgdata={self.data}"
        )
        fast = f"-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c autovacuum=off {self.settings}"
        where = f"-h 127.0.0.1 -p {port} -k ''"
        self._run(
            program,
            "start",
            "-w",
            f"--pgdata={self.data}",
            f"--log={self.log}",
            "-o",
            f"{where} {fast}",
        )
        return URL.create("postgresql+psycopg", "owner", password, "127.0.0.1", port, "postgres")

    def _stop(self) -> None:
        self._run(
            self._program(self.program), "stop", "-w", "-m", "immediate", f"--pgdata={self.data}"
        )


class MariaDB(Server):
    """MariaDB."""

    name = "mariadb"
    account = "mysql"
    program = "mariadbd"
    places = ("usr/sbin", "usr/libexec")

    def _launch(self, program: str, port: int, password: str) -> URL:
        start = self.folder / "start.sql"
        start.write_text(
            f"CREATE USER owner@'127.0.0.1' IDENTIFIED BY '{password}';\n"
            "GRANT ALL ON *.* TO owner@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        # `normal`: root without a password, but only through the socket, which this folder keeps
        # from others.
        quick = "--no-defaults --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve"
        self._run(self._program("mariadb-install-db"), *quick.split(), f"--datadir={self.data}")
        fast = "--innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=32M --innodb-log-file-size=16M"
        text_as = "--character-set-server=utf8mb4 --collation-server=utf8mb4_general_ci"
        where = f"--port={port} --bind-address=127.0.0.1 --socket={self.folder}/socket --pid-file={self.folder}/pid"
        self._run(
            *("sh", "-c", '"$@" & echo $! > pid.shell', "sh"),
            *(
                program,
                "--no-defaults",
                "--skip-name-resolve",
                "--skip-log-bin",
                f"--datadir={self.data}",
            ),
            *(f"--init-file={start}", *where.split(), *fast.split(), *text_as.split()),
        )
        # PyMySQL would read the system's certificates for each connection, which takes 60 ms.
        plain = {"ssl_disabled": "true"}
        return URL.create("mysql+pymysql", "owner", password, "127.0.0.1", port, "mysql", plain)

    def _stop(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(int((self.folder / "pid.shell").read_text()), signal.SIGKILL)


class Run:
    """The folder of one run of the tests, and a lock that tells others that the run still lives."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self.folder.chmod(
            0o711
        )  # the servers' accounts must be able to reach their own folders in it
        self._alive = (self.folder / "alive").open("w")
        fcntl.flock(self._alive, fcntl.LOCK_EX)

    def end(self) -> None:
        """Stop its servers and delete the folder."""
        _remove(self.folder)
        self._alive.close()


def sweep() -> None:
    """Stop and delete what runs left behind that were killed."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/alive"):
        with suppress(OSError), lock.open("r+") as alive:  # it lives, or isn't ours
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(lock.parent)


_PREFIX = "sanityd-tests-"


def _remove(folder: Path) -> None:
    for server in (PostgreSQL, MariaDB):
        server(folder).stop()
    shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
