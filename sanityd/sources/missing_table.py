"""Errors of tables that don't exist, with the likeliest name, and of views that are broken."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy.exc import OperationalError

from sanityd.errors import CheckError

#: All tables that the login can see, with their schemas. SQLite has no schemas.
EVERYWHERE = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE lower(table_schema) NOT IN
    ('information_schema', 'pg_catalog', 'mysql', 'performance_schema', 'sys')
ORDER BY table_schema, table_name LIMIT 10000
"""


def no_such_table(
    source: str,
    name: str,
    schema: str | None,
    in_schema: Sequence[str],
    everywhere: Sequence[tuple[str, str]],
) -> CheckError:
    """Return the error of a table that does not exist, with the likeliest other one.

    Parameters: `in_schema` are the tables of the schema that was named, `everywhere` those of all
    schemas as (schema, name).
    """
    full = f"{schema}.{name}" if schema else name
    if name in in_schema:
        # In MariaDB this is a view, in PostgreSQL a table.
        message = f"`{source}.{full}` has no columns"
        return CheckError(
            message, "Of a view, what it selects from is gone, or may not be read.", word=name
        )
    message = f"`{source}` has no table or view `{full}`"
    return CheckError(message, _hint(name, in_schema, everywhere), word=name)


@contextmanager
def described(source: str, name: str) -> Iterator[None]:
    """Raise CheckError when a query of the catalog fails because a view is broken."""
    try:
        yield
    except OperationalError as error:
        if str(error.orig).startswith("no such "):
            raise _broken_view(source, name, name) from None
        raise


def _broken_view(source: str, full: str, word: str) -> CheckError:
    """Return the error of a view whose tables are missing or may not be read."""
    hint = "Mend the view, or drop it: whoever selects from it gets an error."
    message = (
        f"view `{source}.{full}` can't be read: what it selects from is gone, or may not be read"
    )
    return CheckError(message, hint, word=word)


def _hint(name: str, in_schema: Sequence[str], everywhere: Sequence[tuple[str, str]]) -> str:
    near = nearest(name, in_schema)
    if near:
        return f"Did you mean `{near}`?"
    by_full_name = {f"{schema}.{table}": table for schema, table in everywhere}
    match = _in_other_schema(name, by_full_name)
    if match:
        return f"Did you mean `{match}`?"
    names = sorted(in_schema) or list(by_full_name)
    if names:
        return f"There are {', '.join(f'`{other}`' for other in names[:8])}."
    return "There is no table at all that this login can see."


def _in_other_schema(name: str, by_full_name: Mapping[str, str]) -> str:
    """Return the full name of the table with that name, or else with the nearest one."""
    for full_name, table in by_full_name.items():
        if table.lower() == name.lower():
            return full_name
    near = nearest(name, list(by_full_name.values()))
    for full_name, table in by_full_name.items():
        if table == near:
            return full_name
    return ""


def nearest(name: str, others: Sequence[str]) -> str:
    """Return the most similar name, in any case; an empty text when none is similar."""
    by_lower_name = {other.lower(): other for other in reversed(others)}
    near = difflib.get_close_matches(name.lower(), by_lower_name, n=1)
    return by_lower_name[near[0]] if near else ""
