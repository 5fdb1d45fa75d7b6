"""A look at new rows only: what they violate, and which of the rows that violated before still do.

It says as much as a look at all rows would, but for old rows that were changed since: the next full look finds these.
Whatever can't be told this way is left to a full look at once.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from sanityd.checks.base import QueryCheck, RowCheck
from sanityd.checks.findings import Evaluation
from sanityd.checks.fused_scan import Hits, scan
from sanityd.checks.keys import distinct, fingerprint_of, from_query
from sanityd.checks.planner import PlannedCheck
from sanityd.checks.resolutions import finds_keys_again, violations_by_key
from sanityd.checks.scope import Scope, chunks
from sanityd.errors import CheckError
from sanityd.model import Key, Violation


def see(look: PlannedCheck, open_keys: Mapping[str, Key]) -> Evaluation | None:
    """Look at new rows, and at open violations by their keys. None when all rows are to be looked at."""
    if look.narrowed is None:
        return None
    check, scope = look.invariant.check, look.scope
    if isinstance(check, RowCheck):
        return among(look, scan([look.narrowed])[look.invariant.id], open_keys, Population())
    assert isinstance(check, QueryCheck)
    statement = check.violations_among(scope, look.narrowed.scope)
    if statement is None:
        return None
    names = list(statement.selected_columns.keys())
    rows = scope.snapshot.rows(statement.limit(look.invariant.cap + 1))
    return _merged(look, [from_query(look, names, row) for row in rows], open_keys, Population())


def among(
    look: PlannedCheck,
    hits: Hits | CheckError,
    open_keys: Mapping[str, Key],
    population: "Population",
) -> Evaluation | None:
    """The same, once new rows were looked at for several rules. Raises CheckError where that failed."""
    if isinstance(hits, CheckError):
        raise hits
    if hits.violations > len(hits.tracked):
        return None
    return _merged(look, hits.tracked, open_keys, population)


class Population:
    """Whether there are rows at all, asked once for rules that are about the same ones: a table that was emptied has no
    new rows, and must not be green for that."""

    def __init__(self) -> None:
        self._some: dict[object, bool] = {}

    def exists(self, scope: Scope) -> bool:
        """Whether any row is in scope."""
        if scope.extent not in self._some:
            found = scope.snapshot.rows(
                select(1).select_from(scope.table).where(scope.rows).limit(1)
            )
            self._some[scope.extent] = bool(found)
        return self._some[scope.extent]


def _merged(
    look: PlannedCheck,
    new: Sequence[Violation],
    open_keys: Mapping[str, Key],
    population: Population,
) -> Evaluation | None:
    cap = look.invariant.cap
    known = all(set(key) == set(look.key) for key in open_keys.values())
    if (
        max(len(new), len(open_keys)) > cap
        or not known
        or (open_keys and not finds_keys_again(look))
    ):
        return None
    found = {fingerprint_of(look, violation.key): violation for violation in distinct(look, new)}
    absent = [key for mark, key in open_keys.items() if mark not in found]
    for chunk in chunks(absent):
        found |= {
            fingerprint_of(look, violation.key): violation
            for violation in violations_by_key(look, chunk)
        }
    if len(found) > cap:
        return None
    tracked = tuple(found.values())
    checked = None if tracked or population.exists(look.scope) else 0
    return Evaluation(
        len(tracked),
        sum(violation.rows for violation in tracked),
        checked,
        tracked,
        incremental=True,
    )
