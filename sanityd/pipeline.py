"""One batch, end to end: READ THIS FIRST. The rooms know nothing of each other; here they meet.

    evaluate     open keys from the store → one read-only snapshot of the source → plan → a Run per rule
    record       what we knew + what the run saw → transitions, incident → who is told, and why → all in one transaction
    deliver      outbox → channels

The watched database is closed before the store's transaction opens; mail is only ever sent from the outbox.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from sanityd import __version__, clock, lifecycle
from sanityd.alerts import dispatcher, policy
from sanityd.alerts.dispatcher import DispatchSummary
from sanityd.alerts.render import render
from sanityd.checks import confirm, executor, planner
from sanityd.checks.confirm import Suspicion
from sanityd.errors import SourceError
from sanityd.model import Alert, Change, Incident, Key, Outcome, Past, Reason, Run, Tracked, Transition
from sanityd.rules.rule import Rule, RuleSet
from sanityd.sources.views import Views
from sanityd.store import audit, incidents, outbox, rules_seen, runs, suspects, violations
from sanityd.store.open import Store
from sanityd.store.outbox import Outbox

#: How long a message may wait for its mail server before it is given up.
EXPIRES = timedelta(hours=72)
#: How many runs the bar picture of a mail shows.
HISTORY = 14


@dataclass(frozen=True, slots=True)
class Result:
    """What one rule's run came to."""

    rule: Rule
    run: Run
    changes: Mapping[Change, int] = field(default_factory=dict)
    incident: Incident | None = None
    #: Why each recipient is told, or isn't.
    reasons: tuple[Reason, ...] = ()
    #: How many messages it put into the outbox.
    queued: int = 0


def evaluate(
    rules: RuleSet,
    batch: Sequence[Rule],
    at: datetime,
    open_keys: Mapping[str, Mapping[str, Key]] | None = None,
    past: Mapping[str, Past] | None = None,
) -> Iterator[Run]:
    """Look at rules of one source, in one snapshot; yields a Run per rule. Records nothing.

    Parameters: `open_keys` are the open violations per rule, whose fate is looked up; `past` is what rules that learn
    have measured before. When the source doesn't answer, every run is `skipped`.
    """
    if not batch:
        return
    known, source = open_keys or {}, batch[0].source
    suspects: list[tuple[Rule, Run]] = []
    by_id = {rule.id: rule for rule in batch}
    for run in _look(rules, source, batch, at, known, past or {}):
        if confirm.is_suspect(by_id[run.rule].invariant, run, known.get(run.rule, {})):
            suspects.append((by_id[run.rule], run))
        else:
            yield run
    yield from _confirm(rules, source, suspects, at, known)


def _look(
    rules: RuleSet,
    source: str,
    batch: Sequence[Rule],
    at: datetime,
    open_keys: Mapping[str, Mapping[str, Key]],
    past: Mapping[str, Past],
) -> Iterator[Run]:
    """One look at each rule, in one snapshot per source, all given back at the end."""
    invariants = [rule.invariant for rule in batch]
    try:
        with Views(rules.sources) as views:
            snapshot = views.snapshot(source)
            plan = planner.plan(invariants, snapshot, past, views.snapshot)
            yield from executor.evaluate(plan, snapshot, open_keys, at)
    except SourceError as error:
        yield from (executor.skipped(invariant, at, error) for invariant in invariants)


def _confirm(
    rules: RuleSet,
    source: str,
    suspects: Sequence[tuple[Rule, Run]],
    at: datetime,
    open_keys: Mapping[str, Mapping[str, Key]],
) -> Iterator[Run]:
    """Look again at what two databases seem to disagree about: at once, and after a while, holding no snapshot."""
    for wait in (False, True):
        if wait and suspects:
            clock.pause(max(rule.invariant.confirm.after for rule, _ in suspects).total_seconds())
        seen = {run.rule: run for run in _look(rules, source, [rule for rule, _ in suspects], at, open_keys, {})}
        left = []
        for rule, first in suspects:
            known = open_keys.get(rule.id, {})
            run = confirm.confirmed(rule.invariant, first, seen[rule.id], known)
            if confirm.is_suspect(rule.invariant, run, known):
                left.append((rule, run))
            else:
                yield run
        suspects = left
    yield from (run for _, run in suspects)


