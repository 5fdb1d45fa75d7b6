"""Triage, silences, noise; messages about several incidents; incidents of sources and errors."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """What was known of incidents and messages stays known."""
    _incidents()
    _messages()
    _decisions()


def _incidents() -> None:
    op.drop_index("one_open_incident_per_rule", "incidents")
    for column in (
        sa.Column("cause", sa.String(), nullable=False, server_default="violated"),
        sa.Column("declared", sa.Integer(), nullable=False, server_default="3"),
        sa.Column("systemic", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("error", sa.Text(), nullable=False, server_default=""),
        sa.Column("hint", sa.Text(), nullable=False, server_default=""),
        sa.Column("settled", sa.Boolean(), nullable=False, server_default=sa.false()),
    ):
        op.add_column("incidents", column)
    op.execute("UPDATE incidents SET declared = severity, settled = (resolved_at IS NOT NULL)")
    op.create_index("incidents_unsettled", "incidents", ["settled", "opened_at"])
    op.create_index(
        "one_open_incident",
        "incidents",
        ["cause", "rule", "source"],
        unique=True,
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    )


def _messages() -> None:
    op.create_table(
        "news",
        sa.Column("message", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("incident", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("violations", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("message", "place"),
    )
    op.create_index("news_of_incident", "news", ["incident", "message"])
    op.create_index("news_of_rule", "news", ["rule", "message"])
    op.execute(
        "INSERT INTO news (message, place, incident, rule, reason, severity, violations) "
        "SELECT seq, 0, incident, rule, reason, severity, violations FROM outbox"
    )
    op.drop_index("outbox_of_incident", "outbox")
    for name in ("incident", "rule", "violations"):
        op.drop_column("outbox", name)
    op.add_column("outbox", sa.Column("data", sa.JSON(), nullable=False, server_default="{}"))
    op.create_index("outbox_of_recipient", "outbox", ["channel", "recipient", "created_at"])


def _decisions() -> None:
    op.create_table(
        "dispositions",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("stance", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("incident", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=True),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("resolution", sa.String(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("until", _INSTANT, nullable=False),
        sa.Column("violations", sa.BigInteger(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.Column("ended", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("dispositions_by_rule", "dispositions", ["rule", "at"])
    op.create_table(
        "silences",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("starts", _INSTANT, nullable=False),
        sa.Column("until", _INSTANT, nullable=False),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "noise",
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("standing", sa.JSON(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("rule"),
    )
    op.create_table(
        "decisions",
        sa.Column("incident", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("incident", "channel", "recipient"),
    )
