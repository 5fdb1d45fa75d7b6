"""Passes users' SQL through SQLAlchemy: a token replaces it until the statement goes to the driver.

SQLAlchemy and drivers interpret `:x`, `%s`, `%(x)s` and `?` in any text; a token has none of these.
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
    """Return the SQL as a condition without a type.

    SQLAlchemy renders a boolean as `… = 1` for databases without booleans.
    """
    # A line break before the bracket, as the SQL may end in a comment.
    return literal_column(f"(\n{token(sql)}\n)")


def subquery(sql: str, names: list[str]) -> Subquery:
    """Return the SELECT as a subquery with columns of these names."""
    return text(f"\n{token(sql)}\n").columns(*(column(name) for name in names)).subquery("q")


def head(sql: str) -> str:
    """Return a statement with the columns of a SELECT that reads no row."""
    return head_of(token(sql))


def head_of(statement: str) -> str:
    """Return the same of a statement that has a token in place of the SQL."""
    return f"SELECT * FROM (\n{statement}\n) AS q LIMIT 0"


def restore(statement: str, *, doubles_percent: bool = False) -> str:
    """Return the statement with the user's SQL in place of its tokens."""

    def plain_sql(match: re.Match[str]) -> str:
        plain = bytes.fromhex(match[1]).decode()
        return plain.replace("%", "%%") if doubles_percent else plain

    return _TOKEN.sub(plain_sql, statement)


def has_token(statement: str) -> bool:
    """Return whether a statement that was not delivered yet contains SQL of a user."""
    return _TOKEN.search(statement) is not None


def deliver(engine: Engine, *, doubles_percent: bool) -> None:
    """Let the engine restore the user's SQL just before a statement goes to the driver.

    Parameters: `doubles_percent` is True if the driver turns `%%` into `%`.
    """

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
    """Return the token for a SQL text."""
    return f"sanityd_sql_{sql.encode().hex()}_end"


def readable(statement: Executable, dialect: Dialect, *, values: bool = True) -> str:
    """Return the statement for people to read, with its values or with `?`. It is never run."""
    named = type(dialect)(paramstyle="named")  # type: ignore[call-arg]
    compiled = statement.compile(dialect=named)  # type: ignore[attr-defined]
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
