"""Two rules files in one store: each is notified of its own incidents, and settles only these."""

from datetime import UTC, datetime, timedelta

from sanityd.model import Triage, TriageAction
from sanityd.notifications.context import counted_incidents
from sanityd.store import audit, incidents, triage
from tests.support.scene import ADULTS, Scene, events
from tests.support.smtp_server import Mailbox


def other_file(scene: Scene) -> None:
    """A pass of another file with a rule of its own."""
    own = scene.rules, scene.name, scene.alerts
    scene.rules, scene.name, scene.alerts = {"other": {**ADULTS, "not_null": "age"}}, "b.yaml", {}
    scene.rules["other"].pop("between")
    scene.tick()
    scene.rules, scene.name, scene.alerts = own


def test_the_end_that_waits_is_not_settled_by_another_file(scene: Scene, box: Mailbox) -> None:
    scene.children(1)
    scene.tick()
    scene.alerts = {"quiet_hours": {"from": "07:00", "to": "10:00"}}
    scene.children()
    scene.tick()
    other_file(scene)
    with scene.store.read() as connection:
        assert [incident.rule for incident in incidents.list_unsettled(connection)] == ["adults"]
    scene.wait(hours=2)
    assert [event for _, event in events(box)] == ["opened", "resolved"]


def test_what_another_file_accepted_is_not_broken_here(scene: Scene, box: Mailbox) -> None:
    scene.children(1, 2)
    incident = scene.tick().incident
    assert incident is not None
    other_file(scene)
    at = datetime.now(UTC)
    with scene.store.write() as connection:
        decision = Triage(
            0, TriageAction.ACKNOWLEDGED, "adults", incident.id, "bo", "on it", at,
            at + timedelta(days=7), 1, incident.severity,
        )  # fmt: skip
        triage.add(connection, decision)
    other_file(scene)
    with scene.store.read() as connection:
        assert len(triage.list_active(connection)) == 1
        rules = scene.load()
        assert [item.rule for item in counted_incidents(connection, rules, at)] == ["adults"]


def test_a_source_of_another_file_is_left_to_it(scene: Scene, box: Mailbox) -> None:
    away = scene.folder / "away.db"
    scene.sources = {"second": "sqlite:///second.db"}
    scene.rules = {"there": {**ADULTS, "table": "second.people"}}
    scene.tick()
    scene.sources = {}
    other_file(scene)
    with scene.store.read() as connection:
        assert len(incidents.list_unsettled(connection)) == 1
        assert audit.of_rule(connection, "there") == []
    assert not away.exists()
