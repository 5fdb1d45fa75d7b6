"""Works through a plan: one Run per rule.

A rule that fails is `errored` and leaves the others alone; a lost source skips the rest.
"""

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from sanityd import clock, telemetry
from sanityd.checks import evaluation
from sanityd.checks.counts import SharedCounts
from sanityd.checks.findings import Evaluation
from sanityd.checks.invariant import Invariant
from sanityd.checks.isolate_error import isolated_error
from sanityd.checks.plan import Plan, PlannedCheck
from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.model import Key, Outcome, Run
from sanityd.sources.base import Snapshot

#: Per rule: the open violations, by fingerprint, that the run must say something about.
OpenKeys = Mapping[str, Mapping[str, Key]]
#: The checks that are answered by the same statements.
Unit = tuple[PlannedCheck, ...]
#: From how many rows on, of all tables together, a second connection is opened.
PARALLEL_FROM_ROWS = 200_000


def evaluate(plan: Plan, snapshot: Snapshot, open_keys: OpenKeys, at: datetime) -> Iterator[Run]:
    """Evaluate every rule of the plan, in order.

    Parameters: `open_keys` are the violations still open per rule, whose resolution is looked up
    when they are not found again; `at` is the time of the runs. Yields a Run for each rule, also
    for those that the plan refused.
    """
    for rule, error in plan.refused.items():
        yield _errored(rule, snapshot.source.settings.name, at, error)
    task = _EvaluationTask(plan, open_keys, at)
    with _second_thread(task, snapshot):
        pending = deque(planned.rule for planned in plan.checks)
        while pending:
            if not task.do_next():
                task.wait()
            while pending and pending[0] in task.runs:
                yield task.runs[pending.popleft()]


class _EvaluationTask:
    """The units of a plan that are to be evaluated, and the runs so far. Threads share it."""

    def __init__(self, plan: Plan, open_keys: OpenKeys, at: datetime) -> None:
        trusted: set[str] = set()
        for planned in plan.checks:
            if evaluation.is_trusted(planned, open_keys.get(planned.rule, {})):
                trusted.add(planned.rule)
        self.runs: dict[str, Run] = {}
        self._open_keys = open_keys
        self._at = at
        self._units = deque(plan.units(trusted))
        self._counts: dict[str, SharedCounts] = {}
        for planned_checks in plan.counted(trusted):
            counts = SharedCounts(planned_checks)
            self._counts |= dict.fromkeys((planned.rule for planned in planned_checks), counts)
        self._source_error: SourceError | None = None
        self._changed = threading.Condition()

    @property
    def shareable_units(self) -> Sequence[Unit]:
        """The units that nobody has begun, and that a second thread may evaluate."""
        return [unit for unit in self._units if not unit[0].needs_main_thread]

    def do_next(self, *, in_second_thread: bool = False) -> bool:
        """Evaluate the next unit. Returns False when there is none for this thread."""
        unit = self._take(in_second_thread=in_second_thread)
        if unit is None:
            return False
        try:
            runs = self._evaluate(unit)
        except BaseException:
            # Whoever gives up leaves the work to the other thread.
            with self._changed:
                self._units.append(unit)
                self._changed.notify_all()
            raise
        with self._changed:
            self.runs |= {run.rule: run for run in runs}
            self._changed.notify_all()
        return True

    def wait(self) -> None:
        """Wait until the other thread has done something, at most half a second."""
        with self._changed:
            self._changed.wait(timeout=0.5)

    def drop(self) -> None:
        """Begin no more units."""
        with self._changed:
            self._units.clear()

    def _take(self, *, in_second_thread: bool) -> Unit | None:
        with self._changed:
            for unit in self._units:
                if not (in_second_thread and unit[0].needs_main_thread):
                    self._units.remove(unit)
                    return unit
        return None

    def _evaluate(self, unit: Unit) -> list[Run]:
        if self._source_error is not None:
            return self._skipped(unit, self._source_error)
        try:
            if len(unit) > 1:
                return self._evaluate_together(unit)
            return [self._evaluate_alone(unit[0])]
        except SourceError as error:
            self._source_error = error
            return self._skipped(unit, error)

    def _evaluate_together(self, unit: Unit) -> list[Run]:
        """Evaluate checks that share statements.

        The statements count for the first of them; the seconds are divided equally.
        """
        snapshot = unit[0].scope.snapshot
        started, before = clock.stopwatch(), snapshot.statements
        counts = self._counts.get(unit[0].rule)
        try:
            results = list(evaluation.evaluate_together(unit, self._open_keys, counts))
        except SourceError:
            raise
        except Exception:  # noqa: BLE001 (each rule is evaluated alone next)
            return [self._evaluate_alone(planned) for planned in unit]
        seconds = (clock.stopwatch() - started) / len(unit)
        statements = snapshot.statements - before
        runs: list[Run] = []
        for planned, result in results:
            run = self._run(planned, result)
            runs.append(replace(run, seconds=seconds, statements=statements))
            statements = 0
        return runs

    def _evaluate_alone(self, planned: PlannedCheck) -> Run:
        snapshot = planned.scope.snapshot
        started, before = clock.stopwatch(), snapshot.statements
        run = self._run(planned, self._result(planned))
        seconds, statements = clock.stopwatch() - started, snapshot.statements - before
        return replace(run, seconds=seconds, statements=statements)

    def _result(self, planned: PlannedCheck) -> Evaluation | CheckError:
        """The result, or the error of a check that fails. Raises SourceError."""
        open_keys = self._open_keys.get(planned.rule, {})
        counts = self._counts.get(planned.rule)
        try:
            return evaluation.evaluate_check(planned, open_keys, counts)
        except SourceError:
            raise
        except CheckError as error:
            return isolated_error(planned, error)
        except Exception as error:  # noqa: BLE001 (one rule must not stop the others)
            telemetry.capture(error, rule=planned.rule)
            message = f"sanityd itself failed at this rule ({type(error).__name__})"
            return CheckError(message, SanitydError.hint)

    def _run(self, planned: PlannedCheck, result: Evaluation | CheckError) -> Run:
        if isinstance(result, CheckError):
            return errored(planned.invariant, self._at, result)
        return _complete(planned, result, self._at)

    def _skipped(self, unit: Unit, error: SourceError) -> list[Run]:
        return [skipped(planned.invariant, self._at, error) for planned in unit]


