"""One look at one rule: the statements for each form of check, and what became of rows that were violations before."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, case, func, select

from sanityd.checks import crosscheck, incremental, table_comparison
from sanityd.checks.base import (
    ROWS,
    AggregateCheck,
    CatalogCheck,
    FunctionCheck,
    PairCheck,
    QueryCheck,
    RowCheck,
)
from sanityd.checks.counts import MEASURED, SharedCounts
from sanityd.checks.crosscheck import Sides
from sanityd.checks.findings import Evaluation
from sanityd.checks.fused_scan import Hits, scan, scan_in_order
from sanityd.checks.keys import distinct, fingerprint_of, from_query, value_of, values_of
from sanityd.checks.planner import PlannedCheck
from sanityd.checks.resolutions import fates
from sanityd.checks.scope import Scope
from sanityd.checks.table_comparison import Tables
from sanityd.errors import CheckError, SourceError
from sanityd.model import Key, Violation
from sanityd.sources.base import AnySelect

#: From how many rows on a cheaper question is worth one more statement, and how many clues are followed.
WORTHWHILE = 10_000
CLUES = 1_000


def see(
    look: PlannedCheck, open_keys: Mapping[str, Key], tally: SharedCounts | None = None
) -> Evaluation:
    """Look at one rule. `open_keys` are its open violations by fingerprint, `tally` counts for it.

    Raises CheckError when it can't be evaluated, SourceError when the source is lost.
    """
    if believes(look, open_keys):
        return _finished(look, _see_proof(look), open_keys)
    seen = incremental.see(look, open_keys) or _FORMS[look.form](
        look, tally or SharedCounts([look])
    )
    return _finished(look, seen, open_keys)


def see_together(
    looks: Sequence[PlannedCheck],
    open_keys: Mapping[str, Mapping[str, Key]],
    tally: SharedCounts | None,
) -> Iterator[tuple[PlannedCheck, Evaluation | CheckError]]:
    """Look at row rules of one table in one scan. `open_keys` are the open violations of each rule.

    Raises SourceError when the source is lost.
    """
    hits, population = scan([look.narrowed or look for look in looks]), incremental.Population()
    for look in looks:
        known, found = open_keys.get(look.invariant.id, {}), hits[look.invariant.id]
        try:
            if look.narrowed is None:
                seen = _with_count(look, found, tally or SharedCounts([look]))
            else:
                seen = incremental.among(look, found, known, population) or _see_rows(
                    look, SharedCounts([look])
                )
            yield look, _finished(look, seen, known)
        except CheckError as error:
            yield look, error


def believes(look: PlannedCheck, open_keys: Mapping[str, Key]) -> bool:
    """Whether a constraint is taken at its word. Rows that are open were seen to violate: what became of them only a
    look can tell."""
    return (look.proof or look.held) is not None and not look.audited and not open_keys


def _finished(look: PlannedCheck, seen: Evaluation, open_keys: Mapping[str, Key]) -> Evaluation:
    redaction = look.invariant.redaction
    if redaction is not None:
        # Here, so that nothing that comes after a look ever holds a key in clear.
        seen = replace(
            seen, tracked=tuple(redaction.violation(violation) for violation in seen.tracked)
        )
    if seen.checked == 0 and not seen.violations and _empty_fails(look):
        seen = replace(seen, violations=seen.violations + 1, tracked=(*seen.tracked, _EMPTY))
    # What is known of a redacted row can't be looked for: that it isn't found any more is all that can be told of it.
    return (
        replace(seen, resolutions=fates(look, seen, open_keys))
        if open_keys and redaction is None
        else seen
    )


def _see_proof(look: PlannedCheck) -> Evaluation:
    """Nothing but whether there are rows at all: a table that was emptied keeps all its constraints."""
    if look.held is not None:
        return Evaluation(
            0,
            0,
            look.held.checked,
            (),
            proved_by=f"no write since {look.held.at:%Y-%m-%d %H:%M} UTC",
        )
    scope = look.scope
    return Evaluation(
        0, 0, None if incremental.Population().exists(scope) else 0, (), proved_by=look.proof
    )


_EMPTY = Violation({"fault": "no rows in scope"}, detail="there are no rows in scope", rows=0)


def _see_rows(look: PlannedCheck, tally: SharedCounts) -> Evaluation:
    if tally.is_shared or look.reads_alone:
        return _with_count(look, scan([look])[look.invariant.id], tally)
    # Nobody else asks anything of this table: one statement tells how many there are and how many of them violate.
    scope = look.scope
    counts = select(func.count().label("checked"), func.count(case((look.bad, 1))).label("bad"))
    [(checked, bad)] = scope.snapshot.rows(counts.select_from(scope.table).where(scope.rows))
    return Evaluation(bad, bad, checked, scan_in_order(look, bad).tracked if bad else ())


def _with_count(look: PlannedCheck, hits: Hits | CheckError, tally: SharedCounts) -> Evaluation:
    if isinstance(hits, CheckError):
        raise hits
    return Evaluation(hits.violations, hits.violations, tally.of(look).rows, hits.tracked)


def _see_query(look: PlannedCheck, tally: SharedCounts) -> Evaluation:
    scope, check = look.scope, look.invariant.check
    assert isinstance(check, QueryCheck)
    statement = _violations(look)
    if statement is None:
        checked, measured = _measured(look, tally)
        return Evaluation(0, 0, checked, (), measured)
    names = list(statement.selected_columns.keys())
    found = scope.snapshot.rows(statement.limit(look.invariant.cap + 1))
    tracked = distinct(look, [from_query(look, names, row) for row in found])
    violations, rows = len(tracked), sum(violation.rows for violation in tracked)
    if violations > look.invariant.cap:
        found_all = statement.subquery("found")
        total = func.sum(found_all.c[ROWS]) if ROWS in names else func.count()
        [(violations, rows)] = scope.snapshot.rows(
            select(func.count(), total).select_from(found_all)
        )
    checked, measured = _measured(look, tally)
    return Evaluation(
        violations, int(rows), checked, tuple(tracked[: look.invariant.cap]), measured
    )


def _violations(look: PlannedCheck) -> AnySelect | None:
    """The SELECT of the violations, narrowed to where there can be any; None where there can't."""
    scope, check = look.scope, look.invariant.check
    assert isinstance(check, QueryCheck)
    clues = check.clues(scope) if worth_clues(scope) else None
    if clues is None:
        return check.violations(scope)
    try:
        found = [
            value
            for (value,) in scope.snapshot.rows(clues.statement.limit(CLUES + 1), by_sorting=True)
        ]
    except CheckError:
        # A type that can't be hashed, or a server too old to.
        return check.violations(scope)
    if len(found) > CLUES:
        return check.violations(scope)
    return clues.follow(found) if found else None


