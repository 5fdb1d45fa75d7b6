"""The chain of the audit: whoever changes an entry behind sanityd's back is found out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, event, text

from sanityd.store import audit, audit_chain, audit_check, audit_retention, rule_texts
from sanityd.store.audit import AuditEntry
from sanityd.store.audit_chain import Link, entry_digest
from sanityd.store.audit_check import ChainReport
from sanityd.store.migrate import config
from sanityd.store.open import Store
from sanityd.store.tables import audit as audit_table

AT = datetime(2026, 11, 23, 8, 5, 7, 123456, tzinfo=UTC)
DAY = timedelta(days=1)


def append(store: Store, *reasons: str, at: datetime = AT) -> None:
    with store.write() as connection:
        entries = [AuditEntry("ana", "acknowledged", reason, "r") for reason in reasons]
        audit.append_all(connection, at, entries)


def verify(store: Store, anchor: Link | None = None) -> ChainReport:
    with store.read() as connection:
        return audit_check.verify(connection, anchor)


def head(store: Store) -> Link:
    with store.read() as connection:
        link = audit_chain.head(connection)
    assert link is not None
    return link


def tamper(store: Store, *statements: str) -> None:
    """Change the store as an intruder with the rights of sanityd would."""
    with store.write() as connection:
        for statement in statements:
            connection.execute(text(statement))


def fault(store: Store, anchor: Link | None = None) -> tuple[str, int | None]:
    report = verify(store, anchor)
    assert report.fault is not None, "the fault was not found"
    return report.fault.what, report.fault.seq


@pytest.fixture
def five(store: Store) -> Store:
    """A store with five entries, all of different content."""
    detail = {"n": 1.5, "ä": ["\u2028", None, True], "until": AT.isoformat()}
    with store.write() as connection:
        audit.append(connection, AT, "sanityd", "judged", "one", rule="r", detail=detail)
    append(store, "two", "three")
    append(store, "four", "five", at=AT + DAY)
    return store


def test_a_store_that_nobody_touched_is_whole(five: Store) -> None:
    report = verify(five, head(five))
    assert (report.fault, report.entries, report.last) == (None, 5, head(five))
    assert verify(five, Link(3, report.last.digest[:12])).fault is not None


def test_an_empty_audit_is_whole(store: Store) -> None:
    report = verify(store)
    assert (report.fault, report.entries, report.last.seq) == (None, 0, 0)


SWAP = (
    "UPDATE audit SET seq = 99 WHERE seq = 2",
    "UPDATE audit SET seq = 2 WHERE seq = {other}",
    "UPDATE audit SET seq = {other} WHERE seq = 99",
)
INSERT = (
    "INSERT INTO audit (id, at, actor, action, reason, rule, detail, seq, digest)"
    " SELECT {id}, at, 'bo', action, reason, rule, detail, {seq}, {digest} FROM audit WHERE seq = 1"
)
SHIFT = (
    "UPDATE audit SET seq = seq + 100 WHERE seq > 2",
    "UPDATE audit SET seq = seq - 99 WHERE seq > 100",
)
TAMPERED: dict[str, tuple[tuple[str, ...], tuple[str, int | None]]] = {
    "altered reason": (("UPDATE audit SET reason = 'x' WHERE seq = 3",), ("altered", 3)),
    "altered actor": (("UPDATE audit SET actor = 'bo' WHERE seq = 1",), ("altered", 1)),
    "altered time": (("UPDATE audit SET at = '2026-01-01 00:00:00' WHERE seq = 5",), ("altered", 5)),
    "altered digest": (("UPDATE audit SET digest = 'x' WHERE seq = 2",), ("altered", 2)),
    "altered head": (("UPDATE audit_chain SET digest = 'x' WHERE name = 'head'",), ("altered", 5)),
    "removed": (("DELETE FROM audit WHERE seq = 3",), ("removed", 3)),
    "removed first": (("DELETE FROM audit WHERE seq = 1",), ("removed", 1)),
    "removed and closed up": (
        ("DELETE FROM audit WHERE seq = 2", "UPDATE audit SET seq = seq - 1 WHERE seq = 3",
         "UPDATE audit SET seq = seq - 1 WHERE seq = 4", "UPDATE audit SET seq = 4 WHERE seq = 5"),
        ("removed", 2),
    ),
    "removed tail": (("DELETE FROM audit WHERE seq > 3",), ("removed", 4)),
    "removed head": (("DELETE FROM audit_chain WHERE name = 'head'",), ("removed", 5)),
    "inserted without number": ((INSERT.format(id=99, seq="NULL", digest="NULL"),), ("inserted", None)),
    "inserted at the end": ((INSERT.format(id=99, seq=6, digest="digest"),), ("inserted", 6)),
    "inserted between": (
        (*SHIFT, INSERT.format(id=99, seq=3, digest="digest"),
         "UPDATE audit_chain SET seq = 6 WHERE name = 'head'"),
        ("inserted", 3),
    ),
    "swapped neighbours": (tuple(line.format(other=3) for line in SWAP), ("reordered", 2)),
    "swapped others": (tuple(line.format(other=4) for line in SWAP), ("reordered", 2)),
    "exchanged contents": (
        ("UPDATE audit SET reason = 'x' WHERE seq = 2", "UPDATE audit SET reason = 'two' WHERE seq = 3",
         "UPDATE audit SET reason = 'three' WHERE seq = 2"),
        ("reordered", 2),
    ),
    "exchanged ids": (
        ("UPDATE audit SET id = 99 WHERE seq = 2", "UPDATE audit SET id = 2 WHERE seq = 3",
         "UPDATE audit SET id = 3 WHERE seq = 2"),
        ("reordered", 3),
    ),
    "forged checkpoint": (
        ("INSERT INTO audit_chain SELECT 'checkpoint', 2, digest FROM audit WHERE seq = 2",
         "DELETE FROM audit WHERE seq <= 2"),
        ("removed", 2),
    ),
}  # fmt: skip


def test_each_kind_of_change_is_named_with_its_entry(five: Store) -> None:
    """In one store, each undone by a rollback, as a database for each would take long."""
    for name, (statements, expected) in TAMPERED.items():
        with five.engine.connect() as connection, connection.begin() as transaction:
            for statement in statements:
                connection.execute(text(statement))
            report = audit_check.verify(connection)
            transaction.rollback()
        assert report.fault is not None, name
        assert (name, report.fault.what, report.fault.seq) == (name, *expected)
    assert verify(five).fault is None


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE audit SET detail = '{bad' WHERE seq = 2", ("altered", 2)),
        ("UPDATE audit SET at = 'garbage' WHERE seq = 2", ("altered", 2)),
        ("UPDATE audit SET reason = x'ff' WHERE seq = 2", ("altered", 2)),
        ("UPDATE audit SET digest = x'00ff' WHERE seq = 2", ("altered", 2)),
        ("UPDATE audit SET seq = 'x' WHERE seq = 2", ("removed", 2)),
        ("UPDATE audit_chain SET seq = 'x' WHERE name = 'head'", ("altered", None)),
        ("UPDATE rule_texts SET content = 'zzz'", ("altered", None)),
    ],
)
def test_an_entry_that_cannot_be_read_any_more_was_altered(
    tmp_path: Path, statement: str, expected: tuple[str, int | None]
) -> None:
    """SQLite stores any bytes in any column."""
    store = Store.open("sqlite:///state.db", tmp_path)
    append(store, "one", "two", "three")
    with store.write() as connection:
        connection.execute(text("INSERT INTO rule_texts VALUES ('digest', '{}')"))
        connection.execute(text(statement))
    if "rule_texts" in statement:
        assert fault(store)[0] == "altered"
    else:
        assert fault(store) == expected
    store.close()


def test_who_rewrites_all_digests_is_found_out_by_the_head_of_a_mail(five: Store) -> None:
    mailed = audit_check.parse_anchor(str(head(five)))
    with five.write() as connection:
        connection.execute(text("UPDATE audit SET reason = 'x' WHERE seq = 2"))
        digest = audit_chain.GENESIS
        for row in connection.execute(audit_table.select().order_by(audit_table.c.seq)).mappings():
            digest = entry_digest(digest, row["seq"], row)
            values = {"d": digest, "n": row["seq"]}
            connection.execute(text("UPDATE audit SET digest = :d WHERE seq = :n"), values)
        connection.execute(text("UPDATE audit_chain SET digest = :d"), {"d": digest})
    assert verify(five).fault is None
    assert fault(five, mailed) == ("altered", 5)


def test_a_cut_tail_is_found_by_the_head_of_a_mail_even_if_the_head_was_moved(five: Store) -> None:
    mailed = head(five)
    tamper(
        five,
        "DELETE FROM audit WHERE seq > 3",
        "UPDATE audit_chain SET seq = 3, digest = (SELECT digest FROM audit WHERE seq = 3)",
    )
    assert verify(five).fault is None
    assert fault(five, mailed) == ("removed", 4)


def test_an_altered_text_of_a_rule_is_found(five: Store) -> None:
    with five.write() as connection:
        rule_texts.save_all(connection, [{"rules": {"r": {"never": "a"}}}] * 2)
    assert verify(five).fault is None
    tamper(five, """UPDATE rule_texts SET content = '{"rules": {"r": {"never": "b"}}}'""")
    assert fault(five) == ("altered", None)


def test_retention_keeps_the_chain_and_what_is_known_of_rules(store: Store) -> None:
    detail = {"file": "f", "print": "p", "text": "t"}
    with store.write() as connection:
        added = AuditEntry("ana", "rule added", "revision 1", "r", detail=detail)
        audit.append_all(connection, AT - 100 * DAY, [added])
    append(store, "old", at=AT - 99 * DAY)
    old_head = head(store)
    append(store, "new", "newer")
    assert audit_retention.trim(store, AT, 90 * DAY) == 2
    report = verify(store, Link(3, ""))
    assert (report.fault, report.checkpoint, report.entries) == (None, old_head, 4)
    assert verify(store, old_head).fault is None
    assert "retention" in verify(store, Link(1, "0" * 12)).not_compared
    with store.read() as connection:
        assert audit.last_rule_changes(connection, "f") == {"r": ("rule kept", "p")}
    assert audit_retention.trim(store, AT, 90 * DAY) == 0
    tamper(store, "DELETE FROM audit WHERE seq = 3")
    assert fault(store) == ("removed", 3)


def test_retention_removes_a_week_at_most_and_stops_at_the_first_new_entry(store: Store) -> None:
    for age in (130, 128, 120, 10, 119):
        append(store, "x", at=AT - age * DAY)
    assert audit_retention.trim(store, AT, 90 * DAY) == 2
    assert audit_retention.trim(store, AT, 90 * DAY) == 1
    assert audit_retention.trim(store, AT + 1000 * DAY, 90 * DAY) <= 5
    assert verify(store).fault is None


def test_an_entry_of_a_clock_that_was_behind_stops_retention_for_one_turn_only(
    store: Store,
) -> None:
    """Its time is years before that of the entries around it, which are removed by their own."""
    for age in (130, 129, 4000, 120, 10):
        append(store, "x", at=AT - age * DAY)
    removed = [audit_retention.trim(store, AT, 90 * DAY) for _ in range(4)]
    assert (sum(removed), removed[0]) == (4, 3)
    assert verify(store).fault is None


@contextmanager
def counted(connection: Connection) -> Iterator[list[str]]:
    """Yield the statements of a connection as they are executed."""
    statements: list[str] = []

    def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(connection, "before_cursor_execute", count)
    yield statements
    event.remove(connection, "before_cursor_execute", count)


def test_any_number_of_entries_takes_three_statements(store: Store) -> None:
    append(store, "first")
    entries = [AuditEntry("ana", "acknowledged", str(number), "r") for number in range(500)]
    with store.write() as connection, counted(connection) as statements:
        audit.append_all(connection, AT, entries)
    assert len(statements) == 3
    assert verify(store).entries == 501


def test_entries_from_before_the_chain_are_chained(url: str, tmp_path: Path) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        command.upgrade(config(connection), "0012")
        for number in range(3):
            statement = text(
                "INSERT INTO audit (at, actor, action, reason, rule, detail)"
                " VALUES ('2026-11-23 08:05:00', 'ana', 'closed', :reason, 'r', '{\"n\": 1.0}')"
            )
            connection.execute(statement, {"reason": f"é {number}"})
    engine.dispose()
    store = Store.open(url, tmp_path)
    append(store, "after")
    report = verify(store)
    assert (report.fault, report.entries) == (None, 4)
    store.close()


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from sanityd.store import audit
from sanityd.store.audit import AuditEntry
from sanityd.store.open import Store
store = Store.open(sys.argv[1], Path.cwd())
print("ready", flush=True)
sys.stdin.readline()
# On PostgreSQL without the lock that makes all writers wait: the head of the chain is enough.
begin = store.write if sys.argv[1].startswith("sqlite") else store.engine.begin
for number in range(10):
    with begin() as connection:
        at = datetime.now(UTC)
        audit.append_all(connection, at, [AuditEntry("x", "acted", str(number), "r")] * 3)
"""


def test_writers_of_several_processes_make_one_chain(
    url: str, store: Store, race: Callable[..., list[str]]
) -> None:
    race(WRITER, 3, url)
    report = verify(store)
    assert (report.fault, report.entries) == (None, 90)


@pytest.mark.parametrize("words", [":", "7", "7:", "x:0a1b2c3d4e5f", "7:0a1b", "7:0a1b2c3d4e5g"])
def test_what_is_no_head_of_a_mail_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        audit_check.parse_anchor(words)
