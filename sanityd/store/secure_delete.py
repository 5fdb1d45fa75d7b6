"""What is deleted as it may not be stored any more is overwritten."""

from sqlalchemy import Connection


def overwrite_deleted(connection: Connection) -> None:
    """Overwrite what this connection deletes from now on.

    Otherwise SQLite leaves deleted values in its file until their place is used again.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
