"""What became of rows that were violations and are none any more: fixed, gone, out of scope, or who knows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import ColumnElement, and_, case, or_, select

from sanityd.checks.base import (
    IN_SCOPE,
    AggregateCheck,
    CatalogCheck,
    PairCheck,
    QueryCheck,
    RowCheck,
)
from sanityd.checks.fused_scan import ScanLayout
from sanityd.checks.keys import fingerprint_of, from_query, values_of
from sanityd.checks.planner import PlannedCheck
from sanityd.checks.scope import bind, chunks
from sanityd.model import Key, Resolution, Violation
from sanityd.sources.base import AnySelect
from sanityd.sources.catalog import Family


class FoundViolations(Protocol):
    """What a look found: how many, and those that are followed one by one."""

    @property
    def violations(self) -> int:
        """All of them."""

    @property
    def tracked(self) -> tuple[Violation, ...]:
        """At most the cap."""


def fates(
    look: PlannedCheck, seen: FoundViolations, open_keys: Mapping[str, Key]
) -> dict[str, Resolution]:
    """What became of open violations that this look did not find. Rows beyond the cap are looked at again by key."""
    found = {fingerprint_of(look, violation.key) for violation in seen.tracked}
    absent = {
        mark: key
        for mark, key in open_keys.items()
        if mark not in found and set(key) == set(look.key)
    }
    told = dict.fromkeys(open_keys.keys() - found - absent.keys(), Resolution.NOT_RETURNED)
    if not finds_keys_again(look):
        gone = (
            {}
            if seen.violations > len(seen.tracked)
            else dict.fromkeys(absent, Resolution.NOT_RETURNED)
        )
        return told | gone
    if seen.violations > len(seen.tracked):
        still = set().union(*(_still_bad(look, chunk) for chunk in chunks(absent.values())))
        absent = {mark: key for mark, key in absent.items() if mark not in still}
    for chunk in chunks(absent.items()):
        told |= _fates_of(look, dict(chunk))
    return told


#: Families whose values, bound again as they came, are found again. A `real` isn't, nor is an array or an interval.
_FOUND_AGAIN = frozenset(Family) - {Family.NUMBER, Family.OTHER, Family.BYTES}


def finds_keys_again(look: PlannedCheck) -> bool:
    """Whether a row can be looked for by its key; if not, nothing can be said of one that was not found."""
    columns = [
        look.scope.info.columns[name] for name in look.key if name in look.scope.info.columns
    ]
    return all(
        column.family in _FOUND_AGAIN or column.type.lower().split("(")[0] in _EXACT
        for column in columns
    )


_EXACT = ("bytea", "blob", "numeric", "decimal")


def _still_bad(look: PlannedCheck, keys: Sequence[Key]) -> set[str]:
    if look.other is not None:
        # A comparison of two sources isn't made for single keys; beyond the cap nothing ends.
        return {fingerprint_of(look, key) for key in keys}
    return {fingerprint_of(look, violation.key) for violation in violations_by_key(look, keys)}


def violations_by_key(look: PlannedCheck, keys: Sequence[Key]) -> Sequence[Violation]:
    """Those of the keys, at most a chunk, that violate the rule in this snapshot."""
    check, scope = look.invariant.check, look.scope
    if isinstance(check, RowCheck):
        columns = [scope.column(name) for name in look.key]
        layout = ScanLayout([look])
        statement = select(*layout.columns).where(look.violating, _any_of(columns, look.key, keys))
        return [layout.violation(look, row) for row in scope.snapshot.rows(statement)]
    if isinstance(check, QueryCheck):
        found = check.violations(scope).subquery("found")
        columns = [found.c[name] for name in look.key]
        names = list(found.c.keys())
        rows = scope.snapshot.rows(select(*found.c).where(_any_of(columns, look.key, keys)))
        return [from_query(look, names, row) for row in rows]
    return []


def _fates_of(look: PlannedCheck, absent: Mapping[str, Key]) -> dict[str, Resolution]:
    population = _population(look)
    if population is None:
        told_by_itself = isinstance(look.invariant.check, AggregateCheck | CatalogCheck)
        gone = Resolution.FIXED if told_by_itself else Resolution.NOT_RETURNED
        return dict.fromkeys(absent, gone)
    all_keys = population.subquery("population")
    columns = [all_keys.c[name] for name in look.key]
    statement = select(*columns, all_keys.c[IN_SCOPE]).where(
        _any_of(columns, look.key, list(absent.values()))
    )
    # A key that only the other table had is not looked for there.
    is_pair = isinstance(look.invariant.check, PairCheck)
    told = dict.fromkeys(absent, Resolution.NOT_RETURNED if is_pair else Resolution.ROW_GONE)
    for *key, in_scope in look.scope.snapshot.rows(statement):
        mark = fingerprint_of(look, values_of(look.key, key))
        if mark in told:
            told[mark] = Resolution.FIXED if in_scope else Resolution.LEFT_SCOPE
    return told


def _population(look: PlannedCheck) -> AnySelect | None:
    check, scope = look.invariant.check, look.scope
    if isinstance(check, QueryCheck):
        return check.population(scope)
    if isinstance(check, RowCheck | PairCheck):
        return select(
            *(scope.column(name) for name in look.key),
            case((scope.rows, 1), else_=0).label(IN_SCOPE),
        )
    return None


def _any_of(
    columns: Sequence[ColumnElement[Any]], names: Sequence[str], keys: Iterable[Key]
) -> ColumnElement[bool]:
    """Whether the columns are one of the keys. A collation may let too many pass: fingerprints decide afterwards."""

    def is_key(key: Key) -> ColumnElement[bool]:
        pairs = zip(columns, (key[name] for name in names), strict=True)
        return and_(
            *(
                column.is_(None) if value is None else column == bind(value)
                for column, value in pairs
            )
        )

    return or_(*(is_key(key) for key in keys))
