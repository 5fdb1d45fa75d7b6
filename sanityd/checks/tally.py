"""How many rows are in scope, and what aggregates measure: for all rules of a table in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from sanityd.checks.base import AggregateCheck, QueryCheck
from sanityd.checks.planner import Look
from sanityd.errors import CheckError

#: How many rules ask in one statement.
TOGETHER = 100
#: The name of the one value that a query is about.
MEASURED = "measured"


@dataclass(frozen=True, slots=True)
class Count:
    """The rows in scope of one rule, and its measured values by name."""

    rows: int
    measured: dict[str, Any] = field(default_factory=dict)


class Tally:
    """Counts that several rules ask for, counted when the first of them asks. Threads may share it.

    Parameters: `looks` are of one table and one `window`; where one measures more than a number of rows, it is about
    the same rows as all others, or about all rows.
    """

    def __init__(self, looks: Sequence[Look]) -> None:
        self._looks = looks
        self._lock = Lock()
        self._counts: dict[str, Count | CheckError] = {}

    @property
    def is_shared(self) -> bool:
        """Whether more than one rule asks."""
        return len(self._looks) > 1

    def of(self, look: Look) -> Count:
        """What was counted for one of the rules. Raises CheckError when it can't be, and SourceError."""
        with self._lock:
            if not self._counts:
                for place in range(0, len(self._looks), TOGETHER):
                    self._counts |= _count(self._looks[place : place + TOGETHER])
        count = self._counts[look.invariant.id]
        if isinstance(count, CheckError):
            raise count
        return count


def _count(looks: Sequence[Look]) -> dict[str, Count | CheckError]:
    """In one statement; when it fails, in two, until those that can't be counted stand alone."""
    try:
        return _count_at_once(looks)
    except CheckError as error:
        if len(looks) == 1:
            return {looks[0].invariant.id: error}
        half = len(looks) // 2
        return _count(looks[:half]) | _count(looks[half:])


def _count_at_once(looks: Sequence[Look]) -> dict[str, Count | CheckError]:
    # What the rule says decides what is the same: of two texts, however alike, each is counted.
    scopes = {look.scope.extent: look.scope for look in looks}
    scope = looks[0].scope
    if len(scopes) == 1:
        columns: list[ColumnElement[Any]] = [func.count()]
        counted = scope.rows
    else:
        columns = [func.count() if one.is_whole else func.count(case((one.judged, 1))) for one in scopes.values()]
        counted = scope.in_window
    measures = [(look.invariant.id, name, value) for look in looks for name, value in measures_of(look).items()]
    columns += [value for _, _, value in measures]
    labelled = [column.label(f"sanityd_{place}") for place, column in enumerate(columns)]
    [row] = scope.snapshot.rows(select(*labelled).select_from(scope.table).where(counted))
    rows = dict(zip(scopes, row, strict=False))
    counts = {look.invariant.id: Count(int(rows[look.scope.extent])) for look in looks}
    for (rule, name, _), value in zip(measures, row[len(scopes) :], strict=True):
        counts[rule].measured[name] = value
    return {**counts}


def measures_of(look: Look) -> dict[str, ColumnElement[Any]]:
    """What a rule measures besides; a number that another source tells is asked from there."""
    check = look.invariant.check
    if isinstance(check, QueryCheck) and (value := check.measure(look.scope)) is not None:
        return {MEASURED: value}
    if not isinstance(check, AggregateCheck) or look.other is not None:
        return {}
    return dict(check.measures(look.scope))
