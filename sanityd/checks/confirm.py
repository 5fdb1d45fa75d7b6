"""Violations between two sources count only when a second evaluation confirms them. Pure.

Two databases can't be read at the same instant. The first evaluation may find a row that was
changed between the two snapshots; a row that is really wrong is wrong in any pair of snapshots.
Where more time must pass than an evaluation can wait (`confirm: 2 runs`), what a run found is
remembered for the next one.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

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


def confirmed(
    invariant: Invariant, first: Run, second: Run, open_fingerprints: Collection[str]
) -> Run:
    """The run with the violations that both evaluations found.

    Parameters: `open_fingerprints` are those of open violations, which need no confirmation. When
    the second evaluation failed, nothing is confirmed or refuted, and its run is returned.
    """
    if second.outcome in (Outcome.ERRORED, Outcome.SKIPPED):
        return second
    before = {_fingerprint(first, violation) for violation in first.tracked}
    # Beyond the cap the first run doesn't say which rows violate: the smaller count is taken.
    kept = tuple(
        violation
        for violation in second.tracked
        if first.truncated
        or _fingerprint(second, violation) in before
        or _fingerprint(second, violation) in open_fingerprints
    )
    violations = second.violations - (len(second.tracked) - len(kept))
    if first.truncated or second.truncated:
        violations = min(violations, first.violations)
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


@dataclass(frozen=True, slots=True)
class PendingConfirmation:
    """What earlier runs found and did not count yet.

    `times` says by fingerprint how many runs in a row found each row, `beyond` how many violations
    there were beyond the cap.
    """

    times: Mapping[str, int] = field(default_factory=dict)
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
    times = {mark: before.times.get(mark, 0) + 1 for mark in new}
    waiting = {mark: seen for mark, seen in times.items() if seen < invariant.confirm.runs}
    kept = tuple(
        violation for violation in run.tracked if _fingerprint(run, violation) not in waiting
    )
    beyond = run.violations - len(run.tracked)
    # Rows beyond the cap aren't told apart: as many count as there were before.
    violations = len(kept) + min(beyond, before.beyond)
    rows = run.rows - sum(new[mark].rows for mark in waiting) - max(0, beyond - before.beyond)
    counted = replace(
        run,
        violations=violations,
        rows=rows,
        tracked=kept,
        severity=invariant.ladder.severity(violations, rows, run.checked),
        suspects=run.violations - violations,
    )
    return counted, PendingConfirmation(waiting, beyond)


def _fingerprint(run: Run, violation: Violation) -> str:
    return fingerprint(run.rule, run.source, violation.key)
