"""The limit of mails per hour is for what is repeated; the first word about a thing never waits."""

from datetime import UTC, datetime, timedelta

import pytest

from sanityd import pipeline
from sanityd.model import Cause, Reason, Severity
from tests.support.scene import ADULTS, Scene, events
from tests.support.smtp_server import Mailbox


def told(box: Mailbox) -> list[str]:
    """What the team got, in order."""
    return [event for _, event in events(box)]


def pass_of(scene: Scene, rule: str, minutes: float = 1) -> tuple[Reason, ...]:
    """A whole pass of one rule, some minutes later. Returns why it is told, or not."""
    scene.clock.shift(timedelta(minutes=minutes))
    rules = scene.load()
    [result] = pipeline.run_batch(rules, [rules.rules[rule]], scene.store, datetime.now(UTC))
    scene.mail()
    return result.reasons


def second_source(scene: Scene) -> None:
    """A source `b` with a critical rule, besides three errors of `app`."""
    scene.limits = {"mails_per_hour": 3}
    scene.sources = {"b": "sqlite:///b.db"}
    scene.sql("ATTACH 'b.db' AS b; CREATE TABLE b.people AS SELECT id, 30 AS age FROM people;")
    grown = {"table": "b.people", "key": "id", "between": {"age": [18, 150]}}
    scene.rules = {f"a{number}": dict(ADULTS) for number in (1, 2, 3)}
    scene.rules["b1"] = {**grown, "severity": "critical"}
    scene.rules["b2"] = dict(grown)


@pytest.fixture(autouse=True)
def at_home(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite finds attached files there."""
    monkeypatch.chdir(scene.folder)


def test_a_source_that_goes_away_is_told_after_three_mails_of_another(
    scene: Scene, box: Mailbox
) -> None:
    second_source(scene)
    pass_of(scene, "b1")
    scene.children(1)
    assert [pass_of(scene, f"a{number}") for number in (1, 2, 3)] == [(Reason.OPENED,)] * 3
    (scene.folder / "b.db").rename(scene.folder / "gone.db")
    pass_of(scene, "b1")
    assert told(box) == ["opened"] * 3 + ["source_down"]
    outage = scene.incident("source:b", Cause.SOURCE_DOWN)
    assert outage is not None
    assert outage.severity is Severity.CRITICAL
    (scene.folder / "gone.db").rename(scene.folder / "b.db")
    pass_of(scene, "b1")
    assert told(box)[4:] == ["resolved"]


def test_the_same_with_a_file(scene: Scene) -> None:
    second_source(scene)
    scene.channels = {"log": {"file": "mails"}}
    for rule in scene.rules.values():
        rule["notify"] = ["log"]
    scene.children(1)
    for number in (1, 2, 3):
        pass_of(scene, f"a{number}")
    (scene.folder / "b.db").unlink()
    pass_of(scene, "b1")
    names = sorted(path.name for path in (scene.folder / "mails").iterdir())
    assert [name.partition("-")[0] for name in names] == ["opened"] * 3 + ["source"]


def test_the_first_word_about_a_rule_never_waits(scene: Scene, box: Mailbox) -> None:
    scene.limits = {"mails_per_hour": 3}
    scene.rules = {f"adults-{number}": dict(ADULTS) for number in range(8)}
    scene.children(1)
    for rule in scene.rules:
        assert pass_of(scene, rule) == (Reason.OPENED,)
    assert told(box) == ["opened"] * 8


def test_what_gets_worse_waits_for_one_mail(scene: Scene, box: Mailbox) -> None:
    scene.limits = {"mails_per_hour": 3}
    scene.rules = {"a": dict(ADULTS), "b": dict(ADULTS)}
    scene.children(1)
    scene.look()
    scene.mail()
    scene.children(1, 2)
    assert [pass_of(scene, rule, 10) for rule in "ab"] == [(Reason.ESCALATED,)] * 2
    scene.children(1, 2, 3, 4)
    assert [pass_of(scene, rule, 10) for rule in "ab"] == [(Reason.RATE_LIMITED,)] * 2
    scene.children()
    assert pass_of(scene, "b") == (Reason.RATE_LIMITED,)
    waits = [scene.wait(minutes=10) for _ in range(6)]
    assert (sum(waits), told(box)) == (1, ["opened", "escalated", "escalated", "summary"])


def test_what_is_better_again_by_then_is_told_all_the_same(scene: Scene, box: Mailbox) -> None:
    scene.limits = {"mails_per_hour": 2}
    scene.rules = {"a": dict(ADULTS), "b": dict(ADULTS)}
    scene.children(1)
    assert [pass_of(scene, rule) for rule in "ab"] == [(Reason.OPENED,)] * 2
    scene.children(1, 2, 3)
    assert pass_of(scene, "a", 11) == (Reason.RATE_LIMITED,)
    scene.children(1)
    assert pass_of(scene, "a") == (Reason.RATE_LIMITED,)
    assert [scene.wait(minutes=30) for _ in range(4)] == [0, 1, 0, 0]
    assert told(box) == ["opened", "opened", "escalated"]
    _, mail = box.mails[-1]
    body = mail.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert "had to wait for the limit of mails per hour: the count was 3 at 08:13" in " ".join(
        text.split()
    )


def test_what_waits_is_told_within_the_hour_while_other_things_break(
    scene: Scene, box: Mailbox
) -> None:
    scene.limits = {"mails_per_hour": 1}
    scene.rules = {f"r{number}": dict(ADULTS) for number in range(9)}
    scene.children(1)
    assert pass_of(scene, "r0") == (Reason.OPENED,)
    scene.children(1, 2)
    assert pass_of(scene, "r0", 15) == (Reason.RATE_LIMITED,)
    for number in range(1, 9):
        pass_of(scene, f"r{number}", 10)
    assert told(box).index("escalated") == 7


def test_a_mail_that_others_share_is_followed_by_the_end_of_each(
    scene: Scene, box: Mailbox
) -> None:
    """One rule holds again while the mail about both waits."""
    scene.rules = {"a": dict(ADULTS), "b": {**ADULTS, "between": {"age": [18, 25]}}}
    scene.sql("UPDATE people SET age = 20 WHERE id > 1; UPDATE people SET age = 5 WHERE id = 1")
    scene.look_everywhere(wait=60)
    scene.sql("UPDATE people SET age = 30 WHERE id = 1")
    scene.look_everywhere(0.5, wait=60)
    assert told(box) == []
    scene.wait(minutes=1)
    scene.wait(minutes=1)
    assert told(box) == ["opened", "resolved"]


@pytest.mark.parametrize("wait", [0, 60])
def test_sources_of_one_server_that_go_down_together_are_one_mail(
    scene: Scene, box: Mailbox, wait: float
) -> None:
    away = "postgresql://me:secret@127.0.0.1:1/"
    scene.sources = {"b": f"{away}b", "c": f"{away}c", "d": "postgresql://127.0.0.1:2/b"}
    for source in "bcd":
        scene.rules[source] = {"table": f"{source}.people", "not_null": "id", "key": "id"}
    scene.look_everywhere(wait=wait)
    assert scene.mail().sent == (2 if wait == 0 else 0)
    scene.clock.shift(timedelta(seconds=wait))
    scene.mail()
    subjects = [mail["Subject"] for _, mail in box.mails]
    assert (told(box), "2 sources" in subjects[0]) == (["source_down"] * 2, True)
    scene.look_everywhere(wait=wait)
    scene.clock.shift(timedelta(hours=1))
    scene.mail()
    assert len(box.mails) == 2
