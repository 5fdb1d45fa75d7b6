"""Results from new rows only: what these violate, and which open violations still do.

The result is that of a full scan, except for old rows that were changed since: the next full
scan finds these. Whatever can't be decided this way is left to a full scan at once.
"""

from collections.abc import Mapping, Sequence

from sanityd.checks.chunks import chunks
from sanityd.checks.findings import Evaluation
from sanityd.checks.identical_rows import distinct
from sanityd.checks.keys import fingerprint_of
from sanityd.checks.plan import PlannedCheck
from sanityd.checks.resolutions import finds_keys_again
from sanityd.checks.table_contents import TableContents
from sanityd.model import Key, Violation
from sanityd.model.identical_rows import key_of_row


def merge(
    planned: PlannedCheck,
    new: Sequence[Violation],
    open_keys: Mapping[str, Key],
    contents: TableContents,
) -> Evaluation | None:
    """The violations among new rows, and the open ones that still violate.

    None when a full scan must decide. Raises CheckError when keys are ambiguous.
    """
    cap = planned.invariant.cap
    if max(len(new), len(open_keys)) > cap or not _can_recheck(planned, open_keys):
        return None
    violations = _violations(planned, new, open_keys)
    if len(violations) > cap:
        return None
    tracked = tuple(violations.values())
    rows = sum(violation.rows for violation in tracked)
    # A table that was emptied has no new rows, and must not pass for that reason.
    checked = None if tracked or contents.has_rows(planned.scope) else 0
    return Evaluation(len(tracked), rows, checked, tracked, incremental=True)


def _violations(
    planned: PlannedCheck, new: Sequence[Violation], open_keys: Mapping[str, Key]
) -> dict[str, Violation]:
    """The new violations, and the open ones that are found again by key, by fingerprint."""
    violations: dict[str, Violation] = {}
    for violation in distinct(planned, new):
        violations[fingerprint_of(planned, violation.key)] = violation
    missing = [key for fingerprint, key in open_keys.items() if fingerprint not in violations]
    for chunk in chunks(missing):
        for violation in planned.form.recheck(planned, chunk):
            violations[fingerprint_of(planned, violation.key)] = violation
    return violations


def _can_recheck(planned: PlannedCheck, open_keys: Mapping[str, Key]) -> bool:
    """Whether all open violations can be looked up by the columns of the present key."""
    for key in open_keys.values():
        if set(key_of_row(key)) != set(planned.key):
            return False
    return not open_keys or finds_keys_again(planned)
