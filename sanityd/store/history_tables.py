"""The tables of the schema that keep what was: the chain of the audit, texts of rules, episodes of
rows. For the rest of them see `tables`."""

from sqlalchemy import JSON, BigInteger, Column, Index, String, Table, Text

from sanityd.store.column_types import Instant, Serial
from sanityd.store.tables import metadata

#: The ends of the chain of the audit: `head` is its last entry, and `checkpoint` the last one that
#: retention removed.
audit_chain = Table(
    "audit_chain",
    metadata,
    Column("name", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("digest", String, nullable=False),
)

#: What a rules file said of a rule, by the digest that the audit names.
rule_texts = Table(
    "rule_texts",
    metadata,
    Column("digest", String, primary_key=True),
    Column("content", JSON, nullable=False),
)

#: Episodes of rows that violated a rule, ended, and violated it again later.
episodes = Table(
    "episodes",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("rule", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("first_seen", Instant, nullable=False),
    Column("resolved_at", Instant, nullable=False),
    Column("resolution", String),
    Column("detail", Text, nullable=False),
    Index("episodes_by_row", "rule", "fingerprint"),
    Index("episodes_by_end", "resolved_at"),
)
