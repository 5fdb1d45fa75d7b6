"""What humans decided: it replaces, ends and is counted as it should."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sanityd.model import (
    Change,
    NoiseState,
    Severity,
    Silence,
    Transition,
    Triage,
    TriageAction,
    Violation,
)
from sanityd.store import noise_state, silences, triage, violations
from sanityd.store.open import Store
from sanityd.store.violations import RowChanges

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
ACK = Triage(
    0, TriageAction.ACKNOWLEDGED, "r", "one", "ana", "on it", AT, AT + HOUR, 3, Severity.ERROR
)


def test_a_decision_comes_back_as_it_was_with_a_number(store: Store) -> None:
    with store.write() as memory:
        kept = triage.add(memory, replace(ACK, resolution="fixed"))
        assert kept.id
        assert triage.list_active(memory) == [kept]
        assert triage.list_active(memory, ["other"]) == []
        assert triage.of_rule(memory, "r", AT) == triage.since(memory, AT) == [kept]


def test_a_new_decision_about_the_same_takes_the_place_of_the_old_one(store: Store) -> None:
    with store.write() as memory:
        triage.add(memory, ACK)
        snoozed = triage.add(memory, replace(ACK, action=TriageAction.SNOOZED))
        other = triage.add(memory, replace(ACK, incident="two"))
        row = triage.add(
            memory, replace(ACK, incident="", action=TriageAction.ACCEPTED, fingerprint="f")
        )
        assert triage.list_active(memory) == [snoozed, other, row]
        assert triage.of_rule(memory, "r", AT)[0].ended == "replaced"


def test_what_runs_out_is_ended_and_known_as_lapsed(store: Store) -> None:
    with store.write() as memory:
        triage.add(memory, ACK)
        assert [triage.expire(memory, AT + ago) for ago in (HOUR / 2, HOUR, HOUR)] == [0, 1, 0]
        assert triage.list_active(memory) == []
        [lapsed] = triage.last_ended(memory, ["one", "two"]).values()
        assert (lapsed.ended, lapsed.ended_at) == ("expired", AT + HOUR)


def test_what_was_withdrawn_did_not_lapse(store: Store) -> None:
    with store.write() as memory:
        kept = triage.add(memory, ACK)
        assert triage.end(memory, [kept.id], "withdrawn", AT) == 1
        assert triage.end(memory, [kept.id], "withdrawn", AT) == 0
        assert triage.last_ended(memory, ["one"]) == {}


def test_accepted_rows_count_while_they_are_open(store: Store) -> None:
    new = Transition("f", Change.NEW, {"id": 1}, violation=Violation({"id": 1}))
    with store.write() as memory:
        violations.apply(memory, [RowChanges("r", "app", [new])], AT)
        triage.add(memory, replace(ACK, incident="", action=TriageAction.ACCEPTED, fingerprint="f"))
        triage.add(
            memory, replace(ACK, incident="", action=TriageAction.ACCEPTED, fingerprint="gone")
        )
        assert triage.count_accepted_rows(memory, AT) == {"r": 1}
        assert triage.count_accepted_rows(memory, ACK.until) == {}
        gone = Transition("f", Change.RESOLVED, {"id": 1})
        violations.apply(memory, [RowChanges("r", "app", [gone])], AT)
        assert triage.count_accepted_rows(memory, AT) == {}


def test_a_silence_is_listed_until_it_ends(store: Store) -> None:
    with store.write() as memory:
        kept = silences.add(memory, Silence(0, "ana", "deployment", AT, AT, AT + HOUR, rule="a-*"))
        assert silences.list_active(memory, AT) == [kept]
        assert silences.list_active(memory, AT + HOUR) == []
        assert [silences.end(memory, kept.id, AT), silences.end(memory, kept.id, AT)] == [
            True,
            False,
        ]
        assert silences.list_active(memory, AT) == []


def test_a_standing_comes_back_as_it_was_and_the_usual_one_takes_no_room(store: Store) -> None:
    noisy = NoiseState(1, AT, AT, AT + HOUR, 7, None, AT, 9, AT, "14 mails, none acted on")
    with store.write() as memory:
        noise_state.save(memory, "r", noisy, AT)
        noise_state.save(memory, "r", noisy, AT)
        assert (noise_state.of_rule(memory, "r"), noise_state.all_of(memory)) == (
            noisy,
            {"r": noisy},
        )
        assert noise_state.of_rule(memory, "other") == NoiseState()
        noise_state.save(memory, "r", NoiseState(), AT)
        assert noise_state.all_of(memory) == {}
