"""Rename tables, columns and stored words to the terms that monitoring tools use."""

from typing import Any

import sqlalchemy as sa
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
#: Note `flapping`: it was the message that flapping began, and is now the reason for no message.
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
#: Those of them that messages are sent for.
SENT_REASONS = ("flapping_started", "flapping_ended", "downgrade_notice")
ACTIONS = {"told": "notified", "not told": "not notified"}
#: The audit entries that have a reason of sanityd; in the others the column holds a person's text.
ACTIONS_WITH_REASON = ("told", "not told", "judged")

_outbox = sa.table(
    "outbox",
    sa.column("seq", sa.BigInteger),
    sa.column("reason", sa.String),
    sa.column("headers", sa.JSON),
    sa.column("data", sa.JSON),
)
_news = sa.table(
    "news",
    sa.column("message", sa.BigInteger),
    sa.column("reason", sa.String),
)
_decisions = sa.table("decisions", sa.column("reason", sa.String))
_audit = sa.table(
    "audit",
    sa.column("id", sa.BigInteger),
    sa.column("actor", sa.String),
    sa.column("action", sa.String),
    sa.column("reason", sa.Text),
    sa.column("detail", sa.JSON),
)


def upgrade() -> None:
    """Rename everything in place; no row is added or removed.

    `outbox.dedup_key` stays as it is: it is a hash of the old words. What was sent is known from
    the messages, so a key that can't be made again leads to no second message.
    """
    _rename_tables()
    _rename_columns()
    _rename_reasons()
    _rename_words_in_messages()
    _rename_words_in_audit()


def _rename_tables() -> None:
    for old, new in TABLES.items():
        op.rename_table(old, new)
    op.drop_index("dispositions_by_rule", "triage")
    op.create_index("triage_by_rule", "triage", ["rule", "at"])
    if op.get_bind().dialect.name == "postgresql":
        # PostgreSQL keeps the old name of what belongs to a table; a new store has the new one.
        for old, new in TABLES.items():
            op.execute(f"ALTER INDEX {old}_pkey RENAME TO {new}_pkey")
        op.execute("ALTER SEQUENCE dispositions_id_seq RENAME TO triage_id_seq")


def _rename_columns() -> None:
    for (table, old), new in COLUMNS.items():
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")


def _rename_reasons() -> None:
    # One statement per table, so that a word that is both old and new is not renamed twice.
    for table in (_outbox, _news, _decisions):
        reason = table.c.reason
        op.execute(
            sa.update(table)
            .where(reason.in_(REASONS))
            .values(reason=sa.case(REASONS, value=reason, else_=reason))
        )


def _rename_words_in_messages() -> None:
    """Rename the events in what is still to be sent to programs, and in what was."""
    connection = op.get_bind()
    about = sa.select(_news.c.message).where(_news.c.reason.in_(SENT_REASONS))
    messages = connection.execute(
        sa.select(_outbox.c.seq, _outbox.c.headers, _outbox.c.data).where(
            sa.or_(_outbox.c.reason.in_(SENT_REASONS), _outbox.c.seq.in_(about))
        )
    ).all()
    for seq, headers, data in messages:
        values = {
            "headers": _with_new_event(headers, "X-Sanityd-Event"),
            "data": _with_new_event(data, "event"),
        }
        if "incidents" in data:
            values["data"]["incidents"] = [
                _with_new_event(incident, "event") for incident in data["incidents"]
            ]
        connection.execute(sa.update(_outbox).where(_outbox.c.seq == seq).values(**values))


def _with_new_event(words: dict[str, Any], key: str) -> dict[str, Any]:
    if key not in words:
        return dict(words)
    return {**words, key: REASONS.get(words[key], words[key])}


def _rename_words_in_audit() -> None:
    connection = op.get_bind()
    connection.execute(
        sa.update(_audit)
        .where(
            _audit.c.actor == "sanityd",
            _audit.c.action.in_(ACTIONS_WITH_REASON),
            _audit.c.reason.in_(REASONS),
        )
        .values(reason=sa.case(REASONS, value=_audit.c.reason, else_=_audit.c.reason))
    )
    connection.execute(
        sa.update(_audit)
        .where(_audit.c.action.in_(ACTIONS))
        .values(action=sa.case(ACTIONS, value=_audit.c.action, else_=_audit.c.action))
    )
    withdrawals = connection.execute(
        sa.select(_audit.c.id, _audit.c.detail).where(_audit.c.action == "withdrew")
    ).all()
    for number, detail in withdrawals:
        renamed = dict(detail)
        if "stance" in renamed:
            renamed["decision"] = renamed.pop("stance")
        connection.execute(sa.update(_audit).where(_audit.c.id == number).values(detail=renamed))