def run_batch(
    rules: RuleSet, batch: Sequence[Rule], store: Store, at: datetime, seen: Callable[[Run], object] = lambda _: None
) -> list[Result]:
    """Evaluate rules of one source and record what was seen.

    Parameters: `seen` is called with each run as it ends, for progress. Raises StoreError when it can't be remembered.
    """
    with store.read() as memory:
        open_keys = {rule.id: violations.open_keys(memory, rule.id) for rule in batch}
        past = {rule.id: runs.measured(memory, rule.id) for rule in batch if rule.learns}
    found = []
    for run in evaluate(rules, batch, at, open_keys, past):
        seen(run)
        found.append(run)
    by_id = {rule.id: rule for rule in batch}
    with store.write() as memory:
        return [record(memory, rules, by_id[run.rule], run) for run in found]


def record(memory: Connection, rules: RuleSet, rule: Rule, run: Run) -> Result:
    """Remember one run and what follows from it: transitions, incident, decisions, messages."""
    run = _not_suddenly_empty(memory, rule, run)
    late = runs.newest_at(memory, [rule.id], run.at).get(rule.id)
    if late is not None and run.at < late:
        # Two passes overlapped and this one looked earlier, maybe by older rules: what it saw is history, not news.
        before = incidents.open_for(memory, rule.id)
        runs.record(memory, run, revision=rules.revision, incident=before.id if before else None)
        return Result(rule, run, incident=before, reasons=(Reason.KNOWN,))
    _close_if_changed(memory, rules, rule, run.at)
    before = incidents.open_for(memory, rule.id)
    known = violations.known(memory, rule.id, run.at)
    run = _without_suspects(memory, rule, run, known)
    transitions = lifecycle.transitions(known, run)
    incident = lifecycle.incident_after(before, run, transitions, meaning=rule.meaning)
    violations.apply(memory, rule.id, rule.source, transitions, run.at)
    if incident is not None:
        incidents.save(memory, incident)
    runs.record(memory, run, revision=rules.revision, incident=incident.id if incident else None)
    changes = count_changes(transitions)
    decided = list(_tell(memory, rules, rule, run, incident, changes)) if incident is not None else []
    queued = sum(was_queued for _, was_queued in decided)
    return Result(rule, run, changes, incident, tuple(reason for reason, _ in decided), queued)


def forget_removed(rules: RuleSet, store: Store, at: datetime) -> list[str]:
    """Close what is open of rules that have left this file: never called fixed. Returns their ids."""
    with store.write() as memory:
        gone = rules_seen.removed(memory, rules.name, rules.rules, at)
        for rule in gone:
            _close(memory, rule, lifecycle.close_removed, at)
    return gone


def deliver(
    rules: RuleSet, store: Store, *, seconds: float | None = None, stop: Callable[[], bool] = lambda: False
) -> DispatchSummary:
    """Send what is due in the outbox, for at most so many seconds."""
    begun = clock.stopwatch()

    def enough() -> bool:
        return stop() or (seconds is not None and clock.stopwatch() - begun > seconds)

    return dispatcher.dispatch(Outbox(store), rules.channels, now=clock.now, until=enough)


def count_changes(transitions: Iterable[Transition]) -> dict[Change, int]:
    """How many rows changed how."""
    counts: dict[Change, int] = {}
    for transition in transitions:
        counts[transition.change] = counts.get(transition.change, 0) + 1
    return counts


