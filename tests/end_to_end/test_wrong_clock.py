"""What was written while the clock was wrong: neither told again, nor does it keep anything quiet
until then."""

from datetime import UTC, datetime, timedelta

import pytest

from sanityd.model import Severity, Triage, TriageAction
from sanityd.store import triage
from sanityd.store.outbox import Outbox
from tests.support.scene import Scene, events
from tests.support.smtp_server import Mailbox, working

HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=365)


@pytest.fixture
def state(sqlite: str) -> str:
    """The quicker one; `test_pipeline.py` tells both apart."""
    return sqlite


def kinds(box: Mailbox) -> list[str]:
    """What was told, in order."""
    return [event for _, event in events(box)]


@pytest.mark.parametrize("jump", [HOUR, YEAR, -HOUR], ids=str)
def test_what_was_told_at_a_wrong_time_is_known_and_what_follows_is_told(
    scene: Scene, box: Mailbox, jump: timedelta
) -> None:
    scene.clock.shift(jump)
    scene.children(1, 2)
    scene.tick()
    scene.clock.shift(-jump)
    for _ in range(12):
        scene.tick(60)
    assert kinds(box) == ["opened"]
    scene.children(1, 2, 3, 4, 5)
    scene.tick()
    scene.tick(25 * 60)
    scene.children()
    scene.tick()
    assert kinds(box) == ["opened", "escalated", "reminder", "resolved"]


def test_reminders_count_from_when_the_clock_was_right_again(scene: Scene, box: Mailbox) -> None:
    scene.clock.shift(YEAR)
    scene.children(1, 2)
    scene.tick()
    scene.clock.shift(-YEAR)
    for _ in range(23):
        scene.tick(60)
    assert kinds(box) == ["opened"]
    scene.tick(120)
    scene.tick(60)
    assert kinds(box) == ["opened", "reminder"]


def test_mail_that_failed_a_year_ahead_goes_out_now(scene: Scene) -> None:
    scene.clock.shift(YEAR)
    scene.children(1, 2)
    scene.tick()
    scene.clock.shift(-YEAR)
    with working() as box:
        scene.port = box.port
        scene.tick()
        scene.tick()
    assert kinds(box) == ["opened"]


def test_mail_of_who_died_a_year_ahead_goes_out_now(scene: Scene) -> None:
    scene.clock.shift(YEAR)
    scene.children(1, 2)
    scene.look()
    assert Outbox(scene.store).claim(datetime.now(UTC)) is not None
    scene.clock.shift(-YEAR)
    with working() as box:
        scene.port = box.port
        scene.tick()
        scene.tick()
    assert kinds(box) == ["opened"]


def test_mail_that_was_given_up_a_year_ahead_is_tried_again(scene: Scene, box: Mailbox) -> None:
    box.refuse["ada@x.io"] = "550 5.1.1 unknown"
    scene.clock.shift(YEAR)
    scene.children(1, 2)
    scene.tick()
    scene.clock.shift(-YEAR)
    scene.tick()
    box.refuse.clear()
    scene.tick(30)
    assert kinds(box) == []
    scene.tick(60)
    assert kinds(box) == ["opened"]


def test_the_mails_of_a_wrong_hour_do_not_count_in_every_hour(scene: Scene, box: Mailbox) -> None:
    scene.limits = {"mails_per_hour": 3}
    scene.clock.shift(YEAR)
    for children in ((1,), (), (1,)):
        scene.children(*children)
        scene.tick()
    scene.clock.shift(-YEAR)
    assert kinds(box) == ["opened", "resolved", "opened"]
    scene.children()
    scene.tick()
    scene.children(3)
    scene.tick()
    assert kinds(box)[3:] == ["resolved", "opened"]


def test_rows_of_the_future_are_not_new_every_hour(scene: Scene, box: Mailbox) -> None:
    scene.clock.shift(YEAR)
    scene.children(1, 2)
    scene.tick()
    scene.clock.shift(-YEAR)
    scene.children(1, 2, 3, 4)
    scene.tick(15)
    scene.tick(15)
    assert kinds(box) == ["opened", "escalated"]
    for _ in range(6):
        scene.tick(61)
    assert kinds(box) == ["opened", "escalated"]


def test_a_decision_that_ran_out_a_year_ahead_does_not_remind_in_every_pass(
    scene: Scene, box: Mailbox
) -> None:
    """Ahead, every decision runs out, and that can't be undone."""
    scene.children(1, 2)
    incident = scene.tick().incident
    assert incident is not None
    at = datetime.now(UTC)
    with scene.store.write() as memory:
        about = ("adults", incident.id, "bo", "on it")
        triage.add(
            memory,
            Triage(0, TriageAction.ACKNOWLEDGED, *about, at, at + 3 * DAY, 2, Severity.ERROR),
        )
    scene.clock.shift(YEAR)
    scene.tick()
    assert kinds(box) == ["opened", "reminder"]
    scene.clock.shift(-YEAR)
    scene.children(1, 2, 3, 4)
    for _ in range(6):
        scene.tick(15)
    assert kinds(box) == ["opened", "reminder", "escalated"]


def test_a_fault_of_the_future_is_not_todays(scene: Scene, box: Mailbox) -> None:
    """The newest run by the clock is not the last one: it would hide that rows became more."""
    scene.children(1)
    scene.tick()
    scene.clock.shift(YEAR)
    scene.sql("ALTER TABLE people RENAME COLUMN age TO years")
    scene.tick()
    scene.sql("ALTER TABLE people RENAME COLUMN years TO age")
    scene.clock.shift(-YEAR)
    scene.tick()
    told = len(box.mails)
    scene.children(1, 2, 3)
    scene.tick(15)
    assert kinds(box)[told:] == ["escalated"]
    assert "3 of 10" in box.mails[-1][1].as_string()
