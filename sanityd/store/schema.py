"""The whole schema: all tables, and their creation in an empty database."""

from sqlalchemy import Connection

from sanityd.store import (  # noqa: F401  (their tables are a part of it)
    announced_tables,
    evidence,
    history_tables,
    remedy_tables,
)
from sanityd.store.tables import metadata, one_open


def create_all(connection: Connection) -> None:
    """Create all tables in an empty database."""
    if connection.dialect.name == "postgresql":
        # As an argument of the index, this option would import PostgreSQL's dialect for every
        # store.
        condition = one_open.dialect_options["sqlite"]["where"]
        one_open.dialect_options["postgresql"]["where"] = condition
    metadata.create_all(connection)
