"""Stages for hostile statements: a database with much to spoil, somebody else's session in it, and
a look at all of it.

Everything that a statement could change outside of its own session is part of the look, which costs
a few milliseconds.
"""

import secrets
import sqlite3
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import duckdb
from sqlalchemy import URL, Connection, NullPool, create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from tests.support.databases import fresh_database

#: The values of the first row of `people`; no error may tell them.
NAME, NUMBER, WORD = "Ada Heimlich", 7355608421, "verschwiegen"
#: What `<secret>` holds.
FILE = "the-content-of-a-file"
#: How long a session that was closed may take to vanish, in seconds.
PATIENCE = 3.0

Look = dict[str, Any]


class Stage(ABC):
    """One database as one login meets it. `opened` closes what the stage opens."""

    logins: ClassVar[tuple[str, ...]]

    def __init__(self, opened: ExitStack, login: str, server: str) -> None:
        self._opened = opened
        self.login = login
        self.folder = Path(
            opened.enter_context(tempfile.TemporaryDirectory(prefix="sanityd-stage-"))
        )
        self.folder.chmod(0o777)
        self.loot = self.folder / "loot"
        self.loot.mkdir()
        self.loot.chmod(0o777)
        secret = self.folder / "secret"
        secret.write_text(FILE)
        secret.chmod(0o644)
        #: What no error may tell.
        self.unspeakable = {NAME, str(NUMBER), WORD, FILE}
        #: What stands for the placeholders of the statements.
        self.placeholders = {
            "<folder>": str(self.loot),
            "<secret>": str(secret),
            "<deep>": "(" * 5_000 + "1 = 1" + ")" * 5_000,
            "<long>": "1 + " * 30_000 + "1",
            "<types>": "decimal(" * 30 + "1" + ")" * 30,
        }
        #: The URL of the login.
        self.url = self._set(server)
        # The first look lets the victim answer for the first time, which is a change of its own.
        self.look()
        self.first = self.look()
        #: Whether something got through, so that the stage is of no use any more.
        self.spoilt = False

    @abstractmethod
    def _set(self, server: str) -> str:
        """Make the database, its logins, its tables and the victim's session; the URL of the
        login."""

    @abstractmethod
    def look(self) -> Look:
        """All that could be changed."""

    @abstractmethod
    def do(self, sql: str) -> None:
        """Run a statement as an administrator, without any guard."""

    def filled(self, sql: str) -> str:
        """A statement with this stage's places in it."""
        for name, value in self.placeholders.items():
            sql = sql.replace(name, value)
        return sql

    def changes(self, patience: float = PATIENCE) -> Look:
        """What is no longer as it was at first, as it is now; what only needs a moment is waited
        for."""
        until = time.monotonic() + patience
        while (now := self.look()) != self.first and time.monotonic() < until:
            time.sleep(0.02)
        self.spoilt = now != self.first
        return {part: value for part, value in now.items() if value != self.first.get(part)}

    def _files(self) -> list[str]:
        return sorted(str(path) for path in self.folder.rglob("*"))

    def _connect(self, url: URL | str) -> Connection:
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        return self._opened.enter_context(engine.connect()).execution_options(no_parameters=True)


class SqliteStage(Stage):
    """A file. SQLite has no sessions that could be ended; the victim is one that must still be able
    to lock all."""

    logins: ClassVar[tuple[str, ...]] = ("file",)

    def _set(self, server: str) -> str:
        del server
        self.path = self.folder / "app.db"
        self.victim = sqlite3.connect(self.path, isolation_level=None, timeout=0)
        self._opened.callback(self.victim.close)
        for statement in (
            "CREATE TABLE people (id integer PRIMARY KEY, name text, secret integer, word text)",
            f"INSERT INTO people VALUES (1, '{NAME}', {NUMBER}, '{WORD}'), (2, 'Grace', 2, 'two')",
            "CREATE TABLE held (id integer PRIMARY KEY)",
            "INSERT INTO held VALUES (1)",
            "CREATE VIRTUAL TABLE docs USING fts5(body)",
            "INSERT INTO docs VALUES ('a text')",
        ):
            self.do(statement)
        return f"sqlite:///{self.path}"

    def look(self) -> Look:
        """Every byte; nobody else may hold any lock."""
        try:
            self.victim.execute("BEGIN EXCLUSIVE")
            self.victim.execute("ROLLBACK")
            free = True
        except sqlite3.OperationalError:
            free = False
        return {"file": self.path.read_bytes(), "files": self._files(), "free": free}

    def do(self, sql: str) -> None:
        """As the victim."""
        self.victim.execute(sql)


