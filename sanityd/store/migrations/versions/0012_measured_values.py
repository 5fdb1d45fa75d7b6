"""Keep what was measured: with each message the values, with each run what it says of them."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns; of messages and runs before, nothing is known."""
    op.add_column("news", sa.Column("measured", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("runs", sa.Column("detail", sa.Text(), nullable=True))
