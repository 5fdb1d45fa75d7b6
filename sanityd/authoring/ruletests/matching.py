"""Compare what a run found with what its case expects. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from sanityd.model import Key, Run, Value
from sanityd.model.identical_rows import key_of_row
from sanityd.rules import time_values
from sanityd.rules.cases import Case

#: The key column of violations that concern the table as a whole.
_TABLE_FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a run should find, and the present that times in it refer to."""

    violates: bool | Sequence[Any]
    measured: float | None
    now: datetime

    @classmethod
    def of(cls, case: Case) -> "Expectation":
        """Return the expectation of a case."""
        return cls(case.violates, case.measured, case.now)


@dataclass(frozen=True, slots=True)
class Match:
    """The difference between what was found and what was expected."""

    expected: tuple[Key, ...] = ()
    found_keys: tuple[Key, ...] = ()
    missing: tuple[Key, ...] = ()
    unexpected: tuple[Key, ...] = ()
    #: Other differences, in words.
    faults: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether nothing differs."""
        return not (self.missing or self.unexpected or self.faults)


def match(run: Run, expectation: Expectation) -> Match:
    """Compare the keys that a run found with those expected, in any order."""
    if not run.answered:
        return Match(faults=(f"it can't be evaluated: {run.error or ''}",))
    found_keys = [key_of_row(violation.key) for violation in run.tracked]
    faults = []
    if not _is_measured(run, expectation):
        measured, expected = _number(run.measured), _number(expectation.measured)
        faults.append(f"measured {measured} instead of {expected}")
    if expectation.violates is True:
        if not found_keys:
            faults.append("it holds, and had to be violated")
        return Match(found_keys=tuple(found_keys), faults=tuple(faults))
    expected_keys: list[Mapping[str, Any]] = []
    for key in expectation.violates or ():
        try:
            expected_keys.append(_expected_key(key, run, found_keys))
        except ValueError as error:
            faults.append(str(error))
    missing, unexpected = _unmatched(expected_keys, found_keys, expectation.now)
    return Match(
        tuple(expected_keys), tuple(found_keys), tuple(missing), tuple(unexpected), tuple(faults)
    )


def _is_measured(run: Run, expectation: Expectation) -> bool:
    """Whether the run measured the expected number, if one is expected."""
    if expectation.measured is None:
        return True
    if run.measured is None:
        return False
    return math.isclose(run.measured, expectation.measured, rel_tol=1e-9)


def _number(value: float | None) -> str:
    return "nothing" if value is None else f"{value:g}"


def _expected_key(key: Any, run: Run, found_keys: Sequence[Key]) -> Mapping[str, Any]:
    """Return a key of the case by the names of its columns.

    Raises ValueError when the rule has no such key.
    """
    # That a table has no rows at all is a fault in words, whatever identifies its rows.
    table_fault = {_TABLE_FAULT: key}
    if table_fault in found_keys:
        return table_fault
    return _key_by_columns(key, run.key)


def _key_by_columns(key: Any, columns: Sequence[str]) -> Mapping[str, Any]:
    listed = ", ".join(columns)
    if isinstance(key, dict):
        if set(key) != set(columns):
            names = ", ".join(key)
            raise ValueError(f"`{{{names}}}` is no key of this rule, which is `{{{listed}}}`")
        return key
    parts = key if isinstance(key, list) else [key]
    if len(parts) != len(columns):
        form = f"[{listed}]" if len(columns) > 1 else listed
        raise ValueError(f"`{key}` is no key of this rule, which is `{form}`")
    return dict(zip(columns, parts, strict=True))


def _unmatched(
    expected_keys: Sequence[Mapping[str, Any]], found_keys: Sequence[Key], now: datetime
) -> tuple[list[Mapping[str, Any]], list[Key]]:
    """Pair each expected key with one that was found; return those without a partner."""
    missing = []
    unexpected = list(found_keys)
    for expected in expected_keys:
        for key in unexpected:
            if _is_same_key(expected, key, now):
                unexpected.remove(key)
                break
        else:
            missing.append(expected)
    return missing, unexpected


def _is_same_key(expected: Mapping[str, Any], key: Key, now: datetime) -> bool:
    if expected.keys() != key.keys():
        return False
    return all(is_same_value(value, key[name], now) for name, value in expected.items())


def is_same_value(expected: Any, value: Value, now: datetime) -> bool:
    """Whether a value that a driver returned is the one that the case writes."""
    if expected is None or value is None:
        return expected is None and value is None
    try:
        return _is_same(expected, value, now)
    except (ValueError, InvalidOperation):
        # The expected value is of another type.
        return False


def _is_same(expected: Any, value: Value, now: datetime) -> bool:
    match value:
        case bool() | int() | float() | Decimal():
            return _decimal(expected) == _decimal(value)
        case datetime():
            instant = value if value.tzinfo else value.replace(tzinfo=now.tzinfo)
            return time_values.parse_time(expected, now) == instant
        case date():
            return time_values.parse_time(expected, now).date() == value
        case bytes():
            return str(expected).encode() == value
        case UUID():
            return str(expected).lower() == str(value)
        case _:
            return _is_same_text(expected, value, now)


def _is_same_text(expected: Any, value: Value, now: datetime) -> bool:
    text = str(expected)
    if isinstance(expected, bool):
        text = text.lower()
    if text == str(value):
        return True
    if isinstance(expected, str) and time_values.is_stamp(value):
        # SQLite returns times as the text that it stores.
        return time_values.parse_time(expected, now) == time_values.parse_time(value, now)
    return False


def _decimal(value: Any) -> Decimal:
    return Decimal(int(value)) if isinstance(value, bool) else Decimal(str(value))