@contextmanager
def _second_thread(task: _EvaluationTask, snapshot: Snapshot) -> Iterator[None]:
    """Evaluate in a second thread, too, if the database allows for it and the work is worth it.

    The thread has a connection of its own that sees the same instant.
    """
    thread = None
    if _is_worth_two_threads(task) and snapshot.export_snapshot():
        thread = threading.Thread(
            target=_work_in_second_thread,
            args=(task, snapshot),
            name="sanityd-evaluation",
            daemon=True,
        )
        thread.start()
    try:
        yield
    finally:
        if thread is not None:
            task.drop()
            thread.join()


def _is_worth_two_threads(task: _EvaluationTask) -> bool:
    units = task.shareable_units
    if len(units) < 2:
        return False
    estimates: dict[object, int] = {}
    for unit in units:
        for planned in unit:
            estimates[planned.invariant.subject.table] = planned.scope.info.estimate or 0
    return sum(estimates.values()) >= PARALLEL_FROM_ROWS


def _work_in_second_thread(task: _EvaluationTask, snapshot: Snapshot) -> None:
    with snapshot.second_connection() as is_connected:
        while is_connected and task.do_next(in_second_thread=True):
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


def _complete(planned: PlannedCheck, result: Evaluation, at: datetime) -> Run:
    invariant = planned.invariant
    return Run(
        rule=invariant.id,
        kind=invariant.kind,
        source=invariant.subject.source,
        at=at,
        outcome=Outcome.TRUNCATED if result.truncated else Outcome.COMPLETE,
        violations=result.violations,
        rows=result.rows,
        checked=result.checked,
        measured=result.measured,
        tracked=result.tracked,
        resolutions=result.resolutions,
        severity=invariant.ladder.severity(result.violations, result.rows, result.checked),
        key=planned.key,
        proved_by=result.proved_by,
        detail=result.detail,
        incremental=result.incremental,
        newest=planned.newest,
        state=planned.state,
    )
