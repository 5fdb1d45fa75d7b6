"""The tables of the two databases: the application's and the mailer's."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
)

app = MetaData()
mailer = MetaData()

_TIME = DateTime(timezone=True)

people = Table(
    "people",
    app,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("email", String(200), nullable=False, unique=True),
    Column("status", String(20), nullable=False),
    Column("created_at", _TIME, nullable=False),
)

#: The queue. A job is a mail to send; it is written in the transaction that makes it necessary.
jobs = Table(
    "jobs",
    app,
    #: The same for every attempt, so that the mailer performs it once.
    Column("request_id", String(100), primary_key=True),
    Column("person_id", String(40), nullable=False),
    Column("template", String(40), nullable=False),
    #: waiting, running, done, failed (the mailer refused it), dropped (there is no such person)
    Column("state", String(20), nullable=False, index=True),
    #: Jobs that were made together, by an import.
    Column("batch", String(40), nullable=False, default=""),
    #: How often the batch was started again.
    Column("run", Integer, nullable=False, default=1),
    Column("attempts", Integer, nullable=False, default=0),
    Column("not_before", _TIME, nullable=False),
    Column("leased_until", _TIME),
    Column("created_at", _TIME, nullable=False),
    Column("finished_at", _TIME),
)

#: Requests to send a mail again (a remedy of sanityd): each is performed once.
resends = Table(
    "resends",
    app,
    Column("request_id", String(100), primary_key=True),
    Column("person_id", String(40), nullable=False),
    Column("created_at", _TIME, nullable=False),
)

#: What the mailer was asked for: one row per request id.
requests = Table(
    "requests",
    mailer,
    Column("request_id", String(100), primary_key=True),
    #: Of the body; the same id with another body is a mistake of the caller.
    Column("digest", String(64), nullable=False),
    #: sending, failed (to be tried again), done
    Column("state", String(20), nullable=False),
    #: Counts who works on it: a process that was taken for dead can't finish it any more.
    Column("fence", Integer, nullable=False),
    Column("leased_until", _TIME, nullable=False),
    Column("answer", JSON),
    Column("created_at", _TIME, nullable=False),
)

mails = Table(
    "mails",
    mailer,
    Column("request_id", String(100), primary_key=True),
    Column("person_id", String(40), nullable=False, index=True),
    Column("template", String(40), nullable=False),
    Column("status", String(20), nullable=False),
    Column("sent_at", _TIME, nullable=False),
)


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def connect(url: str, tables: MetaData) -> Engine:
    """Return an engine for the database, with its tables. SQLite or PostgreSQL."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    tables.create_all(engine)
    return engine


def _prepare_sqlite(connection: object, _: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA busy_timeout = 10000")
    # Readers don't wait for writers, nor writers for readers.
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()
