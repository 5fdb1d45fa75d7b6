"""One look at one rule: the statements for each form of check, and what became of rows that were violations before."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, or_, select

from sanityd.checks import agreement, crosscheck
from sanityd.checks.agreement import Tables
from sanityd.checks.base import (
    IN_SCOPE,
    ROWS,
    AggregateCheck,
    CatalogCheck,
    FunctionCheck,
    PairCheck,
    QueryCheck,
    RowCheck,
)
from sanityd.checks.crosscheck import Sides
from sanityd.checks.planner import Look
from sanityd.checks.scope import bind, chunks
from sanityd.errors import CheckError, SourceError
from sanityd.model import Fate, Key, Value, Violation, fingerprint
from sanityd.sources.base import AnySelect
from sanityd.sources.catalog import Family


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look saw; the fields mean what they mean in a Run."""

    violations: int
    rows: int
    checked: int | None
    tracked: tuple[Violation, ...]
    measured: float | None = None
    fates: Mapping[str, Fate] = field(default_factory=dict)
    proved_by: str | None = None


def see(look: Look, open_keys: Mapping[str, Key]) -> Seen:
    """Look at one rule. `open_keys` are its open violations by fingerprint.

    Raises CheckError when it can't be evaluated, SourceError when the source is lost.
    """
    # Rows that are open were seen to violate: what became of them only a look can tell.
    proved = look.proof is not None and not look.audited and not open_keys
    seen = _see_proof(look) if proved else _FORMS[look.form](look)
    if seen.checked == 0 and not seen.violations and _empty_fails(look):
        seen = replace(seen, violations=seen.violations + 1, tracked=(*seen.tracked, _EMPTY))
    return replace(seen, fates=_fates(look, seen, open_keys)) if open_keys else seen


def _see_proof(look: Look) -> Seen:
    """Nothing but whether there are rows at all: a table that was emptied keeps all its constraints."""
    scope = look.scope
    some = scope.snapshot.rows(select(1).select_from(scope.table).where(scope.rows).limit(1))
    return Seen(0, 0, None if some else 0, (), proved_by=look.proof)


_EMPTY = Violation({"fault": "no rows in scope"}, detail="there are no rows in scope", rows=0)


def _see_rows(look: Look) -> Seen:
    scope = look.scope
    counts = select(func.count().label("checked"), func.count(case((look.bad, 1))).label("bad"))
    [(checked, bad)] = scope.snapshot.rows(counts.select_from(scope.table).where(scope.rows))
    return Seen(bad, bad, checked, tuple(_violating_rows(look)) if bad else ())


def _violating_rows(look: Look) -> Iterator[Violation]:
    scope, subject = look.scope, look.invariant.subject
    check = look.invariant.check
    assert isinstance(check, RowCheck)
    shown = [name for name in subject.show if name not in look.key]
    reasons = list(check.reasons(scope).items())
    # Positions instead of labels: a table may have a column of any name.
    columns: list[ColumnElement[Any]] = [scope.column(name) for name in (*look.key, *shown)]
    columns += [case((condition, 1), else_=0).label(f"sanityd_reason{n}") for n, (_, condition) in enumerate(reasons)]
    statement = select(*columns).where(look.violating).order_by(*columns[: len(look.key)])
    for row in _distinct(look, scope.snapshot.rows(statement.limit(look.invariant.cap))):
        end = len(look.key) + len(shown)
        applies = [words for (words, _), hit in zip(reasons, row[end:], strict=True) if hit]
        yield Violation(
            key=_values(look.key, row),
            shown=_values(shown, row[len(look.key) : end]),
            detail=", ".join(applies),
        )


