"""Lifecycle: computes from stored state and a run what changed, per row and for the incident.

Pure functions: no clock, no I/O.

One guarantee is kept everywhere: a failure never resolves anything. Only a `complete` run resolves
rows because they are missing; a `truncated` run resolves only rows that were read again by key; an
`errored` or `skipped` run changes nothing.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from sanityd.model import (
    REGRESSION_WINDOW,
    Cause,
    Change,
    Incident,
    Outcome,
    Resolution,
    Run,
    Severity,
    TrackedViolation,
    Transition,
    Violation,
    encode_values,
    fingerprint,
    source_rule_id,
)

#: An incident is systemic when more than SYSTEMIC_ROWS rows break at once, or more than
#: SYSTEMIC_SHARE of the table, but at least SYSTEMIC_FLOOR rows.
SYSTEMIC_ROWS, SYSTEMIC_SHARE, SYSTEMIC_FLOOR = 1000, 0.2, 10


def transitions(
    tracked: Mapping[str, TrackedViolation], run: Run, incident: Incident | None = None
) -> tuple[Transition, ...]:
    """Return what the run changed about each row.

    Parameters: `tracked` are the rule's violations by fingerprint, open and recently resolved ones;
    `incident` is the open one. Where it counts more open violations than are tracked, as many of
    the untracked rows of this run may have violated all the time; they are `FOLLOWED`, not `NEW`.
    """
    if not run.answered:
        return ()
    violations = {
        fingerprint(run.rule, run.source, violation.key): violation for violation in run.tracked
    }
    counted_only = 0
    if incident is not None:
        open_rows = sum(before.open for before in tracked.values())
        counted_only = incident.violations - open_rows
    changes = []
    for mark, violation in violations.items():
        before = tracked.get(mark)
        change, since = _change(before, run.at), run.at
        if before is not None and before.open:
            since = before.first_seen
        elif change is Change.NEW and incident is not None and counted_only > 0:
            counted_only -= 1
            change, since = Change.FOLLOWED, incident.opened_at
        changes.append(
            Transition(
                mark,
                change,
                violation.key,
                violation=violation,
                since=since,
                has_new_values=change is Change.ONGOING and _has_new_values(before, violation),
            )
        )
    missing = {mark: before for mark, before in tracked.items() if mark not in violations}
    return (*changes, *_resolved_by_run(missing, run))


def _has_new_values(before: TrackedViolation | None, violation: Violation) -> bool:
    """Return whether a row is shown with other words than recorded. `1` and `true` differ, too."""
    if before is None:
        return False
    if before.detail != violation.detail:
        return True
    return encode_values(before.shown) != encode_values(violation.shown)


def _change(before: TrackedViolation | None, at: datetime) -> Change:
    if before is None:
        return Change.NEW
    if before.open:
        return Change.ONGOING
    # Nobody checked the row while its rule was not in the file.
    if before.resolution in (Resolution.RULE_REMOVED, Resolution.RULE_CHANGED):
        return Change.NEW
    if before.resolved_at is not None and at - before.resolved_at <= REGRESSION_WINDOW:
        return Change.REGRESSED
    return Change.NEW


def _resolved_by_run(missing: Mapping[str, TrackedViolation], run: Run) -> list[Transition]:
    """Return the transitions of open rows that the run did not find, as far as it can tell."""
    changes = []
    for mark, before in missing.items():
        resolution = _resolution(mark, run)
        if before.open and resolution is not None:
            changes.append(_resolved(mark, before, resolution))
    return changes


def _resolution(mark: str, run: Run) -> Resolution | None:
    """Return why an open row that was not found is resolved; None when the run can't tell."""
    if run.outcome is Outcome.COMPLETE:
        return run.resolutions.get(mark, Resolution.NOT_RETURNED)
    return run.resolutions.get(mark)


def _resolved(mark: str, before: TrackedViolation, resolution: Resolution) -> Transition:
    return Transition(
        mark, Change.RESOLVED, before.key, resolution=resolution, since=before.first_seen
    )


def incident_after(
    before: Incident | None, run: Run, changes: Iterable[Transition], *, meaning: str = ""
) -> Incident | None:
    """Return the rule's incident after the run: opened, updated or resolved; None without one.

    Parameters: `before` is the open incident; `meaning` is the hash of the rule's present meaning.
    """
    if not run.answered:
        return before
    violations_before = 0
    if before is None:
        if run.severity is None:
            return None
        before = _opened(Cause.VIOLATED, run, run.severity, meaning)
    else:
        violations_before = before.violations
    severity = before.declared if run.severity is None else run.severity
    return replace(
        before,
        severity=severity,
        declared=severity,
        violations=run.violations,
        checked=run.checked,
        systemic=before.systemic or _is_systemic(run, run.violations - violations_before),
        resolved_at=run.at if run.severity is None else None,
        resolutions=_add_resolutions(before.resolutions, changes),
    )


