"""Bringing a store's schema to the newest version with Alembic, in the caller's transaction."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; there is no file of it."""
    made = Config()
    # Alembic reads `%` in options as its own.
    made.set_main_option(
        "script_location", str(Path(__file__).parent / "migrations").replace("%", "%%")
    )
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def upgrade(connection: Connection) -> None:
    """Run the migrations that the store has not seen."""
    command.upgrade(config(connection), "head")
