"""`depends_on`: while its explanation is open a rule is quiet; then a run decides."""

from datetime import UTC, datetime, timedelta

import pytest

from sanityd import pipeline
from sanityd.model import Reason
from tests.support.scene import ADULTS, Scene, events
from tests.support.smtp_server import Mailbox

PARENT = {"table": "app.people", "key": "id", "between": {"id": [1, 10]}}
QUIET = (Reason.INHIBITED,)


def told(box: Mailbox) -> list[str]:
    """What the team got about the child, in order."""
    return [event for _, event in events(box)]


@pytest.fixture(params=["parent", "parents[id]"])
def family(scene: Scene, box: Mailbox, request: pytest.FixtureRequest) -> Scene:
    """A child that is told, and then its parent breaks: a rule of its own, or made by `for_each`."""
    scene.port = box.port
    scene.rules = {"child": {**ADULTS, "depends_on": request.param.partition("[")[0]}}
    parent = dict(PARENT)
    if "[" in request.param:
        parent["between"] = {"{column}": [1, 10]}
        parent["for_each"] = {"column": ["id"]}
    scene.rules[request.param.partition("[")[0]] = parent | {"notify": []}
    scene.children(1, 2)
    look(scene)
    scene.sql("INSERT INTO people VALUES (99, 30)")
    return scene


def look(scene: Scene, minutes: float = 5, *rules: str) -> tuple[Reason, ...]:
    """A whole pass of these rules, or of all. Returns why the child's team is told, or not."""
    scene.clock.shift(timedelta(minutes=minutes))
    loaded = scene.load()
    batch = [rule for rule in loaded.enabled() if not rules or rule.written in rules]
    results = pipeline.run_batch(loaded, batch, scene.store, datetime.now(UTC))
    scene.mail()
    reasons = {result.rule.id: result.reasons for result in results}
    return reasons.get("child", ())


def test_no_reminder_update_or_escalation_while_the_parent_is_open(
    family: Scene, box: Mailbox
) -> None:
    assert look(family) == QUIET
    family.wait(days=4)
    assert look(family) == QUIET
    family.sql("UPDATE people SET age = 5 WHERE id IN (3, 4, 5, 6)")
    assert look(family) == QUIET
    assert look(family, 24 * 60) == QUIET
    assert told(box) == ["opened"]


def test_after_its_end_a_run_of_the_child_decides(family: Scene, box: Mailbox) -> None:
    family.sql("UPDATE people SET age = 5 WHERE id IN (3, 4, 5, 6)")
    assert look(family, 20) == QUIET
    family.sql("DELETE FROM people WHERE id = 99")
    look(family, 5, "parent", "parents")
    family.wait(days=2)
    assert told(box) == ["opened"]
    family.sql("ALTER TABLE people RENAME COLUMN age TO years")
    look(family, 5, "child")
    assert told(box) == ["opened", "errored"]
    family.sql("ALTER TABLE people RENAME COLUMN years TO age")
    assert Reason.ESCALATED in look(family, 5, "child")
    assert sorted(told(box)[2:]) == ["escalated", "resolved"]


def test_its_own_end_is_told_though_the_parent_is_open(family: Scene, box: Mailbox) -> None:
    look(family)
    family.children()
    assert look(family) == (Reason.RESOLVED,)
    assert told(box) == ["opened", "resolved"]


def test_the_end_of_a_source_is_followed_by_a_run(scene: Scene, box: Mailbox) -> None:
    """The child reads `app` and is explained by `other`, which is checked by itself."""
    other = scene.folder / "other.db"
    scene.sources = {"other": f"sqlite:///{other}"}
    scene.sql(f"ATTACH '{other}' AS o; CREATE TABLE o.people AS SELECT * FROM people;")
    scene.rules = {
        "child": {**ADULTS, "depends_on": "other"},
        "else": {**ADULTS, "table": "other.people", "notify": []},
    }
    look(scene, 5, "else")
    other.rename(scene.folder / "away.db")
    look(scene, 5, "else")
    scene.children(1)
    assert look(scene, 5, "child") == QUIET
    (scene.folder / "away.db").rename(other)
    look(scene, 5, "else")
    scene.wait(minutes=5)
    assert told(box) == []
    assert look(scene, 5, "child") == (Reason.OPENED,)
