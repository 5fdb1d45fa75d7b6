"""Measured values of rows, groups and tables, and which of them got much worse. Pure.

A value is known by the fingerprint of its row or group; that of the whole table by `WHOLE`.
"""

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal

from sanityd.model import TrackedViolation, Value
from sanityd.rules.rule import Rule

#: A value is much worse when it is so many times as far off as at the last notification.
WORSE = 10
#: The most values that are kept of one notification: the worst.
MOST = 100
WHOLE = ""


def measured_values(
    rule: Rule, rows: Iterable[TrackedViolation], measured: float | None
) -> dict[str, float]:
    """Return the wrong values, the worst first, at most `MOST`.

    Parameters: `rows` are the open rows that nobody accepted, which may show the value; `measured`
    is the value of the whole table, if there is one.
    """
    column = rule.invariant.check.value_column
    values: dict[str, float] = {}
    if column is not None:
        for row in rows:
            values[row.fingerprint] = _number({**row.key, **row.shown}.get(column))
    elif measured is not None:
        values[WHOLE] = measured
    deviations = {mark: _deviation(rule, value) for mark, value in values.items()}
    worst = sorted(filter(deviations.get, values), key=deviations.__getitem__, reverse=True)
    return {mark: values[mark] for mark in worst[:MOST]}


def much_worse(
    rule: Rule, values: Mapping[str, float], before: Mapping[str, float]
) -> tuple[str, ...]:
    """Return the fingerprints of values that got ten times worse, in the order of `values`.

    Parameters: `before` are the values at the last notification.
    """
    worse = []
    for mark, value in values.items():
        deviation_before = _deviation(rule, before.get(mark, math.nan))
        if deviation_before and _deviation(rule, value) >= WORSE * deviation_before:
            worse.append(mark)
    return tuple(worse)


def _deviation(rule: Rule, value: float) -> float:
    """Return how far a value is off; 0 where that can't be said, as of NaN and infinity."""
    try:
        deviation = rule.invariant.check.deviation(value)
    except OverflowError:
        # A bound of the rule is an integer that no float can hold.
        return 0.0
    return deviation if math.isfinite(deviation) else 0.0


def _number(value: Value) -> float:
    """Return a value of a row as a number; NaN when it is none."""
    if isinstance(value, int | float | Decimal):
        with suppress(OverflowError):
            return float(value)
    return math.nan
