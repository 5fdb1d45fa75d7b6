"""Suspects become violations only when they are still there at a second look. Pure: two looks in, one run out.

Two databases can't be seen at one instant. What a first look finds may be a row that was changed between the two
snapshots; a row that is really wrong is wrong in any pair of snapshots. Where more time must pass than a look can wait
(`confirm: 2 runs`), the suspects of a run are remembered for the next one.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from sanityd.checks.invariant import Invariant
from sanityd.model import Outcome, Run, Violation, fingerprint


def is_suspect(invariant: Invariant, run: Run, known: Collection[str]) -> bool:
    """Whether the run found something that needs a second look: rows that aren't open yet, by another source."""
    if invariant.elsewhere is None or not invariant.confirm.again:
        return False
    return any(_mark(run, violation) not in known for violation in run.tracked)


def confirmed(invariant: Invariant, first: Run, second: Run, known: Collection[str]) -> Run:
    """What both looks saw.

    Parameters: `known` are the fingerprints that are open, which need no confirmation. A second look that failed says
    that nothing is known.
    """
    if second.outcome in (Outcome.ERRORED, Outcome.SKIPPED):
        return second
    before = {_mark(first, violation) for violation in first.tracked}
    # Beyond the cap the first look can't tell one row from another; then the count is the smaller of both.
    kept = tuple(
        violation
        for violation in second.tracked
        if first.truncated
        or _mark(second, violation) in before
        or _mark(second, violation) in known
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
    """What earlier runs found and did not count yet: how many in a row have seen each row, by fingerprint, and how many
    rows there were beyond the cap."""

    times: Mapping[str, int] = field(default_factory=dict)
    beyond: int = 0


def held_back(
    invariant: Invariant, run: Run, before: PendingConfirmation, known: Collection[str]
) -> tuple[Run, PendingConfirmation]:
    """The run without those rows that too few runs in a row have seen, and what to remember of them.

    Parameters: `known` are the fingerprints that are open, which need no confirmation.
    """
    new = {
        mark: violation for violation in run.tracked if (mark := _mark(run, violation)) not in known
    }
    times = {mark: before.times.get(mark, 0) + 1 for mark in new}
    waiting = {mark: seen for mark, seen in times.items() if seen < invariant.confirm.runs}
    kept = tuple(violation for violation in run.tracked if _mark(run, violation) not in waiting)
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


def _mark(run: Run, violation: Violation) -> str:
    return fingerprint(run.rule, run.source, violation.key)
