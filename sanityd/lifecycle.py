"""What we knew + what a run saw → what changed, row by row and for the incident. Pure: no clock, no I/O.

The promise everything rests on: no fault ever resolves anything. Only a `complete` run resolves by absence; a
`truncated` one resolves the rows that were looked at again by key; an `errored` or `skipped` one changes nothing.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from sanityd.model import (
    Cause,
    Change,
    Incident,
    Outcome,
    Resolution,
    Run,
    Severity,
    Tracked,
    Transition,
    about_source,
    fingerprint,
)

#: A row that is bad again so soon is the same trouble, come back.
REGRESSION = timedelta(days=7)
#: So many rows that break a rule at once, or such a share of the table, have one cause and are not so many cases.
SYSTEMIC_ROWS, SYSTEMIC_SHARE, SYSTEMIC_FLOOR = 1000, 0.2, 10


def transitions(
    known: Mapping[str, Tracked], run: Run, incident: Incident | None = None
) -> tuple[Transition, ...]:
    """What the run changed about each row.

    Parameters: `known` are the rule's violations by fingerprint, open ones and those resolved of late; `incident` is
    the open one. Where it counts more rows than are known, as many that are seen now may have been there all the time.
    """
    if not run.answered:
        return ()
    seen = {fingerprint(run.rule, run.source, found.key): found for found in run.tracked}
    counted_only = (
        0
        if incident is None
        else incident.violations - sum(before.open for before in known.values())
    )
    changes = []
    for mark, found in seen.items():
        before = known.get(mark)
        change, since = _change(before, run.at), run.at
        if before is not None and before.open:
            since = before.first_seen
        elif change is Change.NEW and incident is not None and counted_only > 0:
            counted_only -= 1
            change, since = Change.FOLLOWED, incident.opened_at
        changes.append(Transition(mark, change, found.key, violation=found, since=since))
    for mark, before in known.items():
        if before.open and mark not in seen and (fate := _fate(mark, run)) is not None:
            changes.append(
                Transition(
                    mark, Change.RESOLVED, before.key, resolution=fate, since=before.first_seen
                )
            )
    return tuple(changes)


def _change(before: Tracked | None, at: datetime) -> Change:
    if before is None:
        return Change.NEW
    if before.open:
        return Change.ONGOING
    # Nobody saw how it went on when the rule left the file.
    unseen = before.resolution in (Resolution.RULE_REMOVED, Resolution.RULE_CHANGED)
    recent = not unseen and before.resolved_at is not None and at - before.resolved_at <= REGRESSION
    return Change.REGRESSED if recent else Change.NEW


def _fate(mark: str, run: Run) -> Resolution | None:
    """What became of an open row that the run did not find; None when the run can't tell that it is gone."""
    if run.outcome is Outcome.COMPLETE:
        return run.resolutions.get(mark, Resolution.NOT_RETURNED)
    return run.resolutions.get(mark)


def incident_after(
    before: Incident | None, run: Run, changes: Iterable[Transition], *, meaning: str = ""
) -> Incident | None:
    """The rule's incident after the run: opened, kept, or resolved; None when there is none.

    Parameters: `before` is the open incident; `meaning` is the hash of what the rule means now.
    """
    if not run.answered:
        return before
    changed = list(changes)
    known = 0 if before is None else before.violations
    if before is None:
        if run.severity is None:
            return None
        before = _begun(Cause.VIOLATED, run, run.severity, meaning)
    severity = before.declared if run.severity is None else run.severity
    return replace(
        before,
        severity=severity,
        declared=severity,
        violations=run.violations,
        checked=run.checked,
        systemic=before.systemic or _is_systemic(run, run.violations - known),
        resolved_at=run.at if run.severity is None else None,
        resolutions=_counted(before.resolutions, changed),
    )


def _is_systemic(run: Run, more: int) -> bool:
    share = more > SYSTEMIC_SHARE * run.checked if run.checked else False
    return more > SYSTEMIC_ROWS or (share and more >= SYSTEMIC_FLOOR)


def fault_after(before: Incident | None, run: Run, declared: Severity) -> Incident | None:
    """The incident of a rule that can't be evaluated: opened or kept by an errored run, resolved by an answer.

    Parameters: `declared` is the rule's own severity; that it can't be checked is never worse than an error.
    """
    if run.outcome is Outcome.ERRORED:
        begun = before or _begun(Cause.ERRORED, run, min(declared, Severity.ERROR))
        return replace(begun, error=run.error or "", hint=run.hint or "")
    return replace(before, resolved_at=run.at) if before is not None and run.answered else before


def outage_after(
    before: Incident | None, source: str, skipped: Run | None, at: datetime
) -> Incident | None:
    """The incident of a source after a batch: opened or kept when it did not answer, resolved when it did.

    Parameters: `skipped` is a run that it did not answer; None when it answered all of them.
    """
    if skipped is None:
        return replace(before, resolved_at=at) if before is not None else None
    # It belongs to no rule, whichever was the first to be skipped.
    begun = before or _begun(
        Cause.SOURCE_DOWN, replace(skipped, rule=about_source(source)), Severity.ERROR
    )
    return replace(begun, source=source, error=skipped.error or "", hint=skipped.hint or "")


def rules_wrong_after(
    before: Incident | None, about: str, error: str, hint: str, at: datetime
) -> Incident | None:
    """The incident of a rules file after it was read: opened or kept with an error, resolved without one."""
    if not error:
        return replace(before, resolved_at=at) if before is not None else None
    look = Run(rule=about, kind="", source="", at=at, outcome=Outcome.ERRORED)
    begun = before or _begun(Cause.RULES_WRONG, look, Severity.ERROR)
    return replace(begun, error=error, hint=hint)


def _begun(cause: Cause, run: Run, severity: Severity, meaning: str = "") -> Incident:
    # The same look gives the same incident, so that recording it twice can't open two.
    identity = f"{run.rule} {run.at.isoformat()}" + ("" if cause is Cause.VIOLATED else f" {cause}")
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
    known: Mapping[str, Tracked], incident: Incident | None, at: datetime, fate: Resolution
) -> tuple[tuple[Transition, ...], Incident | None]:
    """Close what is open because its rule has left the file or means something else now. Never called fixed."""
    changes = tuple(
        Transition(mark, Change.RESOLVED, before.key, resolution=fate, since=before.first_seen)
        for mark, before in known.items()
        if before.open
    )
    if incident is None:
        return changes, None
    return changes, replace(
        incident, resolved_at=at, resolutions=_counted(incident.resolutions, changes)
    )


def _counted(
    fates: Mapping[Resolution, int], changes: Iterable[Transition]
) -> Mapping[Resolution, int]:
    return dict(
        Counter(fates)
        + Counter(change.resolution for change in changes if change.resolution is not None)
    )
