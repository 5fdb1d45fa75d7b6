"""Remove old entries of the audit, if the rules file asks for that; the chain stays whole.

The checkpoint has the number and the digest of the last removed entry, and so has the entry that
tells of the removal: an entry that somebody else removes is missed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, delete, func, select

from sanityd.store import audit, audit_chain
from sanityd.store.audit import AuditEntry
from sanityd.store.audit_chain import Link
from sanityd.store.audit_check import TRIMMED
from sanityd.store.open import Store
from sanityd.store.tables import audit as audit_table

#: How many entries one transaction removes.
CHUNK = 2_000
#: How much of the audit is removed at once: a clock that is a year ahead costs no more.
AT_ONCE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class _TrimRange:
    """Entries before `until` are removed, if their number is at most `seq`."""

    until: datetime
    seq: int


def trim(store: Store, at: datetime, kept: timedelta) -> int:
    """Remove entries that are older than `kept`, at most a week of them.

    What the newest entry about each rule says is written again first, as changes of the rules file
    are found by it. Returns the number of removed entries. Raises StoreError.
    """
    with store.read() as connection:
        limits = _limits(connection, at, kept)
    if limits is None:
        return 0
    removed = 0
    while True:
        with store.write() as connection:
            count = _remove(connection, at, limits)
        removed += count
        if count < CHUNK:
            return removed


def _limits(connection: Connection, at: datetime, kept: timedelta) -> _TrimRange | None:
    """Return what is to be removed; None when nothing is so old."""
    # Not the lowest time: one entry of a clock that was years behind would stop it for ever.
    first = select(audit_table.c.at).order_by(audit_table.c.seq).limit(1)
    oldest = connection.execute(first).scalar()
    if oldest is None or oldest >= at - kept:
        return None
    return _TrimRange(min(at - kept, oldest + AT_ONCE), audit_chain.last_link(connection).seq)


def _remove(connection: Connection, at: datetime, limits: _TrimRange) -> int:
    """Remove the first entries up to the first that is new. Returns their number."""
    before = audit_chain.checkpoint(connection)
    first_new = select(func.min(audit_table.c.seq)).where(audit_table.c.at >= limits.until)
    next_kept = connection.execute(first_new).scalar() or limits.seq + 1
    last = min(next_kept - 1, limits.seq, before.seq + CHUNK)
    if last <= before.seq:
        return 0
    digest = select(audit_table.c.digest).where(audit_table.c.seq == last)
    link = Link(last, connection.execute(digest).scalar_one())
    entries = _kept_rules(connection, last)
    detail = {"seq": link.seq, "digest": link.digest, "first": before.seq + 1}
    reason = f"entries {before.seq + 1} to {last} were removed by retention"
    entries.append(AuditEntry("sanityd", TRIMMED, reason, detail=detail))
    audit.append_all(connection, at, entries)
    connection.execute(delete(audit_table).where(audit_table.c.seq <= last))
    audit_chain.move_checkpoint(connection, link)
    return last - before.seq


def _kept_rules(connection: Connection, last: int) -> list[AuditEntry]:
    """Return entries that repeat the newest change of each rule that would be removed."""
    actions = (*audit.RULE_CHANGES, audit.RULE_KEPT)
    newest = (
        select(func.max(audit_table.c.id))
        .where(audit_table.c.action.in_(actions))
        .group_by(audit_table.c.rule)
    )
    query = select(audit_table).where(
        audit_table.c.id.in_(newest),
        audit_table.c.seq <= last,
        audit_table.c.action != audit.RULE_REMOVED,
    )
    rows = connection.execute(query.order_by(audit_table.c.seq)).mappings()
    return [_repeated(row) for row in rows]


def _repeated(row: RowMapping) -> AuditEntry:
    detail = {"at": row["at"].isoformat(), **row["detail"]}
    return AuditEntry(row["actor"], audit.RULE_KEPT, row["reason"], row["rule"], detail=detail)
