"""Migrate the schema of a store to the newest version with Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration, which has no file."""
    configuration = Config()
    # Alembic reads `%` in options as its own.
    configuration.set_main_option(
        "script_location", str(Path(__file__).parent / "migrations").replace("%", "%%")
    )
    configuration.set_main_option("path_separator", "os")
    configuration.attributes["connection"] = connection
    return configuration


def upgrade(connection: Connection) -> None:
    """Run the migrations that the store is missing, in the transaction of the connection."""
    command.upgrade(config(connection), "head")