def rows_were_replaced(before: Incident, run: Run, changes: Iterable[Transition]) -> bool:
    """Return whether all rows of an open incident were resolved, and only others violate now."""
    if run.outcome is not Outcome.COMPLETE or run.severity is None:
        return False
    counts = Counter(change.change for change in changes)
    if counts[Change.RESOLVED] < before.violations:
        return False
    others = counts[Change.NEW] + counts[Change.REGRESSED]
    return counts[Change.RESOLVED] > 0 and others == run.violations


def replaced_incident(before: Incident, at: datetime, changes: Iterable[Transition]) -> Incident:
    """Return an incident as resolved, though the rule is violated by other rows."""
    resolutions = _add_resolutions(before.resolutions, changes)
    return replace(before, resolved_at=at, resolutions=resolutions)


def _is_systemic(run: Run, increase: int) -> bool:
    """Return whether so many more rows violate at once that they must have one common fault."""
    if increase > SYSTEMIC_ROWS:
        return True
    if not run.checked or increase < SYSTEMIC_FLOOR:
        return False
    return increase > SYSTEMIC_SHARE * run.checked


def fault_after(before: Incident | None, run: Run, declared: Severity) -> Incident | None:
    """Return the incident of a rule that can't be evaluated.

    An errored run opens or keeps it, a run with an answer resolves it.

    Parameters: `declared` is the severity of the rule; the incident is never worse than an error.
    """
    if run.outcome is Outcome.ERRORED:
        incident = before or _opened(Cause.ERRORED, run, min(declared, Severity.ERROR))
        return replace(incident, error=run.error or "", hint=run.hint or "")
    if before is not None and run.answered:
        return replace(before, resolved_at=run.at)
    return before


def outage_after(
    before: Incident | None,
    source: str,
    skipped: Run | None,
    at: datetime,
    severity: Severity = Severity.ERROR,
) -> Incident | None:
    """Return the incident of a source after a batch of its rules.

    It is opened or kept when the source did not answer, and resolved when it did.

    Parameters: `skipped` is a run that the source did not answer, None when it answered all;
    `severity` is the worst one of the rules that read the source.
    """
    if skipped is None:
        return _resolved_incident(before, at)
    # The incident belongs to the source, not to the rule that happened to be skipped first.
    run = replace(skipped, rule=source_rule_id(source))
    incident = before or _opened(Cause.SOURCE_DOWN, run, severity)
    return replace(
        incident,
        source=source,
        severity=severity,
        declared=severity,
        error=skipped.error or "",
        hint=skipped.hint or "",
    )


def rules_wrong_after(
    before: Incident | None, about: str, error: str, hint: str, at: datetime
) -> Incident | None:
    """Return the incident of a rules file after it was read.

    It is opened or kept when there is an error, and resolved when there is none.

    Parameters: `about` is the rule id of the incident (`file_rule_id`).
    """
    if not error:
        return _resolved_incident(before, at)
    run = Run(rule=about, kind="", source="", at=at, outcome=Outcome.ERRORED)
    incident = before or _opened(Cause.RULES_WRONG, run, Severity.ERROR)
    return replace(incident, error=error, hint=hint)


def _resolved_incident(before: Incident | None, at: datetime) -> Incident | None:
    return None if before is None else replace(before, resolved_at=at)


def _opened(cause: Cause, run: Run, severity: Severity, meaning: str = "") -> Incident:
    # The id follows from the run, so that recording the same run twice can't open two incidents.
    identity = f"{run.rule} {run.at.isoformat()}"
    if cause is not Cause.VIOLATED:
        identity += f" {cause}"
    return Incident(
        id=hashlib.sha256(identity.encode()).hexdigest()[:10],
        cause=cause,
        rule=run.rule,
        source=run.source,
        opened_at=run.at,
        severity=severity,
        declared=severity,
        violations=run.violations,
        meaning=meaning,
    )


def close(
    tracked: Mapping[str, TrackedViolation],
    incident: Incident | None,
    at: datetime,
    resolution: Resolution,
) -> tuple[tuple[Transition, ...], Incident | None]:
    """Resolve all open rows and the incident of a rule that was removed or changed its meaning.

    Returns the transitions and the resolved incident, None when there was none.

    Parameters: `tracked` are the rule's violations by fingerprint; `resolution` is never `FIXED`.
    """
    changes = tuple(
        _resolved(mark, before, resolution) for mark, before in tracked.items() if before.open
    )
    if incident is None:
        return changes, None
    resolutions = _add_resolutions(incident.resolutions, changes)
    return changes, replace(incident, resolved_at=at, resolutions=resolutions)


def _add_resolutions(
    resolutions: Mapping[Resolution, int], changes: Iterable[Transition]
) -> Mapping[Resolution, int]:
    """Return the counts of resolutions, with those of the changes added."""
    counts = Counter(resolutions)
    for change in changes:
        if change.resolution is not None:
            counts[change.resolution] += 1
    return dict(counts)
