"""`events` of a channel: of what it is notified, and what becomes of the rest."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sanityd.errors import RuleError
from sanityd.model import Reason, Silence, Triage, TriageAction
from sanityd.store import audit, incidents, silences, triage
from tests.support.scene import Scene, events
from tests.support.smtp_server import Mailbox


def takes(scene: Scene, *names: str) -> None:
    """The team's channel takes only these."""
    scene.channels = {
        "team": {
            "email": "ada@x.io",
            "server": f"smtp://127.0.0.1:{scene.port}",
            "from": "sanity@x.io",
            "events": list(names),
        }
    }


def told(box: Mailbox) -> list[str]:
    """What the team got, in order."""
    return [event for _, event in events(box)]


def test_what_a_channel_does_not_take_is_recorded_and_not_sent(scene: Scene, box: Mailbox) -> None:
    takes(scene, "opened", "escalated")
    scene.children(1, 2)
    scene.tick()
    scene.wait(days=2)
    assert scene.tick().reasons == (Reason.NOT_TAKEN,)
    scene.children(1, 2, 3, 4)
    assert scene.tick().reasons == (Reason.ESCALATED,)
    scene.children()
    assert scene.tick().reasons == (Reason.NOT_TAKEN,)
    assert told(box) == ["opened", "escalated"]
    with scene.store.read() as connection:
        assert incidents.list_unsettled(connection) == []
        kept = [(row["action"], row["reason"]) for row in audit.of_rule(connection, "adults")]
    assert kept.count(("not notified", "not_taken")) == 2
    assert scene.wait(days=20) == 0


def test_a_refused_reminder_hides_no_escalation_after_a_snooze(scene: Scene, box: Mailbox) -> None:
    takes(scene, "opened", "escalated", "updated")
    scene.children(1, 2, 3)
    incident = scene.tick().incident
    assert incident is not None
    at = datetime.now(UTC)
    snooze = Triage(
        0, TriageAction.SNOOZED, "adults", incident.id, "bo", "later", at, at + timedelta(hours=3), 3,
        incident.severity,
    )  # fmt: skip
    with scene.store.write() as connection:
        triage.add(connection, snooze)
    assert scene.wait(days=1.5) == 0
    scene.children(3, 4, 5)
    assert scene.tick().reasons == (Reason.UPDATED,)
    scene.children(*range(1, 9))
    assert scene.tick(20).reasons == (Reason.ESCALATED,)


def test_a_refused_first_message_is_sent_never(scene: Scene, box: Mailbox) -> None:
    takes(scene, "source_down", "resolved")
    scene.children(1)
    assert scene.tick().reasons == (Reason.NOT_TAKEN,)
    scene.children()
    assert scene.tick().reasons == (Reason.NEVER_NOTIFIED,)
    (scene.folder / "app.db").rename(scene.folder / "away.db")
    scene.tick()
    (scene.folder / "away.db").rename(scene.folder / "app.db")
    scene.tick()
    assert told(box) == ["source_down", "resolved"]


def test_a_silence_comes_after(scene: Scene, box: Mailbox) -> None:
    takes(scene, "opened")
    at = datetime.now(UTC)
    with scene.store.write() as connection:
        silences.add(connection, Silence(0, "bo", "x", at, at, at + timedelta(hours=1), rule="*"))
    scene.children(1)
    assert scene.tick().reasons == (Reason.SILENCED,)
    assert scene.wait(hours=1) == 1


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["opened", "escalatd"], "did you mean `escalated`"),
        (["escalated"], "must take what comes before it"),
        (["resolved", "digest"], "`opened` or `source_down` or `errored`"),
        ([], "`events` is empty"),
        (["summary"], "`summary` is not a valid value"),
    ],
)
def test_wrong_events_are_errors_of_the_file(scene: Scene, names: list[Any], words: str) -> None:
    takes(scene, *names)
    with pytest.raises(RuleError) as raised:
        scene.load()
    [problem] = raised.value.problems
    assert words in f"{problem.message} {problem.advice}"
    assert problem.line > 0
