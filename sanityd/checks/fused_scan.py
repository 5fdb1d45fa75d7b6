"""Row rules of one table, answered by one scan: the keys of the rows that break any of them, and which.

What a row costs is reading it and asking; that it is asked for twenty rules instead of one costs little, and a row that
breaks none is never sent. Nobody else's answer is lost to a rule that fails: it is looked for by halving.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select

from sanityd.checks.base import RowCheck
from sanityd.checks.keys import distinct, values_of
from sanityd.checks.planner import PlannedCheck
from sanityd.checks.prefilter import violating
from sanityd.errors import CheckError
from sanityd.model import Violation
from sanityd.sources.base import AnyRow, AnySelect


@dataclass(frozen=True, slots=True)
class Hits:
    """How many rows violate a rule, and at most the cap of them."""

    violations: int
    tracked: tuple[Violation, ...]


def scan(looks: Sequence[PlannedCheck]) -> dict[str, Hits | CheckError]:
    """The violating rows of each rule; of those that can't be asked, why. Raises SourceError.

    Parameters: `looks` are of one table and `window`.
    """
    if not looks:
        return {}
    try:
        return _scan(looks)
    except CheckError as error:
        if len(looks) == 1:
            return {looks[0].invariant.id: error}
        half = len(looks) // 2
        return scan(looks[:half]) | scan(looks[half:])


def _scan(looks: Sequence[PlannedCheck]) -> dict[str, Hits | CheckError]:
    statement, layout = statement_of(looks)
    limit = sum(look.invariant.cap for look in looks)
    rows = looks[0].scope.snapshot.rows(statement.limit(limit + 1))
    hits = {
        look.invariant.id: [row for row in rows if layout.hit(row, place)]
        for place, look in enumerate(looks)
    }
    # Where rows were left out, at least one rule has more than its cap.
    many = [look for look in looks if len(hits[look.invariant.id]) > look.invariant.cap]
    few = [look for look in looks if look not in many]
    answers: dict[str, Hits | CheckError] = {}
    for look in many:
        try:
            answers[look.invariant.id] = scan_in_order(look)
        except CheckError as error:
            answers[look.invariant.id] = error
    if len(rows) > limit:
        return answers | scan(few)
    for look in few:
        found = layout.violations(look, hits[look.invariant.id])
        try:
            answers[look.invariant.id] = Hits(len(found), tuple(distinct(look, found)))
        except CheckError as error:
            answers[look.invariant.id] = error
    return answers


def statement_of(looks: Sequence[PlannedCheck]) -> tuple[AnySelect, "ScanLayout"]:
    """The keys of all rows that break one of the rules, without a limit; and what its columns mean.

    There is no order: it would have the database walk an index to avoid sorting what it takes for many rows.
    """
    layout, scope = ScanLayout(looks), looks[0].scope
    statement = select(*layout.columns).select_from(scope.table).where(or_(*layout.violating))
    return scope.snapshot.source.dialect.whole(statement) if looks[
        0
    ].reads_alone else statement, layout


def scan_in_order(look: PlannedCheck, violations: int | None = None) -> Hits:
    """One rule that many rows violate: the exact number, and the first of them in the order of their key.

    Parameters: `violations` is the number, where it is known already. Raises CheckError.
    """
    scope, layout = look.scope, ScanLayout([look])
    if violations is None:
        [(violations,)] = scope.snapshot.rows(
            select(func.count()).select_from(scope.table).where(look.violating)
        )
    keys = [scope.column(name) for name in look.key]
    statement = (
        select(*layout.columns).select_from(scope.table).where(look.violating).order_by(*keys)
    )
    rows = scope.snapshot.rows(statement.limit(look.invariant.cap))
    return Hits(violations, tuple(distinct(look, [layout.violation(look, row) for row in rows])))


class ScanLayout:
    """Which column of the statement is what. Positions instead of names: a table may have a column of any name."""

    def __init__(self, looks: Sequence[PlannedCheck]) -> None:
        names = dict.fromkeys(name for look in looks for name in (*look.key, *_shown(look)))
        self._values = {name: place for place, name in enumerate(names)}
        scope = looks[0].scope
        self.columns: list[ColumnElement[Any]] = [scope.column(name) for name in names]
        self.violating = violating(looks)
        # A single rule is broken by each row that is found.
        self._hits: int | None = None
        if len(looks) > 1:
            self._hits = len(self.columns)
            self.columns += [
                _flag(one, self._hits + place) for place, one in enumerate(self.violating)
            ]
        self._reasons: dict[str, tuple[int, tuple[str, ...]]] = {}
        for look in looks:
            check = look.invariant.check
            assert isinstance(check, RowCheck)
            reasons = check.reasons(look.scope)
            self._reasons[look.invariant.id] = len(self.columns), tuple(reasons)
            self.columns += [
                _flag(one, len(self.columns) + place) for place, one in enumerate(reasons.values())
            ]

    def hit(self, row: AnyRow, look: int) -> bool:
        """Whether a row breaks the rule of that place."""
        return self._hits is None or bool(row[self._hits + look])

    def violations(self, look: PlannedCheck, rows: Sequence[AnyRow]) -> list[Violation]:
        """All of them, in the order of their key as far as it has one."""
        found = [self.violation(look, row) for row in rows]
        try:
            return sorted(
                found, key=lambda one: [(value is not None, value) for value in one.key.values()]
            )
        except TypeError:
            return found

    def violation(self, look: PlannedCheck, row: AnyRow) -> Violation:
        """One row as a violation of the rule."""
        start, words = self._reasons[look.invariant.id]
        shown = _shown(look)
        return Violation(
            key=values_of(look.key, [row[self._values[name]] for name in look.key]),
            shown=values_of(shown, [row[self._values[name]] for name in shown]),
            detail=", ".join(word for place, word in enumerate(words) if row[start + place]),
        )


def _flag(condition: ColumnElement[bool], place: int) -> ColumnElement[Any]:
    return case((condition, 1), else_=0).label(f"sanityd_{place}")


def _shown(look: PlannedCheck) -> list[str]:
    return [name for name in look.invariant.subject.show if name not in look.key]
