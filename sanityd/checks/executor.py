"""Plan → one Run per rule. A rule that fails is `errored` and leaves the others alone; a lost source skips the rest."""

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from sanityd import clock, telemetry
from sanityd.checks import evaluation
from sanityd.checks.base import FunctionCheck
from sanityd.checks.counts import SharedCounts
from sanityd.checks.findings import Evaluation
from sanityd.checks.invariant import Invariant
from sanityd.checks.isolate_error import blamed
from sanityd.checks.planner import Plan, PlannedCheck
from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.model import Key, Outcome, Run
from sanityd.sources.base import Snapshot

#: Per rule: the open violations, by fingerprint, that the run must say something about.
OpenKeys = Mapping[str, Mapping[str, Key]]
#: From how many rows on, of all tables together, a second connection is worth opening.
WORTHWHILE = 200_000


def evaluate(plan: Plan, snapshot: Snapshot, open_keys: OpenKeys, at: datetime) -> Iterator[Run]:
    """Look at every rule of the plan, in order.

    Parameters: `open_keys` are the violations still open per rule, whose fate is looked up when they are no longer
    found; `at` is the time of the runs. Yields a Run for each rule, also for those the plan refused.
    """
    for rule, error in plan.refused.items():
        yield _errored(rule, snapshot.source.settings.name, at, error)
    work = _EvaluationTask(plan, open_keys, at)
    with _second_pair_of_eyes(work, snapshot):
        waiting = {look.invariant.id: None for look in plan.looks}
        while waiting:
            if not work.one():
                work.wait()
            while waiting and (run := work.done.get(first := next(iter(waiting)))) is not None:
                del waiting[first]
                yield run


class _EvaluationTask:
    """What is to be done, by whoever has time, and what came of it."""

    def __init__(self, plan: Plan, open_keys: OpenKeys, at: datetime) -> None:
        believed = {
            look.invariant.id
            for look in plan.looks
            if evaluation.believes(look, open_keys.get(look.invariant.id, {}))
        }
        self.done: dict[str, Run] = {}
        self._open_keys = open_keys
        self._at = at
        self._units = deque(plan.units(believed))
        self._tallies = {
            look.invariant.id: tally
            for looks in plan.counted(believed)
            for tally in [SharedCounts(looks)]
            for look in looks
        }
        self._lost: SourceError | None = None
        self._changed = threading.Condition()

    @property
    def left(self) -> Sequence[tuple[PlannedCheck, ...]]:
        """What nobody has begun with."""
        return tuple(self._units)

    def one(self, *, shared: bool = False) -> bool:
        """Do the next unit; False when there is none. `shared`: one that needs nothing but its own snapshot."""
        with self._changed:
            unit = next((unit for unit in self._units if not (shared and _is_bound(unit[0]))), None)
            if unit is None:
                return False
            self._units.remove(unit)
        try:
            runs = self._look(unit)
        except BaseException:
            # Whoever gives up leaves the work to the other.
            with self._changed:
                self._units.append(unit)
                self._changed.notify_all()
            raise
        with self._changed:
            self.done |= {run.rule: run for run in runs}
            self._changed.notify_all()
        return True

    def wait(self) -> None:
        """Until somebody else has done something. At once when all is done."""
        with self._changed:
            self._changed.wait(timeout=0.5)

    def drop(self) -> None:
        """Begin with nothing more."""
        with self._changed:
            self._units.clear()

    def _look(self, unit: tuple[PlannedCheck, ...]) -> list[Run]:
        if self._lost is not None:
            return [skipped(look.invariant, self._at, self._lost) for look in unit]
        try:
            return self._look_together(unit) if len(unit) > 1 else [self._look_at(unit[0])]
        except SourceError as error:
            self._lost = error
            return [skipped(look.invariant, self._at, error) for look in unit]

    def _look_together(self, unit: tuple[PlannedCheck, ...]) -> list[Run]:
        """What they share is told of the first of them (statements) and of each its part (seconds)."""
        snapshot = unit[0].scope.snapshot
        started, before = clock.stopwatch(), snapshot.statements
        tally = self._tallies.get(unit[0].invariant.id)
        try:
            seen = list(evaluation.see_together(unit, self._open_keys, tally))
        except SourceError:
            raise
        except Exception:
            return [self._look_at(look) for look in unit]
        seconds, statements = (
            (clock.stopwatch() - started) / len(unit),
            snapshot.statements - before,
        )
        runs = [self._run(look, found) for look, found in seen]
        return [
            replace(run, seconds=seconds, statements=statements if place == 0 else 0)
            for place, run in enumerate(runs)
        ]

    def _look_at(self, look: PlannedCheck) -> Run:
        snapshot = look.scope.snapshot
        started, before = clock.stopwatch(), snapshot.statements
        open_keys = self._open_keys.get(look.invariant.id, {})
        try:
            run = self._run(
                look, evaluation.see(look, open_keys, self._tallies.get(look.invariant.id))
            )
        except SourceError:
            raise
        except CheckError as error:
            run = self._run(look, blamed(look, error))
        except Exception as error:
            telemetry.capture(error, rule=look.invariant.id)
            unexpected = CheckError(
                f"sanityd itself failed at this rule ({type(error).__name__})", SanitydError.hint
            )
            run = self._run(look, unexpected)
        return replace(
            run, seconds=clock.stopwatch() - started, statements=snapshot.statements - before
        )

    def _run(self, look: PlannedCheck, seen: Evaluation | CheckError) -> Run:
        if isinstance(seen, CheckError):
            return errored(look.invariant, self._at, seen)
        return _run(look, seen, self._at)


