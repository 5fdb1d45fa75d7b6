"""Keep what `evidence` found about violations when they began."""

import sqlalchemy as sa
from alembic import op

from sanityd.store.column_types import Instant

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the table; of violations before, nothing was read."""
    op.create_table(
        "evidence",
        sa.Column("rule", sa.String(), primary_key=True),
        sa.Column("fingerprint", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("at", Instant(), primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("rows", sa.JSON(), nullable=False),
        sa.Column("hidden", sa.JSON(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("more", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
    )
