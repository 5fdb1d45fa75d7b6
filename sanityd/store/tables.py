"""The schema of the store, on one page. Changes come as a migration beside it (`migrations/versions/`)."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.dialects import sqlite


class Instant(TypeDecorator[datetime]):
    """An aware time, kept in UTC; SQLite has no zones, so it gets the bare time and the zone is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database."""
        if value is None:
            return None
        return (
            value.astimezone(UTC).replace(tzinfo=None)
            if dialect.name == "sqlite"
            else value.astimezone(UTC)
        )

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        found: datetime = value
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


#: SQLite counts up only plain INTEGER keys.
Serial = BigInteger().with_variant(Integer, "sqlite")
metadata = MetaData()

#: The rules of each file, as they were last seen: tells which have gone, and which mean something else now.
rules_seen = Table(
    "rules_seen",
    metadata,
    Column("file", String, primary_key=True),
    Column("rule", String, primary_key=True),
    Column("meaning", String, nullable=False),
    Column("revision", String, nullable=False),
    Column("since", Instant, nullable=False),
    Column("removed_at", Instant),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("rule", String, nullable=False),
    Column("source", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("outcome", String, nullable=False),
    Column("violations", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("checked", BigInteger),
    Column("measured", Float),
    Column("severity", Integer),
    Column("seconds", Float, nullable=False),
    Column("statements", Integer, nullable=False),
    Column("error", Text),
    Column("hint", Text),
    Column("revision", String, nullable=False),
    Column("incident", String),
    Column("proved_by", Text),
    Index("runs_by_rule", "rule", "at"),
)

#: What is left of runs that are older than they are kept (`care.KEPT`).
days = Table(
    "days",
    metadata,
    Column("rule", String, primary_key=True),
    #: Midnight in UTC, at its beginning.
    Column("day", Instant, primary_key=True),
    Column("runs", Integer, nullable=False),
    #: Runs that said something about the data, and those of them that found a violation that counts.
    Column("answered", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    #: The most violations of one run, and the worst severity.
    Column("most", BigInteger, nullable=False),
    Column("severity", Integer),
    #: Of all runs together.
    Column("seconds", Float, nullable=False),
)

#: One row per fingerprint. A violation that merely goes on is not written again: when it was last seen follows from the
#: rule's runs.
violations = Table(
    "violations",
    metadata,
    Column("rule", String, primary_key=True),
    Column("fingerprint", String, primary_key=True),
    Column("source", String, nullable=False),
    Column("key", JSON, nullable=False),
    Column("shown", JSON, nullable=False),
    Column("detail", Text, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("first_seen", Instant, nullable=False),
    Column("last_seen", Instant, nullable=False),
    Column("resolved_at", Instant),
    Column("resolution", String),
    Column("episodes", Integer, nullable=False),
    Index("violations_open", "rule", "open", "first_seen"),
)

#: Rows that a rule found and that don't count before a later run has seen them, too; one row per rule that has any.
pending_confirmations = Table(
    "pending_confirmations",
    metadata,
    Column("rule", String, primary_key=True),
    Column("at", Instant, nullable=False),
    #: How many runs in a row have seen each row, by fingerprint.
    Column("times", JSON, nullable=False),
    Column("beyond", BigInteger, nullable=False),
)

#: Up to where rows were looked at, for rules that look at new ones; see `model.watermark`.
watermarks = Table(
    "watermarks",
    metadata,
    Column("rule", String, primary_key=True),
    #: Of the rule when it looked: one that means something else now begins anew.
    Column("meaning", String, nullable=False),
    Column("column", String, nullable=False),
    Column("full_at", Instant, nullable=False),
    Column("marked_at", Instant, nullable=False),
    #: `safe` and `mark`, with their types.
    Column("marks", JSON, nullable=False),
)

#: What rules saw that held, and the state of all that they depend on.
unchanged = Table(
    "unchanged",
    metadata,
    Column("rule", String, primary_key=True),
    Column("meaning", String, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("checked", BigInteger),
)

#: The newest slot of each batch that anybody has claimed, and the fence that tells the claims of it apart.
slots = Table(
    "slots",
    metadata,
    Column("batch", String, primary_key=True),
    #: The rules file that it belongs to.
    Column("file", String, nullable=False),
    Column("slot", Instant, nullable=False),
    Column("rules", JSON, nullable=False),
    Column("runner", String, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("running", Boolean, nullable=False),
    Column("leased_until", Instant, nullable=False),
    Column("ended_at", Instant),
    #: How many slots have passed while an earlier one was still looked at.
    Column("late", Integer, nullable=False),
)

#: What only one process at a time sees to, and which one; `at` is when it last did.
leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("runner", String, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("leased_until", Instant, nullable=False),
    Column("since", Instant, nullable=False),
    Column("at", Instant, nullable=False),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", String, primary_key=True),
    Column("cause", String, nullable=False),
    #: `source:NAME` for an incident of a source.
    Column("rule", String, nullable=False),
    Column("source", String, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("resolved_at", Instant),
    Column("severity", Integer, nullable=False),
    Column("declared", Integer, nullable=False),
    Column("violations", BigInteger, nullable=False),
    Column("checked", BigInteger),
    Column("systemic", Boolean, nullable=False),
    Column("resolutions", JSON, nullable=False),
    Column("meaning", String, nullable=False),
    Column("error", Text, nullable=False),
    Column("hint", Text, nullable=False),
    #: Whether it is over and all that is to be said of it was asked to be sent.
    Column("settled", Boolean, nullable=False),
    Index("incidents_by_rule", "rule", "opened_at"),
    Index("incidents_unsettled", "settled", "opened_at"),
)
_one_open = Index(
    "one_open_incident",
    incidents.c.cause,
    incidents.c.rule,
    incidents.c.source,
    unique=True,
    sqlite_where=text("resolved_at IS NULL"),
)

#: What humans decided about incidents and rows, and how each decision ended.
triage = Table(
    "triage",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("action", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("incident", String, nullable=False),
    Column("fingerprint", String),
    Column("author", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("resolution", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("violations", BigInteger, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("ended_at", Instant),
    Column("ended", String, nullable=False),
    Index("triage_by_rule", "rule", "at"),
)

silences = Table(
    "silences",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("author", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule", String, nullable=False),
    Column("tag", String, nullable=False),
    Column("source", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("starts", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("ended_at", Instant),
)

#: What the policy of noise decided about a rule. A rule without a row was never noisy.
noise = Table(
    "noise",
    metadata,
    Column("rule", String, primary_key=True),
    Column("state", JSON, nullable=False),
    Column("at", Instant, nullable=False),
)

#: The last decision about each recipient of an incident, so that the audit holds each change of it once.
decisions = Table(
    "decisions",
    metadata,
    Column("incident", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("recipient", String, primary_key=True),
    Column("reason", String, nullable=False),
    Column("at", Instant, nullable=False),
)

#: One row per message and recipient. `seq` is the order in which they were asked for.
outbox = Table(
    "outbox",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("dedup_key", String, nullable=False, unique=True),
    Column("reason", String, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("channel", String, nullable=False),
    Column("recipient", String, nullable=False),
    Column("message_id", String, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("html", Text, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("data", JSON, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("leased_until", Instant),
    Column("ended_at", Instant),
    Column("uncertain_at", Instant),
    Column("stage", String),
    Column("code", Integer),
    Column("error", Text),
    Index("outbox_due", "state", "not_before"),
    Index("outbox_of_recipient", "channel", "recipient", "created_at"),
)

#: What a message tells, incident by incident; the incident is empty for news about a rule.
news = Table(
    "news",
    metadata,
    Column("message", BigInteger, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("incident", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("violations", BigInteger, nullable=False),
    Index("news_of_incident", "incident", "message"),
    Index("news_of_rule", "rule", "message"),
)

#: Append-only: every decision with its reason.
audit = Table(
    "audit",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule", String),
    Column("incident", String),
    Column("detail", JSON, nullable=False),
    Index("audit_by_rule", "rule", "at"),
    Index("audit_by_action", "action", "rule"),
)


def create_all(connection: Connection) -> None:
    """All tables, in an empty database."""
    if connection.dialect.name == "postgresql":
        # Named above, this option would have PostgreSQL's dialect imported for every store.
        _one_open.dialect_options["postgresql"]["where"] = _one_open.dialect_options["sqlite"][
            "where"
        ]
    metadata.create_all(connection)


def insert_into(connection: Connection, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT, which is not of SQLAlchemy's common part though both databases have it."""
    if connection.dialect.name == "postgresql":
        # Takes a tenth of a second to import, for a store that most people don't have.
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    return sqlite.insert(table)
