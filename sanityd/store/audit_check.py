"""Verify the chain of the audit: finds the first entry that is not as it was written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, String, and_, cast, func, or_, select

from sanityd.store import audit_chain, rule_texts
from sanityd.store.audit_chain import Link, entry_digest
from sanityd.store.tables import audit

#: The action of the entry that retention writes when it removes entries of the audit.
TRIMMED = "audit trimmed"
#: What reading a value raises that is not of its column's type, as SQLite allows.
_UNREADABLE = (ValueError, TypeError, AttributeError, KeyError)
#: How many entries are read at once.
_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class ChainFault:
    """The first fault of the chain. `what` is altered, removed, inserted or reordered."""

    what: str
    #: The number of the entry; None for one without a number.
    seq: int | None
    sentence: str
    #: When the entry was written, by whom, and what it says; empty when it is gone.
    at: datetime | None = None
    actor: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What the verification found. `entries` is the number of entries that were read."""

    entries: int
    #: The last entry that is as it was written.
    last: Link
    #: The last entry that retention removed.
    checkpoint: Link
    fault: ChainFault | None = None
    #: Why the head of a mail can't be compared; empty when it was, or was not asked for.
    not_compared: str = ""


def verify(connection: Connection, anchor: Link | None = None) -> ChainReport:
    """Read the whole audit and return the first fault of its chain, if there is one.

    Parameters: `anchor` is the head that a mail shows, with the beginning of its digest.
    """
    try:
        return _verified(connection, anchor)
    except _UNREADABLE:
        # Who alters an entry so that it can't be read must not get around this by it.
        return ChainReport(0, Link(), Link(), _first_unreadable(connection))


def _verified(connection: Connection, anchor: Link | None) -> ChainReport:
    walk = _Walk(audit_chain.checkpoint(connection))
    fault = _first_broken_link(connection, walk)
    fault = _unlinked(connection, fault, walk) or fault
    fault = fault or _wrong_ends(connection, walk)
    fault = fault or _altered_text(connection)
    not_compared = ""
    if fault is None and anchor is not None:
        if anchor.seq < walk.checkpoint.seq:
            not_compared = (
                f"entry {anchor.seq} was removed by retention; use the head of a newer mail"
            )
        else:
            fault = _compared(connection, walk, anchor)
    return ChainReport(walk.entries, walk.last, walk.checkpoint, fault, not_compared)


def _first_unreadable(connection: Connection) -> ChainFault:
    """Return the first entry whose columns are not of their types."""
    ids = connection.execute(select(audit.c.id).order_by(audit.c.id)).scalars().all()
    for row_id in ids:
        # As it is stored: an altered number can't be decoded, either.
        number = select(cast(audit.c.seq, String)).where(audit.c.id == row_id)
        text = str(connection.execute(number).scalar_one())
        seq = int(text) if text.isdigit() else None
        try:
            row = connection.execute(select(audit).where(audit.c.id == row_id)).mappings().one()
            entry_digest(row["digest"], int(row["seq"]), row)
        except _UNREADABLE:
            return ChainFault("altered", seq, f"{_name(seq)} can't be read: it was altered")
    sentence = "the ends of the chain, or the text of a rule, can't be read"
    return ChainFault("altered", None, sentence)


def _name(seq: int | None) -> str:
    return "an entry" if seq is None else f"entry {seq}"


@dataclass
class _Walk:
    """How far the chain was followed."""

    checkpoint: Link
    last: Link = field(init=False)
    last_id: int = 0
    entries: int = 0
    #: What the newest entry of retention says about the checkpoint.
    trimmed: Link = field(default_factory=Link)

    def __post_init__(self) -> None:
        self.last = self.checkpoint

    def follow(self, row: RowMapping) -> None:
        """Go on to an entry that is as it was written."""
        self.last = Link(row["seq"], row["digest"])
        self.last_id = row["id"]
        self.entries += 1
        if row["action"] == TRIMMED:
            self.trimmed = Link(row["detail"]["seq"], row["detail"]["digest"])


