"""What humans decided: it replaces, ends and is counted as it should."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sanityd.model import Change, Disposition, Severity, Silence, Stance, Standing, Transition, Violation
from sanityd.store import dispositions, silences, standings, violations
from sanityd.store.open import Store

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
ACK = Disposition(0, Stance.ACKNOWLEDGED, "r", "one", "ana", "on it", AT, AT + HOUR, 3, Severity.ERROR)


def test_a_decision_comes_back_as_it_was_with_a_number(store: Store) -> None:
    with store.write() as memory:
        kept = dispositions.add(memory, replace(ACK, resolution="fixed"))
        assert kept.id
        assert dispositions.in_force(memory) == [kept]
        assert dispositions.in_force(memory, ["other"]) == []
        assert dispositions.of_rule(memory, "r", AT) == dispositions.since(memory, AT) == [kept]


def test_a_new_decision_about_the_same_takes_the_place_of_the_old_one(store: Store) -> None:
    with store.write() as memory:
        dispositions.add(memory, ACK)
        snoozed = dispositions.add(memory, replace(ACK, stance=Stance.SNOOZED))
        other = dispositions.add(memory, replace(ACK, incident="two"))
        row = dispositions.add(memory, replace(ACK, incident="", stance=Stance.ACCEPTED, fingerprint="f"))
        assert dispositions.in_force(memory) == [snoozed, other, row]
        assert dispositions.of_rule(memory, "r", AT)[0].ended == "replaced"


def test_what_runs_out_is_ended_and_known_as_lapsed(store: Store) -> None:
    with store.write() as memory:
        dispositions.add(memory, ACK)
        assert [dispositions.expire(memory, AT + ago) for ago in (HOUR / 2, HOUR, HOUR)] == [0, 1, 0]
        assert dispositions.in_force(memory) == []
        [lapsed] = dispositions.lapsed(memory, ["one", "two"]).values()
        assert (lapsed.ended, lapsed.ended_at) == ("expired", AT + HOUR)


def test_what_was_withdrawn_did_not_lapse(store: Store) -> None:
    with store.write() as memory:
        kept = dispositions.add(memory, ACK)
        assert dispositions.end(memory, [kept.id], "withdrawn", AT) == 1
        assert dispositions.end(memory, [kept.id], "withdrawn", AT) == 0
        assert dispositions.lapsed(memory, ["one"]) == {}


def test_accepted_rows_count_while_they_are_open(store: Store) -> None:
    new = Transition("f", Change.NEW, {"id": 1}, violation=Violation({"id": 1}))
    with store.write() as memory:
        violations.apply(memory, "r", "app", [new], AT)
        dispositions.add(memory, replace(ACK, incident="", stance=Stance.ACCEPTED, fingerprint="f"))
        dispositions.add(memory, replace(ACK, incident="", stance=Stance.ACCEPTED, fingerprint="gone"))
        assert dispositions.accepted(memory) == {"r": 1}
        violations.apply(memory, "r", "app", [Transition("f", Change.RESOLVED, {"id": 1})], AT)
        assert dispositions.accepted(memory) == {}


def test_a_silence_is_listed_until_it_ends(store: Store) -> None:
    with store.write() as memory:
        kept = silences.add(memory, Silence(0, "ana", "deployment", AT, AT, AT + HOUR, rule="a-*"))
        assert silences.listed(memory, AT) == [kept]
        assert silences.listed(memory, AT + HOUR) == []
        assert [silences.end(memory, kept.id, AT), silences.end(memory, kept.id, AT)] == [True, False]
        assert silences.listed(memory, AT) == []


def test_a_standing_comes_back_as_it_was_and_the_usual_one_takes_no_room(store: Store) -> None:
    noisy = Standing(1, AT, AT, AT + HOUR, 7, None, AT, 9, AT, "14 mails, none acted on")
    with store.write() as memory:
        standings.save(memory, "r", noisy, AT)
        standings.save(memory, "r", noisy, AT)
        assert (standings.of_rule(memory, "r"), standings.all_of(memory)) == (noisy, {"r": noisy})
        assert standings.of_rule(memory, "other") == Standing()
        standings.save(memory, "r", Standing(), AT)
        assert standings.all_of(memory) == {}
