"""Try candidates with the checks themselves, in the snapshot that the profile is from.

One statement counts the violations of many row rules of a table; each other rule takes its own
statements. The planner recognizes what a constraint proves, as it does in `check`.
"""

from collections.abc import Iterator, Mapping, Sequence
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

#: Number of violations that are fetched; all are counted.
_CAP = 1
#: Number of rules in one statement.
_RULES_PER_STATEMENT = 50
#: A statement that ran for this fraction of the timeout, or longer, was stopped by it.
_TIMEOUT_FRACTION = 0.9


@dataclass(frozen=True)
class Tried:
    """A candidate and its violations."""

    candidate: Candidate
    invariant: Invariant
    #: Number of rows that were checked, and of those that violate the rule.
    checked: int = 0
    wrong: int = 0
    #: The violations in words; empty when there are none.
    sentence: str = ""
    #: The constraint that proves the rule.
    proof: str | None = None

    @property
    def holds(self) -> bool:
        """Whether no row violates the rule."""
        return not self.wrong

    @property
    def is_likely(self) -> bool:
        """Whether so few rows violate the rule that the data is wrong, and not the rule."""
        return self.wrong <= self.candidate.tolerance * max(self.checked, 1)

    @property
    def meaning(self) -> str:
        """The meaning of the rule, equal for rules that ask for the same."""
        return self.invariant.meaning


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The number of candidates that were not tried, and why."""

    candidates: int
    why: str


def try_candidates(
    candidates: Sequence[Candidate], snapshot: Snapshot, sample: FromClause | None
) -> Iterator[Tried | GivenUp]:
    """Try the candidates for one table, on a sample of its rows if there is one.

    After a timeout the remaining candidates are given up. A candidate that can't be evaluated was a
    wrong guess. Raises SourceError.
    """
    by_id = {f"candidate-{number}": candidate for number, candidate in enumerate(candidates)}
    plan = planner.plan(_invariants(by_id), snapshot)
    checks = []
    for check in plan.checks:
        if check.proof is not None:
            yield _result(by_id, check, proof=check.proof)
        else:
            checks.append(_on_sample(check, sample))
    batches = _batches(checks)
    while batches:
        batch = batches.pop(0)
        started = clock.stopwatch()
        try:
            yield from _try_batch(by_id, batch)
        except CheckError as error:
            limit = snapshot.source.settings.statement_timeout.total_seconds()
            seconds = clock.stopwatch() - started
            if seconds > limit * _TIMEOUT_FRACTION or "locked" in error.message:
                remaining = sum(len(other) for other in batches)
                yield GivenUp(len(batch) + remaining, error.message)
                return
            # One of them fails: find it by halves.
            if len(batch) > 1:
                half = len(batch) // 2
                batches = [batch[:half], batch[half:], *batches]


def _invariants(by_id: Mapping[str, Candidate]) -> list[Invariant]:
    """Return the candidates as rules, without those that can't be written as a rule."""
    invariants = []
    for rule_id, candidate in by_id.items():
        # The names of some tables and columns can't be written in a rule.
        with suppress(ValueError):
            invariants.append(replace(_invariant_of(candidate), id=rule_id))
    return invariants


def _invariant_of(candidate: Candidate) -> Invariant:
    """Return the candidate as a rule. Raises ValueError when its options are wrong."""
    table = candidate.table
    name = TableName(table.source, table.name, table.info.schema)
    check = plugins.load_kind("checks", candidate.kind).model_validate(candidate.options)
    within = Age(GRACE, candidate.age_column) if candidate.age_column else None
    key: tuple[str, ...] = ()
    if check.needs_key and not table.info.key:
        # Any column will do, as no violation is identified by it.
        key = tuple(table.info.columns)[:1]
    subject = Subject(table.source, name, frozenset({table.source}), within=within, key=key)
    return Invariant(candidate.id, candidate.kind, check, subject, cap=_CAP)


def _on_sample(check: PlannedCheck, sample: FromClause | None) -> PlannedCheck:
    """Return the check, of only the sample's rows if there is one."""
    if sample is None:
        return check
    scope = Scope(check.scope.snapshot, check.invariant.subject, sample=sample)
    return replace(check, scope=scope)


def _batches(checks: Sequence[PlannedCheck]) -> list[list[PlannedCheck]]:
    """Return the checks that are tried together, row scans first."""
    together = []
    alone = []
    for check in checks:
        if not check.reads_alone:
            together.append(check)
        else:
            alone.append(check)
    batches = [
        together[start : start + _RULES_PER_STATEMENT]
        for start in range(0, len(together), _RULES_PER_STATEMENT)
    ]
    batches += [[check] for check in alone]
    return batches


def _try_batch(by_id: Mapping[str, Candidate], checks: Sequence[PlannedCheck]) -> Iterator[Tried]:
    first = checks[0]
    if not first.form.scans_rows:
        yield _try_other(by_id, first)
    elif first.reads_alone:
        yield _try_row_scan(by_id, first)
    else:
        yield from _try_row_scans(by_id, checks)


def _try_row_scans(
    by_id: Mapping[str, Candidate], checks: Sequence[PlannedCheck]
) -> Iterator[Tried]:
    """Count the violations of several rules, about all rows of one table, in one statement."""
    scope = checks[0].scope
    columns: list[ColumnElement[int]] = []
    for number, check in enumerate(checks):
        violations = func.count(case((check.violating, 1)))
        columns.append(violations.label(f"sanityd_{number}"))
    statement = select(func.count().label("sanityd_rows"), *columns).select_from(scope.table)
    [(rows, *counts)] = scope.snapshot.rows(statement)
    for check, wrong in zip(checks, counts, strict=True):
        yield _result(by_id, check, rows, wrong)


def _try_row_scan(by_id: Mapping[str, Candidate], check: PlannedCheck) -> Tried:
    """Count the violations of a rule that reads only the violating rows."""
    scope = check.scope
    statement = select(func.count()).select_from(scope.table).where(check.violating)
    [(wrong,)] = scope.snapshot.rows(statement)
    rows = by_id[check.invariant.id].table.rows_read
    return _result(by_id, check, rows, wrong)


def _try_other(by_id: Mapping[str, Candidate], check: PlannedCheck) -> Tried:
    """Evaluate a rule as `check` does."""
    evaluated = evaluation.evaluate_check(check, {})
    rows = evaluated.checked
    if rows is None:
        rows = by_id[check.invariant.id].table.rows_read
    wrong = evaluated.rows if evaluated.violations else 0
    return _result(by_id, check, rows, wrong, evaluated.violations)


def _result(
    by_id: Mapping[str, Candidate],
    check: PlannedCheck,
    checked: int = 0,
    wrong: int = 0,
    violations: int | None = None,
    proof: str | None = None,
) -> Tried:
    """Return the result of a trial. `violations` is the number of wrong rows unless it is given."""
    candidate = by_id[check.invariant.id]
    invariant = replace(check.invariant, id=candidate.id)
    if violations is None:
        violations = wrong
    if not violations:
        return Tried(candidate, invariant, checked, proof=proof)
    sentence = invariant.check.sentence(candidate.table.name, violations, wrong, checked)
    return Tried(candidate, invariant, checked, wrong, sentence, proof)
