"""The migrations and the tables say the same."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from sanityd.model import Reason, Severity
from sanityd.store import incidents, notification_log
from sanityd.store.migrate import config
from sanityd.store.open import HEAD, Store
from sanityd.store.tables import metadata

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_the_newest_script_is_the_version_that_is_asked_for() -> None:
    assert ScriptDirectory.from_config(config()).get_current_head() == HEAD


@pytest.mark.parametrize("begin", [None, "0001"])
def test_a_store_is_what_the_tables_say_whether_new_or_migrated(
    url: str, tmp_path: Path, begin: str | None
) -> None:
    if begin is not None:
        engine = create_engine(url)
        with engine.begin() as connection:
            command.upgrade(config(connection), begin)
        engine.dispose()
    store = Store.open(url, tmp_path)
    with store.read() as memory:
        context = MigrationContext.configure(memory, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == HEAD
    store.close()


#: What the second version of the schema knew: an incident that one recipient was told of, and one
#: that is over.
OLD = """
INSERT INTO incidents (id, rule, source, opened_at, resolved_at, severity, violations, fates, meaning) VALUES
  ('one', 'r', 'app', '2026-11-23 08:00:00', NULL, 4, 7, '{}', 'm'),
  ('two', 'q', 'app', '2026-11-23 08:00:00', '2026-11-23 09:00:00', 3, 1, '{}', 'm');
INSERT INTO outbox (dedup_key, incident, rule, reason, channel, recipient, severity, violations, message_id, subject,
  text, html, headers, state, created_at, not_before, expires_at, attempts, fence, ended_at)
VALUES ('k', 'one', 'r', 'opened', 'team', 'ada@x.io', 4, 7, '<m@x>', 's', 't', 'h', '{}', 'sent',
  '2026-11-23 08:00:00', '2026-11-23 08:00:00', '2026-11-26 08:00:00', 1, 1, '2026-11-23 08:00:01')
"""


def test_who_was_told_what_is_known_after_a_migration(url: str, tmp_path: Path) -> None:
    """Otherwise everybody would be told everything again on the day of an update."""
    engine = create_engine(url)
    with engine.begin() as connection:
        command.upgrade(config(connection), "0002")
        for statement in OLD.split(";"):
            connection.execute(text(statement))
    engine.dispose()
    store = Store.open(url, tmp_path)
    with store.read() as memory:
        [known] = notification_log.delivery_states(memory, ["one", "two"], AT).values()
        alive = incidents.list_unsettled(memory)
    store.close()
    assert known.last_notification is not None
    assert (
        known.last_notification.reason,
        known.last_notification.violations,
        known.last_notification.root,
    ) == (
        Reason.OPENED,
        7,
        "<m@x>",
    )
    assert [(one.id, one.severity, one.declared) for one in alive] == [
        ("one", Severity.CRITICAL, Severity.CRITICAL)
    ]
