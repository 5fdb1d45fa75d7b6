"""The table of announced changes; part of the schema in `tables`."""

from sqlalchemy import JSON, Column, String, Table, Text

from sanityd.store.column_types import Instant, Serial
from sanityd.store.tables import metadata

#: Mass changes that were announced, as an import: what opens meanwhile belongs to the ticket.
announced_changes = Table(
    "announced_changes",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("ticket", String, nullable=False),
    Column("author", String, nullable=False),
    Column("reason", Text, nullable=False),
    #: Ids of rules, and the tables that were named.
    Column("rules", JSON, nullable=False),
    Column("tables", JSON, nullable=False),
    Column("starts", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("ended_at", Instant),
)
