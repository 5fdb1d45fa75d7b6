"""What the rows of a table are called in sentences. Pure."""

import re

#: Plurals that don't end in `s`, and the ends of words that do and are none.
_PLURALS = frozenset({"people", "children", "men", "women", "data", "media", "criteria"})
_SINGULAR_ENDS = ("ss", "us", "is")


def rows_of(table: str) -> str:
    """The name if it is a plural, such as `people` or `order_lines`; else `rows of reading`."""
    word = re.findall("[a-z]*$", table.lower())[0]
    is_plural = word in _PLURALS or (word.endswith("s") and not word.endswith(_SINGULAR_ENDS))
    return table if is_plural else f"rows of {table}"
