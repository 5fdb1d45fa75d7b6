"""Row rules of one table, answered by one scan: the keys of the rows that break any of them.

Reading a row costs most; asking it for twenty rules instead of one costs little, and a row that
breaks none is never sent. When a statement fails, halving finds the rule that fails it, so that
the others are answered all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, case, func, or_, select

from sanityd.checks.base import RowCheck
from sanityd.checks.identical_rows import distinct
from sanityd.checks.keys import values_of
from sanityd.checks.plan import PlannedCheck
from sanityd.errors import CheckError
from sanityd.model import Violation
from sanityd.sources.base import AnyRow, AnySelect


@dataclass(frozen=True, slots=True)
class Hits:
    """How many rows violate a rule, and at most the cap of them."""

    violations: int
    tracked: tuple[Violation, ...]


def scan(planned_checks: Sequence[PlannedCheck]) -> dict[str, Hits | CheckError]:
    """The violating rows of each rule, or the error of a rule that fails. Raises SourceError.

    Parameters: `planned_checks` are about one table and `window`.
    """
    if not planned_checks:
        return {}
    try:
        return _scan(planned_checks)
    except CheckError as error:
        if len(planned_checks) == 1:
            return {planned_checks[0].rule: error}
        half = len(planned_checks) // 2
        return scan(planned_checks[:half]) | scan(planned_checks[half:])


def _scan(planned_checks: Sequence[PlannedCheck]) -> dict[str, Hits | CheckError]:
    statement, layout = statement_of(planned_checks)
    limit = sum(planned.invariant.cap for planned in planned_checks)
    rows = planned_checks[0].scope.snapshot.rows(statement.limit(limit + 1))
    within_cap: list[tuple[PlannedCheck, list[AnyRow]]] = []
    results: dict[str, Hits | CheckError] = {}
    for number, planned in enumerate(planned_checks):
        hits = [row for row in rows if layout.is_hit(row, number)]
        if len(hits) > planned.invariant.cap:
            results[planned.rule] = _counted_hits(planned)
        else:
            within_cap.append((planned, hits))
    if len(rows) > limit:
        # Rows were left out, so that at least one rule has more than its cap: the others again.
        return results | scan([planned for planned, _ in within_cap])
    for planned, hits in within_cap:
        violations = layout.violations(planned, hits)
        try:
            results[planned.rule] = Hits(len(violations), tuple(distinct(planned, violations)))
        except CheckError as error:
            results[planned.rule] = error
    return results


def _counted_hits(planned: PlannedCheck) -> Hits | CheckError:
    try:
        return scan_in_order(planned)
    except CheckError as error:
        return error


def statement_of(planned_checks: Sequence[PlannedCheck]) -> tuple[AnySelect, "ScanLayout"]:
    """The keys of all rows that break one of the rules, without a limit; and the layout of them.

    There is no order: it would have the database walk an index to avoid sorting what it takes for
    many rows.
    """
    layout, scope = ScanLayout(planned_checks), planned_checks[0].scope
    statement = select(*layout.columns).select_from(scope.table).where(or_(*layout.violating))
    if planned_checks[0].reads_alone:
        statement = scope.snapshot.source.dialect.whole(statement)
    return statement, layout


def scan_in_order(planned: PlannedCheck, violations: int | None = None) -> Hits:
    """The exact number of violating rows of one rule, and the first of them by their key.

    Parameters: `violations` is the number, where it is known already. Raises CheckError.
    """
    scope, layout = planned.scope, ScanLayout([planned])
    if violations is None:
        total = select(func.count()).select_from(scope.table).where(planned.violating)
        [(violations,)] = scope.snapshot.rows(total)
    keys = [scope.column(name) for name in planned.key]
    statement = select(*layout.columns).select_from(scope.table).where(planned.violating)
    rows = scope.snapshot.rows(statement.order_by(*keys).limit(planned.invariant.cap))
    tracked = [layout.violation(planned, row) for row in rows]
    return Hits(violations, tuple(distinct(planned, tracked)))


class ScanLayout:
    """What the columns of the statement mean, by position: a table may have a column of any name.

    First the keys and the columns to show, each once; then a flag per rule, if there are several;
    then a flag for each reason of each rule.
    """

    def __init__(self, planned_checks: Sequence[PlannedCheck]) -> None:
        names: list[str] = []
        for planned in planned_checks:
            names.extend((*planned.key, *_shown(planned)))
        unique_names = list(dict.fromkeys(names))
        self._position = {name: position for position, name in enumerate(unique_names)}
        scope = planned_checks[0].scope
        self.columns: list[ColumnElement[Any]] = [scope.column(name) for name in unique_names]
        self.violating = [planned.violating for planned in planned_checks]
        #: Where the flags of the rules begin; None for a single rule, which each row breaks.
        self._first_flag: int | None = None
        if len(planned_checks) > 1:
            self._first_flag = len(self.columns)
            self._add_flags(self.violating)
        #: Where the reasons of each rule begin, and their words.
        self._reasons: dict[str, tuple[int, tuple[str, ...]]] = {}
        for planned in planned_checks:
            reasons = cast("RowCheck", planned.invariant.check).reasons(planned.scope)
            self._reasons[planned.rule] = len(self.columns), tuple(reasons)
            self._add_flags(list(reasons.values()))

    def is_hit(self, row: AnyRow, number: int) -> bool:
        """Whether a row breaks the rule of that number."""
        return self._first_flag is None or bool(row[self._first_flag + number])

    def violations(self, planned: PlannedCheck, rows: Sequence[AnyRow]) -> list[Violation]:
        """The rows as violations, in the order of their key as far as it has one."""
        violations = [self.violation(planned, row) for row in rows]
        try:
            return sorted(violations, key=_sort_key)
        except TypeError:
            return violations

    def violation(self, planned: PlannedCheck, row: AnyRow) -> Violation:
        """One row as a violation of the rule."""
        start, reasons = self._reasons[planned.rule]
        shown = _shown(planned)
        details = [reason for number, reason in enumerate(reasons) if row[start + number]]
        return Violation(
            key=values_of(planned.key, [row[self._position[name]] for name in planned.key]),
            shown=values_of(shown, [row[self._position[name]] for name in shown]),
            detail=", ".join(details),
        )

    def _add_flags(self, conditions: Sequence[ColumnElement[bool]]) -> None:
        for condition in conditions:
            flag = case((condition, 1), else_=0)
            self.columns.append(flag.label(f"sanityd_{len(self.columns)}"))


def _sort_key(violation: Violation) -> list[Any]:
    return [(value is not None, value) for value in violation.key.values()]


def _shown(planned: PlannedCheck) -> list[str]:
    return [name for name in planned.invariant.subject.show if name not in planned.key]
