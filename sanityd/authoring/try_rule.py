"""Candidates are tried by the checks themselves, in the snapshot they were thought of in: what is said to hold, holds.

Row rules of a table are counted by one statement; of the others each takes its own. What a constraint proves is told
apart by the planner, as it is when rules are checked.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, FromClause, case, func, select

from sanityd import clock, plugins
from sanityd.authoring.suggest.proposals.base import GRACE, Candidate
from sanityd.checks import evaluation, planner
from sanityd.checks.invariant import Age, Invariant, Subject, TableName
from sanityd.checks.planner import PlannedCheck
from sanityd.checks.scope import Scope
from sanityd.errors import CheckError
from sanityd.sources.base import Snapshot

#: How many violations are fetched; they are counted all the same.
_CAP = 1
#: How many rules one statement counts for.
_TOGETHER = 50


@dataclass(frozen=True)
class Tried:
    """What the trial of a candidate showed."""

    candidate: Candidate
    invariant: Invariant
    #: Rows that were looked at; rows that are wrong; and what is wrong, in words, unless nothing is.
    checked: int = 0
    wrong: int = 0
    sentence: str = ""
    #: The constraint that makes the rule needless.
    proof: str | None = None

    @property
    def holds(self) -> bool:
        """Whether no row was found that violates it."""
        return not self.wrong

    @property
    def is_likely(self) -> bool:
        """Whether so few rows violate it that they are mistakes, and not the rule."""
        return self.wrong <= self.candidate.tolerance * max(self.checked, 1)

    @property
    def meaning(self) -> str:
        """The same for rules that ask for the same."""
        return self.invariant.meaning


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Candidates of a table that were not tried to the end, and why."""

    candidates: int
    why: str


def invariant_of(candidate: Candidate) -> Invariant:
    """The candidate as a rule that can be looked at. Raises ValueError when its options are wrong."""
    table = candidate.table
    name = TableName(table.source, table.name, table.info.schema)
    sources = frozenset({table.source})
    check = plugins.lookup("checks", candidate.kind).model_validate(candidate.options)
    within = Age(GRACE, candidate.age_column) if candidate.age_column else None
    # Some name for a row that has none: nothing is fetched by it.
    key = tuple(table.info.columns)[:1] if check.needs_key and not table.info.key else ()
    subject = Subject(table.source, name, sources, within=within, key=key)
    return Invariant(candidate.id, candidate.kind, check, subject, cap=_CAP)


def attempt(
    candidates: Sequence[Candidate], snapshot: Snapshot, sample: FromClause | None
) -> Iterator[Tried | GivenUp]:
    """Try the candidates of one table, on a sample of its rows if one is given. Raises SourceError.

    When a statement takes too long, what is left isn't tried; a candidate that can't be evaluated was a wrong guess.
    """
    by_id = {f"candidate-{place}": candidate for place, candidate in enumerate(candidates)}
    invariants = []
    for name, candidate in by_id.items():
        # What can't be said in a rule, for the sake of some name, is not proposed.
        with suppress(ValueError):
            invariants.append(replace(invariant_of(candidate), id=name))
    plan = planner.plan(invariants, snapshot)
    looks = []
    for look in plan.looks:
        if look.proof is not None:
            yield _told(by_id, look, proof=look.proof)
        elif sample is not None:
            looks.append(
                replace(look, scope=Scope(snapshot, look.invariant.subject, sample=sample))
            )
        else:
            looks.append(look)
    together = [look for look in looks if look.form == "row scan" and not look.reads_alone]
    alone = [look for look in looks if look not in together]
    work = [together[at : at + _TOGETHER] for at in range(0, len(together), _TOGETHER)] + [
        [look] for look in alone
    ]
    while work:
        part = work.pop(0)
        started = clock.stopwatch()
        try:
            yield from (
                _try_together(by_id, part)
                if part[0].form == "row scan"
                else [_try_one(by_id, part[0])]
            )
        except CheckError as error:
            limit = snapshot.source.settings.statement_timeout.total_seconds()
            if clock.stopwatch() - started > limit * 0.9 or "locked" in error.message:
                yield GivenUp(len(part) + sum(map(len, work)), error.message)
                return
            if len(part) > 1:
                work[:0] = [part[: len(part) // 2], part[len(part) // 2 :]]


def _try_together(by_id: dict[str, Candidate], looks: Sequence[PlannedCheck]) -> list[Tried]:
    """All are about all rows of one table."""
    scope = looks[0].scope
    if looks[0].reads_alone:
        [look] = looks
        [(wrong,)] = scope.snapshot.rows(
            select(func.count()).select_from(scope.table).where(look.violating)
        )
        return [_told(by_id, look, by_id[look.invariant.id].table.rows_read, wrong)]
    columns: list[ColumnElement[int]] = [
        func.count(case((look.violating, 1))).label(f"sanityd_{place}")
        for place, look in enumerate(looks)
    ]
    statement = select(func.count().label("sanityd_rows"), *columns).select_from(scope.table)
    [(checked, *counts)] = scope.snapshot.rows(statement)
    return [_told(by_id, look, checked, wrong) for look, wrong in zip(looks, counts, strict=True)]


def _try_one(by_id: dict[str, Candidate], look: PlannedCheck) -> Tried:
    seen = evaluation.see(look, {})
    checked = by_id[look.invariant.id].table.rows_read if seen.checked is None else seen.checked
    return _told(by_id, look, checked, seen.rows if seen.violations else 0, seen.violations)


def _told(
    by_id: dict[str, Candidate],
    look: PlannedCheck,
    checked: int = 0,
    wrong: int = 0,
    violations: int | None = None,
    proof: str | None = None,
) -> Tried:
    candidate = by_id[look.invariant.id]
    invariant = replace(look.invariant, id=candidate.id)
    count = wrong if violations is None else violations
    name = candidate.table.name
    sentence = invariant.check.sentence(name, count, wrong, checked) if count else ""
    return Tried(candidate, invariant, checked, wrong if count else 0, sentence, proof)