def _entries(connection: Connection, after: int = -1) -> Iterator[RowMapping]:
    """Yield the entries with a number above `after`, a chunk at a time."""
    has_link = and_(audit.c.seq.is_not(None), audit.c.digest.is_not(None))
    while True:
        query = select(audit).where(has_link, audit.c.seq > after).order_by(audit.c.seq)
        rows = connection.execute(query.limit(_CHUNK)).mappings().all()
        yield from rows
        if len(rows) < _CHUNK:
            return
        after = rows[-1]["seq"]


def _first_broken_link(connection: Connection, walk: _Walk) -> ChainFault | None:
    for row in _entries(connection):
        fault = _broken_link(connection, walk, row)
        if fault is not None:
            return fault
        walk.follow(row)
    return None


def _broken_link(connection: Connection, walk: _Walk, row: RowMapping) -> ChainFault | None:
    """Return what is wrong with the next entry; None if nothing is."""
    next_seq = walk.last.seq + 1
    if row["seq"] < next_seq:
        return _fault("inserted", row, "its number is that of an entry that retention removed")
    if row["seq"] > next_seq:
        return _removed(next_seq, row["seq"] - 1)
    if row["digest"] != entry_digest(walk.last.digest, next_seq, row):
        return _diagnosis(connection, walk, row)
    if row["id"] < walk.last_id:
        return _fault("reordered", row, "it was written after the entry before it in the store")
    return None


def _diagnosis(connection: Connection, walk: _Walk, row: RowMapping) -> ChainFault:
    """Return why the digest of an entry is not that of its content, number and predecessor."""
    head = audit_chain.head(connection)
    if head is not None and row["seq"] > head.seq:
        return _fault("inserted", row, "sanityd did not append it")
    later = list(_entries(connection, row["seq"]))
    moved = _entry_of_place(walk.last, row, later)
    if moved is not None:
        has_own_digest = entry_digest(walk.last.digest, row["seq"], moved) != row["digest"]
        is_next = has_own_digest and moved["seq"] == row["seq"] + 1
        if is_next and not _was_written_elsewhere(walk.last, row, later):
            return _fault("inserted", row, "the entries after it belong to the one before it")
        return _fault("reordered", row, f"entry {moved['seq']} was written in its place")
    if _is_renumbered(head, row, later):
        return _removed(row["seq"], row["seq"])
    return _fault("altered", row, "its content does not match its digest")


def _entry_of_place(
    before: Link, row: RowMapping, later: Sequence[RowMapping]
) -> RowMapping | None:
    """Return the entry that was written where the row is now; None if there is none."""
    for other in later:
        digest = entry_digest(before.digest, row["seq"], other)
        if digest in (other["digest"], row["digest"]):
            return other
    return None


def _was_written_elsewhere(before: Link, row: RowMapping, later: Sequence[RowMapping]) -> bool:
    """Return whether sanityd wrote the row, after another entry than the one before it now."""
    links = [before, *(Link(other["seq"], other["digest"]) for other in later)]
    for link in links:
        for seq in (link.seq, link.seq + 1, link.seq + 2):
            if entry_digest(link.digest, seq, row) == row["digest"]:
                return True
    return False


def _is_renumbered(head: Link | None, row: RowMapping, later: Sequence[RowMapping]) -> bool:
    """Return whether the entry of that number was removed, and those after it moved up."""
    if not later:
        return head is not None and head.seq > row["seq"]
    following = later[0]
    digest: str = following["digest"]
    return digest == entry_digest(row["digest"], following["seq"] + 1, following)


def _unlinked(connection: Connection, fault: ChainFault | None, walk: _Walk) -> ChainFault | None:
    """Return the first entry without a number or a digest, if it comes before the fault."""
    no_link = or_(audit.c.seq.is_(None), audit.c.digest.is_(None))
    first = select(func.min(audit.c.id)).where(no_link).scalar_subquery()
    row = connection.execute(select(audit).where(audit.c.id == first)).mappings().first()
    if row is None or (fault is not None and row["id"] > walk.last_id + 1):
        return None
    return _fault("inserted", row, "it is not a part of the chain")