def worth_clues(scope: Scope) -> bool:
    """Whether the table is so large that one more statement may save time."""
    return (scope.info.estimate or 0) >= WORTHWHILE


def _measured(look: PlannedCheck, tally: SharedCounts) -> tuple[int | None, float | None]:
    """How many rows are in scope, and the value that the rule is about, if there is one."""
    if not look.invariant.check.needs_table:
        return None, None
    count = tally.of(look)
    return count.rows, _number(count.measured.get(MEASURED))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float | Decimal) else None


def _see_aggregate(look: PlannedCheck, tally: SharedCounts) -> Evaluation:
    scope, check = look.scope, look.invariant.check
    assert isinstance(check, AggregateCheck)
    count = tally.of(look)
    checked, measured = count.rows, dict(count.measured)
    if look.other is not None:
        everything = select(func.count()).select_from(look.other.table)
        [(measured["other"],)] = look.other.snapshot.rows(everything)
    if checked == 0 and look.invariant.subject.empty_fails is False:
        return Evaluation(0, 0, 0, (), measured=0.0)
    judgement = check.judge(measured, checked, scope.now, look.past)
    rows = sum(violation.rows for violation in judgement.violations)
    return Evaluation(
        len(judgement.violations), rows, checked, judgement.violations, measured=judgement.measured
    )


