"""`between`: a few numbers far from all others, such as a level of 9,999 among thousands below 100.

Proposed only where there are such numbers: limits that all numbers keep would be a guess.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sanityd.authoring.suggest.naming import REFERENCE_SUFFIXES, slug, vocabulary, words
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile
from sanityd.authoring.suggest.proposals.base import RANGE, Candidate, SourceContext, counted
from sanityd.authoring.suggest.proposals.ranges import is_never_negative, is_number, limits_of
from sanityd.authoring.yaml_text import escaped_name
from sanityd.sources.catalog import Family

#: Words for numbers that may be negative, though they rarely are, and for numbers of no quantity.
_SIGNED_WORDS = vocabulary(
    "balance delta diff difference change offset temperature temp profit net margin adjustment"
    " correction credit debit gain loss growth alt lat lon lng latitude longitude x y z altitude"
    " elevation rank position order sort parent"
)
#: Numbers that stand for "unknown" where no number is negative.
_PLACEHOLDERS = (-1, -9, -99, -999, -9999, -99999)
#: The rows of the table, and the values in the sample, that show what is usual.
_MIN_ROWS, _MIN_VALUES = 1_000, 50
#: Up to this number of rows, or this share, may be outliers.
_MAX_OUTLIERS, _MAX_SHARE = 3, 0.00001
#: The sample values are close together when their range is at most so many times the range of the
#: middle 80 % of them.
_MAX_SPREAD = 4
#: An outlier is at least so many times as large as all sample values, and at least so many times
#: their range away from them.
_SIZE_FACTOR, _RANGE_FACTOR = 8, 5
#: Number of columns for which rules are tried.
_MAX_COLUMNS = 12


def candidates(table: TableProfile, context: SourceContext) -> Iterator[Candidate]:
    """Iterate over one rule for each column with a few outliers."""
    del context
    if table.rows_read < _MIN_ROWS:
        return
    proposed = 0
    for column in table.columns_of(Family.INTEGER, Family.NUMBER):
        if proposed >= _MAX_COLUMNS:
            return
        if not _is_quantity(table, column):
            continue
        limits = _limits(table, column)
        if limits:
            proposed += 1
            yield _rule(table, column, limits)


def _rule(table: TableProfile, column: ColumnProfile, limits: dict[str, Any]) -> Candidate:
    max_outliers = max(_MAX_OUTLIERS, _MAX_SHARE * table.rows_read)
    values = counted(column.non_null, "value")
    return Candidate(
        table,
        f"no-{slug(column.name)}-of-{{table}}-is-far-out",
        "between",
        {column.name: limits},
        RANGE - 1,
        f"between: nearly all of {values} of {escaped_name(column.name)} are close together",
        tolerance=(max_outliers + 0.5) / table.rows_read,
        only_if_violated=True,
        columns=(column.name,),
    )


def _is_quantity(table: TableProfile, column: ColumnProfile) -> bool:
    """Return whether a column holds quantities: no keys, and no numbers with limits by name."""
    name_words = words(column.name)
    if not name_words or name_words[-1] in REFERENCE_SUFFIXES:
        return False
    if any(column.name in key for key in table.info.keys):
        return False
    if limits_of(column.name) is not None:
        return False
    return is_number(column.minimum) and is_number(column.maximum)


def _limits(table: TableProfile, column: ColumnProfile) -> dict[str, Any]:
    """Return limits that only a few values exceed; none when no value does.

    They are round numbers, far from the sample values, so that they disclose none of them.
    """
    values = sorted(float(value) for value in table.sample_values(column.name) if is_number(value))
    if len(values) < _MIN_VALUES:
        return {}
    # The smallest and the largest percent may be outliers.
    percent = len(values) // 100
    values = values[percent : len(values) - percent]
    low, high = values[0], values[-1]
    usual_range = values[len(values) * 9 // 10] - values[len(values) // 10]
    value_range = high - low
    if not 0 < value_range <= _MAX_SPREAD * usual_range:
        return {}
    size = max(abs(low), abs(high))
    outlier_size = max(_SIZE_FACTOR * size, size + _RANGE_FACTOR * value_range)
    limit = _rounded_up(2 * size)
    limits: dict[str, Any] = {}
    if low >= 0 and column.minimum in _PLACEHOLDERS and not _sign_is_clear(column.name):
        limits["min"] = 0
    elif -float(column.minimum) >= outlier_size:
        limits["min"] = -limit
    if float(column.maximum) >= outlier_size:
        limits["max"] = limit
    return limits


def _sign_is_clear(name: str) -> bool:
    """Return whether the name of a column tells if its values may be negative."""
    return is_never_negative(name) or not _SIGNED_WORDS.isdisjoint(words(name))


def _rounded_up(size: float) -> int | float:
    """Return a number rounded up to one significant digit: 190 → 200, 0.34 → 0.4."""
    number = Decimal(repr(size))
    step = Decimal(1).scaleb(number.adjusted())
    rounded = (number / step).to_integral_value(rounding="ROUND_CEILING") * step
    if rounded == rounded.to_integral_value():
        return int(rounded)
    return float(rounded)
