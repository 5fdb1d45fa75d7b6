"""Send the requests that are due: claim one, commit, send it, record the answer."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from sanityd import clock
from sanityd.model import Reason
from sanityd.model.remedies import RemedyRow, RemedyState, StoredRemedy
from sanityd.pipeline.remedies.planning import (
    AUTOMATIC,
    Approval,
    is_quiet,
    plan_automatically,
    requests_of,
)
from sanityd.pipeline.remedies.requests import RemedyValueError, build, to_be_stored
from sanityd.pipeline.remedies.sending import AttemptResult, attempt, backoff
from sanityd.pipeline.remedies.telling import notify_recipients, open_incident, record
from sanityd.rules.remedy_spec import Remedy
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import incidents, remedies
from sanityd.store.open import Store

log = logging.getLogger(__name__)
#: The shortest wait for the turn of a rule, in seconds.
_SHORTEST_WAIT = 0.01
#: How often a process that waits asks whether it is to stop, in seconds.
_STOP_ASKED = 0.5
#: How many attempts more are made of a request whose process died each time.
_LOST_ATTEMPTS = 3
#: Results that people are notified of.
_PROBLEMS = (RemedyState.FAILED, RemedyState.REFUSED)


@dataclass(frozen=True, slots=True)
class RemedySummary:
    """How many requests ended in each state, and the last problem of each rule."""

    states: Counter[RemedyState] = field(default_factory=Counter)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The numbers in words, as in `3 done, 1 refused`; empty when nothing was sent."""
        words = {**{state: state.value for state in RemedyState}}
        words[RemedyState.PLANNED] = "to be tried again"
        parts = [f"{count:,} {words[state]}" for state, count in self.states.items()]
        return ", ".join(parts)


def with_remedies(rules: RuleSet) -> list[Rule]:
    """Return the enabled rules that have a remedy."""
    return [rule for rule in rules.enabled() if rule.remedy is not None]


