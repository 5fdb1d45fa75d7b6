"""The tables of remedies; part of the schema in `tables`."""

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, String, Table, Text

from sanityd.store.column_types import Instant
from sanityd.store.tables import metadata

#: The requests that repair rows. Each is recorded before it is sent, and keeps its id.
remedies = Table(
    "remedies",
    metadata,
    #: Sent as `Idempotency-Key`: the row and its episode; of a batch, a digest of these.
    Column("id", String, primary_key=True),
    Column("rule", String, nullable=False),
    #: One entry per row: its fingerprint, episode, and the values that the request may contain.
    Column("content", JSON, nullable=False),
    #: A `model.RemedyState`.
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant, nullable=False),
    #: Counts the claims, so that a process without the lease can't write.
    Column("fence", Integer, nullable=False),
    Column("leased_until", Instant),
    #: Of the last answer: its status, or the exit code of a command; and the error.
    Column("code", Integer),
    Column("error", Text, nullable=False),
    #: Who asked for it, and why.
    Column("author", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("ended_at", Instant),
    Index("remedies_of_rule", "rule", "state"),
)

#: One row per rule that had a request.
remedy_status = Table(
    "remedy_status",
    metadata,
    Column("rule", String, primary_key=True),
    #: When its remedy stopped by itself, and why; NULL while it goes on.
    Column("stopped_at", Instant),
    Column("stopped", Text, nullable=False),
    Column("resumed_at", Instant),
    #: The incident, and its violations when the first request about it was recorded.
    Column("incident", String, nullable=False),
    Column("baseline", BigInteger, nullable=False),
    #: The incident of which it was notified that nothing is sent, or that a request failed.
    Column("notified", String, nullable=False),
    #: When the next request may be sent, by the rate limit or the receiver's wish.
    Column("next_at", Instant),
)
