"""Invariants of one batch → a Plan: how each will be looked at, in one snapshot. Builds SQL and asks the catalog; reads
no rows, but for the highest number in a column that tells which rows are new.

What reads the same rows is put together: row rules of one table are answered by one scan, and all that is counted of a
table is counted at once.

A rule that can't be planned (a missing column, no key) is refused on its own; the others keep their plan.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select

from sanityd.checks.base import (
    AggregateCheck,
    CatalogCheck,
    ColumnCheck,
    FunctionCheck,
    PairCheck,
    QueryCheck,
    RowCheck,
    TableComparison,
)
from sanityd.checks.invariant import Invariant
from sanityd.checks.scope import Scope
from sanityd.errors import CheckError, SourceError
from sanityd.model import Key, Past, UnchangedState, Value
from sanityd.sources.base import Snapshot
from sanityd.sources.catalog import Family

#: How many rules are asked in one statement.
TOGETHER = 50
#: Gives the snapshot of another source by its name. Raises SourceError when it doesn't answer.
Elsewhere = Callable[[str], Snapshot]


@dataclass(frozen=True, slots=True)
class PriorState:
    """What earlier runs have left, by rule."""

    #: The violations still open, by fingerprint, that a run must say something about.
    open_keys: Mapping[str, Mapping[str, Key]] = field(default_factory=dict)
    #: What was measured, for rules that learn from it.
    past: Mapping[str, Past] = field(default_factory=dict)
    #: The rules whose rows are to be read even where a constraint proves them.
    audited: Collection[str] = ()
    #: From where on rows are new, for rules that may look at those only.
    since: Mapping[str, Value] = field(default_factory=dict)
    #: What rules that held saw when they last looked.
    held: Mapping[str, UnchangedState] = field(default_factory=dict)


NOTHING = PriorState()


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """One rule, ready to be looked at: its scope, and the columns that identify its violations."""

    invariant: Invariant
    scope: Scope
    key: tuple[str, ...]
    #: A word for how: `row scan` (of two sources: `across`), `query`, `aggregate`, `pair`, `catalog` or `function`.
    form: str
    #: The other table's scope, where there is one that is read on its own.
    other: Scope | None = None
    #: What was measured before, for rules that learn from it.
    past: Past = ()
    #: Of a rule that looks at new rows: the value that the next look may begin at.
    newest: Value = None
    #: The same look at new rows only, if that is enough now.
    narrowed: "PlannedCheck | None" = None
    #: A word for all that the rule depends on, if there is one; and what the rule saw when it was the same.
    state: str | None = None
    held: UnchangedState | None = None
    #: The constraint that makes looking needless, and whether to look all the same.
    proof: str | None = None
    audited: bool = False

    @property
    def reads_alone(self) -> bool:
        """Whether no other rule can be asked in its statement: a subquery inside OR is no join any more."""
        check = self.invariant.check
        if self.form != "row scan" or not isinstance(check, RowCheck) or check.claims():
            return True
        return any(
            "select" in sql.lower() for sql in (self.invariant.subject.where or "", *check.sql())
        )

    @property
    def counts_for_itself(self) -> bool:
        """Whether its aggregates are about some rows only, which can't be told apart in a statement about all."""
        check = self.invariant.check
        measures = isinstance(check, AggregateCheck) or (
            isinstance(check, QueryCheck)
            and check.needs_table
            and check.measure(self.scope) is not None
        )
        return measures and not self.scope.is_whole

    @property
    def bad(self) -> ColumnElement[bool]:
        """The condition of a violating row, NULLs decided as the rule says. Only for row checks."""
        check = self.invariant.check
        assert isinstance(check, RowCheck)
        bad = check.is_bad(self.scope)
        return or_(bad, check.is_unknown(self.scope)) if self.invariant.subject.nulls_fail else bad

    @property
    def violating(self) -> ColumnElement[bool]:
        """The condition of a violating row in scope."""
        return and_(self.scope.rows, self.bad)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done, in order, and which rules can't be looked at and why."""

    looks: tuple[PlannedCheck, ...]
    refused: dict[str, CheckError] = field(default_factory=dict)

    def units(self, believed: Collection[str] = ()) -> list[tuple[PlannedCheck, ...]]:
        """The looks that are answered by the same statements, those with the most first.

        Parameters: `believed` are the rules whose rows nobody reads, as a constraint proves them.
        """
        together: dict[object, list[PlannedCheck]] = {}
        for look in self.looks:
            alone = look.reads_alone or look.invariant.id in believed
            together.setdefault(look.invariant.id if alone else _place(look), []).append(look)
        parts = [
            tuple(looks[at : at + TOGETHER])
            for looks in together.values()
            for at in range(0, len(looks), TOGETHER)
        ]
        return sorted(parts, key=len, reverse=True)

    def counted(self, believed: Collection[str] = ()) -> list[tuple[PlannedCheck, ...]]:
        """The looks whose rows are counted by the same statement."""
        together: dict[object, list[PlannedCheck]] = {}
        for look in self.looks:
            counts = look.form in _COUNTING and look.scope.info.name and look.narrowed is None
            if counts and look.invariant.id not in believed:
                own = look.scope.extent if look.counts_for_itself else None
                together.setdefault((_place(look), own), []).append(look)
        return [tuple(looks) for looks in together.values()]


