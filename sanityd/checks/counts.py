"""How many rows are in scope, and what aggregates measure: for all rules of a table in one statement."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from sanityd.checks.base import AggregateCheck, QueryCheck
from sanityd.checks.planner import PlannedCheck
from sanityd.errors import CheckError
from sanityd.sources.base import AnyRow, AnySelect

#: How many rules ask in one statement.
TOGETHER = 100
#: The name of the one value that a query is about.
MEASURED = "measured"


@dataclass(frozen=True, slots=True)
class ScopeCounts:
    """The rows in scope of one rule, and its measured values by name."""

    rows: int
    measured: dict[str, Any] = field(default_factory=dict)


class SharedCounts:
    """Counts that several rules ask for, counted when the first of them asks. Threads may share it.

    Parameters: `looks` are of one table and one `window`; where one measures more than a number of rows, it is about
    the same rows as all others, or about all rows.
    """

    def __init__(self, looks: Sequence[PlannedCheck]) -> None:
        self._looks = looks
        self._lock = Lock()
        self._counts: dict[str, ScopeCounts | CheckError] = {}

    @property
    def is_shared(self) -> bool:
        """Whether more than one rule asks."""
        return len(self._looks) > 1

    def statements(self) -> list[AnySelect]:
        """What it will ask, to be read."""
        return [_CountStatement(part).statement for part in _parts(self._looks)]

    def of(self, look: PlannedCheck) -> ScopeCounts:
        """What was counted for one of the rules. Raises CheckError when it can't be, and SourceError."""
        with self._lock:
            if not self._counts:
                for part in _parts(self._looks):
                    self._counts |= _count(part)
        count = self._counts[look.invariant.id]
        if isinstance(count, CheckError):
            raise count
        return count


def _parts(looks: Sequence[PlannedCheck]) -> Iterator[Sequence[PlannedCheck]]:
    for place in range(0, len(looks), TOGETHER):
        yield looks[place : place + TOGETHER]


def _count(looks: Sequence[PlannedCheck]) -> dict[str, ScopeCounts | CheckError]:
    """In one statement; when it fails, in two, until those that can't be counted stand alone."""
    try:
        ballot = _CountStatement(looks)
        [row] = looks[0].scope.snapshot.rows(ballot.statement)
        return ballot.read(row)
    except CheckError as error:
        if len(looks) == 1:
            return {looks[0].invariant.id: error}
        half = len(looks) // 2
        return _count(looks[:half]) | _count(looks[half:])


class _CountStatement:
    """One statement that counts for several rules, and what its columns mean."""

    def __init__(self, looks: Sequence[PlannedCheck]) -> None:
        self._looks = looks
        # What the rule says decides what is the same: of two texts, however alike, each is counted.
        self._scopes = {look.scope.extent: look.scope for look in looks}
        scope, scopes = looks[0].scope, self._scopes.values()
        if len(self._scopes) == 1:
            columns: list[ColumnElement[Any]] = [func.count()]
            counted = scope.rows
        else:
            columns = [
                func.count() if one.is_whole else func.count(case((one.judged, 1)))
                for one in scopes
            ]
            counted = scope.in_window
        measures = [
            (look.invariant.id, name, value)
            for look in looks
            for name, value in measures_of(look).items()
        ]
        self._measures = [(rule, name) for rule, name, _ in measures]
        columns += [value for _, _, value in measures]
        labelled = [column.label(f"sanityd_{place}") for place, column in enumerate(columns)]
        self.statement = select(*labelled).select_from(scope.table).where(counted)

    def read(self, row: AnyRow) -> dict[str, ScopeCounts | CheckError]:
        """The counts of each rule."""
        rows = dict(zip(self._scopes, row, strict=False))
        counts = {
            look.invariant.id: ScopeCounts(int(rows[look.scope.extent])) for look in self._looks
        }
        for (rule, name), value in zip(self._measures, row[len(self._scopes) :], strict=True):
            counts[rule].measured[name] = value
        return {**counts}


def measures_of(look: PlannedCheck) -> dict[str, ColumnElement[Any]]:
    """What a rule measures besides; a number that another source tells is asked from there."""
    check = look.invariant.check
    if isinstance(check, QueryCheck) and (value := check.measure(look.scope)) is not None:
        return {MEASURED: value}
    if not isinstance(check, AggregateCheck) or look.other is not None:
        return {}
    return dict(check.measures(look.scope))
