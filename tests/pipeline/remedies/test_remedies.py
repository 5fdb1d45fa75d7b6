"""Remedies, end to end: a real database, store, mail server and receiver, in a time of our own."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from sanityd import clock
from sanityd.daemon import rule_changes
from sanityd.model import AnnouncedChange, Silence, TriageAction
from sanityd.model.remedies import RemedyRow, RemedyState, RemedyStatus
from sanityd.notifications import announcements, noise_review, post_mortem, timeline, triage
from sanityd.notifications.post_mortem import Presentation
from sanityd.notifications.triage import Act
from sanityd.pipeline.remedies import planning, running, stopping
from sanityd.pipeline.remedies.planning import Approval, RemedyError
from sanityd.store import audit, remedies, rule_rename, silences, violations
from sanityd.store.remedy_tables import remedy_status
from tests.support.scene import ADULTS, Scene, events
from tests.support.smtp_server import Mailbox
from tests.support.web_server import DROP, Server, serving

LEASE = timedelta(seconds=40)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def now() -> datetime:
    return datetime.now(UTC)


def arrange(scene: Scene, server: Server, **options: Any) -> None:
    """The rule has a remedy, automatic unless said."""
    http = {"url": f"http://127.0.0.1:{server.port}/", "json": {"people": ["{key.id}"]}}
    scene.rules["adults"] = {
        **ADULTS,
        "remedy": {"http": http, "auto": "yes", "rate": "5 per second", **options},
    }


def act(scene: Scene, seconds: float = 5) -> None:
    """What a pass does at its end, as often as the rate needs, and its mails."""
    for _ in range(5):
        running.run_pass(scene.load(), scene.store, seconds=0)
        scene.clock.shift(timedelta(seconds=seconds / 5))
    scene.mail()


def contents(scene: Scene) -> list[tuple[Any, Any]]:
    """The values that are stored, of all rows."""
    with scene.store.read() as connection:
        stored = remedies.of_rule(connection, "adults")
    return [(row.key, row.shown) for remedy in stored for row in remedy.rows]


def no_words(rule: str, count: int) -> str:
    return ""


def send_all(scene: Scene) -> None:
    """One pass, in which the pauses between requests take no time."""
    rules = scene.load()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "pause", lambda seconds: scene.clock.shift(timedelta(seconds=seconds)))
        running.send_due(rules, scene.store, running.with_remedies(rules))


def approve(scene: Scene, **options: Any) -> planning.RepairPlan:
    rules = scene.load()
    approval = Approval("ana", "because", now(), **options)
    with scene.store.write() as connection:
        return planning.approve(connection, rules, rules.rules["adults"], approval)


def states(scene: Scene) -> list[RemedyState]:
    with scene.store.read() as connection:
        return [remedy.state for remedy in remedies.of_rule(connection, "adults")]


def sent(server: Server) -> list[list[int]]:
    return [json.loads(got.body)["people"] for got in server.got]


def ids(server: Server) -> list[str]:
    return [got.headers["idempotency-key"] for got in server.got]


def stopped(scene: Scene) -> str:
    with scene.store.read() as connection:
        return remedies.status_of(connection, "adults").stopped


@pytest.mark.parametrize("auto", ["yes", "no"])
def test_an_incident_whose_rows_were_repaired_was_acted_on(
    scene: Scene, server: Server, box: Mailbox, auto: str
) -> None:
    arrange(scene, server, auto=auto)
    scene.children(1, 2)
    scene.tick()
    act(scene)
    scene.children()
    scene.tick()
    rules = scene.load()
    with scene.store.read() as connection:
        known = noise_review.profile(connection, rules, rules.rules["adults"], now())
    assert (known.sent, known.acted) == (1, 1 if auto == "yes" else 0)


def test_each_row_is_repaired_once_in_an_episode_and_only_a_run_resolves_it(
    scene: Scene, server: Server
) -> None:
    arrange(scene, server)
    scene.children(1, 2)
    scene.tick()
    act(scene)
    act(scene)
    assert sorted(sent(server)) == [[1], [2]]
    assert len(set(ids(server))) == 2
    assert all(name.endswith(".1") for name in ids(server))
    assert scene.rows() == [1, 2]
    scene.children()
    scene.tick()
    assert scene.rows() == []


def test_a_row_that_comes_back_stops_the_remedy_until_a_person_lets_it_go_on(
    scene: Scene, box: Mailbox, server: Server
) -> None:
    arrange(scene, server)
    scene.children(1)
    scene.tick()
    act(scene)
    scene.children()
    scene.tick()
    scene.children(1)
    scene.tick()
    act(scene)
    assert stopped(scene) == "1 row that was repaired is violated again after a complete run"
    assert len(server.got) == 1
    assert [event for _, event in events(box)].count("remedy_stopped") == 1
    with pytest.raises(RemedyError, match="stopped"):
        approve(scene)
    rule = scene.load().rules["adults"]
    with scene.store.write() as connection:
        assert stopping.resume(connection, rule, "ana", "the mailer was repaired", now())
        assert not stopping.resume(connection, rule, "ana", "again", now())
    act(scene)
    assert [name.rpartition(".")[2] for name in ids(server)] == ["1", "2"]


def test_a_repair_that_does_not_help_stops_at_the_next_complete_run(
    scene: Scene, box: Mailbox, server: Server
) -> None:
    arrange(scene, server)
    scene.children(1)
    scene.tick()
    act(scene)
    scene.tick()
    act(scene)
    assert "violated again" in stopped(scene)
    [mail] = [mail for _, mail in box.mails if mail["X-Sanityd-Event"] == "remedy_stopped"]
    assert "--resume" in mail.as_string()


def test_more_violations_than_at_the_first_request_stop_it(
    scene: Scene, box: Mailbox, server: Server
) -> None:
    server.answers = [503]
    arrange(scene, server)
    scene.children(1)
    scene.tick()
    act(scene)
    scene.children(1, 2, 3)
    scene.tick()
    act(scene)
    assert stopped(scene) == "there are 3 violations now, and were 1 at the first request"
    assert sent(server) == [[1]]


def test_too_many_violations_are_for_a_person(scene: Scene, box: Mailbox, server: Server) -> None:
    arrange(scene, server, max_rows=2)
    scene.children(1, 2, 3)
    scene.tick()
    act(scene)
    act(scene)
    assert server.got == []
    assert [event for _, event in events(box)] == ["opened", "remedy_stopped"]
    approve(scene)
    act(scene)
    assert sorted(sent(server)) == [[1], [2], [3]]


def test_in_an_announced_change_nothing_is_sent_or_told_and_then_it_is_repaired(
    scene: Scene, box: Mailbox, server: Server
) -> None:
    arrange(scene, server)
    until = now() + timedelta(minutes=20)
    change = AnnouncedChange(0, "IMPORT-42", "ana", "so", ("adults",), (), now(), until)
    with scene.store.write() as connection:
        announcements.announce(connection, scene.load(), change)
    scene.children(1)
    scene.tick()
    act(scene)
    scene.children(1, 2)
    scene.tick()
    act(scene)
    assert (box.mails, server.got, stopped(scene)) == ([], [], "")
    scene.tick(15)
    act(scene)
    assert sorted(sent(server)) == [[1], [2]]


def test_a_rule_that_is_renamed_in_an_announced_change_still_waits_for_its_end(
    scene: Scene, server: Server
) -> None:
    arrange(scene, server)
    until = now() + timedelta(minutes=20)
    change = AnnouncedChange(0, "IMPORT-42", "ana", "so", ("adults",), (), now(), until)
    with scene.store.write() as connection:
        announcements.announce(connection, scene.load(), change)
    scene.children(1)
    scene.tick()
    scene.rules["people"] = {**scene.rules.pop("adults"), "formerly": "adults"}
    rule_changes.adopt(scene.load(), scene.store, now())
    scene.tick()
    act(scene)
    assert server.got == []


def test_a_silenced_rule_sends_no_mail_of_its_remedy_and_the_audit_says_so(
    scene: Scene, box: Mailbox, server: Server
) -> None:
    arrange(scene, server, max_rows=1)
    silence = Silence(0, "bo", "so", now(), now(), now() + timedelta(hours=1), rule="ad*")
    with scene.store.write() as connection:
        silences.add(connection, silence)
    scene.children(1, 2)
    scene.tick()
    act(scene)
    with scene.store.read() as connection:
        entries = audit.of_rule(connection, "adults")
    actions = [entry["action"] for entry in entries]
    reasons = [entry["reason"] for entry in entries[actions.index("remedy not sent") :]]
    assert box.mails == []
    assert "silenced" in reasons


def test_a_row_is_named_by_its_whole_key_and_never_one_of_several(scene: Scene) -> None:
    rule = scene.load().rules["adults"]
    long = "x" * 300
    keys: list[Any] = [f"{long}1", f"{long}2", 7, "7", " blank"]
    rows = [RemedyRow(str(number), 1, {"id": key}) for number, key in enumerate(keys)]
    for named, number in ((f"{long}2", "1"), (f"{long}1", "0"), (" blank", "4"), ('" blank"', "4")):
        assert planning.row_with_key(rows, {"id": named}, rule).fingerprint == number
    with pytest.raises(RemedyError, match="2 rows of `adults` have id 7"):
        planning.row_with_key(rows, {"id": "7"}, rule)
    with pytest.raises(RemedyError, match="no row"):
        planning.row_with_key(rows, {"id": long}, rule)


def test_without_auto_a_person_decides_and_chooses_rows(scene: Scene, server: Server) -> None:
    arrange(scene, server, auto="no")
    scene.children(1, 2)
    scene.tick()
    act(scene)
    assert server.got == []
    with pytest.raises(RemedyError, match="id 9"):
        approve(scene, keys=[{"id": "9"}])
    approve(scene, keys=[{"id": "2"}])
    act(scene)
    assert sent(server) == [[2]]
    plan = approve(scene)
    assert (len(plan.new), len(plan.done)) == (1, 1)


def test_accepted_and_snoozed_rows_are_left_alone(scene: Scene, server: Server) -> None:
    arrange(scene, server, auto="no", rate="1 per hour")
    scene.children(1, 2)
    scene.tick()
    rules = scene.load()
    approve(scene)
    with scene.store.write() as connection:
        triage.accept_rows(connection, rules, "adults", [{"id": "1"}], Act("ana", "so", now()))
        triage.decide(connection, rules, "adults", TriageAction.SNOOZED, Act("ana", "later", now()))
    act(scene, seconds=20_000)
    assert (server.got, set(states(scene))) == ([], {RemedyState.CANCELLED})
    assert approve(scene).to_send == ()


def test_a_batch_that_was_never_sent_goes_without_the_rows_that_are_resolved(
    scene: Scene, server: Server
) -> None:
    arrange(scene, server, auto="no", per="batch", batch_size=2)
    scene.children(1, 2, 3)
    scene.tick()
    assert len(approve(scene).new) == 2
    scene.children(1, 2)
    scene.tick()
    act(scene)
    assert sorted(number for people in sent(server) for number in people) == [1, 2]
    assert RemedyState.CANCELLED in states(scene)


def test_a_batch_that_may_have_arrived_keeps_its_id_when_a_person_sends_it_again(
    scene: Scene, server: Server
) -> None:
    server.answers = [DROP, 200]
    arrange(scene, server, auto="no", per="batch", batch_size=2, attempts=1)
    scene.children(1, 2)
    scene.tick()
    approve(scene)
    act(scene)
    assert states(scene) == [RemedyState.FAILED]
    scene.children(1)
    scene.tick()
    approve(scene)
    act(scene)
    assert (len(server.got), len(set(ids(server)))) == (2, 1)


def test_a_row_that_is_named_twice_is_sent_once(scene: Scene, server: Server) -> None:
    arrange(scene, server, auto="no", per="batch")
    scene.children(1, 2)
    scene.tick()
    [request] = approve(scene, keys=[{"id": "1"}, {"id": "1"}]).new
    assert len(request.rows) == 1
    act(scene)
    assert (sent(server), states(scene)) == ([[1]], [RemedyState.DONE])


def test_quiet_hours_hold_what_is_automatic_and_not_what_a_person_wants(
    scene: Scene, server: Server
) -> None:
    scene.alerts = {"quiet_hours": {"from": "00:00", "to": "23:59"}}
    arrange(scene, server)
    scene.children(1)
    scene.tick()
    act(scene)
    assert states(scene) == []
    approve(scene)
    act(scene)
    assert sent(server) == [[1]]


def test_in_quiet_hours_all_rows_that_a_person_approved_are_sent_in_one_pass(
    scene: Scene, server: Server
) -> None:
    scene.alerts = {"quiet_hours": {"from": "00:00", "to": "23:59"}}
    arrange(scene, server, auto="no")
    scene.children(1, 2, 3)
    scene.tick()
    approve(scene)
    send_all(scene)
    assert sorted(sent(server)) == [[1], [2], [3]]


def test_a_refusal_is_told_and_sent_again_only_by_a_person_under_the_same_id(
    scene: Scene, box: Mailbox, server: Server
) -> None:
    server.answers = [404, 200]
    arrange(scene, server)
    scene.children(1)
    scene.tick()
    act(scene)
    act(scene)
    assert (states(scene), len(server.got)) == ([RemedyState.REFUSED], 1)
    [mail] = [mail for _, mail in box.mails if mail["X-Sanityd-Event"] == "remedy_failed"]
    assert "the server refused it (404)" in str(mail["Subject"])
    assert "secret" not in mail.as_string()
    approve(scene)
    with scene.store.read() as connection:
        [again] = remedies.of_rule(connection, "adults")
    assert (again.code, again.error) == (None, "")
    act(scene)
    assert (states(scene), len(set(ids(server)))) == ([RemedyState.DONE], 1)


def test_a_receiver_in_trouble_loses_nothing_and_is_given_up_and_told_in_the_end(
    scene: Scene, box: Mailbox, server: Server
) -> None:
    server.answers = [503, DROP, 429, 500]
    arrange(scene, server, attempts=4)
    scene.children(1)
    scene.tick()
    for _ in range(8):
        act(scene, seconds=1000)
    assert (states(scene), len(server.got)) == ([RemedyState.FAILED], 4)
    assert len(set(ids(server))) == 1
    assert [event for _, event in events(box)].count("remedy_failed") == 1
    assert scene.rows() == [1]


def test_a_receiver_that_asks_for_a_pause_gets_it_for_all_requests(
    scene: Scene, server: Server
) -> None:
    server.answers = [429]
    server.headers = "Retry-After: 600\r\n"
    arrange(scene, server)
    scene.children(1, 2)
    scene.tick()
    act(scene, seconds=500)
    assert len(server.got) == 1
    act(scene, seconds=500)
    assert len(server.got) == 2


def test_the_rate_holds_for_the_whole_rule(scene: Scene, server: Server) -> None:
    arrange(scene, server, rate="60 per hour")
    scene.children(1, 2, 3)
    scene.tick()
    act(scene, seconds=25)
    assert len(server.got) == 1
    act(scene, seconds=60)
    assert len(server.got) == 2


def test_two_replicas_never_send_the_same_request_and_a_dead_one_is_followed(
    scene: Scene, server: Server
) -> None:
    arrange(scene, server, auto="no")
    scene.children(1)
    scene.tick()
    [planned] = approve(scene).new

    def claim() -> Any:
        with scene.store.write() as connection:
            return remedies.claim(
                connection, "adults", now(), lease=LEASE, pause=timedelta(milliseconds=1)
            )

    first = claim()
    assert (first.id, first.attempts, claim()) == (planned.id, 1, None)
    scene.clock.shift(LEASE + timedelta(seconds=1))
    second = claim()
    assert (second.id, second.attempts) == (planned.id, 2)
    with scene.store.write() as connection:
        assert not remedies.finish(connection, first, RemedyState.DONE, now())
        assert remedies.finish(connection, second, RemedyState.DONE, now())


def test_a_rule_under_a_new_id_does_not_send_again(scene: Scene, server: Server) -> None:
    arrange(scene, server)
    scene.children(1)
    scene.tick()
    act(scene)
    with scene.store.write() as connection:
        rule_rename.rename(connection, scene.load().name, "adults", "grown-ups")
    scene.rules["grown-ups"] = scene.rules.pop("adults")
    running.run_pass(scene.load(), scene.store, seconds=0)
    assert len(server.got) == 1


def test_a_renamed_rule_waits_for_its_turn_and_keeps_what_its_new_id_has(
    scene: Scene, server: Server
) -> None:
    later = now() + timedelta(hours=1)
    name = scene.load().name
    with scene.store.write() as connection:
        remedies.save_status(connection, RemedyStatus("adults", stopped="old"))
        remedies.put_off(connection, "adults", later)
        rule_rename.rename(connection, name, "adults", "people")
        turn = connection.execute(select(remedy_status.c.next_at)).scalar()
        remedies.save_status(connection, RemedyStatus("older", stopped="older"))
        rule_rename.rename(connection, name, "older", "people")
        known = remedies.statuses(connection)
    assert turn == later
    assert [status.stopped for status in known.values()] == ["old"]


def test_any_number_of_rows_and_rules_can_be_asked_for(scene: Scene, server: Server) -> None:
    arrange(scene, server)
    scene.children(1)
    scene.tick()
    many = [str(number) for number in range(300_000)]
    with scene.store.write() as connection:
        [row] = remedies.eligible_rows(connection, "adults", now())
        wanted = [*many, row.fingerprint]
        assert remedies.eligible_rows(connection, "adults", now(), wanted) == [row]
        remedies.plan_again(connection, many, "ana", "so", now())
        assert remedies.statuses(connection, many) == {}


def test_an_errored_run_sends_nothing(scene: Scene, server: Server) -> None:
    arrange(scene, server)
    scene.children(1)
    scene.tick()
    scene.sql("ALTER TABLE people RENAME TO persons")
    scene.tick()
    act(scene)
    assert server.got == []


def test_what_became_of_a_row_s_request_is_in_its_history_and_in_the_post_mortem(
    scene: Scene, server: Server
) -> None:
    arrange(scene, server, auto="no")
    scene.children(1, 2)
    scene.tick()
    incident = scene.incident()
    assert incident is not None
    approve(scene)
    act(scene, seconds=1)
    with scene.store.read() as connection:
        history = timeline.everything_of_row(connection, ["adults"], {"id": "1"}, no_words)
        facts = post_mortem.load_facts(connection, incident, now())
        meanwhile = timeline.events_of_incident(connection, incident, now(), no_words)
    done = [event for event in history if event.what == "remedy done" and event.row]
    assert [event.incident for event in done] == [incident.id] * 2
    show = Presentation(lambda at: at, "UTC", no_words, str)
    written = post_mortem.markdown("adults", now(), meanwhile, [facts], {}, show)
    assert "First act of a person after" in written
    acts = written.partition("## Who did what")[2].partition("## Mails")[0]
    assert "remedy approved" in acts
    assert "sanityd" not in acts


def test_a_cancelled_request_is_in_the_audit(scene: Scene, server: Server) -> None:
    arrange(scene, server, auto="no", rate="1 per hour")
    scene.children(1)
    scene.tick()
    approve(scene)
    scene.children()
    scene.tick()
    act(scene)
    with scene.store.read() as connection:
        [entry] = [
            entry
            for entry in audit.of_rule(connection, "adults")
            if entry["action"] == "remedy cancelled"
        ]
    assert entry["detail"]["fingerprint"]


def test_what_was_done_is_in_the_audit_without_values(scene: Scene, server: Server) -> None:
    arrange(scene, server, auto="no")
    scene.children(1)
    scene.tick()
    approve(scene)
    act(scene)
    with scene.store.read() as connection:
        entries = audit.of_rule(connection, "adults")
    told = [(entry["action"], entry["actor"], entry["reason"]) for entry in entries]
    assert ("remedy approved", "ana", "because") in told
    assert ("remedy done", "sanityd", "the receiver accepted it (200)") in told


def test_a_request_keeps_only_what_it_contains_and_as_long_as_the_rule_allows_it(
    scene: Scene, server: Server
) -> None:
    server.answers = [503]
    arrange(scene, server, auto="no")
    url = f"http://127.0.0.1:{server.port}/"
    scene.rules["adults"]["show"] = ["age"]
    rule_changes.adopt(scene.load(), scene.store, now())
    scene.children(1)
    scene.tick()
    approve(scene)
    assert contents(scene) == [({"id": 1}, {})]
    http = {"url": url, "json": {"people": ["{show.age}"]}}
    scene.rules["adults"]["remedy"]["http"] = http
    rule_changes.adopt(scene.load(), scene.store, now())
    assert contents(scene) == [({}, {})]
    act(scene)
    assert sent(server) == [[5]]
    del scene.rules["adults"]["remedy"]
    rule_changes.adopt(scene.load(), scene.store, now())
    assert states(scene) == [RemedyState.CANCELLED]
    with scene.store.read() as connection:
        told = [entry["action"] for entry in audit.of_rule(connection, "adults")]
    assert told[-1] == "remedy cancelled"


def test_requests_of_a_removed_rule_are_cancelled_and_have_no_values(
    scene: Scene, server: Server
) -> None:
    arrange(scene, server, auto="no")
    rule_changes.adopt(scene.load(), scene.store, now())
    scene.children(1)
    scene.tick()
    approve(scene)
    scene.rules["grown-ups"] = {**ADULTS, "remedy": scene.rules.pop("adults")["remedy"]}
    rule_changes.adopt(scene.load(), scene.store, now())
    assert (states(scene), contents(scene)) == ([RemedyState.CANCELLED], [({}, {})])


def test_keys_that_must_be_forgotten_are_in_no_request(scene: Scene, server: Server) -> None:
    arrange(scene, server)
    scene.children(1)
    scene.tick()
    act(scene)
    with scene.store.write() as connection:
        violations.remove(connection, "adults")
    assert states(scene) == []
