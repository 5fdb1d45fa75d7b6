"""Names and values as SQL text."""

import re
from typing import Any

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def quote_name(name: str) -> str:
    """Return the name of a column or table for SQL, quoted where it must be."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    return '"' + name.replace('"', '""') + '"'


def quote_names(names: list[str]) -> str:
    """Return names for SQL, separated by commas."""
    return ", ".join(quote_name(name) for name in names)


def quote_table(parts: list[str]) -> str:
    """Return the name of a table for SQL. `parts` are its schema, if any, and its name."""
    return ".".join(quote_name(part) for part in parts)


def any_not_null(names: list[str]) -> str:
    """Return the SQL condition that at least one of the columns has a value."""
    return " or ".join(f"{quote_name(name)} is not null" for name in names)


def quote_value(value: Any) -> str:
    """Return a value as an SQL literal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def quote_values(values: list[Any]) -> str:
    """Return values as SQL literals, separated by commas."""
    return ", ".join(quote_value(value) for value in values)


def strip_semicolon(sql: str) -> str:
    """Return a statement without the semicolons and blanks around it."""
    return sql.strip().rstrip(";").strip()
