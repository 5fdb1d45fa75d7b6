"""One pass over rules: evaluate, record, notify, deliver. `check` and the Python API make it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sanityd import clock, pipeline
from sanityd.alerts.dispatcher import DispatchSummary
from sanityd.api.rechecks import Rechecks
from sanityd.checks.confirm import Suspects
from sanityd.daemon import rule_changes
from sanityd.errors import StoreError
from sanityd.model import Run, Severity
from sanityd.pipeline import Result
from sanityd.rules.rule import Rule, RuleSet
from sanityd.store import leases, notification_log, outbox_summary, retention
from sanityd.store.leases import Lease
from sanityd.store.open import Store

#: How long a pass waits for the mail server; the rest stays in the outbox for the next pass.
DELIVERY_SECONDS = 30.0
#: Exit codes: something was violated; something is not known.
VIOLATED, UNKNOWN = 1, 3


class Observer:
    """What a caller does while a pass goes on; this one does nothing but wait."""

    def begin(self, rules: Sequence[Rule]) -> None:
        """Called with the rules before the first one is evaluated."""

    def read(self, source: str) -> None:
        """Called with the name of a source before its rules are evaluated."""

    def seen(self, run: Run) -> None:
        """Called with each run as it ends."""

    def repaired(self, words: str) -> None:
        """Called with what became of the remedies, if a rule has one; empty for nothing."""

    def end(self) -> None:
        """Called when all rules were evaluated, also after an error."""

    def wait(self, rechecks: Rechecks) -> None:
        """Return when all rechecks are due."""
        clock.pause(rechecks.seconds_left())


@dataclass(frozen=True, slots=True)
class PassResult:
    """What became of a pass that was recorded."""

    #: In the order of the rules.
    results: tuple[Result, ...]
    delivered: DispatchSummary
    #: The number of messages that are still in the outbox.
    waiting: int
    #: The recipients of open incidents whose last message was given up.
    unnotified: int
    #: The number of open violations by rule that was removed from the file since the last pass.
    removed: Mapping[str, int] = field(default_factory=dict)
    #: The lease of `sanityd serve`, if it ever ran.
    daemon: Lease | None = None
    #: The old id of each rule that seems to be one of the removed ones.
    suggested_renames: Mapping[str, str] = field(default_factory=dict)

    @property
    def code(self) -> int:
        """The exit code."""
        return exit_code(self.results, self.delivered, self.waiting + self.unnotified)


def recorded(
    rules: RuleSet,
    store: Store,
    at: datetime,
    observer: Observer,
    select: Callable[[Store], Sequence[Rule]],
    *,
    is_complete: bool,
) -> PassResult:
    """Evaluate, record, notify and deliver; then remove data that is past its retention.

    Parameters: `select` returns the rules, after changes of the file were adopted; `is_complete`
    says that no rule is left out, so that those that are no longer in the file were removed.
    Raises StoreError.
    """
    with store.read() as connection:
        suggested = pipeline.suggested_renames(connection, rules)
    rule_changes.adopt(rules, store, at)
    selected = select(store)
    rechecks = Rechecks()
    results = _run(rules, selected, store, at, rechecks, observer)
    delivered = DispatchSummary()
    if rechecks.rules:
        # What needs no confirmation is mailed before the wait. What could not be delivered is
        # tried again, or counted as waiting, after it.
        early = pipeline.deliver(rules, store, seconds=DELIVERY_SECONDS)
        delivered = replace(early, retried=0)
        results += _recheck(rules, store, rechecks, observer)
    # What follows must not be judged by a time before the rechecks.
    now = clock.now() if rechecks.rules else at
    removed: Mapping[str, int] = {}
    if is_complete:
        removed = pipeline.forget_removed(rules, store, now)
    pipeline.notify_due(rules, store, now)
    delivered += pipeline.deliver(rules, store, seconds=DELIVERY_SECONDS)
    if any(rule.remedy for rule in rules.enabled()):
        from sanityd.pipeline.remedies import running

        observer.repaired(running.run_pass(rules, store, seconds=DELIVERY_SECONDS).text)
        # Remedies may have news for the recipients.
        delivered += pipeline.deliver(rules, store, seconds=DELIVERY_SECONDS)
    with store.read() as connection:
        waiting = outbox_summary.count_undelivered(connection, now)
        unnotified = notification_log.count_undelivered_recipients(connection)
        daemon = leases.get(connection, rules.name)
    _apply_retention(store, now, rules.alerts.keep_audit)
    return PassResult(
        _in_order(results, selected),
        delivered,
        waiting,
        unnotified,
        removed,
        daemon,
        {new: old for old, new in suggested},
    )


def dry(
    rules: RuleSet, selected: Sequence[Rule], at: datetime, observer: Observer
) -> tuple[Result, ...]:
    """Evaluate rules without a store: nothing is recorded or mailed. Returns the results."""
    rechecks = Rechecks()
    results = _run(rules, selected, None, at, rechecks, observer)
    if rechecks.rules:
        results += _recheck(rules, None, rechecks, observer)
    return _in_order(results, selected)


def exit_code(results: Iterable[Result], delivered: DispatchSummary | None, waiting: int) -> int:
    """Return the exit code of a pass. What is unknown outranks a violation, as it may hide more."""
    if waiting or (delivered is not None and (delivered.retried or delivered.dead)):
        return UNKNOWN
    code = 0
    for result in results:
        if result.run.verdict in ("errored", "skipped"):
            return UNKNOWN
        if result.severity is not None and result.severity >= Severity.ERROR:
            code = VIOLATED
    return code


def _run(
    rules: RuleSet,
    selected: Sequence[Rule],
    store: Store | None,
    at: datetime,
    rechecks: Rechecks,
    observer: Observer,
) -> list[Result]:
    """Run the rules source by source; those that must be confirmed are added to `rechecks`."""

    def seen(run: Run) -> None:
        if run.unconfirmed:
            rechecks.add(rules.rules[run.rule], run)
        observer.seen(run)

    results: list[Result] = []
    observer.begin(selected)
    try:
        for source, batch in rules.by_source(selected).items():
            observer.read(source)
            results += _run_batch(rules, batch, store, at, seen)
    finally:
        observer.end()
    return results


def _recheck(
    rules: RuleSet, store: Store | None, rechecks: Rechecks, observer: Observer
) -> list[Result]:
    """Wait, once, until all rechecks are due, and run these rules again."""
    observer.wait(rechecks)
    at = clock.now()
    results: list[Result] = []
    for batch in rules.by_source(rechecks.rules).values():
        results += _run_batch(rules, batch, store, at, suspects=rechecks.suspects)
    return results


def _run_batch(
    rules: RuleSet,
    batch: Sequence[Rule],
    store: Store | None,
    at: datetime,
    seen: Callable[[Run], object] = lambda _: None,
    suspects: Mapping[str, Suspects] | None = None,
) -> list[Result]:
    """Run rules of one source; record nothing without a store. Returns the runs that count."""
    if store is not None:
        return pipeline.run_batch(rules, batch, store, at, seen, suspects=suspects)
    results: list[Result] = []
    for run in pipeline.evaluate(rules, batch, at, suspects=suspects or {}):
        seen(run)
        if not run.unconfirmed:
            results.append(Result(rules.rules[run.rule], run))
    return results


def _in_order(results: Iterable[Result], selected: Sequence[Rule]) -> tuple[Result, ...]:
    """Return the results in the order of the rules."""
    order = {rule.id: number for number, rule in enumerate(selected)}
    return tuple(sorted(results, key=lambda result: order[result.rule.id]))


def _apply_retention(store: Store, at: datetime, keep_audit: timedelta | None) -> None:
    """Remove old data. A failure does not fail the pass; the next pass tries again."""
    with suppress(StoreError):
        retention.apply_retention(store, at, keep_audit)
