"""How many rows are in scope, and measured values: for all rules of a table in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from sanityd.checks.chunks import chunks
from sanityd.checks.plan import PlannedCheck
from sanityd.checks.scope import Scope
from sanityd.errors import CheckError
from sanityd.sources.base import AnyRow, AnySelect

#: For how many rules one statement counts at most.
RULES_PER_STATEMENT = 100
#: The name of the one value that a query is about.
MEASURED = "measured"


@dataclass(frozen=True, slots=True)
class ScopeCounts:
    """The number of rows in scope of one rule, and its measured values by name."""

    rows: int
    measured: dict[str, Any] = field(default_factory=dict)


class SharedCounts:
    """Counts for several rules, made when the first of them asks. Threads may share it.

    Parameters: `planned_checks` are about one table and one `window`; one that measures more than
    a number of rows is about the same rows as all others, or about all rows.
    """

    def __init__(self, planned_checks: Sequence[PlannedCheck]) -> None:
        self._checks = planned_checks
        self._lock = Lock()
        self._counts: dict[str, ScopeCounts | CheckError] = {}

    @property
    def is_shared(self) -> bool:
        """Whether more than one rule asks."""
        return len(self._checks) > 1

    def statements(self) -> list[AnySelect]:
        """The statements that it will run, to be read."""
        return [
            _CountStatement(part).statement for part in chunks(self._checks, RULES_PER_STATEMENT)
        ]

    def of(self, planned: PlannedCheck) -> ScopeCounts:
        """The counts of one of the rules.

        Raises CheckError when its rows can't be counted, SourceError when the source is lost.
        """
        with self._lock:
            if not self._counts:
                for part in chunks(self._checks, RULES_PER_STATEMENT):
                    self._counts |= _count(part)
        count = self._counts[planned.rule]
        if isinstance(count, CheckError):
            raise count
        return count


def _count(planned_checks: Sequence[PlannedCheck]) -> dict[str, ScopeCounts | CheckError]:
    """Count in one statement; when it fails, in two, until those that can't be counted remain."""
    try:
        count_statement = _CountStatement(planned_checks)
        [row] = planned_checks[0].scope.snapshot.rows(count_statement.statement)
    except CheckError as error:
        if len(planned_checks) == 1:
            return {planned_checks[0].rule: error}
        half = len(planned_checks) // 2
        return _count(planned_checks[:half]) | _count(planned_checks[half:])
    return dict(count_statement.read(row))


class _CountStatement:
    """One statement that counts for several rules, and what its columns mean."""

    def __init__(self, planned_checks: Sequence[PlannedCheck]) -> None:
        self._checks = planned_checks
        # Scopes are the same if the rules say the same: SQL texts are compared literally.
        self._scopes = {planned.scope.extent: planned.scope for planned in planned_checks}
        scope = planned_checks[0].scope
        columns: list[ColumnElement[Any]] = []
        if len(self._scopes) == 1:
            columns.append(func.count())
            counted = scope.rows
        else:
            columns.extend(_rows_in(rule_scope) for rule_scope in self._scopes.values())
            counted = scope.in_window
        #: The rule and the name of each measured value, in the order of their columns.
        self._measures: list[tuple[str, str]] = []
        for planned in planned_checks:
            measures = planned.form.measures(planned)
            self._measures.extend((planned.rule, name) for name in measures)
            columns.extend(measures.values())
        labelled = [column.label(f"sanityd_{number}") for number, column in enumerate(columns)]
        self.statement = select(*labelled).select_from(scope.table).where(counted)

    def read(self, row: AnyRow) -> dict[str, ScopeCounts]:
        """The counts of each rule."""
        rows = dict(zip(self._scopes, row, strict=False))
        counts: dict[str, ScopeCounts] = {}
        for planned in self._checks:
            counts[planned.rule] = ScopeCounts(int(rows[planned.scope.extent]))
        measured = row[len(self._scopes) :]
        for (rule, name), value in zip(self._measures, measured, strict=True):
            counts[rule].measured[name] = value
        return counts


def _rows_in(scope: Scope) -> ColumnElement[int]:
    """The number of rows in scope, among those of the window."""
    return func.count() if scope.is_whole else func.count(case((scope.judged, 1)))
