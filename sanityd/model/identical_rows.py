"""Rows that are identical in all columns: nothing but a number tells them apart.

The first of them has the key of its row; each further one has the same key with a number. So they
are counted exactly, but which of them is which is not known. Pure.
"""

from collections.abc import Iterable

from sanityd.model.runs import Key, TrackedViolation, Violation

#: The entry of a key that numbers identical rows, from 2 on.
IDENTICAL_ROW = "identical row"


def numbered_key(key: Key, number: int) -> Key:
    """Return the key of the `number`th of identical rows, counted from 1."""
    return {**key, IDENTICAL_ROW: number} if number > 1 else key


def key_of_row(key: Key) -> Key:
    """Return the key without the number, as the columns of the row have it."""
    return {name: value for name, value in key.items() if name != IDENTICAL_ROW}


def has_number(key: Key) -> bool:
    """Return whether the row repeats another one in all columns."""
    return IDENTICAL_ROW in key


def count_repeated(rows: Iterable[Violation | TrackedViolation]) -> int:
    """Return how many rows repeat another one in all columns."""
    return sum(has_number(row.key) for row in rows)


def repeated_rows_note(count: int) -> str:
    """Return the sentence about so many rows that repeat others, without a full stop.

    It is empty when there are none.
    """
    if not count:
        return ""
    rows, they = ("row repeats", "it is") if count == 1 else ("rows repeat", "they are")
    return (
        f"{count:,} tracked {rows} another one in all columns: {they} counted, but identical rows "
        "can't be told apart, so none of them can be accepted or followed on its own"
    )
