"""The migrations and the tables say the same."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from sanityd.store.migrate import config
from sanityd.store.open import HEAD, Store
from sanityd.store.tables import metadata


def test_the_newest_script_is_the_version_that_is_asked_for() -> None:
    assert ScriptDirectory.from_config(config()).get_current_head() == HEAD


def test_a_migrated_store_is_what_the_tables_say(store: Store) -> None:
    with store.read() as memory:
        context = MigrationContext.configure(memory, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
