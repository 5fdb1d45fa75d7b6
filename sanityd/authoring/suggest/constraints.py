"""Database constraints in place of rules that were never violated for long.

A constraint is proposed only where it says exactly the same as the rule. The statements are
printed, sanityd never runs them.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, column, not_, select

from sanityd.authoring.suggest.ddl import DIALECTS, Constraint, ConstraintRequest, Ddl, FoldedColumn
from sanityd.checks import planner
from sanityd.checks.base import Check, RowCheck
from sanityd.checks.expressions import own_expressions
from sanityd.checks.invariant import Invariant
from sanityd.checks.scope import Scope
from sanityd.errors import CheckError
from sanityd.rules.rule import Rule, RuleSet
from sanityd.sources.base import Snapshot
from sanityd.sources.catalog import TableInfo
from sanityd.store.stability import StableRule, stable_rule

#: The longest constraint name that all databases accept.
_MAX_NAME = 60
#: Kinds whose only option is a condition, which a CHECK can repeat literally.
_CONDITIONS = ("always", "never")


@dataclass(frozen=True, slots=True)
class ConstraintProposal:
    """A rule, how long it was never violated, and the constraint that can replace its check."""

    rule: Rule
    record: StableRule
    constraint: Constraint


def unviolated_rules(connection: Connection, rules: RuleSet, at: datetime) -> dict[str, StableRule]:
    """Return by rule id how long the rules were never violated.

    It contains only rules that a constraint can express and that were checked for long enough.
    """
    records = {}
    for rule in rules.enabled():
        if not _is_expressible(rule.invariant):
            continue
        record = stable_rule(connection, rules.name, rule.id, rule.meaning, at)
        if record is not None:
            records[rule.id] = record
    return records


def constraint_proposals(
    snapshot: Snapshot, rules: Sequence[Rule], records: dict[str, StableRule]
) -> Iterator[ConstraintProposal]:
    """Iterate over the constraints for some rules of a source.

    Rules that a constraint proves already are left out, and those that can't be planned.
    """
    for rule in rules:
        with suppress(CheckError):
            constraint = constraint_for(rule.invariant, snapshot)
            if constraint is not None:
                yield ConstraintProposal(rule, records[rule.id], constraint)


def constraint_for(invariant: Invariant, snapshot: Snapshot) -> Constraint | None:
    """Return the constraint that says what the rule says.

    Returns None where there is such a constraint already, and where none can express the rule.
    Raises CheckError when the rule can't be planned.
    """
    if not _is_expressible(invariant):
        return None
    planned = planner.plan_check(invariant, snapshot)
    if planned.proof is not None or not _is_table(planned.scope.info):
        return None
    info = planned.scope.info
    ddl = DIALECTS[snapshot.source.dialect.name]
    request = _request(invariant, snapshot, info)
    check: Any = invariant.check
    match invariant.kind:
        case "not_null" if check.blank == "pass":
            nullable = [name for name in check.columns if info.columns[name].nullable]
            return ddl.not_null(request, nullable)
        case "unique":
            return _unique(ddl, planned.scope, request, check)
        case "no_overlap":
            return _exclusion(ddl, planned.scope, request, check)
        case "references":
            return _foreign_key(planned.scope, request, check.requirements())
        case _:
            return ddl.check(request, _condition(invariant, snapshot))


def _is_table(info: TableInfo) -> bool:
    """Return whether it is a table: a view has no constraint and no row estimate."""
    enforced = info.enforced
    return bool(info.is_plain or enforced.not_null or enforced.unique or info.estimate)


def _is_expressible(invariant: Invariant) -> bool:
    """Return whether a constraint can say the same as the rule.

    A constraint is about all rows, of one source, with SQL's own NULL and equality.
    """
    if invariant.elsewhere is not None or not _is_about_all_rows(invariant):
        return False
    check = invariant.check
    match invariant.kind:
        case "not_null":
            return True
        case "unique":
            return _is_expressible_key(invariant)
        case "no_overlap":
            return True
        case "references":
            return _is_foreign_key(check)
    if invariant.kind in _CONDITIONS:
        return True
    # An expensive expression would slow down each write; the clock moves on after it.
    is_cheap = not check.is_expensive and not check.reads_clock
    return bool(check.value_columns()) and is_cheap


def _is_expressible_key(invariant: Invariant) -> bool:
    """Return whether a unique index can say the same; some rows, and folded, is too much."""
    check: Any = invariant.check
    if check.ignore and invariant.subject.where is not None:
        return False
    return bool(check.nulls == "distinct")


def _is_foreign_key(check: Check) -> bool:
    """Return whether columns point at all rows of one table."""
    if own_expressions(check.compared_columns()):
        return False
    return getattr(check, "where", None) is None and len({*check.tables()}) == 1


def _is_about_all_rows(invariant: Invariant) -> bool:
    """Return whether the rule is about all rows, with SQL's own NULL.

    A unique index may be about some of the rows.
    """
    subject = invariant.subject
    if subject.within or subject.window or subject.nulls_fail:
        return False
    return subject.where is None or invariant.kind == "unique"


def _request(invariant: Invariant, snapshot: Snapshot, info: TableInfo) -> ConstraintRequest:
    """Return the parts of the constraint, quoted for the database."""
    constraint_name = invariant.id.replace("-", "_")[:_MAX_NAME]
    return ConstraintRequest(
        table=_quoted_table(snapshot, info),
        info=info,
        name=snapshot.quoted(constraint_name),
        quoted={name: snapshot.quoted(name) for name in info.columns},
    )


def _unique(ddl: Ddl, scope: Scope, request: ConstraintRequest, check: Any) -> Constraint:
    if check.ignore:
        return ddl.unique_folded(request, _folded(scope, check))
    return ddl.unique(request, check.columns, scope.subject.where)


def _exclusion(ddl: Ddl, scope: Scope, request: ConstraintRequest, check: Any) -> Constraint | None:
    """Return the constraint against overlaps; None for ends of a type that has no ranges."""
    definition = check.exclusion(scope)
    if definition is None and ddl.has_ranges:
        return None
    return ddl.exclude(request, definition or "", bool(check.per))


def _folded(scope: Scope, check: Any) -> list[FoldedColumn]:
    """Return the columns of a unique key, with how the rule compares them."""
    expressions = check.key_expressions(scope)
    columns = []
    for name, sql in zip(check.columns, expressions, strict=True):
        ignored = tuple(check.ignore) if scope.is_text(name) else ()
        columns.append(FoldedColumn(name, sql, ignored))
    return columns


def _quoted_table(snapshot: Snapshot, info: TableInfo) -> str:
    return ".".join(snapshot.quoted(part) for part in (info.schema, info.name) if part)


def _foreign_key(
    scope: Scope, request: ConstraintRequest, claims: Sequence[Any]
) -> Constraint | None:
    """Return the foreign key, None where the database would refuse it."""
    [claim] = claims
    target = scope.other(claim.table).info
    columns = list(claim.on)
    target_columns = list(claim.on.values())
    # A foreign key can only reference unique columns, of the same type.
    is_unique = any(set(index.columns) == set(target_columns) for index in target.enforced.unique)
    if not is_unique:
        return None
    for name, target_name in claim.on.items():
        if scope.info.columns[name].family is not target.columns[target_name].family:
            return None
    ddl = DIALECTS[scope.snapshot.source.dialect.name]
    key = [scope.snapshot.quoted(name) for name in target_columns]
    return ddl.reference(request, columns, _quoted_table(scope.snapshot, target), key)


class _UnqualifiedScope(Scope):
    """A scope whose columns are written without the table: a CHECK knows no other table."""

    def column(self, name: str) -> ColumnElement[Any]:
        """Return the column, without its table."""
        self.column_info(name)
        return column(name)


def _condition(invariant: Invariant, snapshot: Snapshot) -> str:
    """Return the condition of a CHECK: the negation of the rule's violation."""
    assert isinstance(invariant.check, RowCheck)
    if invariant.kind == "always":
        [condition] = invariant.check.sql()
        return condition
    scope = _UnqualifiedScope(snapshot, invariant.subject)
    statement = select(1).where(not_(invariant.check.is_bad(scope)))
    _, _, condition = snapshot.sql(statement).partition("WHERE ")
    return " ".join(condition.split())
