"""Chain the entries of the audit; keep the texts of rules, and earlier episodes of rows."""

import sqlalchemy as sa
from alembic import op

from sanityd.store.audit_chain import GENESIS, entry_digest
from sanityd.store.column_types import Instant, Serial

revision = "0014"
down_revision = "0013"

#: How many entries are read and written at once.
_CHUNK = 2000

_audit = sa.table(
    "audit",
    sa.column("id", sa.BigInteger),
    sa.column("at", Instant),
    sa.column("actor", sa.String),
    sa.column("action", sa.String),
    sa.column("reason", sa.Text),
    sa.column("rule", sa.String),
    sa.column("incident", sa.String),
    sa.column("detail", sa.JSON),
    sa.column("seq", sa.BigInteger),
    sa.column("digest", sa.String),
)


def upgrade() -> None:
    """Add the columns and tables, and chain what is there, in the order in which it was written."""
    op.add_column("audit", sa.Column("seq", sa.BigInteger(), nullable=True))
    op.add_column("audit", sa.Column("digest", sa.String(), nullable=True))
    op.create_index("audit_by_seq", "audit", ["seq"], unique=True)
    chain = op.create_table(
        "audit_chain",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
    )
    op.create_table(
        "rule_texts",
        sa.Column("digest", sa.String(), primary_key=True),
        sa.Column("content", sa.JSON(), nullable=False),
    )
    op.create_table(
        "episodes",
        sa.Column("id", Serial, primary_key=True),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("first_seen", Instant(), nullable=False),
        sa.Column("resolved_at", Instant(), nullable=False),
        sa.Column("resolution", sa.String(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
    )
    op.create_index("episodes_by_row", "episodes", ["rule", "fingerprint"])
    op.create_index("episodes_by_end", "episodes", ["resolved_at"])
    seq, digest = _chain_entries()
    if seq:
        op.execute(sa.insert(chain).values(name="head", seq=seq, digest=digest))


def _chain_entries() -> tuple[int, str]:
    """Number all entries and write their digests. Returns the last number and digest."""
    connection = op.get_bind()
    seq, digest = 0, GENESIS
    last_id = -1
    link = (
        sa.update(_audit)
        .where(_audit.c.id == sa.bindparam("entry"))
        .values(seq=sa.bindparam("number"), digest=sa.bindparam("link"))
    )
    while True:
        query = sa.select(_audit).where(_audit.c.id > last_id).order_by(_audit.c.id).limit(_CHUNK)
        entries = connection.execute(query).mappings().all()
        if not entries:
            return seq, digest
        links = []
        for entry in entries:
            seq += 1
            digest = entry_digest(digest, seq, entry)
            links.append({"entry": entry["id"], "number": seq, "link": digest})
        connection.execute(link, links)
        last_id = entries[-1]["id"]
