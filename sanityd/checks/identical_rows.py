"""Violating rows whose keys are the same: numbered if they are identical in all columns.

A table without a key may hold such rows. Anything else that shares a key is a mistake in the
rule, as more columns would tell these rows apart.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import select

from sanityd.checks.chunks import chunks
from sanityd.checks.keys import fingerprint_of, is_any_of, values_of
from sanityd.checks.plan import PlannedCheck
from sanityd.errors import CheckError
from sanityd.model import Key, Violation
from sanityd.model.identical_rows import numbered_key

#: The most different rows that are read to see whether rows with the same key are identical.
_MOST_ROWS = 1_000


def distinct(planned: PlannedCheck, violations: Sequence[Violation]) -> Sequence[Violation]:
    """The violations, each with a key of its own: identical rows are numbered.

    Raises CheckError when rows that differ have the same key.
    """
    shared = _shared_keys(planned, violations)
    if not shared:
        return violations
    if not _are_identical(planned, shared):
        raise CheckError(
            f"the key ({', '.join(planned.key)}) is ambiguous: two violating rows share it",
            "Name columns in `key:` that are different for every row.",
        )
    return _numbered(planned, violations)


def distinct_if_identical(
    planned: PlannedCheck, violations: Sequence[Violation]
) -> Sequence[Violation]:
    """The violations, with identical rows numbered; other rows with the same key stay as they are.

    Raises SourceError when the source is lost.
    """
    shared = _shared_keys(planned, violations)
    if shared and _are_identical(planned, shared):
        return _numbered(planned, violations)
    return violations


def _shared_keys(planned: PlannedCheck, violations: Sequence[Violation]) -> dict[str, Key]:
    """The keys that several violations have, by fingerprint."""
    keys: dict[str, Key] = {}
    shared: dict[str, Key] = {}
    for violation in violations:
        fingerprint = fingerprint_of(planned, violation.key)
        if fingerprint in keys:
            shared[fingerprint] = violation.key
        keys[fingerprint] = violation.key
    return shared


def _numbered(planned: PlannedCheck, violations: Sequence[Violation]) -> list[Violation]:
    numbers: Counter[str] = Counter()
    numbered: list[Violation] = []
    for violation in violations:
        fingerprint = fingerprint_of(planned, violation.key)
        numbers[fingerprint] += 1
        key = numbered_key(violation.key, numbers[fingerprint])
        numbered.append(replace(violation, key=key))
    return numbered


def _are_identical(planned: PlannedCheck, keys: Mapping[str, Key]) -> bool:
    """Whether the rows of the table with these keys are the same in all columns."""
    info = planned.scope.info
    if not info.name:
        # Rows of a query of the user: its other columns, and its table, are not known.
        return False
    if set(planned.key) >= set(info.columns):
        return True
    try:
        for chunk in chunks(keys.items()):
            if not _is_one_row_each(planned, dict(chunk)):
                return False
    except CheckError:
        # A type whose values can't be compared.
        return False
    return True


def _is_one_row_each(planned: PlannedCheck, keys: Mapping[str, Key]) -> bool:
    """Whether there is exactly one row with each key when identical rows are left out."""
    scope = planned.scope
    columns = [scope.column(name) for name in planned.key]
    names = dict.fromkeys((*planned.key, *scope.info.columns))
    whole_row = [scope.exact(name) for name in names]
    labelled = [column.label(f"sanityd_{number}") for number, column in enumerate(whole_row)]
    has_key = is_any_of(columns, planned.key, list(keys.values()))
    different = select(*labelled).select_from(scope.table).where(has_key).distinct()
    rows = scope.snapshot.rows(different.limit(_MOST_ROWS))
    if len(rows) == _MOST_ROWS:
        return False
    counts: Counter[str] = Counter()
    for row in rows:
        counts[fingerprint_of(planned, values_of(planned.key, row))] += 1
    # A collation may let other keys pass; a key that isn't found again proves nothing.
    return all(counts[fingerprint] == 1 for fingerprint in keys)