class DuckdbStage(Stage):
    """A file that is open in our own process while it is looked at, so that nobody else can be in
    it."""

    logins: ClassVar[tuple[str, ...]] = ("file",)

    def _set(self, server: str) -> str:
        del server
        self.path = self.folder / "app.duckdb"
        self.do(
            "CREATE TABLE people (id integer PRIMARY KEY, name varchar, secret bigint, word varchar)"
        )
        self.do(
            f"INSERT INTO people VALUES (1, '{NAME}', {NUMBER}, '{WORD}'), (2, 'Grace', 2, 'two')"
        )
        self.do("CREATE TABLE held (id integer PRIMARY KEY)")
        self.do("INSERT INTO held VALUES (1)")
        self.do("CREATE SEQUENCE numbers")
        return f"duckdb:///{self.path}"

    def look(self) -> Look:
        """Every byte."""
        return {"file": self.path.read_bytes(), "files": self._files()}

    def do(self, sql: str) -> None:
        """As whoever may write."""
        with closing(duckdb.connect(str(self.path))) as connection:
            connection.execute(sql).fetchall()


class ServerStage(Stage):
    """A database on a server: an administrator watches, the victim holds locks."""

    #: What the URL of the login says besides.
    options: ClassVar[dict[str, str]] = {}

    def _set(self, server: str) -> str:
        database = make_url(self._opened.enter_context(fresh_database(server)))
        self.database = database.database or ""
        self.watcher = self._connect(database)
        names = {login: f"{login}_{secrets.token_hex(4)}" for login in (*self.logins, "victim")}
        urls = {
            login: database.set(username=name, password=secrets.token_hex(8))
            for login, name in names.items()
        }
        self._opened.callback(self._forget, *names.values())
        for statement in (*self._people(urls), *self._things(names["owner"])):
            self.do(statement)
        self.victim = self._connect(urls["victim"])
        self.placeholders["<victim>"] = str(self._hold())
        self.placeholders["<held>"] = self.database
        for url in (database, *urls.values()):
            self.unspeakable |= {
                str(url.password),
                f"@{url.host}",
                url.render_as_string(hide_password=False),
            }
        mine = urls[self.login]
        self.placeholders["<url>"] = (
            f"host={mine.host} port={mine.port} user={mine.username} password={mine.password} dbname={mine.database}"
        )
        return mine.set(query=self.options).render_as_string(hide_password=False)

    def do(self, sql: str) -> None:
        """As the server's administrator."""
        self.watcher.exec_driver_sql(sql)

    @abstractmethod
    def _people(self, urls: dict[str, URL]) -> Iterator[str]:
        """Statements that make the logins."""

    @abstractmethod
    def _things(self, owner: str) -> Iterator[str]:
        """Statements that make what can be spoilt."""

    @abstractmethod
    def _hold(self) -> int:
        """Let the victim take its locks; the number of its session."""

    @abstractmethod
    def _forget(self, *names: str) -> None:
        """Drop the logins, which are no part of the database."""

    def _rows(self, sql: str) -> list[Any]:
        return [tuple(row) for row in self.watcher.exec_driver_sql(sql)]

    def _still_there(self) -> str:
        """Whether the victim's own session answers."""
        try:
            return str(self.victim.exec_driver_sql("SELECT count(*) FROM held").scalar())
        except SQLAlchemyError as error:
            return type(error).__name__


