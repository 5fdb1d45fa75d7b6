"""Add remedies: the requests that repair rows, and what is known of the remedy of each rule."""

import sqlalchemy as sa
from alembic import op

from sanityd.store.column_types import Instant

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the tables; nothing was ever sent."""
    op.create_table(
        "remedies",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", Instant(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("leased_until", Instant()),
        sa.Column("code", sa.Integer()),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("ended_at", Instant()),
    )
    op.create_index("remedies_of_rule", "remedies", ["rule", "state"])
    op.create_table(
        "remedy_status",
        sa.Column("rule", sa.String(), primary_key=True),
        sa.Column("stopped_at", Instant()),
        sa.Column("stopped", sa.Text(), nullable=False),
        sa.Column("resumed_at", Instant()),
        sa.Column("incident", sa.String(), nullable=False),
        sa.Column("baseline", sa.BigInteger(), nullable=False),
        sa.Column("notified", sa.String(), nullable=False),
        sa.Column("next_at", Instant()),
    )
