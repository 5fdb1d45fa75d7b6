"""Rechecks: when a rule about two sources is to be evaluated again, to confirm what it found."""

import sqlalchemy as sa
from alembic import op

from sanityd.store.column_types import Instant

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add two columns; what is pending already is confirmed by the next run, as before."""
    op.add_column("pending_confirmations", sa.Column("due_at", Instant()))
    op.add_column("pending_confirmations", sa.Column("meaning", sa.String()))