class PostgresStage(ServerStage):
    """PostgreSQL, with the extensions that reach out of a session where they are installed."""

    logins: ClassVar[tuple[str, ...]] = ("superuser", "owner", "reader")

    def _people(self, urls: dict[str, URL]) -> Iterator[str]:
        for login, url in urls.items():
            rights = "SUPERUSER" if login == "superuser" else "NOSUPERUSER"
            yield f"CREATE ROLE {url.username} LOGIN {rights} PASSWORD '{url.password}'"

    def _things(self, owner: str) -> Iterator[str]:
        available = {name for (name,) in self._rows("SELECT name FROM pg_available_extensions")}
        yield from (
            f"CREATE EXTENSION {name}"
            for name in ("dblink", "tablefunc", "adminpack")
            if name in available
        )
        yield "CREATE TABLE people (id integer PRIMARY KEY, name text, secret bigint, word text)"
        yield f"INSERT INTO people VALUES (1, '{NAME}', {NUMBER}, '{WORD}'), (2, 'Grace', 2, 'two')"
        yield "CREATE TABLE held (id integer PRIMARY KEY)"
        yield "INSERT INTO held VALUES (1)"
        yield "CREATE SEQUENCE numbers"
        yield "SELECT lo_from_bytea(4711, 'a large object')"
        yield f"GRANT ALL ON SCHEMA public TO {owner}"
        yield "GRANT SELECT ON people, held TO public"
        yield "GRANT UPDATE ON held TO public"
        yield "GRANT SELECT, UPDATE ON LARGE OBJECT 4711 TO public"
        for thing in ("TABLE people", "TABLE held", "SEQUENCE numbers", "LARGE OBJECT 4711"):
            yield f"ALTER {thing} OWNER TO {owner}"
        for name, options, body in _POSTGRES_FUNCTIONS:
            # Whoever calls it acts with an administrator's rights.
            yield f"CREATE FUNCTION {name}() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER {options} AS $${body}$$"
        yield "CREATE VIEW trap AS SELECT wipe() AS n"
        yield "GRANT SELECT ON trap TO public"
        yield "CREATE PROCEDURE wipe_all() LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN DELETE FROM people; END$$"

    def _hold(self) -> int:
        self.victim.exec_driver_sql("BEGIN")
        self.victim.exec_driver_sql("SELECT id FROM held FOR UPDATE")
        self.victim.exec_driver_sql("SELECT pg_advisory_lock(7)")
        return int(self.victim.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())

    def _forget(self, *names: str) -> None:
        for name in names:
            self.watcher.exec_driver_sql(f"DROP OWNED BY {name} CASCADE")
            self.watcher.exec_driver_sql(f"DROP ROLE {name}")

    def look(self) -> Look:
        """Rows, sequences, large objects, names, rights, settings, sessions and their locks."""
        parts = {
            name: self.watcher.exec_driver_sql(sql).scalar() for name, sql in _POSTGRES_LOOK.items()
        }
        return {**parts, "files": self._files(), "victim": self._still_there()}