def _see_across(look: PlannedCheck, tally: SharedCounts) -> Evaluation:
    scope, check = look.scope, look.invariant.check
    assert look.other is not None
    assert isinstance(check, RowCheck)
    [claim] = check.claims()
    sides = Sides(claim, scope, look.other)
    checked = tally.of(look).rows
    cap = look.invariant.cap
    found = crosscheck.compare(sides, cap)
    shown = [name for name in look.invariant.subject.show if name not in look.key]
    tracked = list(crosscheck.rows_of(sides, look.key, shown, found, cap)) if found.rows else []
    rows = found.rows
    if look.invariant.subject.nulls_fail:
        unknown = and_(scope.rows, check.is_unknown(scope))
        [(nulls,)] = scope.snapshot.rows(
            select(func.count()).select_from(scope.table).where(unknown)
        )
        columns = [scope.column(name) for name in (*look.key, *shown)]
        missing = (
            select(*columns)
            .where(unknown)
            .order_by(*columns[: len(look.key)])
            .limit(cap - len(tracked))
        )
        for row in scope.snapshot.rows(missing) if nulls and len(tracked) < cap else ():
            end = len(look.key)
            tracked.append(Violation(values_of(look.key, row), shown=values_of(shown, row[end:])))
        rows += nulls
    return Evaluation(rows, rows, checked, tuple(_in_our_types(violation) for violation in tracked))


def _see_pair(look: PlannedCheck, tally: SharedCounts) -> Evaluation:
    scope, check = look.scope, look.invariant.check
    assert look.other is not None
    assert isinstance(check, PairCheck)
    tables = Tables(check.agreement(), scope, look.other)
    checked = tally.of(look).rows
    found = table_comparison.compare(tables, look.invariant.cap)
    shown = [name for name in look.invariant.subject.show if name not in look.key]
    tracked = [
        _in_our_types(violation)
        for violation in table_comparison.violations_of(tables, shown, found)
    ]
    return Evaluation(found.violations, found.rows, checked, tuple(tracked))


def _in_our_types(violation: Violation) -> Violation:
    key, shown = violation.key, violation.shown
    return replace(
        violation,
        key=values_of(key, tuple(key.values())),
        shown=values_of(shown, tuple(shown.values())),
    )


def _see_catalog(look: PlannedCheck, _tally: SharedCounts) -> Evaluation:
    check = look.invariant.check
    assert isinstance(check, CatalogCheck)
    found = check.judge(look.scope.info)
    return Evaluation(len(found), len(found), None, tuple(found[: look.invariant.cap]))


def _see_function(look: PlannedCheck, _tally: SharedCounts) -> Evaluation:
    check, snapshot = look.invariant.check, look.scope.snapshot
    assert isinstance(check, FunctionCheck)

    def read(sql: str) -> list[dict[str, Any]]:
        rows = snapshot.query(sql)
        return [
            dict(zip(rows.c.keys(), row, strict=True)) for row in snapshot.rows(select(*rows.c))
        ]

    try:
        found = [_from_function(look, row) for row in check.find(read)]
    except (CheckError, SourceError):
        raise
    except Exception as error:
        hint = "Run it by hand, or with `sanityd --log debug try RULE`."
        raise CheckError(f"the function failed ({type(error).__name__})", hint) from error
    distinct = list(
        {fingerprint_of(look, violation.key): violation for violation in found}.values()
    )
    return Evaluation(len(distinct), len(distinct), None, tuple(distinct[: look.invariant.cap]))


def _from_function(look: PlannedCheck, row: Mapping[str, Any]) -> Violation:
    if missing := [name for name in look.key if name not in row]:
        hint = f"Each needs the rule's key: {', '.join(look.key)}."
        raise CheckError(f"the function returned a violation without `{missing[0]}`", hint)
    shown = {
        name: value_of(row[name])
        for name in look.invariant.subject.show
        if name in row and name not in look.key
    }
    return Violation({name: value_of(row[name]) for name in look.key}, shown=shown)


_FORMS = {
    "row scan": _see_rows,
    "across": _see_across,
    "pair": _see_pair,
    "query": _see_query,
    "aggregate": _see_aggregate,
    "catalog": _see_catalog,
    "function": _see_function,
}


def _empty_fails(look: PlannedCheck) -> bool:
    """Whether no rows at all is a violation: as the rule says, else as its kind does (which aggregates judge alone)."""
    return bool(look.invariant.subject.empty_fails)