def _see_query(look: Look) -> Seen:
    scope, check = look.scope, look.invariant.check
    assert isinstance(check, QueryCheck)
    statement = check.violations(scope)
    names = list(statement.selected_columns.keys())
    found = scope.snapshot.rows(statement.limit(look.invariant.cap + 1))
    tracked = [_from_query(look, names, row) for row in _distinct(look, found)]
    violations, rows = len(tracked), sum(violation.rows for violation in tracked)
    if violations > look.invariant.cap:
        found_all = statement.subquery("found")
        total = func.sum(found_all.c[ROWS]) if ROWS in names else func.count()
        [(violations, rows)] = scope.snapshot.rows(select(func.count(), total).select_from(found_all))
    checked, measured = _measured(look)
    return Seen(violations, int(rows), checked, tuple(tracked[: look.invariant.cap]), measured)


def _measured(look: Look) -> tuple[int | None, float | None]:
    """How many rows are in scope, and the value that the rule is about, if there is one."""
    scope, check = look.scope, look.invariant.check
    if not check.needs_table:
        return None, None
    assert isinstance(check, QueryCheck)
    value = check.measure(scope)
    values = () if value is None else (value,)
    [(checked, *measured)] = scope.snapshot.rows(
        select(func.count(), *values).select_from(scope.table).where(scope.rows)
    )
    return int(checked), _number(measured[0]) if measured else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float | Decimal) else None


def _from_query(look: Look, names: Sequence[str], row: Sequence[Any]) -> Violation:
    values = _values(names, row)
    rows = values.pop(ROWS, 1)
    key = {name: values.pop(name) for name in look.key}
    return Violation(key, shown=values, rows=int(str(rows)))


def _see_aggregate(look: Look) -> Seen:
    scope, check = look.scope, look.invariant.check
    assert isinstance(check, AggregateCheck)
    # A number that another source tells is asked from there.
    measures = {} if look.other is not None else check.measures(scope)
    statement = select(func.count(), *measures.values()).select_from(scope.table).where(scope.rows)
    [(checked, *values)] = scope.snapshot.rows(statement)
    measured = dict(zip(measures, values, strict=True))
    if look.other is not None:
        everything = select(func.count()).select_from(look.other.table)
        [(measured["other"],)] = look.other.snapshot.rows(everything)
    if checked == 0 and look.invariant.subject.empty_fails is False:
        return Seen(0, 0, 0, (), measured=0.0)
    judgement = check.judge(measured, checked, scope.now, look.past)
    rows = sum(violation.rows for violation in judgement.violations)
    return Seen(len(judgement.violations), rows, checked, judgement.violations, measured=judgement.measured)


def _see_across(look: Look) -> Seen:
    scope, check = look.scope, look.invariant.check
    assert look.other is not None
    assert isinstance(check, RowCheck)
    [claim] = check.claims()
    sides = Sides(claim, scope, look.other)
    [(checked,)] = scope.snapshot.rows(select(func.count()).select_from(scope.table).where(scope.rows))
    cap = look.invariant.cap
    found = crosscheck.compare(sides, cap)
    shown = [name for name in look.invariant.subject.show if name not in look.key]
    tracked = list(crosscheck.rows_of(sides, look.key, shown, found, cap)) if found.rows else []
    rows = found.rows
    if look.invariant.subject.nulls_fail:
        unknown = and_(scope.rows, check.is_unknown(scope))
        [(nulls,)] = scope.snapshot.rows(select(func.count()).select_from(scope.table).where(unknown))
        columns = [scope.column(name) for name in (*look.key, *shown)]
        missing = select(*columns).where(unknown).order_by(*columns[: len(look.key)]).limit(cap - len(tracked))
        for row in scope.snapshot.rows(missing) if nulls and len(tracked) < cap else ():
            end = len(look.key)
            tracked.append(Violation(_values(look.key, row), shown=_values(shown, row[end:])))
        rows += nulls
    return Seen(rows, rows, checked, tuple(_in_our_types(violation) for violation in tracked))


