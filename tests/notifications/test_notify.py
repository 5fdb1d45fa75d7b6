"""Who is told what and when: real rules over a real database, real mails, and a clock that is
turned by hand."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sanityd import pipeline
from sanityd.errors import RuleError
from sanityd.model import Cause, NoiseState, Reason, Severity, Silence, Triage, TriageAction
from sanityd.store import audit, incidents, noise_state, outbox_summary, silences, triage
from tests.support.scene import ADULTS, Scene, events
from tests.support.smtp_server import Mailbox, working


def told(box: Mailbox) -> list[str]:
    """What the team got, in order."""
    return [event for _, event in events(box)]


def body(box: Mailbox) -> str:
    """The text of the newest mail."""
    [*_, (_, mail)] = box.mails
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r", "")


def now() -> datetime:
    """By the test's own clock."""
    return datetime.now(UTC)


def several(scene: Scene, count: int, **more: Any) -> None:
    """So many rules that say the same."""
    scene.rules = {f"adults-{n}": {**ADULTS, **more} for n in range(count)}


def decide(scene: Scene, stance: TriageAction, *, days: float = 7, rule: str = "adults") -> None:
    """Somebody decides about what is open."""
    incident = scene.incident(rule)
    assert incident is not None
    decision = Triage(
        0, stance, rule, incident.id, "bo", "on it", now(), now() + timedelta(days=days), incident.violations,
        incident.severity,
    )  # fmt: skip
    with scene.store.write() as memory:
        triage.add(memory, decision)


def test_rules_that_open_together_share_a_mail_and_have_an_incident_each(
    scene: Scene, box: Mailbox
) -> None:
    several(scene, 3)
    scene.children(1, 2)
    scene.look()
    scene.mail()
    assert told(box) == ["opened"]
    with scene.store.read() as memory:
        assert len(incidents.list_open(memory)) == 3
    scene.look()
    scene.mail()
    assert told(box) == ["opened"]


def test_a_shared_mail_lists_its_rules_in_the_order_of_the_file(scene: Scene, box: Mailbox) -> None:
    """Otherwise each team would see another order, and each day."""
    names = ["of-zoe", "of-ana", "of-mia", "of-bo", "of-eve", "of-ida"]
    scene.rules = dict.fromkeys(names, ADULTS)
    scene.children(1)
    scene.look()
    scene.mail()
    assert told(box) == ["opened"]
    found = [name for name in re.findall(r"of-[a-z]+", body(box)) if name in names]
    assert list(dict.fromkeys(found)) == names


def test_what_opens_waits_a_moment_and_what_is_over_by_then_is_never_told(
    scene: Scene, box: Mailbox
) -> None:
    scene.children(1)
    rules = scene.load()
    pipeline.run_batch(
        rules,
        list(rules.enabled()),
        scene.store,
        now(),
        group_wait=timedelta(seconds=60),
    )
    assert scene.mail().sent == 0
    scene.children()
    scene.look(0.5)
    scene.clock.shift(timedelta(seconds=60))
    assert scene.mail().sent == 0
    assert told(box) == []


