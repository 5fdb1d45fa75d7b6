"""The digest: when it comes, to whom, and what it says."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from sanityd import pipeline
from sanityd.model import NoiseState, Severity, Silence, Triage, TriageAction
from sanityd.store import audit_check, noise_state, silences, triage
from tests.support.scene import ADULTS, Scene, events
from tests.support.smtp_server import Mailbox


@pytest.fixture(autouse=True)
def at_eight(scene: Scene) -> None:
    """A digest at nine on all days but the weekend; the scene begins on a Monday at eight."""
    scene.alerts = {"digest": {"at": "09:00"}}


def digests(box: Mailbox) -> list[Any]:
    """Those that came."""
    return [mail for _, mail in box.mails if mail["X-Sanityd-Event"] == "digest"]


def body(mail: Any) -> str:
    """Its text."""
    text: str = mail.get_body(("plain",)).get_content()
    return text


def warn(scene: Scene) -> None:
    """Something is open that is never mailed at once."""
    scene.rules = {"adults": {**ADULTS, "severity": "warning"}}
    scene.children(1, 2)
    scene.tick()


def test_warnings_come_in_the_digest_once_a_day_and_not_before_its_time(
    scene: Scene, box: Mailbox
) -> None:
    warn(scene)
    scene.wait(minutes=50)
    assert digests(box) == []
    for _ in range(5):
        scene.wait(minutes=10)
    [digest] = digests(box)
    assert "NEW" in body(digest)
    assert "2 of 10 people" in body(digest)
    scene.wait(hours=24)
    assert len(digests(box)) == 2
    assert "STILL OPEN" in body(digests(box)[1])


def test_each_digest_states_the_end_of_the_audit(scene: Scene, box: Mailbox) -> None:
    warn(scene)
    scene.wait(hours=2)
    text = " ".join(body(digests(box)[0]).split())
    [head] = re.findall(r"The audit ends with (\d+:[0-9a-f]{12})\.", text)
    scene.children()
    scene.tick()
    with scene.store.read() as connection:
        report = audit_check.verify(connection, audit_check.parse_anchor(head))
    assert (report.fault, report.not_compared) == (None, "")


def test_no_digest_comes_at_the_weekend_and_mondays_tells_since_friday(
    scene: Scene, box: Mailbox
) -> None:
    warn(scene)
    for _ in range(7):
        scene.wait(days=1)
    days = [mail["Subject"].split()[1] for mail in digests(box)]
    assert days == ["Tue", "Wed", "Thu", "Fri", "Mon"]


def test_nothing_is_said_when_there_is_nothing_to_say_but_on_mondays(
    scene: Scene, box: Mailbox
) -> None:
    scene.tick()
    told = []
    for _ in range(8):
        scene.look(24 * 60)
        scene.wait()
        told.append(len(digests(box)))
    # Those of Monday, which who passes by at eight gets on the next day.
    assert told == [1, 1, 1, 1, 1, 1, 1, 2]
    assert "held" in body(digests(box)[0])


def test_who_has_two_channels_gets_one_digest(scene: Scene, box: Mailbox) -> None:
    scene.team = ["ada@x.io", "bo@x.io"]
    warn(scene)
    scene.wait(hours=2)
    assert sorted(events(box)) == [("ada", "digest"), ("bo", "digest")]


def test_a_day_on_which_the_clock_goes_back_has_one_digest(scene: Scene, box: Mailbox) -> None:
    scene.alerts = {
        "digest": {"at": "02:30", "zone": "Europe/Berlin", "days": ["sat", "sun", "mon"]}
    }
    warn(scene)
    rules = scene.load()
    night = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    with time_machine.travel(night, tick=False):
        for quarter in range(20):
            pipeline.notify_due(
                rules, scene.store, night + timedelta(days=364, minutes=15 * quarter)
            )
    scene.mail()
    assert len(digests(box)) <= 1


def test_what_needs_a_decision_comes_before_what_is_merely_open(scene: Scene, box: Mailbox) -> None:
    scene.rules = {
        "loud": dict(ADULTS),
        "mild": {**ADULTS, "severity": "warning"},
        "acked": dict(ADULTS),
    }
    scene.children(1)
    scene.look()
    scene.mail()
    incident = scene.incident("acked")
    assert incident is not None
    now = datetime.now(UTC)
    with scene.store.write() as memory:
        triage.add(
            memory,
            Triage(0, TriageAction.ACKNOWLEDGED, "acked", incident.id, "bo", "on it", now, now + timedelta(days=9), 1,
                        Severity.ERROR),
        )  # fmt: skip
        silences.add(
            memory,
            Silence(0, "bo", "deployment", now, now, now + timedelta(days=9), rule="other-*"),
        )
    scene.look(26 * 60)
    with scene.store.write() as memory:
        noise_state.save(
            memory, "mild", NoiseState(noticed_at=now, due=now + timedelta(days=4)), now
        )
    scene.wait(minutes=1)
    text = body(digests(box)[-1])
    places = [
        text.index(words)
        for words in ("NEEDS A DECISION", "loud", "STILL OPEN", "acknowledged by bo", "QUIET")
    ]
    assert places == sorted(places)
    assert "sanityd ack loud" in text
    assert "sanityd noise undo mild" in text
    assert "silenced by bo" in text
    assert "1 mail, 0 acted on" in text or "2 mails, 1 acted on" in text


def test_the_checker_itself_comes_first(scene: Scene, box: Mailbox) -> None:
    warn(scene)
    scene.sql("ALTER TABLE people RENAME COLUMN age TO years")
    scene.tick()
    scene.wait(days=1)
    text = body(digests(box)[-1])
    assert text.index("THE CHECKER ITSELF") < text.index("NEW")
    assert "can't be checked" in text
    assert "was not checked for" in text


def test_who_looks_once_a_day_before_its_time_gets_it_too(scene: Scene, box: Mailbox) -> None:
    """As a line of cron at seven does."""
    warn(scene)
    for _ in range(3):
        scene.tick(24 * 60)
        scene.wait()
    assert len(digests(box)) == 3


def test_a_digest_can_be_switched_off(scene: Scene, box: Mailbox) -> None:
    scene.alerts = {"digest": {"at": None}}
    warn(scene)
    scene.wait(days=2)
    assert digests(box) == []


def test_only_what_was_repaired_and_broke_again_came_back(scene: Scene, box: Mailbox) -> None:
    """Of two rules, one could not be checked for a while, the other held again."""
    scene.rules = {"back": dict(ADULTS), "blind": dict(ADULTS, between={"age": [18, 29]})}
    scene.sql("UPDATE people SET age = 20; UPDATE people SET age = 5 WHERE id = 1")
    scene.rules.pop("blind")
    scene.look()
    scene.sql("UPDATE people SET age = 20")
    scene.look()
    scene.rules["blind"] = dict(ADULTS, between={"years": [18, 29]})
    scene.look()
    scene.sql("ALTER TABLE people ADD COLUMN years INTEGER DEFAULT 20")
    scene.look()
    scene.wait(hours=1)
    scene.sql("UPDATE people SET years = 5, age = 5")
    scene.look()
    scene.wait(hours=24)
    _, _, text = body(digests(box)[-1]).partition("CAME BACK")
    back, _, others = text.partition("STILL OPEN")
    assert "back" in back
    assert "blind" not in back
    new, _, _ = body(digests(box)[-1]).partition("CAME BACK")
    assert "blind" in new + others


def test_the_worst_comes_first_then_the_oldest_and_what_is_over_is_no_error(
    scene: Scene, box: Mailbox
) -> None:
    other = {**ADULTS, "between": {"age": [18, 25]}, "severity": "warning"}
    scene.rules = {
        "z-old": {**ADULTS, "severity": "warning"},
        "over": {**ADULTS, "not_null": "age"},
    }
    scene.rules["over"].pop("between")
    scene.sql("UPDATE people SET age = 5 WHERE id = 1; UPDATE people SET age = NULL WHERE id = 2")
    scene.look()
    scene.sql("UPDATE people SET age = 5 WHERE id = 2")
    scene.rules |= {"a-new": other, "y-worst": {**ADULTS, "severity": "critical"}}
    scene.look()
    scene.wait(hours=2)
    _, _, text = body(digests(box)[-1]).partition("\nNEW")
    positions = [text.index(name) for name in ("y-worst", "z-old", "a-new")]
    assert positions == sorted(positions)
    new, _, over = text.partition("\nRESOLVED")
    assert "holds again" in over
    assert "ERROR" not in new + over
