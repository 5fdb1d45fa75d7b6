"""Plan → one Run per rule. A rule that fails is `errored` and leaves the others alone; a lost source skips the rest."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sanityd import clock, telemetry
from sanityd.checks import looking
from sanityd.checks.invariant import Invariant
from sanityd.checks.looking import Seen
from sanityd.checks.planner import Look, Plan
from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.model import Key, Outcome, Run
from sanityd.sources.base import Snapshot

#: Per rule: the open violations, by fingerprint, that the run must say something about.
OpenKeys = Mapping[str, Mapping[str, Key]]


@dataclass(frozen=True, slots=True)
class _Timed:
    """What a look cost."""

    seconds: float
    statements: int


def evaluate(plan: Plan, snapshot: Snapshot, open_keys: OpenKeys, at: datetime) -> Iterator[Run]:
    """Look at every rule of the plan, in order.

    Parameters: `open_keys` are the violations still open per rule, whose fate is looked up when they are no longer
    found; `at` is the time of the runs. Yields a Run for each rule, also for those the plan refused.
    """
    lost: SourceError | None = None
    for rule, error in plan.refused.items():
        yield _errored(rule, snapshot, at, error)
    for look in plan.looks:
        if lost is not None:
            yield skipped(look.invariant, at, lost)
            continue
        started, before = clock.stopwatch(), snapshot.statements
        try:
            seen = looking.see(look, open_keys.get(look.invariant.id, {}))
            run = _run(look, seen, at)
        except SourceError as error:
            lost = error
            run = skipped(look.invariant, at, error)
        except CheckError as error:
            run = _errored(look.invariant.id, snapshot, at, error, look.invariant.kind)
        except Exception as error:  # noqa: BLE001 (the edge of a rule: what breaks one leaves the others)
            telemetry.capture(error, rule=look.invariant.id)
            unexpected = CheckError(f"sanityd itself failed at this rule ({type(error).__name__})", SanitydError.hint)
            run = _errored(look.invariant.id, snapshot, at, unexpected, look.invariant.kind)
        yield replace(run, seconds=clock.stopwatch() - started, statements=snapshot.statements - before)


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


def _errored(rule: str, snapshot: Snapshot, at: datetime, error: CheckError, kind: str = "") -> Run:
    return Run(
        rule=rule,
        kind=kind,
        source=snapshot.source.settings.name,
        at=at,
        outcome=Outcome.ERRORED,
        error=error.message,
        hint=error.hint,
    )


def _run(look: Look, seen: Seen, at: datetime) -> Run:
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
        fates=seen.fates,
        severity=invariant.ladder.severity(seen.violations, seen.rows, seen.checked),
        key=look.key,
        proved_by=seen.proved_by,
    )
