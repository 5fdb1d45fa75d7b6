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


def count_of_rows(count: int, checked: int | None, table: str) -> str:
    """The number with its noun: `3 of 1,000 people`, `3 people`.

    The singular is not known, so a single one is `1 row of people`.
    """
    if checked:
        return f"{count:,} of {checked:,} {rows_of(table)}"
    return f"1 row of {table}" if count == 1 else f"{count:,} {rows_of(table)}"


def plural(count: int, singular: str, plural_form: str) -> str:
    """The form of a verb or noun that fits the count."""
    return singular if count == 1 else plural_form
