"""Alembic's way in: runs migrations on the connection, and in the transaction, that it is handed."""

from alembic import context

from sanityd.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
