"""Runs that changed something that no incident and no tracked row tells."""

from collections.abc import Iterator

from sanityd.model import Run
from sanityd.notifications.timeline.event import Event, EventKind, EventQuery
from sanityd.store import runs


def run_events(query: EventQuery) -> Iterator[Event]:
    """Yield the runs with another result than the run before."""
    before: Run | None = None
    for run in runs.iterate(query.connection, [query.rule], query.since):
        if before is not None and _result(run) != _result(before):
            words = _words(query, run, before)
            yield Event(run.at, query.rule, words, detail=_detail(run), kind=EventKind.RUN)
        before = run


def _result(run: Run) -> tuple[str, int]:
    return run.verdict, run.violations


def _words(query: EventQuery, run: Run, before: Run) -> str:
    if not run.answered:
        return f"run {run.outcome.value}"
    now = _number(query, run)
    if not before.answered:
        return f"run with an answer again: {now}"
    return f"run found {now}, {_number(query, before)} before"


def _number(query: EventQuery, run: Run) -> str:
    return query.counted(query.rule, run.violations) or "no violations"


def _detail(run: Run) -> str:
    if run.answered:
        return run.detail
    return run.error or ""
