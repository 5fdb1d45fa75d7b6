"""What makes an answer count for less than it says: second thoughts, before it is recorded, that need our memory."""

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

from sanityd.checks import confirm
from sanityd.checks.confirm import PendingConfirmation
from sanityd.model import Outcome, Run, Tracked, fingerprint
from sanityd.rules.rule import Rule
from sanityd.store import pending_confirmations, runs, violations


def not_suddenly_empty(memory: Connection, rule: Rule, run: Run) -> Run:
    """A scope that is empty where it never was is an error, not green, unless the rule says otherwise."""
    if (
        run.outcome is not Outcome.COMPLETE
        or run.checked != 0
        or rule.invariant.subject.empty_fails is not None
    ):
        return run
    if run.severity is not None or not runs.never_empty(memory, rule.id):
        return run
    return replace(
        run,
        outcome=Outcome.ERRORED,
        error="there are no rows in scope, and there always were some before",
        hint="If that is right, say `when_empty: pass` in the rule; if it is a violation, `when_empty: fail`.",
    )


def was_not_asked(memory: Connection, rule: Rule, run: Run) -> bool:
    """Whether a look at new rows began before another pass recorded violations, of which it says nothing."""
    if not run.incremental:
        return False
    told = {fingerprint(rule.id, rule.source, violation.key) for violation in run.tracked}
    return bool(violations.open_keys(memory, rule.id).keys() - told - run.resolutions.keys())


def without_suspects(memory: Connection, rule: Rule, run: Run, known: Mapping[str, Tracked]) -> Run:
    """Rows that a later run must see, too, before they count, are remembered for it."""
    if rule.invariant.confirm.runs == 1 or run.outcome not in (Outcome.COMPLETE, Outcome.TRUNCATED):
        return run
    before = PendingConfirmation(*pending_confirmations.of_rule(memory, rule.id))
    run, left = confirm.held_back(
        rule.invariant, run, before, {mark for mark, row in known.items() if row.open}
    )
    pending_confirmations.remember(memory, rule.id, left.times, left.beyond, run.at)
    return run