def run_pass(
    rules: RuleSet,
    store: Store,
    *,
    seconds: float | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> RemedySummary:
    """Plan what is repaired by itself, and send all that is due. To be called after notifications.

    Parameters: `seconds` is for how long at most; `stop` is asked between two requests. Raises
    StoreError.
    """
    selected = with_remedies(rules)
    if not selected:
        return RemedySummary()
    at = clock.now()
    with store.read() as connection:
        is_open = {incident.rule for incident in incidents.list_open(connection)}
    violated = [rule for rule in selected if rule.id in is_open]
    if violated:
        with store.write() as connection:
            for rule in violated:
                plan_automatically(connection, rules, rule, at)
    return send_due(rules, store, selected, seconds=seconds, stop=stop)


def send_due(
    rules: RuleSet,
    store: Store,
    selected: Sequence[Rule],
    *,
    seconds: float | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> RemedySummary:
    """Send the recorded requests of rules that are due, each rule at its rate.

    Ends when none is due, after `seconds`, or when `stop()` is true. Raises StoreError.
    """
    begin = clock.stopwatch()
    summary = RemedySummary()
    # A rule without a request is not asked again each time: that takes the lock of the store.
    waiting = _with_waiting_requests(store, selected)
    while not stop():
        waits = []
        for rule in waiting:
            wait = _send_next(rules, store, rule, summary)
            if wait is not None:
                waits.append(wait)
        if not waits:
            break
        left = float("inf") if seconds is None else seconds - (clock.stopwatch() - begin)
        # What is due much later, as after a failure, is for a later pass.
        if min(waits) > min(left, 60):
            break
        if min(waits) > 0:
            _pause(max(min(waits), _SHORTEST_WAIT), stop)
    return summary


def _with_waiting_requests(store: Store, selected: Sequence[Rule]) -> list[Rule]:
    with store.read() as connection:
        counts = remedies.counts(connection)
    return [
        rule
        for rule in selected
        if any(state.is_waiting and count for state, count in counts.get(rule.id, {}).items())
    ]


def _pause(seconds: float, stop: Callable[[], bool]) -> None:
    """Wait for some seconds, or until `stop()` is true, which is asked from time to time."""
    left = seconds
    while left > 0 and not stop():
        clock.pause(min(left, _STOP_ASKED))
        left -= _STOP_ASKED


def _send_next(rules: RuleSet, store: Store, rule: Rule, summary: RemedySummary) -> float | None:
    """Send one request of a rule, if it is its turn.

    Returns after how many seconds the next one may be due; None when none waits.
    """
    remedy = rule.remedy
    if remedy is None:
        return None
    at = clock.now()
    with store.write() as connection:
        if remedies.status_of(connection, rule.id).stopped_at is not None:
            return None
        # What a person approved is sent at once, also in quiet hours.
        held_back = AUTOMATIC if is_quiet(rules, rule, at) else None
        claimed = _claim(connection, rule, remedy, at, held_back)
        if claimed is None:
            next_at = remedies.next_turn(connection, rule.id, at, except_by=held_back)
            if next_at is None:
                return None
            return max((next_at - at).total_seconds(), _SHORTEST_WAIT)
        needed = _if_needed(connection, rules, rule, remedy, claimed, at)
        if needed is None:
            summary.states[RemedyState.CANCELLED] += 1
            return 0
    result = _attempt(remedy, needed, at)
    with store.write() as connection:
        state = _record(connection, rules, rule, claimed, result, clock.now())
    if state in _PROBLEMS:
        # In a transaction of its own: no fault of a message may lose the answer.
        with store.write() as connection:
            _tell_problem(connection, rules, rule, state, result, clock.now())
    if state is not None:
        summary.states[state] += 1
        if result.error:
            summary.problems[rule.id] = result.error
            log.warning("remedy of %s: %s", rule.id, result.error)
    return 0


def _claim(
    connection: Connection, rule: Rule, remedy: Remedy, at: datetime, held_back: str | None
) -> StoredRemedy | None:
    spec = remedy.filled
    return remedies.claim(
        connection,
        rule.id,
        at,
        lease=spec.timeout + remedies.LEASE_MARGIN,
        pause=spec.rate.pause,
        except_by=held_back,
    )


def _if_needed(
    connection: Connection,
    rules: RuleSet,
    rule: Rule,
    remedy: Remedy,
    claimed: StoredRemedy,
    at: datetime,
) -> StoredRemedy | None:
    """Return a request if its rows are open still; else cancel it and return None.

    A batch that was never sent is replaced by one without the rows that are not. One that may have
    arrived keeps its rows, as it keeps its id.
    """
    fingerprints = [row.fingerprint for row in claimed.rows]
    wanted = {row.request_id for row in claimed.rows}
    rows = [
        row
        for row in remedies.eligible_rows(connection, rule.id, at, fingerprints)
        if row.request_id in wanted
    ]
    # The fence counts all claims, also those before a person let it be sent again.
    if len(rows) == len(claimed.rows) or (rows and claimed.fence > 1):
        return _with_missing_values(claimed, rows)
    remedies.cancel_unsent(connection, claimed, at)
    words = "its rows are resolved, accepted or snoozed"
    if rows:
        words = "some of its rows are resolved, accepted or snoozed; a new request is for the rest"
    _write_audit(connection, rules, rule, claimed, RemedyState.CANCELLED, words, at)
    approval = Approval(claimed.author, claimed.reason, at)
    for request in requests_of(rule.id, remedy, rows, approval):
        remedies.plan(connection, to_be_stored(remedy.filled, request))
    return None


def _with_missing_values(claimed: StoredRemedy, rows: Sequence[RemedyRow]) -> StoredRemedy:
    """Return a request with the columns that it has no values of, as the rule names more now."""
    current = {row.request_id: row for row in rows}
    filled = []
    for row in claimed.rows:
        fresh = current.get(row.request_id, row)
        key, shown = {**fresh.key, **row.key}, {**fresh.shown, **row.shown}
        filled.append(replace(row, key=key, shown=shown))
    return replace(claimed, rows=tuple(filled))


def _attempt(remedy: Remedy, claimed: StoredRemedy, at: datetime) -> AttemptResult:
    if claimed.attempts > remedy.filled.attempts + _LOST_ATTEMPTS:
        return AttemptResult(RemedyState.PLANNED, error="no answer to it was ever recorded")
    try:
        request = build(remedy.filled, claimed)
    except RemedyValueError as error:
        return AttemptResult(RemedyState.REFUSED, error=error.message)
    return attempt(remedy.filled, request, at)


def _record(
    connection: Connection,
    rules: RuleSet,
    rule: Rule,
    claimed: StoredRemedy,
    result: AttemptResult,
    at: datetime,
) -> RemedyState | None:
    """Record the result of an attempt; None when the lease was lost meanwhile."""
    state, next_at = result.state, None
    if state is RemedyState.PLANNED:
        next_at = max(result.not_before or at, at + backoff(claimed.attempts))
        if rule.remedy is not None and claimed.attempts >= rule.remedy.filled.attempts:
            state = RemedyState.FAILED
    own = remedies.finish(
        connection, claimed, state, at, code=result.code, error=result.error, next_at=next_at
    )
    if not own:
        return None
    if next_at is not None and (result.is_down or result.not_before is not None):
        remedies.put_off(connection, rule.id, next_at)
    if not state.is_waiting:
        words = _result_words(result)
        _write_audit(connection, rules, rule, claimed, state, words, at, code=result.code)
    return state


def _result_words(result: AttemptResult) -> str:
    code = "" if result.code is None else f" ({result.code})"
    return result.error or f"the receiver accepted it{code}"


def _write_audit(  # noqa: PLR0913 (each is a part of the entry)
    connection: Connection,
    rules: RuleSet,
    rule: Rule,
    claimed: StoredRemedy,
    state: RemedyState,
    words: str,
    at: datetime,
    *,
    code: int | None = None,
) -> None:
    """Write the end of a request into the audit; that of one row is a part of its history."""
    detail: dict[str, object] = {
        "request": claimed.id,
        "rows": len(claimed.rows),
        "attempts": claimed.attempts,
        "code": code,
    }
    if len(claimed.rows) == 1:
        detail["fingerprint"] = claimed.rows[0].fingerprint
    incident = open_incident(connection, rules, rule, at)
    action = f"remedy {state.value}"
    record(connection, rule, at, action, words, incident=incident, detail=detail)


def _tell_problem(
    connection: Connection,
    rules: RuleSet,
    rule: Rule,
    state: RemedyState,
    result: AttemptResult,
    at: datetime,
) -> None:
    """Notify the recipients, once in an incident for each kind of end."""
    incident = open_incident(connection, rules, rule, at)
    occasion = f"{incident.id if incident else at.isoformat()} {state.value}"
    what = "was refused" if state is RemedyState.REFUSED else "was given up"
    words = f"a request of its remedy {what}: {result.error}"
    notify_recipients(connection, rules, rule, Reason.REMEDY_FAILED, words, at, occasion=occasion)