#: Forms that ask how many rows are in scope.
_COUNTING = ("row scan", "query", "aggregate", "across", "pair")


def _place(look: PlannedCheck) -> object:
    """The table, and what narrows it: what is found by an index isn't read together with what isn't."""
    return (
        look.invariant.subject.table,
        look.invariant.subject.window,
        look.narrowed and look.narrowed.scope.newer,
    )


def plan(
    invariants: Iterable[Invariant],
    snapshot: Snapshot,
    elsewhere: Elsewhere | None = None,
    known: PriorState = NOTHING,
) -> Plan:
    """How each invariant will be looked at in this snapshot. Raises SourceError when the source is lost.

    Parameters: `elsewhere` gives the snapshots of other sources; `known` is what earlier runs have left.
    """
    looks: list[PlannedCheck] = []
    newest, states = _Newest(snapshot), _States(snapshot)
    refused: dict[str, CheckError] = {}
    for invariant in invariants:
        try:
            found = look(invariant, snapshot, elsewhere)
            found = replace(
                found, past=known.past.get(invariant.id, ()), audited=invariant.id in known.audited
            )
            found = newest.of(found, known.since.get(invariant.id))
            looks.append(states.of(found, known.held.get(invariant.id)))
        except CheckError as error:
            refused[invariant.id] = error
    return Plan(tuple(looks), refused)


#: Families of columns that can tell which rows are new: by the clock, or by counting.
_TIMES = frozenset({Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ})
_MOVING = _TIMES | {Family.OTHER}


def tells_new(scope: Scope, name: str) -> Family:
    """What kind of column tells which rows are new. Raises CheckError, or keeps it, when it can't."""
    family = scope.column_info(name).family
    if family not in _TIMES | {Family.INTEGER} and name in scope.info.columns:
        scope.refuse(
            f"`{name}` can't tell which rows are new: it is neither a time nor a whole number",
            "Name a column that grows with each new row, as in `scan: new rows by created_at, full daily`.",
            name,
        )
    return family


class _Newest:
    """Up to where there are rows, asked once for each column that rules know new rows by."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._highest: dict[object, Value] = {}

    def of(self, look: PlannedCheck, since: Value) -> PlannedCheck:
        """The look, with what its next one begins at; narrowed to what is new `since`. Raises CheckError."""
        invariant, scope = look.invariant, look.scope
        if (name := invariant.scan.column) is None:
            return look
        family = tells_new(scope, name)
        if family in _TIMES:
            # A row of today was made at any hour of it, and counts as made at its beginning.
            day = timedelta(days=1) if family is Family.DATE else timedelta(0)
            newest: Value = scope.now - invariant.overlap - day
        else:
            newest = self._highest_of(scope, name)
        if since is None or type(since) is not type(newest):
            return replace(look, newest=newest)
        narrowed = replace(
            look, scope=Scope(self._snapshot, invariant.subject, newer=(name, since))
        )
        return replace(look, newest=newest, narrowed=narrowed)

    def _highest_of(self, scope: Scope, name: str) -> Value:
        place = scope.subject.table, name
        if place not in self._highest:
            highest = select(func.max(scope.column(name))).select_from(scope.table)
            [(value,)] = self._snapshot.rows(highest)
            self._highest[place] = 0 if value is None else int(value)
        return self._highest[place]


class _States:
    """What the tables show, in a word, asked once and only for rules that depend on nothing else."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._state: list[str | None] = []

    def of(self, look: PlannedCheck, held: UnchangedState | None) -> PlannedCheck:
        """The look, with what it depends on; and with what it `held`, if that is still the same."""
        if look.proof is not None or look.other is not None or not _is_timeless(look):
            return look
        if not self._state:
            self._state.append(self._snapshot.state())
        [state] = self._state
        return replace(look, state=state, held=held if held and state == held.state else None)


