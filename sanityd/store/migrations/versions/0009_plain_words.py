"""Tables, columns and stored values get the words that monitoring tools use."""

from alembic import op

revision = "0009"
down_revision = "0008"

TABLES = {
    "dispositions": "triage",
    "held": "unchanged",
    "suspects": "pending_confirmations",
}
COLUMNS = {
    ("violations", "fate"): "resolution",
    ("incidents", "fates"): "resolutions",
    ("triage", "stance"): "action",
    ("noise", "standing"): "state",
    ("news", "place"): "position",
}
#: In this order: `flapping` meant the mail that flapping began before it meant that no mail was sent.
REASONS = {
    "flapping": "flapping_started",
    "calm": "flapping_ended",
    "unsteady": "flapping",
    "notice": "downgrade_notice",
    "known": "unchanged",
    "mild": "below_threshold",
    "never_told": "never_notified",
    "unknown": "not_verified",
    "storm": "rate_limited",
    "old": "long_running",
}
ACTIONS = {"told": "notified", "not told": "not notified"}


def upgrade() -> None:
    """Rename; nothing is lost."""
    for old, new in TABLES.items():
        op.rename_table(old, new)
    for (table, old), new in COLUMNS.items():
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    op.drop_index("dispositions_by_rule", "triage")
    op.create_index("triage_by_rule", "triage", ["rule", "at"])
    for old, new in REASONS.items():
        for table in ("outbox", "news", "decisions"):
            op.execute(f"UPDATE {table} SET reason = '{new}' WHERE reason = '{old}'")
        # In the audit, people's own words stand in the same column.
        op.execute(
            f"UPDATE audit SET reason = '{new}' WHERE reason = '{old}'"
            " AND actor = 'sanityd' AND action IN ('told', 'not told')"
        )
    for old, new in ACTIONS.items():
        op.execute(f"UPDATE audit SET action = '{new}' WHERE action = '{old}'")
