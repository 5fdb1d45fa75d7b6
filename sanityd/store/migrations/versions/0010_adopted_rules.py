"""Keep the rules of each rules file as they were adopted last."""

import sqlalchemy as sa
from alembic import op

from sanityd.store.column_types import Instant

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the table; the next pass or start of the daemon fills it."""
    op.create_table(
        "adopted_rules",
        sa.Column("file", sa.String(), primary_key=True),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("adopted_at", Instant(), nullable=False),
    )