def _see_pair(look: Look) -> Seen:
    scope, check = look.scope, look.invariant.check
    assert look.other is not None
    assert isinstance(check, PairCheck)
    tables = Tables(check.agreement(), scope, look.other)
    [(checked,)] = scope.snapshot.rows(select(func.count()).select_from(scope.table).where(scope.rows))
    found = agreement.compare(tables, look.invariant.cap)
    shown = [name for name in look.invariant.subject.show if name not in look.key]
    tracked = [_in_our_types(violation) for violation in agreement.violations_of(tables, shown, found)]
    return Seen(found.violations, found.rows, checked, tuple(tracked))


def _in_our_types(violation: Violation) -> Violation:
    key, shown = violation.key, violation.shown
    return replace(violation, key=_values(key, tuple(key.values())), shown=_values(shown, tuple(shown.values())))


def _see_catalog(look: Look) -> Seen:
    check = look.invariant.check
    assert isinstance(check, CatalogCheck)
    found = check.judge(look.scope.info)
    return Seen(len(found), len(found), None, tuple(found[: look.invariant.cap]))


def _see_function(look: Look) -> Seen:
    check, snapshot = look.invariant.check, look.scope.snapshot
    assert isinstance(check, FunctionCheck)

    def read(sql: str) -> list[dict[str, Any]]:
        rows = snapshot.query(sql)
        return [dict(zip(rows.c.keys(), row, strict=True)) for row in snapshot.rows(select(*rows.c))]

    try:
        found = [_from_function(look, row) for row in check.find(read)]
    except (CheckError, SourceError):
        raise
    except Exception as error:
        hint = "Run it by hand, or with `sanityd --log debug try RULE`."
        raise CheckError(f"the function failed ({type(error).__name__})", hint) from error
    distinct = list({_fingerprint(look, violation.key): violation for violation in found}.values())
    return Seen(len(distinct), len(distinct), None, tuple(distinct[: look.invariant.cap]))


def _from_function(look: Look, row: Mapping[str, Any]) -> Violation:
    if missing := [name for name in look.key if name not in row]:
        hint = f"Each needs the rule's key: {', '.join(look.key)}."
        raise CheckError(f"the function returned a violation without `{missing[0]}`", hint)
    shown = {name: _value(row[name]) for name in look.invariant.subject.show if name in row and name not in look.key}
    return Violation({name: _value(row[name]) for name in look.key}, shown=shown)


_FORMS = {
    "row scan": _see_rows,
    "across": _see_across,
    "pair": _see_pair,
    "query": _see_query,
    "aggregate": _see_aggregate,
    "catalog": _see_catalog,
    "function": _see_function,
}


def _empty_fails(look: Look) -> bool:
    """Whether no rows at all is a violation: as the rule says, else as its kind does (which aggregates judge alone)."""
    return bool(look.invariant.subject.empty_fails)


def _fates(look: Look, seen: Seen, open_keys: Mapping[str, Key]) -> dict[str, Fate]:
    """What became of open violations that this look did not find. Rows beyond the cap are looked at again by key."""
    found = {_fingerprint(look, violation.key) for violation in seen.tracked}
    absent = {mark: key for mark, key in open_keys.items() if mark not in found and set(key) == set(look.key)}
    fates = dict.fromkeys(open_keys.keys() - found - absent.keys(), Fate.NOT_RETURNED)
    if not _finds_keys_again(look):
        gone = {} if seen.violations > len(seen.tracked) else dict.fromkeys(absent, Fate.NOT_RETURNED)
        return fates | gone
    if seen.violations > len(seen.tracked):
        still = set().union(*(_still_bad(look, chunk) for chunk in chunks(absent.values())))
        absent = {mark: key for mark, key in absent.items() if mark not in still}
    for chunk in chunks(absent.items()):
        fates |= _fates_of(look, dict(chunk))
    return fates


#: Families whose values, bound again as they came, are found again. A `real` isn't, nor is an array or an interval.
_FOUND_AGAIN = frozenset(Family) - {Family.NUMBER, Family.OTHER, Family.BYTES}


def _finds_keys_again(look: Look) -> bool:
    """Whether a row can be looked for by its key; if not, nothing can be said of one that was not found."""
    columns = [look.scope.info.columns[name] for name in look.key if name in look.scope.info.columns]
    return all(column.family in _FOUND_AGAIN or column.type.lower().split("(")[0] in _EXACT for column in columns)


