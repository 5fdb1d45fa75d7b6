"""Rows that wait for a later run to confirm them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """One row per rule that has any."""
    op.create_table(
        "suspects",
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("times", sa.JSON(), nullable=False),
        sa.Column("beyond", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("rule"),
    )
