"""What a run found, compared with what its case expects. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from sanityd.model import Key, Run, Value
from sanityd.rules import time_values
from sanityd.rules.cases import Case

#: The key of what is found of a table as a whole.
_WORDS = "fault"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is to be found, and the present by which times in it are meant."""

    violates: bool | Sequence[Any]
    measured: float | None
    now: datetime

    @classmethod
    def of(cls, case: Case) -> "Expectation":
        """That of a case."""
        return cls(case.violates, case.measured, case.now)


@dataclass(frozen=True, slots=True)
class Match:
    """How what was found differs from what was expected."""

    expected: tuple[Key, ...] = ()
    found: tuple[Key, ...] = ()
    missing: tuple[Key, ...] = ()
    unexpected: tuple[Key, ...] = ()
    #: What else is wrong, in words.
    faults: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether nothing differs."""
        return not (self.missing or self.unexpected or self.faults)


def match(run: Run, wanted: Expectation) -> Match:
    """Compare the keys, each with one; their order doesn't count."""
    if not run.answered:
        return Match(faults=(f"it can't be evaluated: {run.error or ''}",))
    found = [violation.key for violation in run.tracked]
    faults = []
    if wanted.measured is not None and not (
        run.measured is not None and math.isclose(run.measured, wanted.measured, rel_tol=1e-9)
    ):
        faults.append(f"measured {_number(run.measured)} instead of {_number(wanted.measured)}")
    if wanted.violates is True:
        faults += [] if found else ["it holds, and had to be violated"]
        return Match(found=tuple(found), faults=tuple(faults))
    expected: list[Mapping[str, Any]] = []
    for key in wanted.violates or ():
        try:
            # That there are no rows at all is found in words, whatever identifies a row.
            in_words = {_WORDS: key} if {_WORDS: key} in found else None
            expected.append(in_words or _named(key, run.key))
        except ValueError as error:
            faults.append(str(error))
    missing, left = [], list(found)
    for one in expected:
        same = next((key for key in left if _fits(one, key, wanted.now)), None)
        if same is None:
            missing.append(one)
        else:
            left.remove(same)
    return Match(tuple(expected), tuple(found), tuple(missing), tuple(left), tuple(faults))


def _number(value: float | None) -> str:
    return "nothing" if value is None else f"{value:g}"


def _named(key: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """A key of the case by the names of its columns. Raises ValueError when it isn't one of the
    rule."""
    columns = ", ".join(names)
    if isinstance(key, dict):
        if set(key) != set(names):
            raise ValueError(
                f"`{{{', '.join(key)}}}` is no key of this rule, which is `{{{columns}}}`"
            )
        return key
    parts = key if isinstance(key, list) else [key]
    if len(parts) != len(names):
        form = f"[{columns}]" if len(names) > 1 else columns
        raise ValueError(f"`{key}` is no key of this rule, which is `{form}`")
    return dict(zip(names, parts, strict=True))


def _fits(expected: Mapping[str, Any], found: Key, now: datetime) -> bool:
    return expected.keys() == found.keys() and all(
        is_same_value(value, found[name], now) for name, value in expected.items()
    )


def is_same_value(expected: Any, found: Value, now: datetime) -> bool:
    """Whether a value as people write it is the one that a driver returned."""
    if expected is None or found is None:
        return expected is None and found is None
    try:
        return _is_same(expected, found, now)
    # It is none of that kind.
    except (ValueError, InvalidOperation):
        return False


def _is_same(expected: Any, found: Value, now: datetime) -> bool:
    match found:
        case bool() | int() | float() | Decimal():
            return _decimal(expected) == _decimal(found)
        case datetime():
            there = found if found.tzinfo else found.replace(tzinfo=now.tzinfo)
            return time_values.moment(expected, now) == there
        case date():
            return time_values.moment(expected, now).date() == found
        case bytes():
            return str(expected).encode() == found
    text = str(expected).lower() if isinstance(expected, bool) else str(expected)
    if isinstance(expected, str) and time_values.is_stamp(found):
        # SQLite gives times as it keeps them.
        return text == found or time_values.moment(expected, now) == time_values.moment(found, now)
    return text.lower() == str(found) if isinstance(found, UUID) else text == str(found)


def _decimal(value: Any) -> Decimal:
    return Decimal(int(value)) if isinstance(value, bool) else Decimal(str(value))