def _not_suddenly_empty(memory: Connection, rule: Rule, run: Run) -> Run:
    """A scope that is empty where it never was is an error, not green, unless the rule says otherwise."""
    if run.outcome is not Outcome.COMPLETE or run.checked != 0 or rule.invariant.subject.empty_fails is not None:
        return run
    if run.severity is not None or not runs.never_empty(memory, rule.id):
        return run
    return replace(
        run,
        outcome=Outcome.ERRORED,
        error="there are no rows in scope, and there always were some before",
        hint="If that is right, say `when_empty: pass` in the rule; if it is a violation, `when_empty: fail`.",
    )


def _without_suspects(memory: Connection, rule: Rule, run: Run, known: Mapping[str, Tracked]) -> Run:
    """Rows that a later run must see, too, before they count, are remembered for it."""
    if rule.invariant.confirm.runs == 1 or run.outcome not in (Outcome.COMPLETE, Outcome.TRUNCATED):
        return run
    before = Suspicion(*suspects.of_rule(memory, rule.id))
    run, left = confirm.held_back(rule.invariant, run, before, {mark for mark, row in known.items() if row.open})
    suspects.remember(memory, rule.id, left.times, left.beyond, run.at)
    return run


def _close_if_changed(memory: Connection, rules: RuleSet, rule: Rule, at: datetime) -> None:
    """A rule that means something else now starts anew: what was open under the old meaning is closed as such."""
    if rules_seen.meaning(memory, rules.name, rule.id) not in (None, rule.meaning):
        _close(memory, rule.id, lifecycle.close_changed, at)
    rules_seen.remember(memory, rules.name, rule.id, rule.meaning, rules.revision, at)


def _close(memory: Connection, rule: str, closing: lifecycle.Closing, at: datetime) -> None:
    incident = incidents.open_for(memory, rule)
    transitions, closed = closing(violations.known(memory, rule, at), incident, at)
    violations.apply(memory, rule, incident.source if incident else "", transitions, at)
    suspects.forget(memory, rule)
    if closed is not None:
        incidents.save(memory, closed)
        outbox.cancel_pending(memory, closed.id, at)
        audit.append(memory, at, "sanityd", "closed", "rule changed or removed", rule=rule, incident=closed.id)


def _tell(
    memory: Connection, rules: RuleSet, rule: Rule, run: Run, incident: Incident, changes: Mapping[Change, int]
) -> Iterator[tuple[Reason, bool]]:
    """Decide for each recipient whether there is news, and put it into the outbox. Every decision is kept.

    Yields each reason, and whether it led to a message that wasn't in the outbox yet.
    """
    told = outbox.told(memory, incident.id)
    given_up = outbox.given_up(memory, incident.id, run.at)
    if not incident.open:
        outbox.cancel_pending(memory, incident.id, run.at)
    rows: tuple[Tracked, ...] | None = None
    for name in rule.notify:
        for recipient in rules.channels[name].recipients():
            knows = told.get((name, recipient))
            reason = policy.decide(incident, knows, run)
            if not reason.mails:
                yield reason, False
                continue
            rows = tuple(violations.open_rows(memory, rule.id)) if rows is None else rows
            alert = Alert(
                reason=reason,
                at=run.at,
                rule=rule.facts(rules.revision, run.key),
                incident=incident,
                sentence=rule.sentence(run),
                complete=run.outcome is Outcome.COMPLETE,
                rows=rows,
                changes=changes,
                told=knows,
                history=runs.history(memory, rule.id, HISTORY),
                channel=name,
            )
            message = render(
                alert, recipient=recipient, zone=ZoneInfo(rules.zone), version=__version__, rows=rules.rows_in_mail
            )
            queued = outbox.enqueue(
                memory,
                message,
                incident=incident.id,
                rule=rule.id,
                reason=reason,
                severity=incident.severity,
                violations=incident.violations,
                dedup_key=policy.dedup_key(
                    incident, reason, knows, name, recipient, given_up.get((name, recipient), 0)
                ),
                at=run.at,
                expires_at=run.at + EXPIRES,
            )
            if queued:
                audit.append(memory, run.at, "sanityd", "told", reason, rule=rule.id, incident=incident.id)
            yield reason, queued
