"""Functions in Python that SQLite lacks, for each connection."""

import math
import re
import sqlite3
from datetime import tzinfo
from typing import Any

from sanityd.sources.values import read_instant


def add_functions(connection: sqlite3.Connection, zone: tzinfo) -> None:
    """Add the functions that the dialect uses."""

    def matches(pattern: str, value: bytes | None, part: int) -> bool | None:
        if value is None:
            return None
        text = _text(value)
        if text is None:
            return False
        # As in PostgreSQL, a dot matches a line break, too.
        find = re.search if part else re.fullmatch
        return find(pattern, text, re.DOTALL) is not None

    def lower(value: bytes | None) -> str | None:
        text = None if value is None else _text(value)
        return None if text is None else text.lower()

    def instant(value: object) -> int | None:
        return read_instant(_text(value) if isinstance(value, bytes) else value, zone)

    for aggregate, function in _VARIANCES.items():
        connection.create_aggregate(aggregate, 1, function)
    connection.create_function("sanityd_matches", 3, matches, deterministic=True)
    connection.create_function("sanityd_lower", 1, lower, deterministic=True)
    connection.create_function("sanityd_instant", 1, instant, deterministic=True)


def _text(value: bytes) -> str | None:
    """Return the text of bytes; None if they aren't UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


class _Variance:
    """Variance of a population, in one pass by Welford's method (Technometrics 4, 1962, p. 419)."""

    #: How much the divisor is less than the number of values.
    reduction = 0

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def step(self, value: object) -> None:
        """Add one value; values that are no numbers are ignored."""
        if isinstance(value, int | float):
            self.count += 1
            difference = value - self.mean
            self.mean += difference / self.count
            self.squares += difference * (value - self.mean)

    def finalize(self) -> float | None:
        """Return the result; NULL if there are too few values, as in other databases."""
        if self.count <= self.reduction:
            return None
        return self.squares / (self.count - self.reduction)


class _SampleVariance(_Variance):
    """Variance of a sample."""

    reduction = 1


class _Deviation(_Variance):
    """Standard deviation of a population."""

    def finalize(self) -> float | None:
        """Return the square root of the variance."""
        variance = super().finalize()
        return None if variance is None else math.sqrt(variance)


class _SampleDeviation(_Deviation):
    """Standard deviation of a sample."""

    reduction = 1


# Any, as the stubs allow integers only as results.
_VARIANCES: dict[str, Any] = {
    "var_pop": _Variance,
    "var_samp": _SampleVariance,
    "stddev_pop": _Deviation,
    "stddev_samp": _SampleDeviation,
}