def _wrong_ends(connection: Connection, walk: _Walk) -> ChainFault | None:
    """Compare the ends of the chain with what sanityd wrote about them."""
    head = audit_chain.head(connection)
    if walk.trimmed != walk.checkpoint:
        sentence = (
            f"entries up to {walk.checkpoint.seq} were removed, but retention removed those"
            f" up to {walk.trimmed.seq}"
        )
        return ChainFault("removed", walk.checkpoint.seq, sentence)
    if head is None:
        return _missing_head(walk)
    if head.seq > walk.last.seq:
        return _removed(walk.last.seq + 1, head.seq)
    if head.seq < walk.last.seq:
        sentence = f"the entries after {head.seq} were not appended by sanityd"
        return ChainFault("inserted", head.seq + 1, sentence)
    if head != walk.last:
        sentence = f"the head of the chain does not have the digest of entry {head.seq}"
        return ChainFault("altered", head.seq, sentence)
    return None


def _missing_head(walk: _Walk) -> ChainFault | None:
    if not walk.entries:
        return None
    return ChainFault("removed", walk.last.seq, "the head of the chain was removed")


def _altered_text(connection: Connection) -> ChainFault | None:
    digest = rule_texts.first_altered(connection)
    if digest is None:
        return None
    sentence = (
        f"the stored text of a rule, {digest[: audit_chain.SHOWN]}, does not match its digest"
    )
    return ChainFault("altered", None, sentence)


def _compared(connection: Connection, walk: _Walk, anchor: Link) -> ChainFault | None:
    """Compare the chain with the head of a mail."""
    if anchor.seq > walk.last.seq:
        fault = _removed(walk.last.seq + 1, anchor.seq)
        return ChainFault("removed", fault.seq, f"{fault.sentence}; the mail knows them")
    digest = walk.checkpoint.digest
    if anchor.seq > walk.checkpoint.seq:
        query = select(audit.c.digest).where(audit.c.seq == anchor.seq)
        digest = connection.execute(query).scalar_one()
    if digest.startswith(anchor.digest):
        return None
    sentence = (
        f"entry {anchor.seq} has another digest than in the mail: it, or an entry before it, was"
        " rewritten together with all that follow"
    )
    return ChainFault("altered", anchor.seq, sentence)


def _fault(what: str, row: RowMapping, why: str) -> ChainFault:
    name = "an entry without a number"
    if row["seq"] is not None:
        name = f"entry {row['seq']}"
    sentence = f"{name} was {what}: {why}"
    return ChainFault(what, row["seq"], sentence, row["at"], row["actor"], row["action"])


def _removed(first: int, last: int) -> ChainFault:
    names = f"entry {first} was"
    if last > first:
        names = f"entries {first} to {last} were"
    return ChainFault("removed", first, f"{names} removed")


def parse_anchor(text: str) -> Link:
    """Return the head that a mail shows, as `1234:0a1b2c3d4e5f`. Raises ValueError."""
    number, _, digest = text.strip().partition(":")
    digits = digest.strip().lower()
    if not number.isdecimal() or not number.isascii() or len(digits) < audit_chain.SHOWN:
        raise ValueError(text)
    int(digits, 16)
    return Link(int(number), digits)


def as_json(report: ChainReport) -> dict[str, Any]:
    """Return a report as plain data."""
    document: dict[str, Any] = {
        "whole": report.fault is None and not report.not_compared,
        "entries": report.entries,
        "last": str(report.last),
        "removed_by_retention": report.checkpoint.seq,
        "fault": None,
        "not_compared": report.not_compared or None,
    }
    fault = report.fault
    if fault is not None:
        document["fault"] = {
            "what": fault.what,
            "seq": fault.seq,
            "sentence": fault.sentence,
            "at": fault.at.isoformat() if fault.at is not None else None,
            "actor": fault.actor,
            "action": fault.action,
        }
    return document
