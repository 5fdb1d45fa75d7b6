"""When rules are to be evaluated again, and what they must find again."""

from datetime import UTC, datetime, timedelta

from sanityd.model import Outcome, Run
from sanityd.store import pending_confirmations, rechecks
from sanityd.store.open import Store
from sanityd.store.rechecks import KEPT_FOR, Recheck

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DUE = AT + 30 * SECOND
FOUND = Recheck(DUE, frozenset("ab"), 7)


def run(at: datetime, outcome: Outcome = Outcome.COMPLETE) -> Run:
    """A run of the rule at that time."""
    return Run("r", "has", "app", at, outcome)


def test_it_waits_until_it_is_done(store: Store) -> None:
    with store.write() as memory:
        rechecks.save(memory, "r", "m", FOUND, AT)
        rechecks.save(memory, "other", "m", FOUND, AT)
        assert rechecks.of_rules(memory, {"r": "m"}, AT) == {"r": FOUND}
        rechecks.finish(memory, [run(DUE)])
        assert rechecks.of_rules(memory, {"r": "m", "other": "m"}, DUE) == {"other": FOUND}


def test_it_is_never_put_off(store: Store) -> None:
    later = Recheck(DUE + 30 * SECOND, frozenset("c"))
    with store.write() as memory:
        rechecks.save(memory, "r", "m", FOUND, AT)
        rechecks.save(memory, "r", "m", later, AT + 20 * SECOND)
        assert rechecks.of_rules(memory, {"r": "m"}, AT) == {"r": FOUND}


def test_one_that_nobody_did_or_of_another_meaning_or_of_a_wrong_clock_is_none(
    store: Store,
) -> None:
    with store.write() as memory:
        rechecks.save(memory, "r", "m", FOUND, AT)
        assert rechecks.of_rules(memory, {"r": "another"}, AT) == {}
        too_late = DUE + KEPT_FOR + SECOND
        assert rechecks.of_rules(memory, {"r": "m"}, too_late) == {}
        assert rechecks.of_rules(memory, {"r": "m"}, AT - timedelta(hours=1)) == {}
        anew = Recheck(too_late + 30 * SECOND, frozenset("c"))
        rechecks.save(memory, "r", "m", anew, too_late)
        assert rechecks.of_rules(memory, {"r": "m"}, too_late) == {"r": anew}


def test_a_run_that_began_before_or_has_no_answer_does_not_end_it(store: Store) -> None:
    with store.write() as memory:
        rechecks.save(memory, "r", "m", FOUND, AT)
        rechecks.finish(memory, [run(AT - SECOND)])
        rechecks.finish(memory, [run(AT + SECOND, Outcome.ERRORED)])
        assert "r" in rechecks.of_rules(memory, {"r": "m"}, AT)
        rechecks.finish(memory, [run(AT + SECOND)])
        assert rechecks.of_rules(memory, {"r": "m"}, AT) == {}


def test_one_without_an_answer_ends_it_when_it_was_due(store: Store) -> None:
    with store.write() as memory:
        rechecks.save(memory, "r", "m", FOUND, AT)
        rechecks.finish(memory, [run(DUE, Outcome.ERRORED)])
        assert rechecks.of_rules(memory, {"r": "m"}, DUE) == {}


def test_rows_of_confirm_2_runs_are_left_alone(store: Store) -> None:
    with store.write() as memory:
        pending_confirmations.save(memory, "r", {"a": 1}, 0, AT)
        assert rechecks.of_rules(memory, {"r": "m"}, AT) == {}
        rechecks.finish(memory, [run(DUE)])
        assert pending_confirmations.of_rule(memory, "r") == ({"a": 1}, 0)
