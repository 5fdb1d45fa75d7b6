"""Which of the names that a rule compares by are SQL expressions, and no columns. Pure."""

import hashlib
import re
from collections.abc import Iterable

from sanityd.checks.requirements import ComparedColumns

#: A quoted text or name, an operator, a call, a cast, a CASE, or what never is in a name.
_EXPRESSION = re.compile(
    r"""
    '[^']*' | \|\| | :: | \w\( | ; | -- | /\* | \s[-+*/]\s | ^case\s | ^"[^"]+"$ | ^`[^`]+`$
    """,
    re.VERBOSE | re.IGNORECASE,
)


def is_expression(text: str) -> bool:
    """Return whether a text is a SQL expression, as far as it isn't the name of a column.

    A column may be called `price(usd)`, so the columns of a table are asked first.
    """
    return _EXPRESSION.search(text) is not None


def name_of_key(expression: str) -> str:
    """Return the name of an expression as a column of a result: databases limit their length."""
    return f"sanityd_key_{hashlib.sha256(expression.encode()).hexdigest()[:16]}"


def own_expressions(compared: Iterable[ComparedColumns]) -> list[str]:
    """Return the expressions over the rule's own table, each once."""
    names = (name for table in compared for name in table.columns)
    return list(dict.fromkeys(filter(is_expression, names)))


def other_expressions(compared: Iterable[ComparedColumns]) -> list[str]:
    """Return the expressions over the other tables, each once."""
    names = (name for table in compared for name in table.columns.values())
    return list(dict.fromkeys(filter(is_expression, names)))
