"""Suspects become violations only when they are still there at a second look. Pure: two runs in, one run out.

Two databases can't be seen at one instant. What a first look finds may be a row that was changed between the two
snapshots; a row that is really wrong is wrong in any pair of snapshots.
"""

from collections.abc import Collection
from dataclasses import replace

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
        if first.truncated or _mark(second, violation) in before or _mark(second, violation) in known
    )
    violations = second.violations - (len(second.tracked) - len(kept))
    if first.truncated or second.truncated:
        violations = min(violations, first.violations)
    rows = second.rows - (second.violations - violations)
    return replace(
        second,
        outcome=Outcome.TRUNCATED if violations > len(kept) else Outcome.COMPLETE,
        violations=violations,
        rows=rows,
        tracked=kept,
        severity=invariant.ladder.severity(violations, rows, second.checked),
        seconds=first.seconds + second.seconds,
        statements=first.statements + second.statements,
    )


def _mark(run: Run, violation: Violation) -> str:
    return fingerprint(run.rule, run.source, violation.key)
