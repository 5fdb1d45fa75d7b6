"""What a table that isn't there may have been meant to be, and views of what isn't there any more. Pure."""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.exc import OperationalError

from sanityd.errors import CheckError

#: All tables that the login can see, with their schemas. SQLite has no schemas.
EVERYWHERE = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE lower(table_schema) NOT IN ('information_schema', 'pg_catalog', 'mysql', 'performance_schema', 'sys')
ORDER BY table_schema, table_name LIMIT 10000
"""


def no_such_table(
    source: str,
    name: str,
    schema: str | None,
    here: Sequence[str],
    everywhere: Sequence[tuple[str, str]],
) -> CheckError:
    """The error of a table that isn't there, with the likeliest other one.

    Parameters: `here` are the tables of the schema that was meant, `everywhere` those of all schemas.
    """
    full = f"{schema}.{name}" if schema else name
    if name in here:
        # MariaDB says so of a view, PostgreSQL of a table.
        message = f"`{source}.{full}` has no columns"
        return CheckError(
            message, "Of a view, what it selects from is gone, or may not be read.", word=name
        )
    message = f"`{source}` has no table or view `{full}`"
    return CheckError(message, _hint(name, here, everywhere), word=name)


@contextmanager
def described(source: str, name: str) -> Iterator[None]:
    """Around a question to the catalog: that a view's own tables are gone is told as such. Names no value."""
    try:
        yield
    except OperationalError as error:
        if str(error.orig).startswith("no such "):
            raise _hollow(source, name, name) from None
        raise


def _hollow(source: str, full: str, word: str) -> CheckError:
    """The error of a view that the catalog names, and can say nothing of."""
    hint = "Mend the view, or drop it: whoever selects from it gets an error."
    message = (
        f"view `{source}.{full}` can't be read: what it selects from is gone, or may not be read"
    )
    return CheckError(message, hint, word=word)


def _hint(name: str, here: Sequence[str], everywhere: Sequence[tuple[str, str]]) -> str:
    if near := nearest(name, here):
        return f"Did you mean `{near}`?"
    there = {f"{schema}.{table}": table for schema, table in everywhere}
    exact = [full for full, table in there.items() if table.lower() == name.lower()]
    near = nearest(name, list(there.values()))
    if found := exact or [full for full, table in there.items() if table == near]:
        return f"Did you mean `{found[0]}`?"
    if here:
        return f"There are {', '.join(f'`{other}`' for other in sorted(here)[:8])}."
    if there:
        return f"There are {', '.join(f'`{full}`' for full in list(there)[:8])}."
    return "There is no table at all that this login can see."


def nearest(name: str, others: Sequence[str]) -> str:
    """The name that is nearly the same, in any case; empty when there is none."""
    known = {other.lower(): other for other in reversed(others)}
    near = difflib.get_close_matches(name.lower(), known, n=1)
    return known[near[0]] if near else ""