def _is_bound(look: PlannedCheck) -> bool:
    """Whether it needs another source, or runs a function of the user's: one thread does all of these."""
    return look.other is not None or isinstance(look.invariant.check, FunctionCheck)


@contextmanager
def _second_pair_of_eyes(work: _EvaluationTask, snapshot: Snapshot) -> Iterator[None]:
    """A second thread, with a connection of its own to the same instant, where there is enough to do for two."""
    left = [unit for unit in work.left if not _is_bound(unit[0])]
    tables = {look.invariant.subject.table: look.scope.info for unit in left for look in unit}
    thread = None
    if (
        len(left) > 1
        and sum(table.estimate or 0 for table in tables.values()) >= WORTHWHILE
        and snapshot.share()
    ):
        thread = threading.Thread(
            target=_look_beside, args=(work, snapshot), name="sanityd-look", daemon=True
        )
        thread.start()
    try:
        yield
    finally:
        if thread is not None:
            work.drop()
            thread.join()


def _look_beside(work: _EvaluationTask, snapshot: Snapshot) -> None:
    with snapshot.beside() as ready:
        while ready and work.one(shared=True):
            pass


def skipped(invariant: Invariant, at: datetime, error: SourceError) -> Run:
    """The run of a rule whose source did not answer."""
    return Run(
        rule=invariant.id,
        kind=invariant.kind,
        source=invariant.subject.source,
        at=at,
        outcome=Outcome.SKIPPED,
        down=error.source or invariant.subject.source,
        error=error.message,
        hint=error.hint,
    )


def errored(invariant: Invariant, at: datetime, error: CheckError) -> Run:
    """The run of a rule that could not be evaluated."""
    return _errored(invariant.id, invariant.subject.source, at, error, invariant.kind)


def _errored(rule: str, source: str, at: datetime, error: CheckError, kind: str = "") -> Run:
    return Run(
        rule=rule,
        kind=kind,
        source=source,
        at=at,
        outcome=Outcome.ERRORED,
        error=error.message,
        hint=error.hint,
    )


def _run(look: PlannedCheck, seen: Evaluation, at: datetime) -> Run:
    invariant = look.invariant
    return Run(
        rule=invariant.id,
        kind=invariant.kind,
        source=invariant.subject.source,
        at=at,
        outcome=Outcome.TRUNCATED if seen.violations > len(seen.tracked) else Outcome.COMPLETE,
        violations=seen.violations,
        rows=seen.rows,
        checked=seen.checked,
        measured=seen.measured,
        tracked=seen.tracked,
        resolutions=seen.resolutions,
        severity=invariant.ladder.severity(seen.violations, seen.rows, seen.checked),
        key=look.key,
        proved_by=seen.proved_by,
        incremental=seen.incremental,
        newest=look.newest,
        state=look.state,
    )