_EXACT = ("bytea", "blob", "numeric", "decimal")


def _still_bad(look: Look, keys: Sequence[Key]) -> set[str]:
    check = look.invariant.check
    if look.other is not None:
        # A comparison of two sources isn't made for single keys; beyond the cap nothing ends.
        return {_fingerprint(look, key) for key in keys}
    if isinstance(check, RowCheck):
        columns = [look.scope.column(name) for name in look.key]
        statement = select(*columns).where(look.violating, _any_of(columns, look.key, keys))
    elif isinstance(check, QueryCheck):
        found = check.violations(look.scope).subquery("found")
        columns = [found.c[name] for name in look.key]
        statement = select(*columns).where(_any_of(columns, look.key, keys))
    else:
        return set()
    return {_fingerprint(look, _values(look.key, row)) for row in look.scope.snapshot.rows(statement)}


def _fates_of(look: Look, absent: Mapping[str, Key]) -> dict[str, Fate]:
    population = _population(look)
    if population is None:
        told_by_itself = isinstance(look.invariant.check, AggregateCheck | CatalogCheck)
        gone = Fate.FIXED if told_by_itself else Fate.NOT_RETURNED
        return dict.fromkeys(absent, gone)
    all_keys = population.subquery("population")
    columns = [all_keys.c[name] for name in look.key]
    statement = select(*columns, all_keys.c[IN_SCOPE]).where(_any_of(columns, look.key, list(absent.values())))
    # A key that only the other table had is not looked for there.
    is_pair = isinstance(look.invariant.check, PairCheck)
    fates = dict.fromkeys(absent, Fate.NOT_RETURNED if is_pair else Fate.ROW_GONE)
    for *key, in_scope in look.scope.snapshot.rows(statement):
        mark = _fingerprint(look, _values(look.key, key))
        if mark in fates:
            fates[mark] = Fate.FIXED if in_scope else Fate.LEFT_SCOPE
    return fates


def _population(look: Look) -> AnySelect | None:
    check, scope = look.invariant.check, look.scope
    if isinstance(check, QueryCheck):
        return check.population(scope)
    if isinstance(check, RowCheck | PairCheck):
        return select(*(scope.column(name) for name in look.key), case((scope.rows, 1), else_=0).label(IN_SCOPE))
    return None


def _any_of(columns: Sequence[ColumnElement[Any]], names: Sequence[str], keys: Iterable[Key]) -> ColumnElement[bool]:
    """Whether the columns are one of the keys. A collation may let too many pass: fingerprints decide afterwards."""

    def is_key(key: Key) -> ColumnElement[bool]:
        pairs = zip(columns, (key[name] for name in names), strict=True)
        return and_(*(column.is_(None) if value is None else column == bind(value) for column, value in pairs))

    return or_(*(is_key(key) for key in keys))


def _distinct(look: Look, rows: Sequence[Any]) -> Sequence[Any]:
    """The rows, sure that their keys identify them. Raises CheckError when two share one."""
    keys = [_fingerprint(look, _values(look.key, row)) for row in rows]
    if len(set(keys)) < len(keys):
        raise CheckError(
            f"the key ({', '.join(look.key)}) is ambiguous: two violating rows share it",
            "Name columns in `key:` that are different for every row.",
        )
    return rows


def _fingerprint(look: Look, key: Key) -> str:
    return fingerprint(look.invariant.id, look.invariant.subject.source, key)


def _values(names: Iterable[str], row: Sequence[Any]) -> dict[str, Value]:
    return {name: _value(value) for name, value in zip(names, row, strict=False)}


def _value(value: Any) -> Value:
    """A driver's value as one of ours; types that only one database has become text."""
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if value is None or isinstance(value, bool | int | float | str | bytes | Decimal | datetime | date | time | UUID):
        return value
    return str(value)
