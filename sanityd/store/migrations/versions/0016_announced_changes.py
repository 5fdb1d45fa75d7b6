"""Announced changes: what opens while one goes on belongs to its ticket."""

import sqlalchemy as sa
from alembic import op

from sanityd.store.column_types import Instant, Serial

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the table, and the ticket of incidents; those before have none."""
    op.create_table(
        "announced_changes",
        sa.Column("id", Serial, primary_key=True),
        sa.Column("ticket", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("tables", sa.JSON(), nullable=False),
        sa.Column("starts", Instant, nullable=False),
        sa.Column("until", Instant, nullable=False),
        sa.Column("ended_at", Instant),
    )
    op.add_column("incidents", sa.Column("ticket", sa.String(), nullable=False, server_default=""))
