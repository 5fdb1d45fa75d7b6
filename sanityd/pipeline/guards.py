"""Doubts about a run that need the store: it may count for less than it says, or not at all."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from sanityd.checks import confirm
from sanityd.checks.confirm import PendingConfirmation
from sanityd.model import Outcome, Run, TrackedViolation, Violation, fingerprint
from sanityd.rules.rule import Rule
from sanityd.store import pending_confirmations, runs, violations


def fail_if_suddenly_empty(connection: Connection, rule: Rule, run: Run) -> Run:
    """Return the run as an errored one when its scope is empty for the first time.

    Not when the rule says what an empty scope means, or when the run is violated anyway.
    """
    if run.outcome is not Outcome.COMPLETE or run.checked != 0:
        return run
    if rule.invariant.subject.empty_fails is not None or run.severity is not None:
        return run
    if not runs.never_empty(connection, rule.id):
        return run
    return replace(
        run,
        outcome=Outcome.ERRORED,
        error="there are no rows in scope, and there always were some before",
        hint="If that is right, say `when_empty: pass` in the rule; "
        "if it is a violation, `when_empty: fail`.",
    )


def was_not_watched(rule: Rule, run: Run, last_run: datetime | None) -> bool:
    """Return whether at least one run of the rule was missed before this one.

    Parameters: `last_run` is the time of the newest run in the store.
    """
    interval = rule.schedule.interval
    return last_run is not None and bool(interval) and run.at - last_run >= 2 * interval


def is_incomplete_incremental(connection: Connection, rule: Rule, run: Run) -> bool:
    """Return whether an incremental run says nothing about some open violations.

    Another pass recorded these after the run had begun.
    """
    if not run.incremental:
        return False
    reported = {fingerprint(rule.id, rule.source, violation.key) for violation in run.tracked}
    open_rows = violations.open_keys(connection, rule.id).keys()
    return bool(open_rows - reported - run.resolutions.keys())


def hold_back_unconfirmed(
    connection: Connection, rule: Rule, run: Run, rows: Mapping[str, TrackedViolation]
) -> Run:
    """Return the run without rows that later runs must find, too, before they count.

    These are kept in the store for the next run. Parameters: `rows` are the known violations, by
    fingerprint.
    """
    if not rule.invariant.confirm.needs_later_runs:
        return run
    if run.outcome not in (Outcome.COMPLETE, Outcome.TRUNCATED):
        return run
    open_rows = {mark for mark, row in rows.items() if row.open}
    run, pending = _held_back(connection, rule, run, open_rows)
    pending_confirmations.save(connection, rule.id, pending.times, pending.beyond, run.at)
    return run


def opening_rows(
    connection: Connection, rule: Rule, run: Run, open_rows: Collection[str]
) -> list[Violation]:
    """Return the violations that a run will open. Changes nothing.

    Parameters: `open_rows` are the fingerprints of the open violations.
    """
    if rule.invariant.confirm.needs_later_runs:
        run, _ = _held_back(connection, rule, run, open_rows)
    return [
        violation
        for violation in run.tracked
        if fingerprint(rule.id, rule.source, violation.key) not in open_rows
    ]


def _held_back(
    connection: Connection, rule: Rule, run: Run, open_rows: Collection[str]
) -> tuple[Run, PendingConfirmation]:
    times, beyond = pending_confirmations.of_rule(connection, rule.id)
    before = PendingConfirmation(_under_new_id(rule, run, times), beyond)
    return confirm.held_back(rule.invariant, run, before, open_rows)


def _under_new_id(rule: Rule, run: Run, times: Mapping[str, int | str]) -> Mapping[str, int | str]:
    """Return what was remembered of rows under the ids that the rule had before, under its own."""
    if not (rule.formerly and times):
        return times
    renamed = dict(times)
    for violation in run.tracked:
        mark = fingerprint(rule.id, rule.source, violation.key)
        for former_id in rule.formerly:
            former = fingerprint(former_id, rule.source, violation.key)
            for begin in ("", confirm.SINCE):
                if begin + former in times:
                    renamed.setdefault(begin + mark, times[begin + former])
    return renamed