def _is_timeless(look: PlannedCheck) -> bool:
    """Whether the rows of plain tables decide alone. A bound such as `today` means another time each day."""
    check, scope = look.invariant.check, look.scope
    if (
        not check.is_timeless
        or check.reads_clock
        or not scope.is_whole
        or look.invariant.subject.window
        or any(check.sql())
    ):
        return False
    if isinstance(check, ColumnCheck) and any(
        scope.column_info(name).family in _MOVING for name in check.columns
    ):
        return False
    return scope.info.is_plain and all(scope.other(table).info.is_plain for table in check.tables())


def look(
    invariant: Invariant,
    snapshot: Snapshot,
    elsewhere: Elsewhere | None = None,
    faults: list[CheckError] | None = None,
) -> PlannedCheck:
    """How one invariant will be looked at. Raises CheckError when it can't be.

    Parameters: `faults` takes what is wrong with the names in the rule; where there is any, the look is none.
    """
    check = invariant.check
    if isinstance(check, PairCheck):
        return _look_at_pair(invariant, check.agreement(), snapshot, elsewhere, faults)
    scope = Scope(snapshot, invariant.subject, faults=faults)
    if invariant.elsewhere is not None:
        return _look_across(invariant, scope, _evidence(invariant, snapshot, elsewhere))
    match check:
        case RowCheck():
            form, key = "row scan", scope.key
        case QueryCheck():
            form, key = "query", check.key(scope)
        case AggregateCheck():
            form, key = "aggregate", ("fault",)
        case CatalogCheck():
            form, key = "catalog", ("column",)
        case FunctionCheck():
            form, key = "function", scope.key
        case _:
            raise CheckError(f"`{invariant.kind}` is of no form that this version can look at")
    for name in invariant.subject.show if isinstance(check, RowCheck) else ():
        scope.column(name)
    found = PlannedCheck(invariant, scope, key, form)
    return found if faults else replace(found, proof=check.proof(scope) or _refuted(found))


def _refuted(look: PlannedCheck) -> str | None:
    """The CHECK constraints by which the database itself rules out that there is such a row, in its own logic."""
    checks, snapshot = look.scope.info.enforced.checks, look.scope.snapshot
    if not checks or not isinstance(look.invariant.check, RowCheck) or look.reads_alone:
        return None
    try:
        forecast = snapshot.forecast(select(1).select_from(look.scope.table).where(look.violating))
    except CheckError:
        # Whatever is wrong with the statement is told when the rows are looked at.
        return None
    return ", ".join(checks) if forecast is not None and forecast.impossible else None


def _evidence(invariant: Invariant, snapshot: Snapshot, elsewhere: Elsewhere | None) -> Snapshot:
    """The snapshot that the evidence is in: this one, unless the rule looks into another source."""
    if invariant.elsewhere is None:
        return snapshot
    if elsewhere is None:
        raise CheckError(
            f"`{invariant.elsewhere}` is another source, which is not looked into here"
        )
    try:
        return elsewhere(invariant.elsewhere)
    except SourceError as error:
        raise CheckError(f"its evidence can't be read: {error.message}", error.hint) from None


def _look_across(invariant: Invariant, scope: Scope, theirs: Snapshot) -> PlannedCheck:
    check = invariant.check
    if isinstance(check, RowCheck):
        [claim] = check.claims()
        other = scope.other(claim.table, claim.where, theirs)
        for mine, there in claim.on.items():
            scope.column(mine)
            other.column(there)
        return PlannedCheck(invariant, scope, scope.key, "across", other)
    [text] = check.tables()
    return PlannedCheck(invariant, scope, ("fault",), "aggregate", scope.other(text, None, theirs))


def _look_at_pair(
    invariant: Invariant,
    agreement: TableComparison,
    snapshot: Snapshot,
    elsewhere: Elsewhere | None,
    faults: list[CheckError] | None,
) -> PlannedCheck:
    scope = Scope(snapshot, invariant.subject, query=invariant.check.query_sql(), faults=faults)
    theirs = _evidence(invariant, snapshot, elsewhere)
    there, where = agreement.there, agreement.where
    if there.table is not None:
        other = scope.other(there.table, where, theirs)
    else:
        other = scope.other_query(str(there.query), str(there.source), where, theirs)
    for mine, name in (*agreement.on.items(), *agreement.compare.items()):
        scope.column(mine)
        other.column(name)
    for name in invariant.subject.show:
        scope.column(name)
    return PlannedCheck(invariant, scope, tuple(agreement.on), "pair", other)
