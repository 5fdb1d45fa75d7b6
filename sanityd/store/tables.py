"""The schema of the store. A change to it needs a migration in `migrations/versions/`.

In every table `rule` is the id of a rule, or `source:NAME` or `file:NAME` where an entry is about
a source or a rules file. `meaning` is a hash of what the rule checked at that time. Words
(`reason`, `state`, `cause`, …) are values of the enumerations in `sanityd.model`, and `severity`
is a number from 1 (info) to 4 (critical).
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import sqlite

from sanityd.store.column_types import Instant, Serial

metadata = MetaData()

#: The rules of each rules file at the last pass: shows which were removed or changed since then.
rules_seen = Table(
    "rules_seen",
    metadata,
    Column("file", String, primary_key=True),
    Column("rule", String, primary_key=True),
    Column("meaning", String, nullable=False),
    #: A short hash of the whole file.
    Column("revision", String, nullable=False),
    #: When the rule was first checked with this meaning.
    Column("since", Instant, nullable=False),
    #: When the rule was found to be removed from the file; NULL while it is there.
    Column("removed_at", Instant),
)

#: What each rules file said when it was adopted last, without URLs and passwords: for commands that
#: need only the store, while the file has errors. For `content` see `sanityd.rules.adopted`.
adopted_rules = Table(
    "adopted_rules",
    metadata,
    Column("file", String, primary_key=True),
    Column("path", String, nullable=False),
    Column("revision", String, nullable=False),
    Column("content", JSON, nullable=False),
    Column("adopted_at", Instant, nullable=False),
)

#: One row per evaluation of a rule, for 90 days (`retention.KEPT`).
runs = Table(
    "runs",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("rule", String, nullable=False),
    Column("source", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("outcome", String, nullable=False),
    #: Exact numbers, also where the run stopped to list rows at the cap.
    Column("violations", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    #: How many rows were in the scope of the rule; NULL where that is not known.
    Column("checked", BigInteger),
    #: The value of a rule that measures one (`aggregate`, `steady`, …).
    Column("measured", Float),
    #: NULL when the rule held.
    Column("severity", Integer),
    Column("seconds", Float, nullable=False),
    #: How many SQL statements the source executed.
    Column("statements", Integer, nullable=False),
    Column("error", Text),
    Column("hint", Text),
    Column("revision", String, nullable=False),
    #: The incident that was open after the run.
    Column("incident", String),
    #: The reason why no row had to be read, as a constraint; NULL when rows were read.
    Column("proved_by", Text),
    #: What was measured, in words; NULL where there is nothing to say.
    Column("detail", Text),
    Index("runs_by_rule", "rule", "at"),
)

#: A summary per rule and day of the runs that retention deleted.
days = Table(
    "days",
    metadata,
    Column("rule", String, primary_key=True),
    #: Midnight in UTC, at the beginning of the day.
    Column("day", Instant, primary_key=True),
    Column("runs", Integer, nullable=False),
    #: Runs with an answer about the data, and the runs among them that had a severity.
    Column("answered", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    #: The highest number of violations and the highest severity of one run.
    Column("most", BigInteger, nullable=False),
    Column("severity", Integer),
    #: The sum over all runs.
    Column("seconds", Float, nullable=False),
)

#: One row per violating row and rule, written when the violation begins and when it ends.
violations = Table(
    "violations",
    metadata,
    Column("rule", String, primary_key=True),
    #: A hash of the key.
    Column("fingerprint", String, primary_key=True),
    Column("source", String, nullable=False),
    #: The values of the key and of the columns under `show`, with their types.
    Column("key", JSON, nullable=False),
    Column("shown", JSON, nullable=False),
    #: What is wrong with the row, in words and without its values.
    Column("detail", Text, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("first_seen", Instant, nullable=False),
    #: When the row was last written, at the beginning of the violation.
    Column("last_seen", Instant, nullable=False),
    Column("resolved_at", Instant),
    #: Why it ended (`model.Resolution`); NULL while it is open.
    Column("resolution", String),
    #: How many times the row was a violation.
    Column("episodes", Integer, nullable=False),
    Index("violations_open", "rule", "open", "first_seen"),
)

#: Rows that count only when a later evaluation finds them, too (`confirm`): one row per rule.
pending_confirmations = Table(
    "pending_confirmations",
    metadata,
    Column("rule", String, primary_key=True),
    Column("at", Instant, nullable=False),
    #: By fingerprint: how many runs in a row found it, or since when they do.
    Column("times", JSON, nullable=False),
    #: How many more rows there were beyond the cap.
    Column("beyond", BigInteger, nullable=False),
    #: When the rule is to be evaluated again, if it has this meaning still; NULL: at its next run.
    Column("due_at", Instant),
    Column("meaning", String),
)

#: For rules with `scan: new rows`: up to which value all rows were read (`model.watermark`).
watermarks = Table(
    "watermarks",
    metadata,
    Column("rule", String, primary_key=True),
    #: A rule with another meaning now reads all rows again.
    Column("meaning", String, nullable=False),
    Column("column", String, nullable=False),
    #: When all rows were last read, and when the watermark was last moved.
    Column("full_at", Instant, nullable=False),
    Column("marked_at", Instant, nullable=False),
    #: The values `safe` and `mark` of `model.Watermark`, with their types.
    Column("marks", JSON, nullable=False),
)

#: The last run of each rule that held. While the state of its tables is the same, none is needed.
unchanged = Table(
    "unchanged",
    metadata,
    Column("rule", String, primary_key=True),
    Column("meaning", String, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("checked", BigInteger),
)

#: The newest claimed slot (scheduled time) of each batch of rules. The fence counts the claims.
slots = Table(
    "slots",
    metadata,
    Column("batch", String, primary_key=True),
    #: The name of the rules file.
    Column("file", String, nullable=False),
    Column("slot", Instant, nullable=False),
    Column("rules", JSON, nullable=False),
    #: The process that claimed it.
    Column("runner", String, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("running", Boolean, nullable=False),
    Column("leased_until", Instant, nullable=False),
    Column("ended_at", Instant),
    #: How many slots were missed because an earlier one was still running.
    Column("late", Integer, nullable=False),
)

#: Work that only one process does at a time (`name`): since when, and when it renewed the lease.
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

#: A time during which a rule was violated or failed, a source was down, or a rules file invalid.
incidents = Table(
    "incidents",
    metadata,
    Column("id", String, primary_key=True),
    Column("cause", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("source", String, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("resolved_at", Instant),
    #: The severity that counts, and the one of the rules file, before the noise policy lowered it.
    Column("severity", Integer, nullable=False),
    Column("declared", Integer, nullable=False),
    Column("violations", BigInteger, nullable=False),
    Column("checked", BigInteger),
    #: Whether one fault broke very many rows at once; the ticket of the announced change, or "".
    Column("systemic", Boolean, nullable=False),
    Column("ticket", String, nullable=False),
    #: How many rows ended with each resolution.
    Column("resolutions", JSON, nullable=False),
    Column("meaning", String, nullable=False),
    Column("error", Text, nullable=False),
    Column("hint", Text, nullable=False),
    #: Whether it is resolved and every recipient was notified of that, or needs no notification.
    Column("settled", Boolean, nullable=False),
    Index("incidents_by_rule", "rule", "opened_at"),
    Index("incidents_unsettled", "settled", "opened_at"),
)
one_open = Index(
    "one_open_incident",
    incidents.c.cause,
    incidents.c.rule,
    incidents.c.source,
    unique=True,
    sqlite_where=text("resolved_at IS NULL"),
)

#: What people decided about incidents (with a fingerprint: single rows), and how that ended.
triage = Table(
    "triage",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("action", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("incident", String, nullable=False),
    Column("fingerprint", String),
    Column("author", String, nullable=False),
    #: The author's own words.
    Column("reason", Text, nullable=False),
    #: How the author closed it (`fixed`, `false_positive`, …); empty for other actions.
    Column("resolution", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    #: The incident at that time: when it becomes much worse, the decision is broken.
    Column("violations", BigInteger, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("ended_at", Instant),
    #: `expired`, `broken`, `withdrawn`, `resolved` or `replaced`; empty while the decision holds.
    Column("ended", String, nullable=False),
    Index("triage_by_rule", "rule", "at"),
)

#: Rules, tags or sources that nobody is notified about for some time. Empty columns match all.
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

#: What the noise policy decided about a rule: `model.NoiseState`. No row: nothing was decided.
noise = Table(
    "noise",
    metadata,
    Column("rule", String, primary_key=True),
    Column("state", JSON, nullable=False),
    Column("at", Instant, nullable=False),
)

#: The reason of the last decision for each recipient of an incident; changes are in the audit.
decisions = Table(
    "decisions",
    metadata,
    Column("incident", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("recipient", String, primary_key=True),
    Column("reason", String, nullable=False),
    Column("at", Instant, nullable=False),
)

#: One row per message and recipient; see `outbox.py` for its states. `seq` is the order in which
#: messages were added.
outbox = Table(
    "outbox",
    metadata,
    Column("seq", Serial, primary_key=True),
    #: A hash of the news and of the recipient: the same news is added once.
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
    #: The message for programs, as webhooks.
    Column("data", JSON, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    #: Counts the claims, so that a worker without the lease can't write.
    Column("fence", Integer, nullable=False),
    Column("leased_until", Instant),
    Column("ended_at", Instant),
    #: When a server's answer was lost, so that the message may have been delivered.
    Column("uncertain_at", Instant),
    #: Of the last failed attempt: where it failed, the reply code, and the error.
    Column("stage", String),
    Column("code", Integer),
    Column("error", Text),
    Index("outbox_due", "state", "not_before"),
    Index("outbox_of_recipient", "channel", "recipient", "created_at"),
)

#: The contents of each message of the outbox (`message` is its `seq`): one row per incident, in the
#: order of `position`. The incident is empty when the message is about a rule.
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
    #: Measured values by fingerprint; see `notifications.measured_values`.
    Column("measured", JSON(none_as_null=True)),
    Index("news_of_incident", "incident", "message"),
    Index("news_of_rule", "rule", "message"),
)

#: Every decision, of people and of sanityd, with its reason. Rows are only added; `audit_chain`
#: shows whether one was changed.
audit = Table(
    "audit",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("at", Instant, nullable=False),
    #: A person, or `sanityd`.
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    #: The person's own words; of sanityd a `model.Reason` or a sentence.
    Column("reason", Text, nullable=False),
    Column("rule", String),
    Column("incident", String),
    Column("detail", JSON, nullable=False),
    #: The number of the entry, without gaps, and its digest; NULL if not sanityd appended it.
    Column("seq", BigInteger),
    Column("digest", String),
    Index("audit_by_rule", "rule", "at"),
    Index("audit_by_action", "action", "rule"),
    Index("audit_by_seq", "seq", unique=True),
)


def insert_into(connection: Connection, table: Table) -> Any:
    """Return an INSERT that can have ON CONFLICT, of the dialect of the connection.

    Both databases have it, but SQLAlchemy's common INSERT does not.
    """
    if connection.dialect.name == "postgresql":
        # Imported here, as it takes a tenth of a second and most stores are SQLite.
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    return sqlite.insert(table)