def test_what_goes_on_is_reminded_of_after_a_day_then_two_then_weekly(
    scene: Scene, box: Mailbox
) -> None:
    scene.children(1)
    scene.tick()
    days = [(half + 1) // 2 for half in range(2 * 20) if scene.wait(hours=12)]
    assert (told(box), days) == (["opened", *["reminder"] * 4], [1, 3, 10, 17])


def test_other_rows_are_told_after_an_hour(scene: Scene, box: Mailbox) -> None:
    scene.children(1, 2, 3)
    scene.tick()
    scene.children(4, 5, 3)
    scene.tick()
    scene.tick(30)
    assert told(box) == ["opened"]
    scene.tick(30)
    scene.tick(60)
    assert told(box) == ["opened", "updated"]


def test_who_is_at_it_is_left_alone_until_it_doubles(scene: Scene, box: Mailbox) -> None:
    scene.children(1, 2)
    scene.tick()
    decide(scene, TriageAction.ACKNOWLEDGED)
    scene.wait(days=3)
    scene.children(3, 4, 5)
    assert scene.tick().reasons == (Reason.ACKNOWLEDGED,)
    scene.children(1, 2, 3, 4)
    assert scene.tick().reasons == (Reason.ESCALATED,)
    assert scene.tick().reasons == (Reason.UNCHANGED,)
    assert told(box) == ["opened", "escalated"]


def test_when_a_decision_runs_out_it_is_reminded_of_at_once(scene: Scene, box: Mailbox) -> None:
    scene.children(1)
    scene.tick()
    decide(scene, TriageAction.SNOOZED, days=0.1)
    assert [scene.wait(hours=1) for _ in range(4)] == [0, 0, 1, 0]
    assert told(box) == ["opened", "reminder"]


def test_a_broken_decision_is_told_in_the_morning_too(scene: Scene, box: Mailbox) -> None:
    """What breaks it happens at night, when nobody is told."""
    scene.children(1, 2, 3, 4, 5, 6, 7, 8)
    scene.tick()
    scene.children(1, 2)
    scene.tick()
    decide(scene, TriageAction.ACKNOWLEDGED)
    scene.alerts = {"quiet_hours": {"from": "07:00", "to": "10:00"}}
    scene.children(1, 2, 3, 4)
    assert scene.tick().reasons == (Reason.QUIET_HOURS,)
    assert scene.wait(hours=2) == 1
    assert told(box) == ["opened", "escalated"]


def test_the_end_of_what_was_acknowledged_is_told_and_ends_the_decision(
    scene: Scene, box: Mailbox
) -> None:
    scene.children(1)
    scene.tick()
    decide(scene, TriageAction.ACKNOWLEDGED)
    scene.children()
    scene.tick()
    assert told(box) == ["opened", "resolved"]
    with scene.store.read() as memory:
        assert triage.list_active(memory) == []


def test_an_accepted_row_counts_no_longer_and_the_others_do(scene: Scene, box: Mailbox) -> None:
    scene.children(1, 2)
    scene.tick()
    with scene.store.write() as memory:
        [mark] = memory.exec_driver_sql(
            "SELECT fingerprint FROM violations WHERE key LIKE '%1}'"
        ).scalars()
        row = Triage(0, TriageAction.ACCEPTED, "adults", "", "bo", "known", now(), now() + timedelta(days=99), 2,
                          Severity.ERROR, fingerprint=mark)  # fmt: skip
        triage.add(memory, row)
    result = scene.tick()
    assert (result.run.violations, result.incident and result.incident.violations) == (2, 1)
    scene.children(1)
    assert scene.tick().reasons == (Reason.ACCEPTED,)
    scene.wait(days=30)
    assert told(box) == ["opened"]
    scene.children(1, 3, 4)
    assert scene.tick().reasons == (Reason.REMINDER,)
    text = body(box)
    assert re.findall(r"\bid (\d+)", text) == ["3", "4"], "the accepted row is not in the list"
    assert re.search(r"^LAST \d+ RUNS +1 1 0 2$", text, re.MULTILINE), "and not in the bars"


def test_a_resolved_mail_lists_what_became_of_each_row(scene: Scene, box: Mailbox) -> None:
    scene.children(1, 2, 3)
    scene.tick()
    scene.sql("DELETE FROM people WHERE id = 2")
    scene.children(3)
    scene.tick()
    scene.children()
    scene.tick()
    assert told(box) == ["opened", "resolved"]
    assert [" ".join(line.split()) for line in body(box).splitlines() if " id " in line] == [
        "ROWS id 1, repaired at 08:10",
        "id 2, deleted at 08:10",
        "id 3, repaired at 08:15",
    ]


def test_a_silence_holds_back_what_is_still_wrong_when_it_ends(scene: Scene, box: Mailbox) -> None:
    silence = Silence(0, "bo", "deployment", now(), now(), now() + timedelta(hours=2), rule="ad*")
    with scene.store.write() as memory:
        silences.add(memory, silence)
    scene.children(1)
    assert scene.tick().reasons == (Reason.SILENCED,)
    assert [scene.wait(hours=1) for _ in range(3)] == [0, 1, 0]
    assert told(box) == ["opened"]


def test_what_is_over_when_a_silence_ends_was_never_told(scene: Scene, box: Mailbox) -> None:
    with scene.store.write() as memory:
        silences.add(
            memory, Silence(0, "bo", "deployment", now(), now(), now() + timedelta(hours=2))
        )
    scene.children(1)
    scene.tick()
    scene.children()
    scene.tick()
    assert [scene.wait(hours=3), told(box)] == [0, []]


def test_what_a_rule_depends_on_explains_it(scene: Scene, box: Mailbox) -> None:
    scene.rules = {"no-child": dict(ADULTS), "no-baby": {**ADULTS, "depends_on": "no-child"}}
    scene.children(1)
    first, second = scene.look()
    assert (first.reasons, second.reasons) == ((Reason.OPENED,), (Reason.INHIBITED,))
    scene.mail()
    assert told(box) == ["opened"]


def test_what_does_not_end_with_its_explanation_is_told_then(scene: Scene, box: Mailbox) -> None:
    other = {**ADULTS, "between": {"age": [18, 25]}}
    scene.rules = {"no-child": dict(ADULTS), "nobody-is-30": {**other, "depends_on": ["no-child"]}}
    scene.children(1)
    scene.look()
    scene.mail()
    scene.children()
    results = scene.look()
    assert [result.reasons for result in results] == [(Reason.RESOLVED,), (Reason.OPENED,)]


def test_a_source_that_is_down_is_told_once_and_not_for_each_rule(
    scene: Scene, box: Mailbox
) -> None:
    several(scene, 3)
    away = scene.folder / "away.db"
    (scene.folder / "app.db").rename(away)
    for _ in range(3):
        scene.look()
        scene.mail()
    assert told(box) == ["source_down"]
    away.rename(scene.folder / "app.db")
    scene.look()
    scene.mail()
    assert told(box) == ["source_down", "resolved"]


def test_that_a_rule_cant_be_checked_goes_to_its_owner_and_says_nothing_of_the_data(
    scene: Scene, box: Mailbox
) -> None:
    scene.alerts = {"owners": {"payments": "team"}}
    scene.rules["adults"] |= {"owner": "payments", "notify": []}
    scene.sql("ALTER TABLE people RENAME COLUMN age TO years")
    for _ in range(3):
        scene.tick()
    assert told(box) == ["errored"]
    assert scene.incident() is None
    assert scene.incident(cause=Cause.ERRORED) is not None
    scene.sql("ALTER TABLE people RENAME COLUMN years TO age")
    scene.tick()
    assert told(box) == ["errored", "resolved"]


def test_after_an_outage_of_the_mail_server_one_summary_comes_and_not_the_backlog(
    scene: Scene,
) -> None:
    rule = {**ADULTS, "between": {"age": [18, 29]}}
    scene.rules = {"a": dict(ADULTS), "b": dict(ADULTS), "c": rule}
    rules = scene.load()
    scene.sql("UPDATE people SET age = 20")
    several_passes = [("a", "b"), ("c",)]
    scene.sql("UPDATE people SET age = 5 WHERE id = 1")
    pipeline.run_batch(rules, [rules.rules[name] for name in several_passes[0]], scene.store, now())
    scene.mail()
    scene.clock.shift(timedelta(minutes=30))
    pipeline.run_batch(rules, [rules.rules["c"]], scene.store, now())
    scene.mail()
    scene.sql("UPDATE people SET age = 20")
    scene.clock.shift(timedelta(minutes=30))
    pipeline.run_batch(rules, [rules.rules["a"]], scene.store, now())
    with working() as box:
        scene.port = box.port
        scene.wait(minutes=30)
        scene.wait(hours=2)
    assert told(box) == ["opened"]
    [(_, mail)] = box.mails
    assert "b" in mail["Subject"] + mail.as_string()


def test_at_night_nothing_but_critical_things_comes_and_in_the_morning_what_is_left(
    scene: Scene, box: Mailbox
) -> None:
    scene.alerts = {"quiet_hours": {"from": "08:00", "to": "20:00"}}
    several(scene, 2)
    scene.rules["bad"] = {**ADULTS, "severity": "critical"}
    scene.children(1)
    scene.look()
    scene.mail()
    assert told(box) == ["opened"]
    scene.wait(hours=11)
    scene.wait(hours=1)
    assert told(box) == ["opened", "opened"]


def test_every_decision_is_kept_once_with_its_reason(scene: Scene, box: Mailbox) -> None:
    scene.children(1)
    for _ in range(5):
        scene.tick()
    scene.children()
    scene.tick()
    with scene.store.read() as memory:
        kept = [(row["action"], row["reason"]) for row in audit.of_rule(memory, "adults")]
    assert kept == [("notified", "opened"), ("not notified", "unchanged"), ("notified", "resolved")]


def test_very_many_rows_at_once_are_told_as_one_fault(scene: Scene) -> None:
    scene.children(*range(1, 11))
    incident = scene.tick().incident
    assert incident is not None
    assert incident.systemic


def test_asking_again_at_the_same_moment_tells_nothing_new(scene: Scene, box: Mailbox) -> None:
    scene.children(1)
    scene.look()
    assert scene.wait() == 0
    scene.mail()
    assert [scene.wait() for _ in range(3)] == [0, 0, 0]
    with scene.store.read() as memory:
        assert outbox_summary.summary(memory).waiting == 0
    assert len(box.mails) == 1


def test_a_tag_brings_in_a_channel_and_an_owner_stands_in_for_notify(scene: Scene) -> None:
    scene.alerts = {"tags": {"gdpr": ["team"]}, "owners": {"payments": ["team"]}}
    scene.rules["adults"] |= {"notify": [], "tags": ["gdpr"]}
    assert scene.load().rules["adults"].notify == ("team",)
    scene.rules["adults"] |= {"notify": [], "tags": [], "owner": "payments"}
    rule = scene.load().rules["adults"]
    assert (rule.notify, rule.on_error) == ((), ("team",))


@pytest.mark.parametrize("word", ["adults", "nowhere"])
def test_a_rule_depends_on_others_that_there_are(scene: Scene, word: str) -> None:
    scene.rules["adults"] |= {"depends_on": [word]}
    with pytest.raises(RuleError, match=r"depends on itself|no rule or source"):
        scene.load()


def test_what_is_downgraded_counts_as_less_until_it_is_far_worse(
    scene: Scene, box: Mailbox
) -> None:
    scene.tick()
    lowered = NoiseState(
        steps=1,
        since=now(),
        baseline=1,
        sentence="declared error, now warning: 14 mails, none acted on",
    )
    with scene.store.write() as memory:
        noise_state.save(memory, "adults", lowered, now())
    scene.children(1)
    result = scene.tick()
    assert (result.reasons, result.run.severity, result.severity) == (
        (Reason.BELOW_THRESHOLD,),
        Severity.ERROR,
        Severity.WARNING,
    )
    assert told(box) == []
    scene.children(*range(1, 8))
    assert scene.tick().severity is Severity.ERROR
    assert told(box) == ["restored"]
