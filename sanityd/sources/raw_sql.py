"""Carries a user's SQL through SQLAlchemy unread: a token stands for it until the statement goes to the driver.

SQLAlchemy and drivers read `:x`, `%s`, `%(x)s` and `?` inside any text, quoted or not; a token has none of these.
"""

import re
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    Executable,
    Subquery,
    column,
    event,
    literal_column,
    text,
)

_TOKEN = re.compile(r"sanityd_sql_((?:[0-9a-f]{2})*)_end")


def condition(sql: str) -> ColumnElement[bool]:
    """The SQL as a condition, without a type: of a boolean SQLAlchemy would make `… = 1` where SQL has none."""
    # A line break before the bracket, as the SQL may end in a comment.
    return literal_column(f"(\n{token(sql)}\n)")


def subquery(sql: str, names: list[str]) -> Subquery:
    """The SELECT as a subquery with columns of these names."""
    return text(f"\n{token(sql)}\n").columns(*(column(name) for name in names)).subquery("q")


def head(sql: str) -> str:
    """A statement that tells the columns of a SELECT and reads no row."""
    return f"SELECT * FROM (\n{token(sql)}\n) AS q LIMIT 0"


def restore(statement: str, *, doubles_percent: bool = False) -> str:
    """The statement with the user's SQL in place of its tokens."""

    def plain_sql(found: re.Match[str]) -> str:
        plain = bytes.fromhex(found[1]).decode()
        return plain.replace("%", "%%") if doubles_percent else plain

    return _TOKEN.sub(plain_sql, statement)


def deliver(engine: Engine, *, doubles_percent: bool) -> None:
    """Let the engine put the user's SQL in place at the last moment. `doubles_percent`: its driver halves them."""

    def put_back(
        _connection: Connection,
        _cursor: Any,
        statement: str,
        parameters: Any,
        _context: Any,
        _many: bool,
    ) -> tuple[str, Any]:
        return restore(statement, doubles_percent=doubles_percent), parameters

    event.listen(engine, "before_cursor_execute", put_back, retval=True)


def token(sql: str) -> str:
    """The word that stands for the SQL in a statement that SQLAlchemy compiles."""
    return f"sanityd_sql_{sql.encode().hex()}_end"


def readable(statement: Executable, dialect: Dialect, *, values: bool = True) -> str:
    """The statement as people read it, with the user's SQL and its values, or `?`, in place. It is never run."""
    compiled = statement.compile(dialect=type(dialect)(paramstyle="named"))  # type: ignore[call-arg,attr-defined]
    params = compiled.params

    def value(name: re.Match[str]) -> str:
        if name[1] not in params:
            return name[0]
        return _shown(params[name[1]]) if values else "?"

    return restore(re.sub(r"(?<!:):(\w+)", value, str(compiled)))


def _shown(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int | float):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"
