"""Violations between two sources count only when further evaluations confirm them. Pure.

Two databases can't be read at the same instant. The first evaluation may find a row that was
changed between the two snapshots; a row that is really wrong is wrong in any pair of snapshots.
Where more time must pass than an evaluation can wait (`confirm: 2 runs`, `confirm: for 5m`), what a
run found is remembered for the next one.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sanityd.checks.invariant import Invariant
from sanityd.model import Outcome, Run, Violation, fingerprint


def is_suspect(invariant: Invariant, run: Run, open_fingerprints: Collection[str]) -> bool:
    """Whether the run found violations that a second evaluation must confirm.

    These are violations between two sources that aren't open yet.

    Parameters: `open_fingerprints` are those of open violations.
    """
    if invariant.elsewhere is None or not invariant.confirm.again:
        return False
    return any(_fingerprint(run, violation) not in open_fingerprints for violation in run.tracked)


@dataclass(frozen=True, slots=True)
class Suspects:
    """What one evaluation found, and another one must find, too, before it counts.

    `beyond` is how many violations there were beyond the cap, whose fingerprints aren't known;
    `seconds` and `statements` are what the evaluation took.
    """

    fingerprints: frozenset[str]
    beyond: int = 0
    seconds: float = 0.0
    statements: int = 0

    @classmethod
    def of(cls, run: Run) -> "Suspects":
        """Return what a run found."""
        marks = frozenset(_fingerprint(run, violation) for violation in run.tracked)
        beyond = run.violations - len(run.tracked)
        return cls(marks, beyond, run.seconds, run.statements)


def confirmed(
    invariant: Invariant, first: Suspects, second: Run, open_fingerprints: Collection[str]
) -> Run:
    """The run with the violations that both evaluations found.

    Parameters: `open_fingerprints` are those of open violations, which need no confirmation. When
    the second evaluation failed, nothing is confirmed or refuted, and its run is returned.
    """
    if second.outcome in (Outcome.ERRORED, Outcome.SKIPPED):
        return second
    # Beyond the cap the first run doesn't say which rows violate: the smaller count is taken.
    kept = tuple(
        violation
        for violation in second.tracked
        if first.beyond
        or _fingerprint(second, violation) in first.fingerprints
        or _fingerprint(second, violation) in open_fingerprints
    )
    violations = second.violations - (len(second.tracked) - len(kept))
    if first.beyond or second.truncated:
        violations = min(violations, len(first.fingerprints) + first.beyond)
    rows = second.rows - (second.violations - violations)
    return replace(
        second,
        violations=violations,
        rows=rows,
        tracked=kept,
        severity=invariant.ladder.severity(violations, rows, second.checked),
        seconds=first.seconds + second.seconds,
        statements=first.statements + second.statements,
    )


#: The violations beyond the cap, among the fingerprints of the others.
_BEYOND = "beyond"
#: Begins the entries with a time, so that none is taken for a number of runs.
SINCE = "since "


@dataclass(frozen=True, slots=True)
class PendingConfirmation:
    """What earlier runs found and did not count yet.

    `times` says by fingerprint how many runs in a row found each row, or by `since FINGERPRINT`
    since when they do, as ISO text (`confirm: for 5m`); `beyond` how many violations there were
    beyond the cap.
    """

    times: Mapping[str, int | str] = field(default_factory=dict)
    beyond: int = 0


def held_back(
    invariant: Invariant, run: Run, before: PendingConfirmation, open_fingerprints: Collection[str]
) -> tuple[Run, PendingConfirmation]:
    """The run without the rows that too few runs in a row found, and what to remember of them.

    Parameters: `open_fingerprints` are those of open violations, which need no confirmation.
    """
    new = {
        _fingerprint(run, violation): violation
        for violation in run.tracked
        if _fingerprint(run, violation) not in open_fingerprints
    }
    beyond = run.violations - len(run.tracked)
    # Rows beyond the cap aren't told apart: as many count as there were before.
    beyond_before = before.beyond
    lasting = invariant.confirm.lasting
    if lasting is None:
        pending = _too_few_runs(invariant.confirm.runs, before, new)
        remembered: dict[str, int | str] = {**pending}
    else:
        begins = {mark: _begin(mark, run, before) for mark in (*new, _BEYOND)}
        pending = _too_recent(begins, run.at - lasting)
        beyond_before *= 1 - pending.pop(_BEYOND, 0)
        remembered = _as_text(begins, (*pending, _BEYOND) if beyond else pending)
    kept = tuple(
        violation for violation in run.tracked if _fingerprint(run, violation) not in pending
    )
    violations = len(kept) + min(beyond, beyond_before)
    waiting_rows = sum(new[mark].rows for mark in pending)
    rows = run.rows - waiting_rows - max(0, beyond - beyond_before)
    counted = replace(
        run,
        violations=violations,
        rows=rows,
        tracked=kept,
        severity=invariant.ladder.severity(violations, rows, run.checked),
        suspects=run.violations - violations,
    )
    return counted, PendingConfirmation(remembered, beyond)


def _too_few_runs(runs: int, before: PendingConfirmation, marks: Iterable[str]) -> dict[str, int]:
    """Return the rows that fewer runs in a row have found, and how many did."""
    times = {mark: int(before.times.get(mark, 0)) + 1 for mark in marks}
    return {mark: count for mark, count in times.items() if count < runs}


def _too_recent(begins: Mapping[str, datetime], latest: datetime) -> dict[str, int]:
    """Return the rows that were first found after `latest`; the number is always 1."""
    return {mark: 1 for mark, begin in begins.items() if begin > latest}


def _as_text(begins: Mapping[str, datetime], marks: Iterable[str]) -> dict[str, int | str]:
    """Return since when these rows are found, as it is remembered."""
    return {SINCE + mark: begins[mark].isoformat() for mark in marks}


def _begin(mark: str, run: Run, before: PendingConfirmation) -> datetime:
    """Return since when each run has found the row."""
    return datetime.fromisoformat(str(before.times.get(SINCE + mark, run.at.isoformat())))


def _fingerprint(run: Run, violation: Violation) -> str:
    return fingerprint(run.rule, run.source, violation.key)