class MariadbStage(ServerStage):
    """MariaDB."""

    logins: ClassVar[tuple[str, ...]] = ("superuser", "owner", "reader")
    # PyMySQL reads all certificates of the machine for each connection, which takes longer than all
    # the rest.
    options: ClassVar[dict[str, str]] = {"ssl_disabled": "true"}

    def _people(self, urls: dict[str, URL]) -> Iterator[str]:
        rights = {
            "superuser": "ALL ON *.*",
            "owner": f"ALL ON {self.database}.*",
            # Without EXECUTE a reader could not even be tricked.
            "reader": f"SELECT, EXECUTE ON {self.database}.*",
            "victim": f"SELECT, UPDATE ON {self.database}.*",
        }
        self.users = ", ".join(f"'{url.username}'" for url in urls.values())
        for login, url in urls.items():
            yield f"CREATE USER {url.username}@'%' IDENTIFIED BY '{url.password}'"
            yield f"GRANT {rights[login]} TO {url.username}@'%'"

    def _things(self, owner: str) -> Iterator[str]:
        del owner
        yield "CREATE TABLE people (id integer PRIMARY KEY, name text, secret bigint, word text) ENGINE = InnoDB"
        yield f"INSERT INTO people VALUES (1, '{NAME}', {NUMBER}, '{WORD}'), (2, 'Grace', 2, 'two')"
        yield "CREATE TABLE held (id integer PRIMARY KEY) ENGINE = InnoDB"
        yield "INSERT INTO held VALUES (1)"
        yield "CREATE TABLE scribbles (id integer) ENGINE = MyISAM"
        yield "CREATE SEQUENCE numbers"
        for name, body in _MARIADB_FUNCTIONS:
            yield f"CREATE FUNCTION {name}() RETURNS integer BEGIN {body} END"
        yield "CREATE VIEW trap AS SELECT wipe() AS n"
        yield "CREATE PROCEDURE wipe_all() BEGIN DELETE FROM people; END"

    def _hold(self) -> int:
        self.victim.exec_driver_sql("BEGIN")
        self.victim.exec_driver_sql("SELECT id FROM held FOR UPDATE")
        # Names of locks are the whole server's, on which other stages play, too.
        self.victim.exec_driver_sql(f"SELECT GET_LOCK('{self.database}', 0)")
        return int(self.victim.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one())

    def _forget(self, *names: str) -> None:
        for name in names:
            self.watcher.exec_driver_sql(f"DROP USER {name}@'%'")

    def look(self) -> Look:
        """Rows, sequences, names, rights, settings, sessions and the victim's locks."""
        tables = self._rows("SHOW FULL TABLES")
        rows = {
            name: self._rows(f"SELECT * FROM `{name}`") for name, kind in tables if kind != "VIEW"
        }
        shapes = {name: self._rows(f"SHOW CREATE TABLE `{name}`") for name in rows}
        words = {"users": self.users, "database": self.database}
        return {
            "tables": tables,
            "rows": rows,
            "shapes": shapes,
            **{part: self._rows(sql.format(**words)) for part, sql in _MARIADB_LOOK.items()},
            "files": self._files(),
            "victim": self._still_there(),
        }


STAGES: dict[str, type[Stage]] = {
    "sqlite": SqliteStage,
    "duckdb": DuckdbStage,
    "postgres": PostgresStage,
    "mariadb": MariadbStage,
}
#: Those that need no server.
FILES = ("sqlite", "duckdb")


@contextmanager
def stage(database: str, login: str, server: str) -> Iterator[Stage]:
    """A stage, and all traces of it removed at the end. `server` is an administrator's URL, empty
    for files."""
    with ExitStack() as opened:
        yield STAGES[database](opened, login, server)


_DELETE = "DELETE FROM people;"
_BLAB = "(SELECT name FROM people WHERE id = 1)"

#: Name, options, body.
_POSTGRES_FUNCTIONS = (
    ("wipe", "", f"BEGIN {_DELETE} RETURN 1; END"),
    (
        "wipe_stubbornly",
        "",
        f"BEGIN BEGIN {_DELETE} EXCEPTION WHEN OTHERS THEN NULL; END;"
        f" BEGIN {_DELETE} EXCEPTION WHEN OTHERS THEN NULL; END; RETURN 1; END",
    ),
    # What says to change nothing is asked while the statement is planned.
    ("wipe_early", "IMMUTABLE", "BEGIN RETURN wipe(); END"),
    (
        "unlock_and_wipe",
        "",
        f"BEGIN PERFORM set_config('transaction_read_only', 'off', false); {_DELETE} RETURN 1; END",
    ),
    ("dawdle", "", "BEGIN LOOP PERFORM 1; END LOOP; END"),
    ("blab", "", f"BEGIN RAISE EXCEPTION 'not %', {_BLAB}; END"),
    (
        "blab_in_disguise",
        "",
        f"BEGIN RAISE EXCEPTION 'not %', {_BLAB} USING ERRCODE = '42P01', HINT = {_BLAB}; END",
    ),
)

