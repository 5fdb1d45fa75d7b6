"""What changed of the rules is asked in each pass, and found without reading all of the audit."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """The audit is kept for ever."""
    op.create_index("audit_by_action", "audit", ["action", "rule"])
