"""What the rules file said of a rule: also when retention repeated what the audit says of it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sanityd.notifications.rule_history import last_tables, texts_between
from sanityd.store import audit, audit_retention, rule_texts
from sanityd.store.audit import AuditEntry
from sanityd.store.audit_chain import text_digest
from sanityd.store.open import Store

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
TEXT = {"rules": {"r": {"table": "app.people"}}}
STRICTER = {"rules": {"r": {"table": "app.people", "unique": "id"}}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(None, tmp_path)
    yield opened
    opened.close()


def write(
    store: Store, at: datetime, action: str, text: dict[str, dict[str, dict[str, str]]]
) -> None:
    detail = {"file": "f", "print": "p", "text": text_digest(text)}
    with store.write() as connection:
        rule_texts.save_all(connection, [text])
        audit.append(connection, at, "ana", action, "revision 1", rule="r", detail=detail)


def test_a_text_that_retention_repeated_holds_since_it_was_written(store: Store) -> None:
    write(store, AT - 100 * DAY, "rule added", TEXT)
    assert audit_retention.trim(store, AT, 90 * DAY) == 1
    write(store, AT + DAY, "rule changed", STRICTER)
    with store.write() as connection:
        removed = AuditEntry("ana", "rule removed", "revision 2", "r", detail={"file": "f"})
        audit.append_all(connection, AT + 2 * DAY, [removed])
    with store.read() as connection:
        assert last_tables(connection, ["r"]) == {"r": "app.people"}
        all_texts = texts_between(connection, "r", AT - 200 * DAY, AT + 9 * DAY)
        before = texts_between(connection, "r", AT - 101 * DAY, AT - 50 * DAY)
    assert [text.content for text in all_texts] == [TEXT, STRICTER]
    assert [(text.content, text.since) for text in before] == [(TEXT, AT - 100 * DAY)]
