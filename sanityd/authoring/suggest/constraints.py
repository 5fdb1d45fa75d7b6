"""Constraints for rules that have held for long: only where one says exactly what the rule says. Printed, never run."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, column, not_, select

from sanityd.authoring.suggest.ddl import DIALECTS, Constraint, ConstraintRequest
from sanityd.checks import planner
from sanityd.checks.base import RowCheck
from sanityd.checks.invariant import Invariant
from sanityd.checks.scope import Scope
from sanityd.errors import CheckError
from sanityd.rules.rule import Rule, RuleSet
from sanityd.sources.base import Snapshot
from sanityd.sources.catalog import TableInfo
from sanityd.store.stability import Steadfast, steadfast

#: The longest name that all databases take.
_LONGEST = 60
#: Kinds whose one option is a condition that a CHECK can repeat word for word.
_CONDITIONS = ("always", "never")


@dataclass(frozen=True, slots=True)
class Offer:
    """A rule that held, and the constraint that would make looking needless."""

    rule: Rule
    held: Steadfast
    constraint: Constraint


def held_long(memory: Connection, rules: RuleSet, at: datetime) -> dict[str, Steadfast]:
    """The rules that were looked at for long and never violated, by id."""
    found = {
        rule.id: steadfast(memory, rules.name, rule.id, rule.meaning, at)
        for rule in rules.enabled()
        if _says_it_exactly(rule.invariant)
    }
    return {rule: long for rule, long in found.items() if long is not None}


def offers(
    snapshot: Snapshot, rules: Sequence[Rule], held: dict[str, Steadfast]
) -> Iterator[Offer]:
    """The constraints for some rules of one source; of those that a constraint proves already there is none."""
    for rule in rules:
        with suppress(CheckError):
            constraint = constraint_for(rule.invariant, snapshot)
            if constraint is not None:
                yield Offer(rule, held[rule.id], constraint)


def constraint_for(invariant: Invariant, snapshot: Snapshot) -> Constraint | None:
    """The constraint that says what the rule says; None where there is one already, or none can say it.

    Raises CheckError when the rule can't be looked at.
    """
    if not _says_it_exactly(invariant):
        return None
    look = planner.plan_check(invariant, snapshot)
    info = look.scope.info
    # A view takes none; it promises nothing, and nobody counts its rows.
    is_table = info.is_plain or info.enforced.not_null or info.enforced.unique or info.estimate
    if look.proof is not None or not is_table:
        return None
    ddl, wanted = DIALECTS[snapshot.source.dialect.name], _wanted(invariant, snapshot, info)
    check: Any = invariant.check
    match invariant.kind:
        case "not_null":
            return ddl.not_null(
                wanted, [name for name in check.columns if info.columns[name].nullable]
            )
        case "unique":
            return ddl.unique(wanted, check.columns, invariant.subject.where)
        case "references":
            return _reference(look.scope, wanted, check.requirements())
        case _:
            return ddl.check(wanted, _condition(invariant, snapshot))


def _says_it_exactly(invariant: Invariant) -> bool:
    """Whether a constraint can say the same: of all rows, in one source, with SQL's own NULL and equality."""
    subject, check = invariant.subject, invariant.check
    if subject.within or subject.window or subject.nulls_fail or invariant.elsewhere is not None:
        return False
    if subject.where is not None and invariant.kind != "unique":
        return False
    match invariant.kind:
        case "not_null":
            return getattr(check, "blank", "") == "pass"
        case "unique":
            return not getattr(check, "ignore", ()) and getattr(check, "nulls", "") == "distinct"
        case "references":
            return getattr(check, "where", None) is None and len({*check.tables()}) == 1
        case kind if kind in _CONDITIONS:
            return True
    # An expression that takes long would make each write slow.
    return bool(check.value_columns()) and not check.is_expensive


def _wanted(invariant: Invariant, snapshot: Snapshot, info: TableInfo) -> ConstraintRequest:
    name = snapshot.quoted(invariant.id.replace("-", "_")[:_LONGEST])
    return ConstraintRequest(
        _table(snapshot, info), info, name, {name: snapshot.quoted(name) for name in info.columns}
    )


def _table(snapshot: Snapshot, info: TableInfo) -> str:
    return ".".join(snapshot.quoted(part) for part in (info.schema, info.name) if part)


def _reference(scope: Scope, wanted: ConstraintRequest, claims: Sequence[Any]) -> Constraint | None:
    [claim] = claims
    target = scope.other(claim.table).info
    mine, theirs = list(claim.on), list(claim.on.values())
    # Only what the other table can't have twice can be pointed at; and values of one type only.
    if not any({*index.columns} == {*theirs} for index in target.enforced.unique):
        return None
    if any(
        scope.info.columns[a].family is not target.columns[b].family for a, b in claim.on.items()
    ):
        return None
    quoted = [scope.snapshot.quoted(name) for name in theirs]
    return DIALECTS[scope.snapshot.source.dialect.name].reference(
        wanted, mine, _table(scope.snapshot, target), quoted
    )


class _Bare(Scope):
    """The same table, whose columns stand in SQL without its name: a CHECK knows no other."""

    def column(self, name: str) -> ColumnElement[Any]:
        """The column alone."""
        self.column_info(name)
        return column(name)


def _condition(invariant: Invariant, snapshot: Snapshot) -> str:
    """What a row must not make false: just what the rule asks, turned round."""
    assert isinstance(invariant.check, RowCheck)
    if invariant.kind == "always":
        [plain] = invariant.check.sql()
        return plain
    asked = not_(invariant.check.is_bad(_Bare(snapshot, invariant.subject)))
    text = snapshot.sql(select(1).where(asked)).partition("WHERE ")[2]
    return " ".join(text.split())
