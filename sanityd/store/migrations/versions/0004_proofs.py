"""Runs that a constraint proved, without a look at the rows."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """All runs so far were looks."""
    op.add_column("runs", sa.Column("proved_by", sa.Text()))
