"""Who is told what, and why not: pure. Knows an incident, what a recipient was last told and the run; no clock, no I/O.

The present is compared with the last *delivered* message, not with the previous run: a lost mail heals itself at the
next run, and a run that is evaluated twice can't mail twice.
"""

import hashlib
import json

from sanityd.model import Incident, Outcome, Reason, Run, Severity, Told

#: From how many times the number that was last told on there is news again.
GROWTH = 2


def decide(incident: Incident, told: Told | None, run: Run) -> Reason:
    """Why one recipient hears of the incident after this run, or why not.

    - UNKNOWN: the run was errored or skipped, which says nothing about the data.
    - RESOLVED: it is over, and the recipient was told that it began. A second time it is KNOWN.
    - NEVER_TOLD: it is over, and nothing of it was ever delivered to this recipient.
    - OPENED: it is at least an error, and the recipient knows nothing of it yet.
    - MILD: it is less than an error and always was, as far as the recipient knows: listed, never mailed at once.
    - ESCALATED: at least twice as many violations as the recipient was told, or a higher severity.
    - KNOWN: anything else; also an error that became a warning: better news is not worth a mail before the end.

    Parameters: `told` is what was last delivered to the recipient (or may have been), None for nothing.
    """
    if run.outcome in (Outcome.ERRORED, Outcome.SKIPPED):
        return Reason.UNKNOWN
    if not incident.open:
        return _when_over(told)
    if told is None or told.reason is Reason.RESOLVED:
        return Reason.OPENED if incident.severity >= Severity.ERROR else Reason.MILD
    if incident.severity < Severity.ERROR:
        return Reason.KNOWN
    return Reason.ESCALATED if _is_worse(incident, told) else Reason.KNOWN


def _when_over(told: Told | None) -> Reason:
    if told is None:
        return Reason.NEVER_TOLD
    return Reason.KNOWN if told.reason is Reason.RESOLVED else Reason.RESOLVED


def _is_worse(incident: Incident, told: Told) -> bool:
    # Twice nothing is nothing: without the floor, a mail that told of none would be followed by one every run.
    return incident.severity > told.severity or incident.violations >= GROWTH * max(told.violations, 1)


def dedup_key(
    incident: Incident, reason: Reason, told: Told | None, channel: str, recipient: str, given_up: int = 0
) -> str:
    """The identity of a message: the same news for the same recipient has the same key, so it is queued once.

    Parameters: `given_up` is how often news of the incident was given up for this recipient: then it is new again.
    The present number is not in it: while a message waits in the outbox, later runs that find more add no second one.
    """
    known = None if told is None else [told.reason.value, told.violations, told.severity.label, told.sequence]
    identity = ["incident", incident.id, reason.value, known, channel, recipient, given_up]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()
