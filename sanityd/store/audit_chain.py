"""The chain of the audit: shows whether an entry was altered, removed, inserted or moved.

Each entry has a number without gaps, and a digest over its content, its number and the digest of
the entry before. One row, the head, has the number and the digest of the last entry; it is locked
until the end of the transaction that appends. Another, the checkpoint, has those of the last entry
that retention removed.

The digest is a plain sha256 without a key. Whoever can write the store as sanityd does can also
read what sanityd reads, so a key would prevent nothing. What nobody can change afterwards is the
head in the digest mails, and `audit_check` compares with it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, update

from sanityd.store.history_tables import audit_chain
from sanityd.store.tables import audit, insert_into

#: The digest before the first entry.
GENESIS = "0" * 64
#: How many digits of a digest are shown.
SHOWN = 12
_HEAD = "head"
_CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True)
class Link:
    """The number of an entry and its digest: 64 hexadecimal digits, or their beginning."""

    seq: int = 0
    digest: str = GENESIS

    def __str__(self) -> str:
        return f"{self.seq}:{self.digest[:SHOWN]}"


def entry_digest(previous: str, seq: int, entry: Mapping[str, Any] | RowMapping) -> str:
    """Return the digest of an entry: the sha256 of its canonical JSON, in hexadecimal digits.

    Parameters: `previous` is the digest of the entry before, `entry` has the columns of the audit.
    """
    content = [
        previous,
        seq,
        entry["at"].astimezone(UTC).isoformat(timespec="microseconds"),
        entry["actor"],
        entry["action"],
        entry["reason"],
        entry["rule"],
        entry["incident"],
        entry["detail"],
    ]
    return text_digest(content)


def text_digest(content: Any) -> str:
    """Return the sha256 of plain data as canonical JSON, in hexadecimal digits."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def linked(connection: Connection, entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return new entries with their numbers and digests, and move the head, in two statements.

    No other transaction can append until this one ends.
    """
    last = _locked_head(connection)
    links: list[Mapping[str, Any]] = []
    for entry in entries:
        seq = last.seq + 1
        last = Link(seq, entry_digest(last.digest, seq, entry))
        links.append({**entry, "seq": last.seq, "digest": last.digest})
    moved = {"seq": last.seq, "digest": last.digest}
    connection.execute(update(audit_chain).where(audit_chain.c.name == _HEAD).values(**moved))
    return links


def head(connection: Connection) -> Link | None:
    """Return the head of the chain; None before the first entry."""
    return _stored(connection, _HEAD)


def head_text(connection: Connection) -> str:
    """Return the head as digest mails show it: `1234:0a1b2c3d4e5f`; empty without entries."""
    last = head(connection)
    return str(last) if last is not None else ""


def checkpoint(connection: Connection) -> Link:
    """Return the last entry that retention removed; number 0 when it removed none."""
    return _stored(connection, _CHECKPOINT) or Link()


def move_checkpoint(connection: Connection, link: Link) -> None:
    """Store which entry was the last that retention removed."""
    values = {"seq": link.seq, "digest": link.digest}
    new = insert_into(connection, audit_chain).values(name=_CHECKPOINT, **values)
    connection.execute(new.on_conflict_do_update(index_elements=[audit_chain.c.name], set_=values))


def last_link(connection: Connection) -> Link:
    """Return the number and digest of the last entry that there is."""
    newest = select(func.max(audit.c.seq)).scalar_subquery()
    row = connection.execute(select(audit.c.seq, audit.c.digest).where(audit.c.seq == newest))
    last = row.first()
    return checkpoint(connection) if last is None else Link(last.seq, last.digest)


def _stored(connection: Connection, name: str) -> Link | None:
    query = select(audit_chain.c.seq, audit_chain.c.digest).where(audit_chain.c.name == name)
    row = connection.execute(query).first()
    return None if row is None else Link(row.seq, row.digest)


def _locked_head(connection: Connection) -> Link:
    """Return the head, which nobody else can move until the transaction ends.

    SQLite has no lock of a row; there the transaction has the whole file, or fails.
    """
    query = select(audit_chain.c.seq, audit_chain.c.digest).where(audit_chain.c.name == _HEAD)
    row = connection.execute(query.with_for_update()).first()
    if row is None:
        _add_head(connection)
        row = connection.execute(query.with_for_update()).one()
    return Link(row.seq, row.digest)


def _add_head(connection: Connection) -> None:
    """Add the head of a new store, at the last entry if there is one."""
    last = last_link(connection)
    new = insert_into(connection, audit_chain).values(name=_HEAD, seq=last.seq, digest=last.digest)
    connection.execute(new.on_conflict_do_nothing(index_elements=[audit_chain.c.name]))
