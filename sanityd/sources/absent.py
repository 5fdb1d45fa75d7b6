"""How a table is told that isn't there: with the one that may be meant, or those that there are."""

import difflib
from collections.abc import Sequence

from sanityd.errors import CheckError


def no_such_table(source: str, name: str, schema: str | None, others: Sequence[str]) -> CheckError:
    """The error for a table that a source doesn't have. `others` are those that it has in that schema."""
    near = difflib.get_close_matches(name.lower(), {other.lower(): other for other in others}, n=1)
    close = [other for other in others if near and other.lower() == near[0]]
    if close:
        hint = f"Did you mean `{close[0]}`?"
    elif others:
        hint = f"There are {', '.join(f'`{other}`' for other in sorted(others)[:8])}."
    else:
        hint = "There is no table at all that this login can see."
    full = f"{schema}.{name}" if schema else name
    return CheckError(f"`{source}` has no table or view `{full}`", hint, word=name)
