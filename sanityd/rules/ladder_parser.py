"""Parses `severity`: one severity, or steps with the extents at which they begin."""

from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

from pydantic_core import PydanticCustomError

from sanityd.checks.invariant import Ladder, LadderStep
from sanityd.model import Severity
from sanityd.model.did_you_mean import did_you_mean
from sanityd.model.option_types import option_error, option_errors


def parse_ladder(value: Any) -> Any:
    """Return the ladder of `severity`. Raises PydanticCustomError."""
    if isinstance(value, Ladder) or value is None:
        return value
    if isinstance(value, str):
        return Ladder((LadderStep(_severity(value), count=1),))
    if not isinstance(value, dict) or not value:
        raise option_error(
            "this is no severity",
            "write `error`, or steps, as in `{warning: 1, error: 50, critical: 5%}`",
        )
    return _ladder_of_steps(value)


def _ladder_of_steps(starts: dict[str, Any]) -> Ladder:
    """Return the ladder of a mapping from severities to the extents at which they begin."""
    steps: list[LadderStep] = []
    errors: list[PydanticCustomError] = []
    for word, start in starts.items():
        try:
            steps.append(_step(_severity(word), start))
        except PydanticCustomError as error:
            errors.append(error)
    if errors:
        raise option_errors(errors)
    _check_order([(step.severity, step.count) for step in steps if step.count is not None])
    _check_order([(step.severity, step.percent) for step in steps if step.percent is not None])
    return Ladder(tuple(sorted(steps, key=lambda step: step.severity)))


def _severity(word: Any) -> Severity:
    try:
        return Severity[str(word).upper()]
    except KeyError:
        near = did_you_mean(str(word), [severity.label for severity in Severity])
        advice = near or "write `critical`, `error`, `warning` or `info`"
        raise option_error(f"`{word}` is not a severity", advice, word=str(word)) from None


def _step(severity: Severity, start: Any) -> LadderStep:
    if isinstance(start, int) and not isinstance(start, bool) and start >= 1:
        return LadderStep(severity, count=start)
    if isinstance(start, str) and start.endswith("%"):
        try:
            percent = Decimal(start[:-1].strip())
        except InvalidOperation:
            percent = Decimal(0)
        if 0 < percent <= 100:
            return LadderStep(severity, percent=percent)
    advice = "write from how many rows on, as in `50`, or from which share, as in `1%`"
    word = start if isinstance(start, str) and start else severity.label
    raise option_error(f"`{start}` is not a step", advice, word=word)


def _check_order(starts: list[tuple[Severity, Any]]) -> None:
    """Raise PydanticCustomError where a severity begins at no more than a less severe one."""
    for (low, low_start), (high, high_start) in pairwise(sorted(starts)):
        if low_start < high_start:
            continue
        message = (
            f"`{high.label}` begins at {high_start}, "
            f"which is not above `{low.label}` at {low_start}"
        )
        advice = "let worse severities begin at higher counts"
        raise option_error(message, advice, word=high.label)
