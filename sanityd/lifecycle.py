"""What we knew + what a run saw → what changed, row by row and for the incident. Pure: no clock, no I/O.

The promise everything rests on: no fault ever resolves anything. Only a `complete` run resolves by absence; a
`truncated` one resolves the rows that were looked at again by key; an `errored` or `skipped` one changes nothing.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from sanityd.model import Change, Fate, Incident, Outcome, Run, Tracked, Transition, fingerprint

#: A row that is bad again so soon is the same trouble, come back.
REGRESSION = timedelta(days=7)

#: How what is open is closed when a rule goes or changes: (known, incident, at) → (transitions, incident).
Closing = Callable[[Mapping[str, Tracked], Incident | None, datetime], tuple[tuple[Transition, ...], Incident | None]]


def transitions(known: Mapping[str, Tracked], run: Run) -> tuple[Transition, ...]:
    """What the run changed about each row.

    Parameters: `known` are the rule's violations by fingerprint, open ones and those resolved of late.
    """
    if run.outcome not in (Outcome.COMPLETE, Outcome.TRUNCATED):
        return ()
    seen = {fingerprint(run.rule, run.source, found.key): found for found in run.tracked}
    changes = []
    for mark, found in seen.items():
        before = known.get(mark)
        change = _change(before, run.at)
        since = before.first_seen if before is not None and before.open else run.at
        changes.append(Transition(mark, change, found.key, violation=found, since=since))
    for mark, before in known.items():
        if before.open and mark not in seen and (fate := _fate(mark, run)) is not None:
            changes.append(Transition(mark, Change.RESOLVED, before.key, fate=fate, since=before.first_seen))
    return tuple(changes)


def _change(before: Tracked | None, at: datetime) -> Change:
    if before is None:
        return Change.NEW
    if before.open:
        return Change.ONGOING
    recent = before.resolved_at is not None and at - before.resolved_at <= REGRESSION
    return Change.REGRESSED if recent else Change.NEW


def _fate(mark: str, run: Run) -> Fate | None:
    """What became of an open row that the run did not find; None when the run can't tell that it is gone."""
    if run.outcome is Outcome.COMPLETE:
        return run.fates.get(mark, Fate.NOT_RETURNED)
    return run.fates.get(mark)


def incident_after(
    before: Incident | None, run: Run, changes: Iterable[Transition], *, meaning: str = ""
) -> Incident | None:
    """The rule's incident after the run: opened, kept, or resolved; None when there is none.

    Parameters: `before` is the open incident; `meaning` is the hash of what the rule means now.
    """
    if run.outcome not in (Outcome.COMPLETE, Outcome.TRUNCATED):
        return before
    if before is None:
        if run.severity is None:
            return None
        before = Incident(
            id=_new_id(run),
            rule=run.rule,
            source=run.source,
            opened_at=run.at,
            severity=run.severity,
            violations=run.violations,
            meaning=meaning,
        )
    return replace(
        before,
        severity=before.severity if run.severity is None else run.severity,
        violations=run.violations,
        checked=run.checked,
        resolved_at=run.at if run.severity is None else None,
        fates=_counted(before.fates, changes),
    )


def close_removed(
    known: Mapping[str, Tracked], incident: Incident | None, at: datetime
) -> tuple[tuple[Transition, ...], Incident | None]:
    """Close what is open because its rule has left the file. Never called fixed."""
    return _close(known, incident, at, Fate.RULE_REMOVED)


def close_changed(
    known: Mapping[str, Tracked], incident: Incident | None, at: datetime
) -> tuple[tuple[Transition, ...], Incident | None]:
    """Close what is open because its rule means something else now. Never called fixed."""
    return _close(known, incident, at, Fate.RULE_CHANGED)


def _close(
    known: Mapping[str, Tracked], incident: Incident | None, at: datetime, fate: Fate
) -> tuple[tuple[Transition, ...], Incident | None]:
    changes = tuple(
        Transition(mark, Change.RESOLVED, before.key, fate=fate, since=before.first_seen)
        for mark, before in known.items()
        if before.open
    )
    if incident is None:
        return changes, None
    return changes, replace(incident, resolved_at=at, fates=_counted(incident.fates, changes))


def _counted(fates: Mapping[Fate, int], changes: Iterable[Transition]) -> Mapping[Fate, int]:
    return dict(Counter(fates) + Counter(change.fate for change in changes if change.fate is not None))


def _new_id(run: Run) -> str:
    """The same look gives the same incident, so that recording it twice can't open two."""
    return hashlib.sha256(f"{run.rule} {run.at.isoformat()}".encode()).hexdigest()[:10]
