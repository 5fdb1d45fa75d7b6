"""`between`: numbers with natural limits, such as percentages, and quantities that aren't negative.

The names of the columns tell which they are.
"""

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from sanityd.authoring.suggest.naming import slug, vocabulary, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import (
    MIN_ROWS,
    RANGE,
    Candidate,
    SourceContext,
    counted,
)
from sanityd.authoring.yaml_text import escaped_name
from sanityd.sources.catalog import Family

#: The last word in the name of a column, and the limits of its values.
_LIMITS = {
    **dict.fromkeys(("percent", "percentage", "pct"), (0, 100)),
    **dict.fromkeys(("probability", "fraction", "share"), (0, 1)),
    **dict.fromkeys(("latitude", "lat"), (-90, 90)),
    **dict.fromkeys(("longitude", "lng", "lon"), (-180, 180)),
    "age": (0, 130),
    "month": (1, 12),
    "hour": (0, 23),
}
#: Words for quantities that are never negative.
_NEVER_NEGATIVE_WORDS = vocabulary(
    "amount total subtotal price cost tax fee quantity qty count stock weight height width length"
    " size duration seconds minutes age distance capacity salary discount area volume bytes"
    " attempts retries"
)
#: Number of columns in one rule.
_MAX_COLUMNS = 8


def candidates(table: TableProfile, context: SourceContext) -> Iterator[Candidate]:
    """Iterate over rules for numbers.

    They are one rule for each column with limits, one for all columns that are never negative, and
    one for each column that rarely is.
    """
    del context
    if table.rows_read < MIN_ROWS:
        return
    quantities = []
    for column in table.columns_of(Family.INTEGER, Family.NUMBER):
        if not _is_measured(column):
            continue
        limits = limits_of(column.name)
        if limits is not None:
            yield _limits_rule(table, column, limits)
        elif is_never_negative(column.name):
            quantities.append(column)
    yield from _quantity_rules(table, quantities)


def _quantity_rules(
    table: TableProfile, quantities: Sequence[ColumnProfile]
) -> Iterator[Candidate]:
    """Iterate over the rules for columns that should not be negative."""
    never_negative = [column for column in quantities if column.minimum >= 0][:_MAX_COLUMNS]
    if never_negative:
        yield _never_negative_rule(table, never_negative)
    for column in quantities:
        if column.minimum < 0:
            yield _rarely_negative_rule(table, column)


def _is_measured(column: ColumnProfile) -> bool:
    """Return whether a column has a name in words, and numbers only."""
    if not words(column.name) or not column.non_null:
        return False
    return is_number(column.minimum) and is_number(column.maximum)


def limits_of(name: str) -> tuple[int, int] | None:
    """Return the limits of a column's values by its name, None when it has no limits."""
    name_words = words(name)
    return _LIMITS.get(name_words[-1]) if name_words else None


def is_never_negative(name: str) -> bool:
    """Return whether the name of a column says that its values are never negative."""
    return not _NEVER_NEGATIVE_WORDS.isdisjoint(words(name))


def _limits_rule(table: TableProfile, column: ColumnProfile, limits: tuple[int, int]) -> Candidate:
    low, high = limits
    values = counted(column.non_null, "value")
    return _rule(
        table,
        f"{slug(column.name)}-of-{{table}}-is-in-range",
        {column.name: [low, high]},
        f"between: {values} of {escaped_name(column.name)} from {low} to {high}",
    )


def _never_negative_rule(table: TableProfile, columns: Sequence[ColumnProfile]) -> Candidate:
    names = ", ".join(escaped_name(column.name) for column in columns)
    rows = counted(table.rows_read, "row")
    return _rule(
        table,
        "nothing-in-{table}-is-negative",
        {column.name: {"min": 0} for column in columns},
        f"between: {names}: none of {rows} is below 0",
    )


def _rarely_negative_rule(table: TableProfile, column: ColumnProfile) -> Candidate:
    rows = counted(table.rows_read, "row")
    return _rule(
        table,
        f"{slug(column.name)}-of-{{table}}-is-not-negative",
        {column.name: {"min": 0}},
        f"between: {escaped_name(column.name)} is at least 0 in {rows}",
    )


def _rule(table: TableProfile, rule_id: str, options: dict[str, Any], evidence: str) -> Candidate:
    return Candidate(
        table,
        rule_id,
        "between",
        options,
        RANGE,
        evidence,
        tolerance=0.005,
        columns=tuple(options),
    )


def is_number(value: object) -> bool:
    """Return whether a value is a number, and not NaN. SQLite allows text in any column."""
    if isinstance(value, Decimal):
        return value.is_finite()
    if isinstance(value, float):
        return not math.isnan(value)
    return isinstance(value, int) and not isinstance(value, bool)
