"""What became of open violations that were not found again: fixed, gone, or out of scope."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from sanityd.checks.base import IN_SCOPE
from sanityd.checks.chunks import chunks
from sanityd.checks.expressions import name_of_key
from sanityd.checks.findings import Evaluation
from sanityd.checks.keys import fingerprint_of, is_any_of, values_of
from sanityd.checks.plan import PlannedCheck
from sanityd.model import Key, Resolution
from sanityd.model.identical_rows import has_number, key_of_row
from sanityd.sources.catalog import UNCOMMON, Family

#: Families whose values are found again when they are bound as they came. A `real` isn't, nor
#: is an array or an interval.
_FOUND_AGAIN = frozenset(Family) - UNCOMMON - {Family.NUMBER, Family.BYTES}
#: Types of the other families whose values are found again all the same.
_EXACT_TYPES = ("bytea", "blob", "numeric", "decimal")


def resolutions_of(
    planned: PlannedCheck, evaluation: Evaluation, open_keys: Mapping[str, Key]
) -> dict[str, Resolution]:
    """What became of the open violations that this evaluation did not find, by fingerprint.

    Beyond the cap, rows are looked at again by their keys.
    """
    tracked = {fingerprint_of(planned, violation.key) for violation in evaluation.tracked}
    resolutions: dict[str, Resolution] = {}
    missing: dict[str, Key] = {}
    for fingerprint, key in open_keys.items():
        if fingerprint in tracked:
            continue
        if set(key_of_row(key)) == set(planned.key):
            missing[fingerprint] = key
        else:
            # It was recorded under another key of the rule.
            resolutions[fingerprint] = Resolution.NOT_RETURNED
    if not finds_keys_again(planned):
        if not evaluation.truncated:
            resolutions |= dict.fromkeys(missing, Resolution.NOT_RETURNED)
        return resolutions
    if evaluation.truncated:
        for fingerprint in _still_violating(planned, list(missing.values())):
            missing.pop(fingerprint, None)
    for chunk in chunks(missing.items()):
        resolutions |= _resolutions_of_missing(planned, dict(chunk))
    return resolutions


def finds_keys_again(planned: PlannedCheck) -> bool:
    """Whether a row can be looked up by its key; if not, nothing is known of a missing row."""
    columns = planned.scope.info.columns
    for name in planned.key:
        if name not in columns:
            continue
        type_name = columns[name].type.lower().split("(")[0]
        if columns[name].family not in _FOUND_AGAIN and type_name not in _EXACT_TYPES:
            return False
    return True


def _still_violating(planned: PlannedCheck, keys: Sequence[Key]) -> set[str]:
    fingerprints: set[str] = set()
    for chunk in chunks(keys):
        for violation in planned.form.recheck(planned, chunk):
            fingerprints.add(fingerprint_of(planned, violation.key))
    return fingerprints


def _resolutions_of_missing(
    planned: PlannedCheck, missing: Mapping[str, Key]
) -> dict[str, Resolution]:
    population = planned.form.population(planned)
    if population is None:
        return dict.fromkeys(missing, planned.form.resolution_without_population)
    all_keys = population.subquery("population")
    columns = []
    for name in planned.key:
        is_expression = planned.scope.is_expression(name)
        columns.append(all_keys.c[name_of_key(name) if is_expression else name])
    is_missing = is_any_of(columns, planned.key, list(missing.values()))
    statement = select(*columns, all_keys.c[IN_SCOPE]).where(is_missing)
    resolutions = dict.fromkeys(missing, planned.form.resolution_outside_population)
    repeated = _repeated_rows(planned, missing)
    for *key, in_scope in planned.scope.snapshot.rows(statement):
        fingerprint = fingerprint_of(planned, values_of(planned.key, key))
        if fingerprint in resolutions:
            resolutions[fingerprint] = Resolution.FIXED if in_scope else Resolution.LEFT_SCOPE
        # Of identical rows nothing tells which were repaired, and which deleted.
        for numbered in repeated.get(fingerprint, ()):
            resolutions[numbered] = Resolution.NOT_RETURNED
    return resolutions


def _repeated_rows(planned: PlannedCheck, missing: Mapping[str, Key]) -> dict[str, list[str]]:
    """The rows that repeat others, by the fingerprint of the first of the identical rows."""
    repeated: dict[str, list[str]] = {}
    for fingerprint, key in missing.items():
        if has_number(key):
            first = fingerprint_of(planned, key_of_row(key))
            repeated.setdefault(first, []).append(fingerprint)
    return repeated