_MARIADB_FUNCTIONS = (
    ("wipe", f"{_DELETE} RETURN 1;"),
    (
        "wipe_stubbornly",
        f"DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END; {_DELETE} {_DELETE} RETURN 1;",
    ),
    ("scribble", "INSERT INTO scribbles VALUES (1); RETURN 1;"),
    ("unlock_and_wipe", f"SET SESSION tx_read_only = 0; {_DELETE} RETURN 1;"),
    ("dawdle", "WHILE 1 DO SET @x = 1; END WHILE; RETURN 1;"),
    (
        "dawdle_stubbornly",
        "DECLARE CONTINUE HANDLER FOR SQLEXCEPTION, SQLWARNING BEGIN END; WHILE 1 DO SET @x = SLEEP(9); END WHILE;"
        " RETURN 1;",
    ),
    (
        "blab",
        f"DECLARE said text DEFAULT {_BLAB}; SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = said; RETURN 1;",
    ),
)

#: Part → SQL of one value.
_POSTGRES_LOOK = {
    "rows": """
        SELECT string_agg(c.oid::regclass || ' ' || query_to_xml('SELECT * FROM ' || c.oid::regclass, true, true, ''),
            E'\\n' ORDER BY c.oid)
        FROM pg_class c WHERE c.relkind IN ('r', 'S', 'm', 'p') AND c.oid >= 16384""",
    "names": """
        SELECT string_agg(concat_ws(' ', c.oid::regclass, c.relkind, c.reltuples, c.relacl, c.relfilenode,
            obj_description(c.oid)), E'\\n' ORDER BY c.oid) FROM pg_class c WHERE c.oid >= 16384""",
    "functions": """
        SELECT string_agg(concat_ws(' ', p.oid, p.proname, p.proacl), E'\\n' ORDER BY p.oid)
        FROM pg_proc p WHERE p.oid >= 16384""",
    "triggers": "SELECT string_agg(tgname, ' ' ORDER BY oid) FROM pg_trigger",
    "schemas": "SELECT string_agg(concat_ws(' ', nspname, nspacl), ' ' ORDER BY nspname) FROM pg_namespace"
    " WHERE nspname NOT LIKE 'pg\\_t%'",
    "large objects": "SELECT string_agg(oid || ' ' || lo_get(oid)::text, ' ' ORDER BY oid)"
    " FROM pg_largeobject_metadata",
    "settings": "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings"
    " WHERE name NOT IN ('transaction_read_only')",
    "settings kept": "SELECT string_agg(s::text, ' ' ORDER BY s::text) FROM pg_db_role_setting s"
    " WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))",
    "settings read": "SELECT pg_conf_load_time()::text",
    "statistics": "SELECT stats_reset::text FROM pg_stat_database WHERE datname = current_database()",
    "sessions": """
        SELECT string_agg(concat_ws(' ', pid, usename, application_name, state), ', ' ORDER BY pid)
        FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()""",
    "locks": """
        SELECT string_agg(concat_ws(' ', l.pid, l.locktype, l.mode, l.relation, l.objid, l.granted), ', '
            ORDER BY l.pid, l.locktype, l.mode, l.relation, l.objid)
        FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE a.datname = current_database() AND l.pid <> pg_backend_pid()""",
}

_MARIADB_LOOK = {
    "functions": "SELECT name, type, modified FROM mysql.proc WHERE db = DATABASE() ORDER BY name",
    "triggers": "SHOW TRIGGERS",
    "rights": "SELECT User, Host, Priv FROM mysql.global_priv WHERE User IN ({users}) ORDER BY User",
    "rights on databases": "SELECT * FROM mysql.db WHERE Db = DATABASE() ORDER BY User",
    "rights on tables": "SELECT * FROM mysql.tables_priv WHERE Db = DATABASE() ORDER BY User, Table_name",
    # Another test of this run sets the server's time zone meanwhile.
    "settings": "SHOW GLOBAL VARIABLES WHERE Variable_name NOT LIKE 'gtid%' AND Variable_name <> 'time_zone'",
    "sessions": "SELECT id, user FROM information_schema.processlist WHERE user IN ({users}) ORDER BY id",
    "named lock": "SELECT IS_USED_LOCK('{database}'), IS_USED_LOCK('loot')",
    # What nobody has locked; information_schema.innodb_trx tells what was true a moment ago, to
    # whoever asks often.
    "rows without lock": "SELECT id FROM people FOR UPDATE SKIP LOCKED",
    "held rows without lock": "SELECT id FROM held FOR UPDATE SKIP LOCKED",
}
